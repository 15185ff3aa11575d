"""`python -m benchmarks.many_replicas`: acknowledgements among 10, 100 and 1,000 simulated servers, on virtual time.

The lease, the membership and the acknowledgements are the real ones. The database is simulated: how long a statement
and a flush take, and what a notification costs for each connection that listens, are assumptions, which are printed.
What is counted (statements, notifications) follows from the code alone.
"""

import argparse
import logging
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Final

from tests.replicas.simulation import STATEMENTS, Conditions, TimedWorld, joined

_IDLE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the database had to do in some seconds.

    Attributes:
        statements: a second.
        woken: connections woken by notifications, a second.
        processors: how many of its processors were busy on average.
    """

    statements: float
    woken: float
    processors: float


def _loaded(world: TimedWorld, seconds: float) -> Load:
    """Return what the database has had to do since its counters were reset."""
    database = world.database
    statements = sum(STATEMENTS[kind] * count for kind, count in database.calls.items())
    return Load(statements / seconds, database.woken / seconds, database.worked / seconds)


def _reset(world: TimedWorld) -> None:
    world.database.calls.clear()
    world.database.woken, world.database.worked = 0, 0.0


def measure(number: int, *, changes: int, rate: float, seed: int) -> bool:
    """Measure so many servers, print, and return whether none decided by an old state.

    Args:
        number: of servers.
        changes: how many are made, by random servers.
        rate: changes a second.
        seed: of all that is random.
    """
    began = time.monotonic()
    world = joined(number, Conditions(), seed)
    _reset(world)
    world.pass_time(_IDLE_SECONDS)
    idle = _loaded(world, _IDLE_SECONDS)
    _reset(world)
    first = world.now
    for _ in range(changes):
        server = world.random.choice(world.servers)
        server.start(server.change())
        world.pass_time(world.random.expovariate(rate))
    busy = _loaded(world, world.now - first)
    world.pass_time(_SETTLE_SECONDS)
    taken = sorted(each * 1e3 for each in world.taken)
    quantiles = statistics.quantiles(taken, n=100, method="inclusive")
    print(
        f"{number:,} servers: idle {idle.statements:,.0f} statements and {idle.woken:,.0f} wake-ups a second, "
        f"{idle.processors:.2f} processors; with {rate:g} changes a second {busy.statements:,.0f} statements, "
        f"{busy.woken:,.0f} wake-ups, {busy.processors:.2f} processors; acknowledged {len(taken)} of {changes}, "
        f"p50 {quantiles[49]:.0f} ms, p99 {quantiles[98]:.0f} ms; {len(world.faults)} decided by an old state "
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    return not world.faults and len(taken) == changes


def main() -> int:
    """Simulate, and return 0 if nothing old was accepted and every change was acknowledged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2.0, help="changes a second")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # of servers that are cut off
    print(Conditions())
    kept = [
        measure(number, changes=arguments.changes, rate=arguments.rate, seed=arguments.seed)
        for number in arguments.servers
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
