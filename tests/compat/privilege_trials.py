"""What programs on Milvus do, and the smallest sets of privileges with which they can.

A trial is one job of a program at a time when its user holds just certain privileges. Each job is tried with its
smallest set, with each member of that set taken away, and, where groups of Milvus are recommended, with those.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pymilvus import MilvusClient
from tests.compat import accounts
from tests.support import json_programs
from tests.support.server import RunningServer

from kiteward.authz.privileges import GRANTED_ALONG

WITHIN: Final = 120.0
"""How long all trials of a program may take, in seconds, before it counts as hanging."""

READER: Final = ("CollectionReadOnly", "Load")
WRITER: Final = ("CollectionReadWrite",)
REBUILDER: Final = ("CollectionReadWrite", "CreateCollection", "DropCollection")
BYSTANDER: Final = "bystander"
"""A collection that is there and may be queried where a trial grants nothing on the program's own."""

_SEEN_ONLY: Final = "IndexDetail"
"""Makes a collection visible and allows nothing else that is tried here: what is refused is the missing privilege."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a program does in one go.

    Attributes:
        name: as the program's script has it.
        needs: the smallest set of privileges, all on the named collection; where it is empty, any privilege will do.
        role: groups and privileges on it that are recommended for this job instead.
        reads: whether it must find something.
        everywhere: whether the set is on `*`: what drops a collection loses its grants on the name.
        afresh: whether the collection must not be there yet (`missing`), must be there in any form (`existing`), or is
            the one that the program has created.
        shows: what the program shows when a privilege is missing, where that is not the server's refusal.
        hidden: what it shows when its user may do nothing at all with the collection; None where that is not tried.
    """

    name: str
    needs: tuple[str, ...]
    role: tuple[str, ...] = ()
    reads: bool = False
    everywhere: bool = False
    afresh: str = ""
    shows: Mapping[str, str] = field(default_factory=dict)
    hidden: str | None = None


def create(*needs: str, shows: Mapping[str, str] | None = None) -> Job:
    """Return the job of making a collection that is not there."""
    return Job("create", needs, afresh="missing", shows=shows or {})


def read(name: str, *needs: str, shows: Mapping[str, str] | None = None, hidden: str | None = None) -> Job:
    """Return a job that reads the program's collection."""
    return Job(name, needs, READER, reads=True, shows=shows or {}, hidden=hidden)


def write(name: str, *needs: str, shows: Mapping[str, str] | None = None) -> Job:
    """Return a job that changes the program's collection."""
    return Job(name, needs, WRITER, shows=shows or {})


def rebuild(*needs: str, shows: Mapping[str, str] | None = None) -> Job:
    """Return the job of dropping a collection and making it again."""
    return Job("rebuild", needs, REBUILDER, everywhere=True, afresh="existing", shows=shows or {})


def drop(*needs: str) -> Job:
    """Return the job of dropping a collection, by its name."""
    return Job("drop", needs, afresh="existing")


@dataclass(frozen=True, slots=True)
class Trial:
    """One job, with just these privileges.

    Attributes:
        key: tells the trials of a program apart.
        job: what is done.
        collection: with what.
        grants: privileges and groups, each with the collection it is granted on; None leaves the user with what it has.
        missing: the member of the smallest set that is taken away, or empty.
    """

    key: str
    job: Job
    collection: str
    grants: tuple[tuple[str, str], ...] | None
    missing: str = ""


def trials(program: str, jobs: tuple[Job, ...]) -> Iterator[Trial]:
    """Return what is tried, in order: job by job, each first without a member of its smallest set."""
    for job in jobs:
        collection = f"{program}_{job.name}" if job.afresh == "existing" else program
        if job.hidden is not None:
            yield Trial(f"{job.name} hidden", job, collection, (("Query", BYSTANDER),))
        for missing in job.needs:
            name = f"{program}_without_{missing}" if job.afresh == "missing" else collection
            rest = (_SEEN_ONLY, *(each for each in job.needs if each != missing))
            yield _trial(job, f"without {missing}", name, rest, missing=missing)
        yield _trial(job, "needs", collection, job.needs or (_SEEN_ONLY,))
        if job.role:
            yield _trial(job, "role", collection, job.role)


def _trial(job: Job, suffix: str, collection: str, privileges: tuple[str, ...], *, missing: str = "") -> Trial:
    where = "*" if job.everywhere else collection
    return Trial(f"{job.name} {suffix}", job, collection, tuple((each, where) for each in privileges), missing)


@dataclass
class Stage:
    """A database in which a user holds, at each moment, what a trial says.

    Attributes:
        root: the administrator's client, in that database.
        user: who tries; holds the role `<user>_role` alone.
        database: its name.
    """

    root: MilvusClient
    user: str
    database: str

    def set(self, trial: Trial) -> None:
        """Grant the user exactly the privileges of the trial, and create the collection where the job needs one."""
        if trial.grants is None:
            return
        if trial.job.afresh:
            there = self.root.has_collection(trial.collection)
            assert trial.job.afresh != "missing" or not there, trial
            if trial.job.afresh == "existing" and not there:
                self.root.create_collection(trial.collection, dimension=4)
        role, wanted = f"{self.user}_role", {*trial.grants}
        described = self.root.describe_role(role).get("privileges", [])
        held = {(grant["privilege"], grant["object_name"]) for grant in described}
        # What changes alone, as most trials differ in a privilege or two.
        extra = held - wanted - _granted_along(wanted)
        for privilege, collection in extra:
            self.root.revoke_privilege_v2(role, privilege, collection, self.database)
        for privilege, collection in wanted - (held - _granted_along(extra)):
            self.root.grant_privilege_v2(role, privilege, collection, self.database)


def _granted_along(grants: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return what is granted and revoked together with these grants."""
    return {(along, where) for privilege, where in grants for along in GRANTED_ALONG.get(privilege, ())}


@dataclass
class Readings:
    """What a program has shown in its trials.

    Attributes:
        trials: all of them, by key.
        seen: what it printed for each: `value` or `refused`.
        ended: exit status, and what it wrote to stderr.
    """

    trials: Mapping[str, Trial]
    seen: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: tuple[int, str] = (-1, "")

    def shown(self, key: str) -> str:
        """Return what the program's user gets to see of a trial: the value as Python writes it, or the failure."""
        line = self.seen[key]
        return str(line["refused"]) if "refused" in line else repr(line["value"])


def run(
    server: RunningServer, name: str, command: list[str], tried: Iterable[Trial], *, database: str, home: Path
) -> Readings:
    """Run all trials of a program's jobs, as a user of that name who is created for it.

    Args:
        server: where it signs in.
        name: of the program: its user and its collections are named after it.
        command: the program, to be followed by the address.
        tried: the trials, in order.
        database: in which, and on which everything is granted.
        home: a directory that it is started in and may write to.

    Returns:
        What it has shown.
    """
    readings = Readings({trial.key: trial for trial in tried})
    with accounts.signed_in_as_root(server.uri, db_name=database) as root:
        accounts.add(root, name)
        root.create_role(f"{name}_role")
        root.grant_role(name, f"{name}_role")
        if not root.has_collection(BYSTANDER):
            root.create_collection(BYSTANDER, dimension=4)
        stage = Stage(root, name, database)

        def hear(line: Mapping[str, Any]) -> None:
            if "pause" in line:
                stage.set(readings.trials[line["pause"]])
            else:
                readings.seen[line["trial"]] = line

        environment = {
            "KITEWARD_TOKEN": accounts.token(name),
            "KITEWARD_DATABASE": database,
            "KITEWARD_TRIALS": json.dumps(
                [[trial.key, trial.job.name, trial.collection] for trial in readings.trials.values()]
            ),
            "HOME": str(home),
            "HAYSTACK_TELEMETRY_ENABLED": "False",
            "MEM0_TELEMETRY": "False",
            "AGNO_TELEMETRY": "false",
        }
        address = server.uri.removeprefix("http://")
        readings.ended = json_programs.run([*command, address], hear, within=WITHIN, environment=environment, cwd=home)
    return readings
