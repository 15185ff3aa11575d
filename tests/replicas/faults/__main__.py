"""`python -m tests.replicas.faults`: random faults of databases, servers, connections and clocks, under a load.

No change that was acknowledged may be lost, nothing may be accepted that was revoked, a change whose outcome is not
known is made on every server or on none, and everything comes back by itself.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.replicas.faults.run import run_faults


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what came of it, and return 0 if there was no fault of the product."""
    parser = argparse.ArgumentParser(prog="python -m tests.replicas.faults", description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="how many faults (default: 1000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--workers", type=int, default=5, help="how many make changes at a time (default: 5)")
    parser.add_argument("--readers", type=int, default=3, help="how many read beside them (default: 3)")
    parser.add_argument("--lease", type=int, default=3, help="seconds of the servers' leases (default: 3)")
    parser.add_argument("--minutes", type=float, default=180.0, help="make none after so many (default: 180)")
    parser.add_argument("--logs", type=Path, help="a new directory that keeps what the servers write")
    given = parser.parse_args(argv)
    if given.logs is not None:
        given.logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as directory:
        report = asyncio.run(
            run_faults(
                given.logs or Path(directory),
                number=given.number,
                seed=given.seed,
                workers=given.workers,
                readers=given.readers,
                lease=given.lease,
                minutes=given.minutes,
            )
        )
    print(*report.lines(), sep="\n")
    return 1 if report.outcome.faults or report.made.total() < given.number else 0


if __name__ == "__main__":
    sys.exit(main())
