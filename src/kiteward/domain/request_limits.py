"""How many requests a user, an API key or the holders of a role may make."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

LOWEST_RATE: Final = 0.1
"""Fewest requests a second that a limit may allow."""

HIGHEST_RATE: Final = 1_000_000.0
"""Most requests a second that a limit may allow."""

MOST_AT_ONCE: Final = 1_000_000
"""Largest burst, and most concurrent requests, that a limit may allow."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of requests. None stands for no limit of that kind.

    Attributes:
        rate: requests a second on average, as a token bucket allows them.
        burst: requests that may come at once after a pause: the size of the bucket. None takes as many as `rate` allows
            in a second, and one at least. It has no effect without `rate`.
        concurrent: requests that are worked on at the same time.
    """

    rate: float | None = None
    burst: int | None = None
    concurrent: int | None = None

    @property
    def size(self) -> float:
        """The size of the token bucket."""
        return float(self.burst) if self.burst is not None else max(1.0, self.rate or 0.0)

    def without(self, others: "Iterable[RequestLimits]") -> "RequestLimits":
        """Return what is left of these as defaults: the kinds of which the others have no limit."""
        given = tuple(others)
        rated = any(other.rate is not None for other in given)
        counted = any(other.concurrent is not None for other in given)
        return RequestLimits(
            None if rated else self.rate, None if rated else self.burst, None if counted else self.concurrent
        )

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return self.rate is not None or self.concurrent is not None

    @classmethod
    def smallest(cls, limits: "Iterable[RequestLimits]") -> Self:
        """Return what remains of several limits that all apply: the smallest of each kind."""
        given = tuple(limits)
        rates = [each.rate for each in given if each.rate is not None]
        bursts = [int(each.size) for each in given if each.rate is not None]
        counts = [each.concurrent for each in given if each.concurrent is not None]
        return cls(min(rates, default=None), min(bursts, default=None), min(counts, default=None))


@dataclass(frozen=True, slots=True)
class HeldLimits:
    """The limits that a credential brings with it.

    Attributes:
        user: those of its user.
        keys: id -> limits of the API key, and of those that it descends from, where they have any.
    """

    user: RequestLimits = field(default_factory=RequestLimits)
    keys: tuple[tuple[str, RequestLimits], ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return bool(self.user or self.keys)


class Counted(StrEnum):
    """Whose requests to an operation count against their limits.

    EVERYBODY: those of all callers.
    OTHERS: not those of administrators, who can thus always lift a limit.
    NOBODY: none; it tells whether the server works.
    """

    EVERYBODY = "everybody"
    OTHERS = "others"
    NOBODY = "nobody"
