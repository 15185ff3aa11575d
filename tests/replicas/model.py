"""What a value in the store may be, as far as those know who changed it."""

import math
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_REMEMBERED: Final = 200
"""Attempts that are remembered, which is longer than any question takes."""


class Attempt(Generic[T]):
    """One attempt to change a value.

    Attributes:
        value: the new one.
        begun: when the request was sent.
        ended: when its outcome was known.
        made: whether the change was made; None while nobody knows.
    """

    __slots__ = ("begun", "ended", "made", "value")

    def __init__(self, value: T, begun: float) -> None:
        self.value = value
        self.begun = begun
        self.ended = math.inf
        self.made: bool | None = None


class Register(Generic[T]):
    """A value with one writer, which makes one attempt after another.

    An attempt whose outcome is not known is carried out before the next one, or never.
    """

    def __init__(self, value: T, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        first = Attempt(value, -math.inf)
        first.ended, first.made = -math.inf, True
        self._attempts = [first]

    def attempt(self, value: T) -> Attempt[T]:
        """Note that a change is about to be sent."""
        made = Attempt(value, self._clock())
        self._attempts.append(made)
        return made

    def settle(self, attempt: Attempt[T], *, made: bool) -> None:
        """Note what became of a change: it was acknowledged, or looked for afterwards."""
        attempt.ended, attempt.made = self._clock(), made
        del self._attempts[:-_REMEMBERED]

    def recent(self) -> list[tuple[T, bool | None]]:
        """Return the last attempts, the latest last: the value, and whether it was made."""
        return [(each.value, each.made) for each in self._attempts[-6:]]

    def resolve(self, value: T) -> None:
        """Note what the value was found to be after every open attempt was over."""
        for each in self._attempts:
            if each.made is None:
                each.ended, each.made = self._clock(), each.value == value

    def possible(self, sent: float, received: float) -> list[T]:
        """Return what a server may answer to a question.

        Args:
            sent: when it was asked.
            received: when the answer came.
        """
        found: list[T] = []
        for each in self._attempts:
            if each.begun > received:
                break
            if each.made is True and each.ended < sent:
                found = []
            if each.made is not False or each.ended >= sent:
                found.append(each.value)
        return found

    def latest(self) -> T:
        """Return the value of the last attempt, whatever became of it."""
        return self._attempts[-1].value
