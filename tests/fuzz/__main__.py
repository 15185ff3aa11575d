"""`python -m tests.fuzz`: mutated requests to servers of its own on the loopback address, and what they did."""

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Final

from tests.fuzz.findings import Tally
from tests.fuzz.jobs import SHARES, Job, parts_of, work

_OVERDUE: Final = 3
"""Exit status when time was up before all requests were sent."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what was found, and return 0 if that is nothing and all requests were sent."""
    arguments = _arguments(argv)
    began, tally = time.monotonic(), Tally()
    jobs = parts_of(arguments.requests, arguments.seed, arguments.only or sorted(SHARES))
    overdue = _work(jobs, arguments.jobs, began + arguments.minutes * 60, tally)
    taken = time.monotonic() - began
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(tally.requests.items()))
    total = sum(tally.requests.values())
    print(f"{total:,} requests ({counts}), seed {arguments.seed}, {taken:.0f} s, {len(tally.findings)} findings")
    if arguments.verbose:
        print("\n".join(f"  {how}: {number:,}" for how, number in sorted(tally.answers.items())))
    for finding in tally.findings.values():
        print(finding)
    if overdue:
        print(f"time was up: {overdue} of {len(jobs)} parts were not begun", file=sys.stderr)
    return 1 if tally.findings else _OVERDUE if overdue else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many in all (default: 10,000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", action="append", choices=sorted(SHARES), help="this fuzzer; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no part after so many (default: 60)")
    parser.add_argument("--verbose", action="store_true", help="count the answers too")
    return parser.parse_args(argv)


def _work(jobs: Sequence[Job], processes: int, deadline: float, tally: Tally) -> int:
    """Run the parts concurrently, and return how many were not begun in time."""
    waiting, running = list(reversed(jobs)), set[Future[Tally]]()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as executor:
        while running or waiting:
            while waiting and len(running) < processes and time.monotonic() < deadline:
                running.add(executor.submit(work, waiting.pop()))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                tally.add(each.result())
    return len(waiting)


if __name__ == "__main__":
    sys.exit(main())
