"""Large messages: who may send one, and how much of the event loop one user takes by them.

Requests are read on the event loop, where whatever takes long holds up everybody. A message up to `LARGE` is read at
once. A larger one is read only if its sender could be allowed some request of its kind; from `LONG` on one after the
other of each user, with a pause that grows with the time the event loop spent on it.
"""

import asyncio
import functools
import time
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from kiteward.authz.policy import PolicySnapshot, decide_administrator, holds_anywhere
from kiteward.authz.privileges import Privilege
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal

LARGE: Final = 8 * 1024
"""Bytes of a message that anybody who is signed in may send: about a millisecond to read, whatever it holds."""

LONG: Final = 64 * 1024
"""Bytes from which on reading a message may take long."""

PAUSE: Final = 3.0
"""How many times as long as a large message held the event loop its sender's next one waits: they get a quarter."""

_FREE: Final = 0.002
"""Seconds of each large message that are not counted: what an ordinary one takes of a few megabytes."""

_LONGEST_PAUSE: Final = 5.0
_MOST_USERS: Final = 1_000
"""Users who are remembered before those who wait for nothing are forgotten."""

_T = TypeVar("_T")


def require_reach(
    principal: Principal, privilege: Privilege | None, snapshot: PolicySnapshot, *, visibility_is_enough: bool = False
) -> None:
    """Let a large message pass if some request that needs this privilege could be allowed its sender.

    Args:
        principal: who sends it.
        privilege: what its kind of request needs; None lets nobody pass but administrators.
        snapshot: the policy in force.
        visibility_is_enough: whether any privilege on a collection does as well.

    Raises:
        AccessDenied: it is too large for this sender.
    """
    if decide_administrator(principal).allowed:
        return
    if privilege is None or not holds_anywhere(
        principal, privilege, snapshot, visibility_is_enough=visibility_is_enough
    ):
        needed = "an administrator" if privilege is None else f"the privilege {privilege.name}"
        raise AccessDenied(
            f"permission deny to {principal.user_name}: a request of more than {LARGE} bytes takes {needed}"
        )


@dataclass(slots=True, eq=False)
class _Line:
    """The large messages of one user.

    Attributes:
        turn: whose turn it is to be read.
        free_at: when the next one may be read.
        waiting: how many wait for it.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0
    waiting: int = 0


class EventLoopShares:
    """Gives each user a share of the event loop for large messages."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        """Begin with nobody waiting.

        Args:
            clock: seconds, never going back.
            spent: seconds of processor time that this thread has taken.
        """
        self._clock = clock
        self._spent = spent
        self._lines: dict[str, _Line] = {}

    async def run(self, user_name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do work when its user's turn has come, and return what it returns.

        Work that waits for something lets the user's next turn come. The processor time between its beginning and its
        end counts, without that of others meanwhile.
        """
        line = self._line(user_name)
        line.waiting += 1
        try:
            async with line.turn:
                if (left := line.free_at - self._clock()) > 0:
                    await asyncio.sleep(left)
        finally:
            line.waiting -= 1
        return await _counted(work(), self._spent, lambda seconds: self._pay(line, seconds))

    def _line(self, user_name: str) -> _Line:
        if user_name not in self._lines and len(self._lines) >= _MOST_USERS:
            now = self._clock()
            self._lines = {name: each for name, each in self._lines.items() if each.waiting or each.free_at > now}
        return self._lines.setdefault(user_name, _Line())

    def _pay(self, line: _Line, seconds: float) -> None:
        pause = min(PAUSE * seconds, _LONGEST_PAUSE)
        line.free_at = max(line.free_at, self._clock()) + pause


@types.coroutine
def _counted(
    work: Coroutine[Any, Any, _T], spent: Callable[[], float], pay: Callable[[float], None]
) -> Generator[Any, Any, _T]:
    """Run work and pay for each of its steps on the event loop, less what is free of all of them."""
    free = _FREE
    step: Callable[[], Any] = functools.partial(work.send, None)
    while True:
        begun = spent()
        try:
            awaited = step()
        except StopIteration as ended:
            value: _T = ended.value
            return value
        finally:
            taken = spent() - begun
            pay(max(0.0, taken - free))
            free = max(0.0, free - taken)
        try:
            sent = yield awaited
        except BaseException as error:  # noqa: BLE001  it is for the work, whatever it is
            step = functools.partial(work.throw, error)
        else:
            step = functools.partial(work.send, sent)
