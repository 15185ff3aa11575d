"""Makes backups of a server under a load of writes, and kills backup and server at random moments.

Each writer makes one chain of changes: rows, then a role, then rows again, each when the one before was acknowledged.
So of a backup that shows one moment, store and engine are at most one change apart, and neither is behind what was
acknowledged before the backup began.

    python -m tests.faults.backups --number 200 --seed 7
    python -m tests.faults.backups --number 50 --rows 20000

A query of Milvus returns at most 16,384 rows. With `--rows`, collections hold more from the beginning, so that a limit
in what checks the backups shows itself.
"""

import argparse
import contextlib
import json
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import httpx
from tests.support import server

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.verify import verify
from kiteward.bootstrap.backup.reading import verify_backup
from kiteward.bootstrap.backup.restoring import Order, restore_backup
from kiteward.bootstrap.backup.sealed_file import make_key_file, read_key_file

WRITERS: Final = 3
BATCH: Final = 20
DIMENSION: Final = 4
_SCRIPTS: Final = Path(__file__).parent / "scripts"
_ROOT: Final = Path(__file__).parents[2]
_AT_ONCE: Final = 5_000
_GOES_ON_WITHIN: Final = 60.0
_CONFIG: Final = "kiteward: {metrics: {enabled: false}}"


class Kill(Enum):
    """What is killed during a backup."""

    NOTHING = auto()
    BACKUP = auto()
    SERVER = auto()
    BOTH = auto()


def quiet(_what: str, _done: int, _total: int) -> None:
    """Print no progress."""


@dataclass(slots=True)
class Chain:
    """One writer's changes. An even step writes rows, an odd one makes a role.

    Attributes:
        name: of its collection, and before the names of its roles.
        first: how many rows its collection holds at first.
        begun: how many steps were sent.
        done: how many were acknowledged.
    """

    name: str
    first: int = 0
    begun: int = 0
    done: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self, uri: str, stop: threading.Event) -> None:
        """Write until it is told to stop, or the server is gone. A step whose outcome is not known is repeated."""
        with httpx.Client(base_url=uri, headers={"Authorization": f"Bearer {server.ROOT_TOKEN}"}, timeout=30) as client:
            while not stop.is_set():
                self.begun = self.done + 1
                try:
                    answer = self._send(client, self.done)
                except (httpx.HTTPError, ValueError):
                    return
                if answer["code"] and "already exist" not in answer["message"]:
                    if not stop.is_set():
                        self.faults.append(f"{self.name} {self.done}: {answer}")
                    return
                self.done += 1

    def _send(self, client: httpx.Client, step: int) -> Any:
        number = step // 2
        if step % 2:
            body: dict[str, Any] = {"roleName": f"{self.name}_{number}"}
        else:
            begin = self.first + number * BATCH
            body = {"collectionName": self.name, "data": _rows(range(begin, begin + BATCH))}
        return client.post(f"/v2/vectordb/{'roles/create' if step % 2 else 'entities/upsert'}", json=body).json()


def _rows(ids: range) -> list[dict[str, Any]]:
    return [{"id": each, "vector": [each % 7, each, 0, 1], "text": f"{each}"} for each in ids]


@dataclass(slots=True)
class Trial:
    """A server with its writers, of which backups are made.

    Attributes:
        directory: everything is in it.
        randomness: decides what is killed, and when: within the time that a backup took when nothing was.
        rows: how many rows each collection holds at first.
        outcomes: how often what happened.
        longest: for how many milliseconds writes waited at most.
    """

    directory: Path
    randomness: random.Random
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    _chains: list[Chain] = field(default_factory=list)
    _server: server.RunningServer | None = None
    _killed: int = 0
    _usual: float = 1.0
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, rounds: int, *, seconds: float = math.inf) -> None:
        """Make so many backups, and check each; raises AssertionError if one is not what it should be.

        Args:
            rounds: how many at most.
            seconds: after which no further one is begun.
        """
        deadline = time.monotonic() + seconds
        make_key_file(self.directory / "key")
        (self.directory / "backups").mkdir()
        self._chains = [Chain(f"w{number}", self.rows) for number in range(WRITERS)]
        self._begin()
        for chain in self._chains:
            self._create(chain.name)
        try:
            self._write()
            for number in range(rounds):
                if time.monotonic() >= deadline:
                    break
                kill = Kill.NOTHING if number == 0 else self.randomness.choice(list(Kill))
                self._round(number, kill)
        finally:
            self._end()

    def _round(self, number: int, kill: Kill) -> None:
        sealed = self.randomness.random() < 0.3
        self._progressed()
        before = [chain.done for chain in self._chains]
        path = self.directory / "backups" / f"{number}"
        made = self._back_up(path, kill, sealed=sealed)
        after = [chain.begun for chain in self._chains]
        self.outcomes[f"{kill.name.lower()}, {'made' if made else 'not made'}"] += 1
        assert made or kill is not Kill.NOTHING, "a backup failed though nothing was killed"
        # Writers that go on while a backup is checked would only take time from it.
        self._pause_writers()
        if kill in (Kill.SERVER, Kill.BOTH):
            self._restart()
        if path.exists():
            self._check(path, before, after, sealed=sealed)
            path.unlink()
        else:
            assert not made
            self.outcomes["no file"] += 1
        self._write()

    def _back_up(self, path: Path, kill: Kill, *, sealed: bool) -> bool:
        """Run the command, kill what is to be killed, and return whether the command has said that it is made."""
        words = ["backup", "create", "--data-dir", str(self.directory / "data"), "--to", str(path), "--json"]
        words += ["--key-file", str(self.directory / "key")] if sealed else []
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
        with subprocess.Popen(
            [sys.executable, str(_SCRIPTS / "backing_up.py"), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        ) as command:
            assert command.stdin is not None
            assert command.stdout is not None
            assert command.stdout.readline() == "ready\n"
            command.stdin.write("\n")
            command.stdin.flush()
            begun = time.monotonic()
            if kill is not Kill.NOTHING:
                time.sleep(self.randomness.uniform(0, 1.2 * self._usual))
            if kill in (Kill.SERVER, Kill.BOTH) and self._server is not None:
                self._server.process.kill()
                self._killed += 1
            if kill in (Kill.BACKUP, Kill.BOTH):
                command.kill()
            shown, errors = command.communicate(timeout=120)
        if kill is Kill.NOTHING:
            self._usual = time.monotonic() - begun
        if command.returncode == 0:
            self.longest = max(self.longest, json.loads(shown)["paused_ms"])
            return True
        assert kill is not Kill.NOTHING, errors
        return False

    # What was backed up

    def _check(self, path: Path, before: list[int], after: list[int], *, sealed: bool) -> None:
        """Demand that a backup is whole, and shows one moment between two."""
        key = read_key_file(self.directory / "key") if sealed else None
        assert verify_backup(path, key, quiet).findings == ()
        restored = self.directory / "restored"
        restore_backup(Order(path, restored, key, disable_keys=False, disable_users=False), quiet)
        rows, roles, ended = _rows_in(restored), _roles_in(restored), _ended_in(restored)
        for chain, least, most in zip(self._chains, before, after, strict=True):
            keys = rows[chain.name]
            assert keys == list(range(len(keys))), f"{chain.name}: rows are missing in between"
            written, torn = divmod(len(keys) - chain.first, BATCH)
            assert torn == 0, f"{chain.name}: of {len(keys)} rows, those of one request are not all there"
            made = sum(name.startswith(f"{chain.name}_") for name in roles)
            assert {f"{chain.name}_{number}" for number in range(made)} <= roles
            assert 0 <= written - made <= 1, f"{chain.name}: {written} writes and {made} roles are not of one moment"
            assert least <= written + made <= most, f"{chain.name}: {written + made} is not in {least} to {most}"
            done = sum(name.startswith(f"{chain.name}_") for name in ended)
            # A server that is killed may have made one without noting that it has ended.
            assert made - 1 - self._killed <= done <= made, f"{chain.name}: {made} roles, and {done} in the audit trail"
        shutil.rmtree(restored)
        self.outcomes["checked"] += 1

    # The server and its writers

    def _begin(self) -> None:
        self._server = server.start(self.directory / "data", config=_CONFIG)

    def _restart(self) -> None:
        if self._server is not None:
            self._server.process.wait()
        self._begin()

    def _end(self) -> None:
        self._pause_writers()
        if self._server is not None:
            self._server.process.kill()
            self._server.process.wait()

    def _write(self) -> None:
        assert self._server is not None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=chain.run, args=(self._server.uri, self._stop)) for chain in self._chains
        ]
        for thread in self._threads:
            thread.start()

    def _pause_writers(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _progressed(self) -> None:
        """Demand that every writer goes on: whatever was killed, nothing stands still."""
        wanted = [chain.done + 2 for chain in self._chains]
        deadline = time.monotonic() + _GOES_ON_WITHIN
        while any(chain.done < least for chain, least in zip(self._chains, wanted, strict=True)):
            faults = [fault for chain in self._chains for fault in chain.faults]
            assert not faults, faults
            assert time.monotonic() < deadline, "writers stand still"
            time.sleep(0.01)

    def _create(self, collection: str) -> None:
        self._ask("collections/create", {"collectionName": collection, "dimension": DIMENSION})
        for begin in range(0, self.rows, _AT_ONCE):
            rows = _rows(range(begin, min(begin + _AT_ONCE, self.rows)))
            self._ask("entities/upsert", {"collectionName": collection, "data": rows})

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        assert self._server is not None
        headers = {"Authorization": f"Bearer {server.ROOT_TOKEN}"}
        answer = httpx.post(f"{self._server.uri}/v2/vectordb/{path}", headers=headers, json=body, timeout=60).json()
        assert answer["code"] == 0, answer


def _rows_in(directory: Path) -> dict[str, list[int]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    command = [sys.executable, str(_SCRIPTS / "stored_rows.py"), str(directory / "engine")]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)
    rows: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _roles_in(directory: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(directory / "store.db")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM roles")}


def _ended_in(directory: Path) -> set[str]:
    """Return the roles of which the audit trail says that they were made."""
    assert verify(directory / "audit").findings == ()
    return {
        str(entry["details"]["role"])
        for entry in AuditReader(directory / "audit").every(AuditQuery(operation="CreateRole"))
        if entry["outcome"] == "succeeded"
    }


@contextlib.contextmanager
def _workplace(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="kiteward-backups-") as directory:
        yield Path(directory)


def main() -> None:
    """Make backups, and print what happened."""
    parser = argparse.ArgumentParser(description="Kill backups and servers at random moments, and check what was made.")
    parser.add_argument("--number", type=int, default=200, help="how many backups (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="decides what is killed; when, also the machine decides")
    parser.add_argument("--rows", type=int, default=0, help="how many rows each collection has at first (default: 0)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="after which no further backup is begun")
    parser.add_argument("--directory", type=Path, default=None, help="a new directory that stays")
    arguments = parser.parse_args()
    seed = time.time_ns() if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with _workplace(arguments.directory) as directory:
        trial = Trial(directory, random.Random(seed), arguments.rows)
        begun = time.monotonic()
        trial.run(arguments.number, seconds=arguments.seconds)
    for outcome, number in sorted(trial.outcomes.items()):
        print(f"{outcome}: {number}")
    print(f"{time.monotonic() - begun:.0f} s; writes waited for {trial.longest:g} ms at most")


if __name__ == "__main__":
    main()
