"""Large messages: which callers may send them, and how much of the event loop each user takes with them.

Requests are decoded on the event loop, where slow work delays all requests. A message of up to `LARGE` bytes is decoded
at once. A larger one is decoded only if some request of its kind could be allowed to its caller. From `LONG` bytes on,
those of one user are decoded one after the other, with pauses in proportion to the time that the event loop spent.
The same rules apply to the execution of requests that an API has decoded into typed arguments.
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
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal
from kiteward.iam.json_api.base import Arguments, size_of_arguments

LARGE: Final = 8 * 1024
"""Bytes of a message that every signed-in user may send: about a millisecond to decode, whatever it contains."""

LONG: Final = 64 * 1024
"""Bytes from which on decoding a message may take long."""

PAUSE: Final = 3.0
"""The pause after a large message, in multiples of the time it took: its user gets a quarter of the event loop."""

_FREE: Final = 0.002
"""Seconds of each large message that are not counted: an ordinary one of a few megabytes takes no longer."""

_LONGEST_PAUSE: Final = 5.0
_MOST_USERS: Final = 1_000
"""Users whose state is kept before that of users who do not wait is removed."""

_T = TypeVar("_T")


def size_of(payload: bytes | Arguments) -> int:
    """Return the size of a request in bytes, by which it is large or not.

    For typed arguments it is close to that of their JSON, and counting ends once they are larger than `LONG`.
    """
    return len(payload) if isinstance(payload, bytes) else size_of_arguments(payload, LONG)


def require_reach(
    principal: Principal, privilege: Privilege | None, snapshot: PolicySnapshot, *, visibility_is_enough: bool = False
) -> None:
    """Require that some request that needs this privilege could be allowed to the sender of a large message.

    Args:
        principal: the sender.
        privilege: the privilege that this kind of request needs; None stands for administrators only.
        snapshot: the policy in force.
        visibility_is_enough: whether any privilege on a collection suffices.

    Raises:
        AccessDenied: the message is too large for this sender.
    """
    if decide_administrator(principal).allowed:
        return
    if privilege is None or not holds_anywhere(
        principal, privilege, snapshot, visibility_is_enough=visibility_is_enough
    ):
        needed = "an administrator" if privilege is None else f"the privilege {privilege.name}"
        raise AccessDenied(
            f"permission deny to {principal.user_name}: a request of more than {LARGE} bytes takes {needed}",
            ErrorDetail(ErrorCode.LARGE_REQUEST_DENIED, {"limit": LARGE}),
        )


@dataclass(slots=True, eq=False)
class _Line:
    """The queue of one user's large messages.

    Attributes:
        turn: held by the message that is next.
        free_at: when the next one may be decoded, in seconds of the clock.
        waiting: the number of messages in the queue.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0
    waiting: int = 0


class EventLoopShares:
    """Gives each user a share of the event loop for large messages."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        """Set up without any queue.

        Args:
            clock: returns seconds and never goes back.
            spent: returns the seconds of processor time that this thread has used.
        """
        self._clock = clock
        self._spent = spent
        self._lines: dict[str, _Line] = {}

    async def run(self, user_name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do work when it is first in its user's queue, and return its result.

        The next work of that user may begin while this one waits for something. Only the processor time of its own
        steps on the event loop counts.
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
    """Run work, and report the time of each of its steps on the event loop, after the free time, to `pay`."""
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
        except BaseException as error:  # noqa: BLE001  it is passed on to the work
            step = functools.partial(work.throw, error)
        else:
            step = functools.partial(work.send, sent)
