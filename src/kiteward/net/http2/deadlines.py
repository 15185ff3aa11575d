"""Deadlines of many requests on one timer of the event loop.

Almost every request ends before its deadline, so setting and removing one has to be cheap: a request is put into a set
of those that end about then, and taken out of it.
"""

import asyncio
import heapq
from typing import Any, Final, Protocol

_FINE: Final = 64
"""Parts of a second to which a deadline that is near is rounded up."""

_FAR: Final = 2.0
"""Seconds from which on a deadline is kept to the second, to be sorted again when it is near."""


class Expiring(Protocol):
    """A request with a deadline.

    Attributes:
        deadline: when it ends, in the event loop's time.
        bucket: where it is kept; None to begin with.
    """

    deadline: float
    bucket: "set[Any] | None"

    def expire(self) -> None:
        """End, because the deadline has passed."""


class Deadlines:
    """Calls `expire` of each request at its deadline, or up to 1/64 of a second after it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buckets: dict[int, set[Expiring]] = {}
        self._due: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, request: Expiring) -> None:
        """Watch a request's deadline until `discard`."""
        deadline = request.deadline
        far = deadline - self._loop.time() > _FAR
        due = (int(deadline) - 1) * _FINE if far else int(deadline * _FINE) + 1
        bucket = self._buckets.get(due)
        if bucket is None:
            bucket = self._open(due)
        bucket.add(request)
        request.bucket = bucket

    def discard(self, request: Expiring) -> None:
        """Forget a request that has ended."""
        if request.bucket is not None:
            request.bucket.discard(request)
            request.bucket = None

    def close(self) -> None:
        """Forget all requests."""
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()
        self._due.clear()

    def _open(self, due: int) -> set[Expiring]:
        bucket = self._buckets[due] = set()
        heapq.heappush(self._due, due)
        if self._due[0] == due:
            self._set_timer()
        return bucket

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0] / _FINE, self._expire) if self._due else None

    def _expire(self) -> None:
        now = self._loop.time()
        ended: list[Expiring] = []
        while self._due and self._due[0] <= now * _FINE:
            ended.extend(self._buckets.pop(heapq.heappop(self._due)))
        self._timer = None
        for request in ended:
            request.bucket = None
            if request.deadline > now:
                self.add(request)
            else:
                request.expire()
        self._set_timer()
