"""`python -m tests.replicas`: many revocations on three servers that share a store; none may be missed.

Before them, thousands of schedules of simulated servers run: what happens to those by chance leaves nothing wrong.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.replicas.outcome import Outcome
from tests.replicas.revocations import revoke_many
from tests.replicas.schedules import wrong
from tests.replicas.world import World, running
from tests.support import postgresql

_METRIC = "kiteward_replica_acknowledgement_seconds_bucket"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what came of it, and return 0 if nothing was missed and all was made."""
    parser = argparse.ArgumentParser(prog="python -m tests.replicas", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="how many revocations (default: 10,000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--workers", type=int, default=6, help="how many are made at a time (default: 6)")
    parser.add_argument("--passwords", type=float, default=0.05, help="share of passwords (default: 0.05)")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin none after so many (default: 120)")
    parser.add_argument("--schedules", type=int, default=3_000, help="of simulated servers (default: 3,000)")
    arguments = parser.parse_args(argv)
    unsound = _run_schedules(arguments.seed, arguments.schedules)
    outcome, waits, taken = asyncio.run(_run(arguments))
    print(f"three servers, seed {arguments.seed}, {taken:.0f} s")
    print(*outcome.lines(), sep="\n")
    print(f"waited for other servers p50 {_bound(waits, 0.5)}, p99 {_bound(waits, 0.99)}")
    return 1 if unsound or outcome.faults or sum(outcome.made.values()) < arguments.number else 0


def _run_schedules(first: int, number: int) -> int:
    """Run schedules, print what is wrong after them, and return how many left something wrong."""
    began, found = time.monotonic(), 0
    logging.disable(logging.WARNING)  # of servers that are cut off
    for seed, lines in wrong(range(first, first + number)):
        found += 1
        print(f"schedule {seed}:", *lines, sep="\n  ")
    logging.disable(logging.NOTSET)
    taken = time.monotonic() - began
    print(f"{number:,} schedules of simulated servers from seed {first}, {taken:.0f} s: {found} wrong")
    return found


async def _run(arguments: argparse.Namespace) -> tuple[Outcome, Counter[float], float]:
    with postgresql.running() as cluster, tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory), cluster, proxied=False) as world:
            began = time.monotonic()
            outcome = await revoke_many(
                world,
                arguments.number,
                seed=arguments.seed,
                workers=arguments.workers,
                passwords=arguments.passwords,
                minutes=arguments.minutes,
            )
            return outcome, await _waits(world), time.monotonic() - began


async def _waits(world: World) -> Counter[float]:
    """Return how many changes have waited for other servers for so many seconds at most, of all servers together."""
    waits: Counter[float] = Counter()
    for replica in world.replicas:
        for name, value in (await replica.metrics()).items():
            if name.startswith(_METRIC):
                waits[float(name.split('"')[1])] += int(value)
    return waits


def _bound(waits: Counter[float], share: float) -> str:
    """Return the smallest bound of the histogram within which so many have waited."""
    whole = waits[float("inf")]
    found = min((bound for bound, number in waits.items() if number >= share * whole), default=float("inf"))
    return f"at most {1000 * found:.0f} ms" if found < float("inf") else "longer than all bounds"


if __name__ == "__main__":
    sys.exit(main())
