"""`python -m benchmarks.idle_replicas`: what three servers on one PostgreSQL cost while nobody sends anything.

Processor time is counted, not measured by a clock, so that other work on the machine changes little. The database is a
throw-away one; `psql` is needed.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.replicas.world import World, running
from tests.support import postgresql

from benchmarks.process_tree import processor_time, resident


def _counted(world: World) -> tuple[list[float], float, int, int]:
    """Return processor time of each server and of the database in µs, and transactions and connections."""
    servers = [processor_time(replica.running.process.pid) for replica in world.replicas]
    name = world.database.database
    asked = "SELECT xact_commit, numbackends FROM pg_stat_database WHERE datname = current_database()"
    transactions, connections = world.cluster.sql(asked, database=name).split("|")
    return servers, processor_time(world.cluster.pid), int(transactions), int(connections)


async def measure(seconds: float) -> None:
    """Measure and print."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(postgresql.running())
        async with running(directory, cluster, proxied=False) as world:
            await asyncio.sleep(seconds / 2)
            before = _counted(world)
            await asyncio.sleep(seconds)
            after = _counted(world)
            number = len(world.replicas)
            memory = [resident(replica.running.process.pid) / 2**20 for replica in world.replicas]
    busy = [(end - start) / seconds / 1e4 for start, end in zip(before[0], after[0], strict=True)]
    database = (after[1] - before[1]) / seconds / 1e4
    transactions = (after[2] - before[2]) / seconds / number
    print(
        f"{number} idle servers: {', '.join(f'{each:.2f}' for each in busy)} % of a core each, "
        f"{', '.join(f'{each:.0f}' for each in memory)} MiB; the database {database:.2f} % of a core, "
        f"{transactions:.1f} transactions a second and {after[3] / number:.1f} connections for each server"
    )


def main() -> int:
    """Measure; there is no budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(measure(parser.parse_args().seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
