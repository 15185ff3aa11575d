"""Runs steps against gateway and reference side by side, and cuts a run that parts them down to what is needed."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.support import minimising
from tests.unit.gateway.model import administration, passing
from tests.unit.gateway.model.reference import Outcome, Reference, Step, User
from tests.unit.gateway.model.steps import Draw
from tests.unit.gateway.model.subject import ROOT_PASSWORD, Subject
from tests.unit.gateway.model.workload import CHANGING

REQUESTS_EACH: Final = 2
"""Requests for a decision after each operation."""
RESTART_EVERY: Final = 97
"""Steps between two restarts of the engine, after which the catalog is read again."""
_CATALOG: Final = frozenset({"ListDatabases", "ListAliases", "DescribeAlias"})
"""What the catalog asks the engine for by itself."""


@dataclass(slots=True)
class Tally:
    """What a run consisted of: operations, and all steps by outcome."""

    operations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_operation: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, step: Step, outcome: Outcome) -> None:
        """Count a step."""
        self.outcomes[outcome.verdict] += 1
        self.by_operation.setdefault(step.operation, Counter())[outcome.verdict] += 1


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A run on whose last step gateway and reference differ.

    Attributes:
        steps: the run.
        changed: those of its steps, without the last, that succeeded and may have changed something.
        expected: what the reference says, and
        answered: what the gateway does.
    """

    steps: tuple[Step, ...]
    changed: tuple[Step, ...]
    expected: object
    answered: object

    def __str__(self) -> str:
        lines = [f"  {number:3} {step}" for number, step in enumerate(self.steps, start=1)]
        return "\n".join([*lines, f"expected {self.expected}", f"answered {self.answered}"])


def fresh_reference() -> Reference:
    """Return the state of a fresh server."""
    return Reference({**passing.RULES, **administration.RULES}, {"root": User(ROOT_PASSWORD)})


class Pair:
    """Gateway and reference in the same state."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.reference = fresh_reference()
        self._taken: list[Step] = []
        self._changed: list[Step] = []

    async def take(self, step: Step) -> Mismatch | Outcome:
        """Run a step on both; return their common outcome, or how they differ."""
        self._taken.append(step)
        if len(self._taken) % RESTART_EVERY == 0:
            self._subject.engine.generation += 1
        expected = self.reference.expect(step)
        answered = await self._subject.answer(step)
        if not _same(step, expected, answered):
            return self._mismatch(expected, answered)
        if self.reference.world != self._subject.engine.world:
            return self._mismatch(self.reference.world, self._subject.engine.world)
        if answered.verdict == "ok" and step.operation in CHANGING:
            self._changed.append(step)
        return answered

    def _mismatch(self, expected: object, answered: object) -> Mismatch:
        return Mismatch(tuple(self._taken), tuple(self._changed), expected, answered)


def _same(step: Step, expected: Outcome, answered: Outcome) -> bool:
    said = (expected.verdict, expected.code, expected.legacy, expected.content)
    heard = (answered.verdict, answered.code, answered.legacy, answered.content)
    if step.operation in _CATALOG and expected.forwarded is None:
        return said == heard
    return said == heard and expected.forwarded == answered.forwarded


class Runner:
    """Runs episodes, each on a store of its own below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()

    async def episode(self, seed: int, operations: int, tally: Tally) -> Mismatch | None:
        """Run drawn operations, each followed by requests for decisions; return the first mismatch."""
        subject = await self._open()
        try:
            pair = Pair(subject)
            draw = Draw(seed, pair.reference)
            beginning = draw.beginning()
            for number in range(operations):
                tally.operations += 1
                operation = beginning[number] if number < len(beginning) else draw.operation()
                for step in (operation, *(draw.request() for _ in range(REQUESTS_EACH))):
                    outcome = await pair.take(step)
                    if isinstance(outcome, Mismatch):
                        return outcome
                    tally.add(step, outcome)
        finally:
            await subject.close()
        return None

    async def minimised(self, mismatch: Mismatch, *, seconds: float) -> Mismatch:
        """Return the shortest run found in the time that still ends in a mismatch."""
        return await minimising.minimised(mismatch, self._replay, seconds=seconds)

    async def _replay(self, steps: Sequence[Step]) -> Mismatch | None:
        subject = await self._open()
        try:
            pair = Pair(subject)
            for step in steps:
                outcome = await pair.take(step)
                if isinstance(outcome, Mismatch):
                    return outcome
        finally:
            await subject.close()
        return None

    async def _open(self) -> Subject:
        directory = Path(tempfile.mkdtemp(prefix=f"{next(self._numbers)}-", dir=self._directory))
        return await Subject.open(directory / "store.db")
