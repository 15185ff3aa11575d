"""Until when a server may decide by the policy that it holds."""

import math
import sys
import time
from collections.abc import Callable
from typing import Final, Self

HELD_SHARE: Final = 0.9
"""The share of a lease during which its holder decides. The others wait for all of it, so that clocks may differ in
speed, which corrections of the time make them do."""

if sys.platform == "linux":

    def elapsed() -> float:
        """Return seconds of a clock that also counts while the process or the machine is suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:

    def elapsed() -> float:
        """Return seconds of a clock that also counts while the process is suspended."""
        return time.monotonic()


class Lease:
    """The lease of this server. It is not held before it is extended for the first time.

    INVARIANT: it ends before any server that shares the store stops waiting for it, because it is counted from before
    the renewal was sent, and is extended only if every revision that the renewal has found is applied.
    """

    __slots__ = ("_clock", "_ends", "_seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = elapsed) -> None:
        self._seconds = seconds * HELD_SHARE
        self._clock = clock
        self._ends = -math.inf

    @classmethod
    def unlimited(cls) -> Self:
        """Return the lease of a server that shares its store with no other: it is always held."""
        lease = cls(math.inf)
        lease.extend(0.0)
        return lease

    def held(self) -> bool:
        """Return whether this server may decide now."""
        return self._clock() < self._ends

    def remaining(self) -> float:
        """Return for how many seconds it is held yet; 0 when it is over."""
        return max(0.0, self._ends - self._clock())

    def extend(self, sent: float) -> None:
        """Extend it by a renewal whose revision is applied.

        Args:
            sent: the time of the same clock before the renewal was sent.
        """
        self._ends = max(self._ends, sent + self._seconds)

    def end(self) -> None:
        """End it at once."""
        self._ends = -math.inf
