"""The parts of a run, each a server of its own in a process of its own, and how a fault is cut down."""

import asyncio
import faulthandler
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop
from tests.row_policies.cases import Case, Fault
from tests.row_policies.target import Target, serving

CASE: Final = 1_000
"""Operations of one case."""

_PART: Final = 20
"""Cases of one part."""

_LANES: Final = 4
"""Cases that run side by side on one server."""

_MOST_TRIES: Final = 60
"""Runs that are tried to cut a fault down."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run.

    Attributes:
        seeds: of its cases.
        operations: of each case.
        protected: whether there are row policies.
    """

    seeds: tuple[int, ...]
    operations: int
    protected: bool = True


@dataclass(slots=True)
class Result:
    """What a run consisted of.

    Attributes:
        operations: that were carried out.
        cases: that were carried out.
        faults: in words, those of one kind once.
    """

    operations: int = 0
    cases: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another part's."""
        self.operations += other.operations
        self.cases += other.cases
        self.faults += other.faults


def parts_of(operations: int, seed: int, *, protected: bool = True, each: int = _PART, case: int = CASE) -> list[Part]:
    """Return the parts of a run.

    Args:
        operations: of all parts.
        seed: everything follows from it.
        protected: whether there are row policies.
        each: cases of a part at most.
        case: operations of a case.
    """
    draw, number = random.Random(seed), -(-operations // case)
    seeds = [draw.randrange(2**31) for _ in range(number)]
    return [Part(tuple(seeds[at : at + each]), case, protected) for at in range(0, number, each)]


def work(part: Part) -> Result:
    """Run one part."""
    faulthandler.enable()
    logging.disable(logging.CRITICAL)  # what the servers log of thousands of refusals is of no use
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(part))


async def run(part: Part) -> Result:
    """Run the cases of a part on a server of their own; a case ends with its first fault."""
    result, waiting, faults = Result(), list(reversed(part.seeds)), list[Fault]()
    async with serving() as target:

        async def lane() -> None:
            while waiting:
                case = Case(waiting.pop(), protected=part.protected)
                fault = await carry_out(case, target, range(part.operations))
                result.cases += 1
                result.operations += part.operations if fault is None else fault.place + 1
                if fault is not None:
                    faults.append(fault)

        await asyncio.gather(*(lane() for _ in range(_LANES)))
    for fault in faults[:3]:
        result.faults.append(await cut_down(fault, protected=part.protected))
    result.faults += [str(fault) for fault in faults[3:]]
    return result


async def carry_out(case: Case, target: Target, places: Sequence[int]) -> Fault | None:
    """Set a case up, carry out operations, and clear up."""
    async with target.client() as client:
        await case.prepare(client)
        fault = await case.run(client, target, places)
        await case.finish(client)
    return fault


async def replay(seed: int, places: Sequence[int], *, protected: bool, tell: Callable[[str], None]) -> Fault | None:
    """Carry out operations of a case on a fresh server, and tell each in words."""
    async with serving() as target:
        return await carry_out(Case(seed, protected=protected, transcript=tell), target, places)


async def cut_down(fault: Fault, *, protected: bool) -> str:
    """Return a fault with the fewest operations found that lead to it, in words, and how to repeat it."""
    kept = await _fewest(fault, protected=protected)
    lines: list[str] = []
    again = await replay(fault.seed, kept, protected=protected, tell=lines.append)
    listed = ",".join(str(place) for place in kept)
    command = f"python -m tests.row_policies --case {fault.seed} --operations {listed}"
    told = f"{fault}\n    again: {command}{'' if protected else ' --open'}"
    if again is None:
        return f"{told}\n    not found again"
    return "\n    ".join([told, f"then: {again.what}", *lines])


async def _fewest(fault: Fault, *, protected: bool) -> list[int]:
    """Leave out operations, half of them at first, as long as there is still a fault."""
    kept, size, tries = list(range(fault.place + 1)), (fault.place + 1) // 2, 0
    async with serving() as target:
        while size and tries < _MOST_TRIES:
            at = 0
            while at < len(kept) - 1 and tries < _MOST_TRIES:
                tried, tries = kept[:at] + kept[at + size :], tries + 1
                if fault.place not in tried:
                    tried.append(fault.place)
                found = await carry_out(Case(fault.seed, protected=protected, attempt=tries), target, tried)
                if found is None:
                    at += size
                else:
                    kept = [place for place in tried if place <= found.place]
            size //= 2
    return kept
