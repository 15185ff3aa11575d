"""Counts requests by outcome, with counters that are cheap enough for every call."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kiteward.domain import errors

OTHER: Final = "other"
"""Stands for every operation that does not exist: callers choose those names, and must not fill the list."""


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    REFUSED = "refused"
    INVALID = "invalid"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"
    FAILED = "failed"

    # An enumeration's own hash runs in Python, which every request would pay for.
    __hash__ = str.__hash__


_OUTCOMES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Outcome], ...]] = (
    (errors.AuthenticationError, Outcome.UNAUTHENTICATED),
    (errors.AccessDenied, Outcome.DENIED),
    ((errors.OperationRefused, errors.OperationUnknown), Outcome.REFUSED),
    (errors.RequestsLimited, Outcome.LIMITED),
    ((errors.RequestRefused, errors.PayloadMalformed, errors.EngineRejected), Outcome.INVALID),
    ((errors.EngineError, errors.StoreError, errors.AuditUnavailable, errors.NotReady), Outcome.UNAVAILABLE),
    (asyncio.CancelledError, Outcome.CANCELLED),
)


def outcome_of(error: BaseException) -> Outcome:
    """Return how a request ended that ended with `error`."""
    return next((outcome for kinds, outcome in _OUTCOMES if isinstance(error, kinds)), Outcome.FAILED)


class RequestCounts:
    """Counts requests by operation and outcome."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Outcome]] = Counter()

    def count(self, operation: str, outcome: Outcome) -> None:
        """Count one request."""
        self._counts[operation, outcome] += 1

    def __iter__(self) -> Iterator[tuple[str, Outcome, int]]:
        """Yield every operation, outcome and their number."""
        return iter([(operation, outcome, number) for (operation, outcome), number in self._counts.items()])


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """The state of a server that shares its store with others.

    Attributes:
        lease: for how many seconds it decides without hearing from the store; 0 when it refuses requests.
        lag: how many revisions its policy was behind the store when it last renewed its lease.
        listening: whether it hears at once what others change; if not, within a part of the lease.
        late: how many servers its changes have waited for until their leases ended.
    """

    lease: float
    lag: int
    listening: bool
    late: int


@dataclass(frozen=True, slots=True)
class CatalogState:
    """The state of the catalog of a remote engine.

    Attributes:
        age: seconds since what it holds was true; None before the first read.
        reads: how often it was read since the start.
        failures: how often that failed.
        lookups: how often a name was looked up.
    """

    age: float | None
    reads: int
    failures: int
    lookups: int
