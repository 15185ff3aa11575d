"""Secrets that wait to be shown: each to one session, once, and for a short time."""

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kiteward.domain.identity import Secret

_SECONDS: Final = 60.0
"""How long a secret waits for the browser to ask for its page."""

_MOST: Final = 8
"""Secrets that wait for one session; one more takes the place of the oldest."""

_TICKET_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class OneTimeSecret:
    """What a page shows once.

    Attributes:
        title: its heading.
        what: what the secret is.
        secret: the secret.
        back: where the page leads then.
        until: until when the secret before it is accepted, if it is.
    """

    title: str
    what: str
    secret: Secret
    back: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A secret that waits: its ticket, and when it is forgotten, by the monotonic clock."""

    ticket: str
    ends_at: float
    shown: OneTimeSecret


class Tickets:
    """All of them, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, deque[_Waiting]] = {}

    def put(self, session: str, shown: OneTimeSecret) -> str:
        """Keep what a session is to be shown, and return the ticket for it.

        Args:
            session: the public id of the session.
            shown: what its page holds.
        """
        self._forget_old()
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        waiting = self._waiting.setdefault(session, deque(maxlen=_MOST))
        waiting.append(_Waiting(ticket, self._clock() + _SECONDS, shown))
        return ticket

    def take(self, session: str, ticket: str) -> OneTimeSecret | None:
        """Return what a ticket is for and forget it; None if it is of another session, was used, or is too old."""
        self._forget_old()
        given = ticket.encode("utf-8", "surrogatepass")
        for each in self._waiting.get(session, ()):
            if secrets.compare_digest(each.ticket.encode(), given):
                self._waiting[session].remove(each)
                return each.shown
        return None

    def _forget_old(self) -> None:
        now = self._clock()
        for session, waiting in list(self._waiting.items()):
            while waiting and waiting[0].ends_at <= now:
                waiting.popleft()
            if not waiting:
                del self._waiting[session]
