"""What a process and all that it started cost, as Linux counts it."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1e6 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _SYSTEM, _RESIDENT = 1, 11, 12, 21


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process has taken so far.

    Attributes:
        parent: the number of the process that started it.
        time: microseconds of processor time, in its own code and in the kernel.
        memory: resident bytes.
    """

    parent: int
    time: float
    memory: int

    @classmethod
    def parse(cls, stat: str) -> "Cost":
        """Read a `/proc/PID/stat`. The name of the program, in brackets, may hold anything."""
        fields = stat.rpartition(")")[2].split()
        time = (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK
        return cls(int(fields[_PARENT]), time, int(fields[_RESIDENT]) * _PAGE)


def processor_time(process: int) -> float:
    """Return the microseconds of processor time that a process and its descendants have taken."""
    return sum(cost.time for cost in _tree(process))


def resident(process: int) -> int:
    """Return the resident bytes of a process and its descendants; pages that they share count for each of them."""
    return sum(cost.memory for cost in _tree(process))


def descendants(costs: Mapping[int, Cost], process: int) -> Iterator[int]:
    """Give the number of a process and of all that it started, directly or not."""
    yield process
    for number, cost in costs.items():
        if cost.parent == process:
            yield from descendants(costs, number)


def _tree(process: int) -> list[Cost]:
    costs = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            costs[int(stat.parent.name)] = Cost.parse(stat.read_text())
    return [costs[number] for number in descendants(costs, process) if number in costs]
