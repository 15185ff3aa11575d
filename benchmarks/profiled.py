"""Run `kiteward` with a profile of what it does between two signals.

SIGUSR1 begins the profile. SIGUSR2 ends it and writes it to the file that `PROFILE` names.
"""

import cProfile
import os
import pstats
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiteward.cli.main import main

BEGIN: Final = signal.SIGUSR1
END: Final = signal.SIGUSR2
_REPETITIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Function:
    """What one function took.

    Attributes:
        name: the function, with its file and line.
        calls: how often it was called.
        own: microseconds spent in it, without what it called and without what the profile added.
    """

    name: str
    calls: int
    own: float


def read(path: Path, *, added: float = 0.0) -> list[Function]:
    """Return the functions of a profile, the one with the most time of its own first.

    Args:
        path: the file.
        added: microseconds that the profile adds to each call, see `own_cost`.
    """
    found: dict[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    functions = [
        Function(_name(*where), calls, max(0.0, own * 1e6 - calls * added))
        for where, (_, calls, own, *_) in found.items()
    ]
    return sorted(functions, key=lambda function: -function.own)


def shares(functions: Iterable[Function]) -> dict[str, float]:
    """Return which part of the time each folder of Kiteward, and each library, takes; the largest first."""
    taken: defaultdict[str, float] = defaultdict(float)
    for function in functions:
        taken[_area(function.name)] += function.own
    total = sum(taken.values())
    return {area: own / total for area, own in sorted(taken.items(), key=lambda entry: -entry[1])}


def own_cost() -> float:
    """Return the microseconds that a profile adds to each function call, measured in this process."""
    profile = cProfile.Profile()
    profile.runcall(lambda: sum(_nothing() for _ in range(_REPETITIONS)))
    (taken,) = (entry for entry in profile.getstats() if entry.code is _nothing.__code__)
    return float(taken.inlinetime) / _REPETITIONS * 1e6


def _nothing() -> int:
    return 0


def _area(name: str) -> str:
    place, line, _ = name.partition(":")
    if not line:
        return "built in"
    folders = place.split("/")[:-1]
    return "/".join(folders[: 3 if folders[0] == "kiteward" else 1]) if folders and folders[0] else "standard library"


def _name(file: str, line: int, function: str) -> str:
    if file == "~":  # how a profile names what is not written in Python
        return function
    _, _, inside = file.rpartition("site-packages/")
    return f"{inside.rpartition('/src/')[2]}:{line} {function}"


def _run() -> int:
    profile = cProfile.Profile()

    def end(*_: object) -> None:
        profile.disable()
        path = Path(os.environ["PROFILE"])
        profile.dump_stats(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    signal.signal(BEGIN, lambda *_: profile.enable())
    signal.signal(END, end)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
