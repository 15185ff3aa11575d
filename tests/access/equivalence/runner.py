"""Runs episodes over REST and gRPC, and reduces one on which they differ to the steps that are needed."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.access.equivalence import administration, cluster, collection_parts, collections
from tests.access.equivalence.populated_engine import PopulatedEngine
from tests.access.equivalence.random_values import BARE_ROLE, GROUPS, ROLES, USERS, Draw, usual_password
from tests.access.equivalence.request_pairs import (
    OK,
    Counterpart,
    EngineReset,
    Exchange,
    Outcome,
    SetupCall,
    Step,
    exchange,
)
from tests.access.equivalence.transports import ServerPair, TransportResult, server_pair
from tests.support import minimising
from tests.support.gateway import PASSWORD, encoded, v1, v2

from kiteward.domain.errors import KitewardError
from kiteward.gateway.gateway import Gateway

COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    **administration.COUNTERPARTS,
    **collections.COUNTERPARTS,
    **collection_parts.COUNTERPARTS,
    **cluster.COUNTERPARTS,
}
"""By path of the endpoint, what draws a request to it."""

_RESET_EVERY: Final = 25
_NEW_PASSWORDS: Final = ("users/create", "users/update_password")


@dataclass(slots=True)
class Tally:
    """What a run consisted of."""

    exchanges: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_path: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, path: str, outcome: Outcome) -> None:
        """Count an exchange."""
        self.exchanges += 1
        self.outcomes[outcome.verdict] += 1
        self.by_path.setdefault(path, Counter())[outcome.verdict] += 1


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A run on whose last step the transports differ.

    Attributes:
        steps: the run.
        changed: those before the last that may have changed something.
        what: in what the transports differ.
        by_rest: what REST answered and did.
        by_grpc: what gRPC answered and did.
    """

    steps: tuple[Step, ...]
    changed: tuple[Step, ...]
    what: str
    by_rest: object
    by_grpc: object

    def __str__(self) -> str:
        lines = [f"  {number:3} {step}" for number, step in enumerate(self.steps, start=1)]
        return "\n".join(
            [*lines, f"the transports differ in {self.what}", *_log_lines(self.by_rest), *_log_lines(self.by_grpc)]
        )


def _log_lines(side: object) -> Iterator[str]:
    if isinstance(side, TransportResult):
        yield from (f"    {line}" for line in side.log)
        yield f"    = {side.outcome}"
        yield from (f"    engine_calls {each}" for each in side.engine_calls)
    else:
        yield f"    {side}"


class Comparison:
    """Lets both sides take the same steps."""

    def __init__(self, pair: ServerPair) -> None:
        self._servers = pair
        self._taken: list[Step] = []
        self._changed: list[Step] = []
        self._revisions = pair.revisions()

    async def take(self, step: Step) -> Mismatch | Outcome | None:
        """Take a step; return how the sides differ, or what became of an exchange."""
        self._taken.append(step)
        if isinstance(step, Exchange):
            return await self._exchange(step)
        self._changed.append(step)
        for harness in self._servers.harnesses:
            if isinstance(step, SetupCall):
                with suppress(KitewardError):
                    await harness.call(step.operation, **step.fields)
            elif isinstance(harness.engine, PopulatedEngine):
                harness.engine.reset_contents()
        self._revisions = self._servers.revisions()
        return None

    async def _exchange(self, step: Exchange) -> Mismatch | Outcome:
        by_rest = await self._servers.send_rest(step)
        by_grpc = await self._servers.send_grpc(step)
        what = _difference(by_rest, by_grpc)
        if what:
            return self._mismatch(what, by_rest, by_grpc)
        stored = await self._stored_differently(step, by_rest.outcome)
        if stored is not None:
            return stored
        if by_rest.outcome.verdict == OK:
            self._changed.append(step)
        return by_rest.outcome

    async def _stored_differently(self, step: Exchange, outcome: Outcome) -> Mismatch | None:
        contents = [
            harness.engine.contents()
            for harness in self._servers.harnesses
            if isinstance(harness.engine, PopulatedEngine)
        ]
        if contents[0] != contents[1]:
            return self._mismatch("what the engine has", *contents)
        revisions = self._servers.revisions()
        administered = outcome.verdict == OK and step.path.startswith(("users/", "roles/", "privilege_groups/"))
        if administered or revisions != self._revisions:
            self._revisions = revisions
            states = await self._servers.states()
            if states[0] != states[1]:
                return self._mismatch("what is stored", *states)
        if outcome.verdict == OK and step.path in _NEW_PASSWORDS:
            accepted = await self._servers.passwords(step.content["userName"])
            if accepted[0] != accepted[1]:
                return self._mismatch("the password that is accepted", *accepted)
        return None

    def _mismatch(self, what: str, by_rest: object, by_grpc: object) -> Mismatch:
        return Mismatch(tuple(self._taken), tuple(self._changed), what, by_rest, by_grpc)


def _difference(by_rest: TransportResult, by_grpc: TransportResult) -> str:
    one, other = by_rest.outcome, by_grpc.outcome
    if (one.verdict, one.code) != (other.verdict, other.code):
        return "what became of it"
    if by_rest.engine_calls != by_grpc.engine_calls:
        return "what engine_calls the engine"
    if not _contains(one.answer, other.answer):
        return "the answer"
    return ""


def _contains(answer: Any, expected: Any) -> bool:
    """Return whether an answer has the members that are expected; further members do not count."""
    if isinstance(expected, dict) and expected:
        return isinstance(answer, dict) and all(
            name in answer and _contains(answer[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(expected)
            and all(_contains(*each) for each in zip(answer, expected, strict=True))
        )
    return bool(answer == expected)


class Runner:
    """Runs episodes, each on stores of their own below a directory.

    Args:
        bootstrapped: a store as it is after the first start.
        directory: where copies of it go.
        behind_rest: see `server_pair`.
    """

    def __init__(
        self, bootstrapped: Path, directory: Path, behind_rest: Callable[[Gateway], Gateway] = lambda gateway: gateway
    ) -> None:
        self._bootstrapped = bootstrapped
        self._directory = directory
        self._behind_rest = behind_rest

    async def episode(self, seed: int, paths: Sequence[str], tally: Tally) -> Mismatch | None:
        """Send one request to each of the endpoints, in this order; return the first mismatch."""
        return await self._run(_drawn(Draw(seed), paths), tally)

    async def minimised(self, mismatch: Mismatch, *, seconds: float) -> Mismatch:
        """Return the shortest run found in the time that still ends in a mismatch."""
        return await minimising.minimised(mismatch, lambda steps: self._run(steps, Tally()), seconds=seconds)

    async def _run(self, steps: Sequence[Step] | Iterator[Step], tally: Tally) -> Mismatch | None:
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            async with server_pair(self._bootstrapped, Path(directory), self._behind_rest) as pair:
                comparison = Comparison(pair)
                for step in steps:
                    outcome = await comparison.take(step)
                    if isinstance(outcome, Mismatch):
                        return outcome
                    if isinstance(step, Exchange) and outcome is not None:
                        tally.add(step.path, outcome)
        return None


def _drawn(draw: Draw, paths: Sequence[str]) -> Iterator[Step]:
    yield from _setup(draw)
    for number, path in enumerate(paths, start=1):
        yield exchange(path, draw, COUNTERPARTS[path])
        if number % _RESET_EVERY == 0:
            yield EngineReset()
            yield SetupCall("CreateRole", {"entity": {"name": BARE_ROLE}})
            yield from _user_with_role(draw.of(USERS), draw.of(ROLES))
            yield from _grants(draw, draw.of(ROLES), 2)
            yield _members(draw, draw.of(GROUPS))


def _setup(draw: Draw) -> Iterator[Step]:
    """Create an administrator, a user without a role, and holders of grants."""
    yield SetupCall("CreateCredential", {"username": "nobody", "password": encoded(PASSWORD)})
    yield SetupCall("CreateRole", {"entity": {"name": BARE_ROLE}})
    yield from _user_with_role("adm", "admin")
    for name in GROUPS:
        yield SetupCall("CreatePrivilegeGroup", {"group_name": name})
        yield _members(draw, name)
    for user, role in zip(USERS, ROLES, strict=True):
        yield from _user_with_role(user, role)
        yield from _grants(draw, role, draw.number(7))
    yield SetupCall("OperateUserRole", {"username": draw.of(USERS), "role_name": draw.of(ROLES)})
    if draw.chance(0.3):
        yield from _grants(draw, "public", 1)


def _user_with_role(user: str, role: str) -> Iterator[Step]:
    yield SetupCall("DeleteCredential", {"username": user})
    yield SetupCall("CreateCredential", {"username": user, "password": encoded(usual_password(user))})
    yield SetupCall("CreateRole", {"entity": {"name": role}})
    yield SetupCall("OperateUserRole", {"username": user, "role_name": role})


def _grants(draw: Draw, role: str, number: int) -> Iterator[Step]:
    for _ in range(number):
        if draw.chance(0.5):
            yield SetupCall("OperatePrivilegeV2", v2(role, *draw.grant_v2()))
        else:
            yield SetupCall("OperatePrivilege", v1(role, *draw.grant_v1()))


def _members(draw: Draw, group: str) -> Step:
    members = [{"name": draw.privilege()} for _ in range(draw.number(3))]
    return SetupCall("OperatePrivilegeGroup", {"group_name": group, "privileges": members})
