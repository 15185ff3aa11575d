"""What the server did in the last hour and the last day: the counters of the metrics, sampled periodically.

A request costs nothing more for it. Everything is in memory, of one process, and bounded: 60 minutes and 96 quarters of
an hour.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from kiteward.telemetry.counters import Outcome
from kiteward.telemetry.latency import BOUNDS
from kiteward.telemetry.telemetry import Stage, Telemetry

MINUTE: Final = 60
QUARTER: Final = 900
_MINUTES: Final = 60
_QUARTERS: Final = 96

_REFUSED: Final = frozenset({Outcome.UNAUTHENTICATED, Outcome.DENIED, Outcome.REFUSED, Outcome.LIMITED})
_FAILED: Final = frozenset({Outcome.UNAVAILABLE, Outcome.FAILED})
_NO_DURATIONS: Final = (0,) * (len(BOUNDS) + 1)
_ACCEPTED: Final = frozenset({("password", "verified"), ("token", "verified")})
_REJECTED: Final = frozenset(
    {("password", "refused"), ("password", "throttled"), ("token", "refused"), ("api_key", "refused")}
)
"""What counts as a sign-in that succeeded or failed: a credential that was verified, not one that was in a cache."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was counted, in a span of time or since the start.

    Attributes:
        requests: requests that have ended.
        refused: those that were not allowed: unauthenticated, denied, closed or beyond a limit.
        unauthenticated: of the refused ones, those without a valid credential.
        limited: of the refused ones, those beyond a limit of requests.
        failed: those that failed though they were allowed and right.
        accepted: passwords and tokens that were verified and accepted.
        rejected: passwords, tokens and API keys that were rejected.
        durations: for each of `BOUNDS` how many requests took that long at most, and last how many there are.
    """

    requests: int = 0
    refused: int = 0
    failed: int = 0
    accepted: int = 0
    rejected: int = 0
    durations: tuple[int, ...] = _NO_DURATIONS
    unauthenticated: int = 0
    limited: int = 0

    def plus(self, other: "Numbers") -> "Numbers":
        """Return the sum."""
        return self._with(other, 1)

    def minus(self, other: "Numbers") -> "Numbers":
        """Return the difference."""
        return self._with(other, -1)

    def quantile(self, share: float) -> float | None:
        """Return about how many seconds the given share of the requests took at most; None if there were none.

        Within a bucket of the histogram, durations are taken as evenly distributed.
        """
        wanted = self.durations[-1] * share
        if not wanted:
            return None
        below = (0, *self.durations)
        edges = ((0.0, BOUNDS[0]), *pairwise(BOUNDS))
        for (least, most), before, until in zip(edges, below, self.durations, strict=False):
            if until >= wanted:
                return least + (most - least) * (wanted - before) / (until - before)
        return BOUNDS[-1]

    def _with(self, other: "Numbers", sign: int) -> "Numbers":
        return Numbers(
            self.requests + sign * other.requests,
            self.refused + sign * other.refused,
            self.failed + sign * other.failed,
            self.accepted + sign * other.accepted,
            self.rejected + sign * other.rejected,
            tuple(mine + sign * its for mine, its in zip(self.durations, other.durations, strict=True)),
            self.unauthenticated + sign * other.unauthenticated,
            self.limited + sign * other.limited,
        )


NOTHING: Final = Numbers()


def numbers_of(telemetry: Telemetry, authentications: Mapping[tuple[str, str], int]) -> Numbers:
    """Return what the counters of the metrics hold now.

    Args:
        telemetry: of the requests.
        authentications: (kind, result) -> how often.
    """
    ended: Counter[Outcome] = Counter()
    for _, outcome, number in telemetry.requests:
        ended[outcome] += number
    return Numbers(
        ended.total(),
        sum(ended[each] for each in _REFUSED),
        sum(ended[each] for each in _FAILED),
        sum(authentications.get(each, 0) for each in _ACCEPTED),
        sum(authentications.get(each, 0) for each in _REJECTED),
        tuple(telemetry.stages[Stage.WHOLE].cumulative()),
        ended[Outcome.UNAUTHENTICATED],
        ended[Outcome.LIMITED],
    )


@dataclass(frozen=True, slots=True)
class Span:
    """What was counted in a span of time.

    Attributes:
        begins: when it begins, in seconds since the epoch.
        numbers: what was counted.
    """

    begins: float
    numbers: Numbers


def total(spans: Sequence[Span]) -> Span:
    """Return one span for several that follow one another; they are not empty."""
    numbers = NOTHING
    for each in spans:
        numbers = numbers.plus(each.numbers)
    return Span(spans[0].begins, numbers)


class _Spans:
    """The latest spans of one length."""

    def __init__(self, seconds: int, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._held: dict[int, Numbers] = {}

    def add(self, now: float, numbers: Numbers) -> None:
        """Count in the span of this moment. Spans that are too old, or ahead of a clock set back, are removed."""
        current = self._number(now)
        self._held[current] = self._held.get(current, NOTHING).plus(numbers)
        for number in [each for each in self._held if not current - self._most < each <= current]:
            del self._held[number]

    def read(self, now: float, since: float) -> Sequence[Span]:
        """Return the spans from `since` until now, oldest first."""
        current = self._number(now)
        first = max(current - self._most + 1, self._number(since))
        return [Span(number * self._seconds, self._held.get(number, NOTHING)) for number in range(first, current + 1)]

    def _number(self, moment: float) -> int:
        return math.floor(moment / self._seconds)


class Activity:
    """What one process did, by minutes and by quarters of an hour.

    Attributes:
        server: the name of the server, or of the worker.
        workers: how many workers the server has; each counts its own.
        since: when counting began, in seconds since the epoch.
    """

    def __init__(
        self,
        read: Callable[[], Numbers] = Numbers,
        *,
        server: str = "",
        workers: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin to count.

        Args:
            read: returns what was counted since the start.
            server: the name of the server, or of the worker.
            workers: how many workers the server has.
            clock: returns seconds since the epoch.
        """
        self.server = server
        self.workers = workers
        self.since = clock()
        self._read = read
        self._clock = clock
        self._last = read()
        self._minutes = _Spans(MINUTE, _MINUTES)
        self._quarters = _Spans(QUARTER, _QUARTERS)

    def sample(self) -> Self:
        """Count what has happened since the last sample, in the spans of this moment."""
        now, numbers = self._clock(), self._read()
        grown, self._last = numbers.minus(self._last), numbers
        self._minutes.add(now, grown)
        self._quarters.add(now, grown)
        return self

    def minutes(self) -> Sequence[Span]:
        """Return the last 60 minutes, oldest first, without those before the start."""
        return self._minutes.read(self._clock(), self.since)

    def quarters(self) -> Sequence[Span]:
        """Return the last 96 quarters of an hour, oldest first, without those before the start."""
        return self._quarters.read(self._clock(), self.since)
