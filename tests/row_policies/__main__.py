"""`python -m tests.row_policies`: random operations on protected collections, held against a model."""

import argparse
import asyncio
import logging
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from typing import Final

from tests.row_policies.races import RACES
from tests.row_policies.runner import Part, Result, parts_of, replay, work

_PROGRESS: Final = 10_000
"""Requests of a race from one line of progress to the next."""

_OVERDUE: Final = 3
"""Exit status when time was up before all operations were carried out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what was found, and return 0 if that is nothing and all was carried out."""
    arguments = _arguments(argv)
    if arguments.case is not None:
        return _replay(arguments)
    if arguments.race:
        return _race(arguments)
    began, result = time.monotonic(), Result()
    parts = parts_of(arguments.number, arguments.seed, protected=not arguments.open)
    overdue = _work(parts, arguments.jobs, began + arguments.minutes * 60, result)
    taken = time.monotonic() - began
    rate = result.operations / taken
    print(
        f"{result.operations:,} operations, {result.cases:,} collections, seed {arguments.seed}, {taken:.0f} s, "
        f"{rate:,.0f} a second, {len(result.faults)} faults"
    )
    if overdue:
        print(f"time was up: {overdue} of {len(parts)} parts were not begun", file=sys.stderr)
    return 1 if result.faults else _OVERDUE if overdue else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.row_policies", description=__doc__)
    parser.add_argument("--number", type=int, default=20_000, help="how many operations (default: 20,000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no part after so many (default: 120)")
    parser.add_argument("--open", action="store_true", help="without row policies: only what filters mean is tested")
    parser.add_argument("--race", choices=sorted(RACES), help="a race instead, of `--number` requests")
    parser.add_argument("--case", type=int, help="carry out operations of this case again")
    parser.add_argument("--operations", default="0-999", help="which: 3,17,40 or 0-40 (default: all)")
    return parser.parse_args(argv)


def _replay(arguments: argparse.Namespace) -> int:
    first, _, last = arguments.operations.partition("-")
    places = range(int(first), int(last) + 1) if last else [int(each) for each in first.split(",")]
    fault = asyncio.run(replay(arguments.case, places, protected=not arguments.open, tell=print))
    print("no fault" if fault is None else fault)
    return 0 if fault is None else 1


def _race(arguments: argparse.Namespace) -> int:
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done - told >= _PROGRESS:
            told = done
            print(f"{done:,} requests, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    done, wrong = asyncio.run(RACES[arguments.race](arguments.number, arguments.seed, tell))
    print(f"{arguments.race}: {done:,} requests, seed {arguments.seed}, {time.monotonic() - began:.0f} s")
    print(wrong or "nothing was wrong")
    return 1 if wrong else 0


def _work(parts: Sequence[Part], processes: int, deadline: float, result: Result) -> int:
    """Run the parts concurrently, print faults as they are found, and return how many were not begun in time."""
    waiting, running = list(reversed(parts)), set[Future[Result]]()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as executor:
        while running or waiting:
            while waiting and len(running) < processes and time.monotonic() < deadline:
                running.add(executor.submit(work, waiting.pop()))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                part = _result(each)
                result.add(part)
                print(f"{result.operations:,} operations, {len(result.faults)} faults", file=sys.stderr, flush=True)
                for fault in part.faults:
                    print(fault, flush=True)
            if any(isinstance(each.exception(), BrokenExecutor) for each in done):
                break
    return len(waiting)


def _result(part: Future[Result]) -> Result:
    """Return what a part consisted of; a process that is gone is a fault."""
    try:
        return part.result()
    except BrokenExecutor as error:
        return Result(faults=[f"a process ended: {error}"])


if __name__ == "__main__":
    sys.exit(main())
