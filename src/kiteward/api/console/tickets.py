"""Tickets for secrets that are shown once: each to one session, within a short time."""

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kiteward.domain.identity import Secret

_SECONDS: Final = 60.0
"""Seconds in which the browser must request the page of a secret."""

_MOST: Final = 8
"""The number of waiting secrets of one session; one more replaces the oldest."""

_TICKET_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class OneTimeSecret:
    """A secret with its page.

    Attributes:
        title: the heading of the page.
        what: a text about what the secret is.
        secret: the secret.
        back: the path that the page links to.
        until: the end of the grace period of the previous secret, or None.
    """

    title: str
    what: str
    secret: Secret
    back: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A waiting secret: its ticket, and when it expires by the monotonic clock."""

    ticket: str
    ends_at: float
    shown: OneTimeSecret


class Tickets:
    """All waiting secrets, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, deque[_Waiting]] = {}

    def put(self, session: str, shown: OneTimeSecret) -> str:
        """Keep a secret for a session, and return its ticket.

        Args:
            session: the public id of the session.
            shown: the secret with its page.
        """
        self._forget_old()
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        waiting = self._waiting.setdefault(session, deque(maxlen=_MOST))
        waiting.append(_Waiting(ticket, self._clock() + _SECONDS, shown))
        return ticket

    def take(self, session: str, ticket: str) -> OneTimeSecret | None:
        """Return and remove the secret of a ticket; None if it belongs to another session, was used, or has expired."""
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
