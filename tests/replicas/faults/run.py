"""One run: changes and questions go on while faults are made, and at the end everything is asked once more."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.replicas.faults.injectors import Injector
from tests.replicas.faults.servers import Clock, running
from tests.replicas.outcome import Outcome
from tests.replicas.revocations import Staff


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run.

    Attributes:
        outcome: of the changes and questions.
        made: class of faults -> how many were made.
        seed: repeats which.
        seconds: how long it took.
        slowest: seconds until a change was acknowledged after a fault of the database, of the slowest one.
        starts_repeated: how often a server could not start, because the database failed meanwhile.
    """

    outcome: Outcome
    made: Counter[str]
    seed: int
    seconds: float
    slowest: float
    starts_repeated: int

    def lines(self) -> Iterator[str]:
        """Yield what happened, for people."""
        yield f"{self.made.total():,} faults made, seed {self.seed}, {self.seconds:.0f} s:"
        yield from (f"  {number:5} {kind}" for kind, number in sorted(self.made.items()))
        if Clock.library() is None:
            yield "  clocks were not moved: Debian's package libfaketime is not installed"
        yield (
            f"after a fault of the database a change was acknowledged within {self.slowest:.1f} s; "
            f"{self.starts_repeated} starts of servers were repeated"
        )
        yield from self.outcome.lines()


async def run_faults(
    directory: Path, *, number: int, seed: int, workers: int, readers: int, lease: int, minutes: float
) -> Report:
    """Make so many faults, and return what came of it.

    Args:
        directory: for the files of the servers.
        number: how many faults.
        seed: decides which faults and changes are made, though not when.
        workers: how many make changes at a time.
        readers: how many ask beside them.
        lease: seconds of the servers' leases.
        minutes: no fault is made after so many.
    """
    outcome, began = Outcome(), time.monotonic()
    async with running(directory, lease=lease) as world:
        staff = Staff(world, outcome, seed=seed, passwords=0.1)
        await staff.protect()
        injector = Injector(world, number, seed, outcome, time.monotonic() + 60 * minutes)
        await injector.prepare()
        injecting = asyncio.create_task(injector.run())

        def goes_on() -> bool:
            return not injecting.done()

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(staff.work(goes_on))
            for each in range(readers):
                group.create_task(staff.read(each, goes_on))
        await injecting
        await staff.ask_everything()
        repeated = sum(each.starts_repeated for each in world.servers)
    seconds = time.monotonic() - began
    return Report(outcome, injector.made, seed, seconds, injector.slowest, repeated)
