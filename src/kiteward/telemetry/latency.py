"""Histograms of durations, cheap enough for every request; the reader adds them up."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

BOUNDS: Final[tuple[float, ...]] = (
    *(5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the buckets in seconds: a decision takes microseconds, a search of a large collection seconds."""


class Histogram:
    """Counts durations by bucket. Not for several threads: the event loop's own.

    Attributes:
        total: the sum of all durations in seconds.
    """

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> Sequence[int]:
        """Return for each of `BOUNDS` how many took that long at most, and last how many there are."""
        return list(accumulate(self._counts))
