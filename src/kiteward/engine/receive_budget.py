"""Memory for long responses: each is reserved as a whole before its sender may continue it."""

from collections import deque
from typing import Protocol


class Receiving(Protocol):
    """A response whose sender waits for the memory."""

    def proceed(self) -> None:
        """Let the sender continue."""


class ReceiveBudget:
    """Bytes for long responses, given out in the order in which they began.

    All or nothing: responses that each hold a part would wait for one another for ever.
    """

    def __init__(self, capacity: int, *, unreserved: int) -> None:
        """Set up a budget.

        Args:
            capacity: bytes; at least as many as the longest message has.
            unreserved: bytes up to which a response needs no reservation, because its sender may send them anyway.
        """
        self._free = capacity
        self.unreserved = unreserved
        self._held: dict[Receiving, int] = {}
        self._waiting: deque[tuple[Receiving, int]] = deque()

    @property
    def held(self) -> int:
        """Bytes that are reserved."""
        return sum(self._held.values())

    def reserve(self, response: Receiving, size: int) -> bool:
        """Reserve memory for a response, now or later: then its `proceed` is called. Return whether it was now."""
        if self._waiting or size > self._free:
            self._waiting.append((response, size))
            return False
        self._free -= size
        self._held[response] = size
        return True

    def release(self, response: Receiving) -> None:
        """Give back what a response has reserved, or waits for."""
        size = self._held.pop(response, None)
        if size is None:
            self._waiting = deque(each for each in self._waiting if each[0] is not response)
        else:
            self._free += size
        while self._waiting and self._waiting[0][1] <= self._free:
            following, size = self._waiting.popleft()
            self._free -= size
            self._held[following] = size
            following.proceed()
