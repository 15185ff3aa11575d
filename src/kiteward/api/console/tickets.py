"""Tickets for secrets that are shown once: each to one session, within a short time."""

import hashlib
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from kiteward.authn.sealing import SealingKey
from kiteward.domain.identity import Secret
from kiteward.domain.moments import written
from kiteward.store.base import Store

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


class Tickets(Protocol):
    """All waiting secrets, of the server or of all servers that share a store."""

    async def put(self, session_id: str, token: Secret, shown: OneTimeSecret) -> str:
        """Keep a secret for a session, and return its ticket.

        Args:
            session_id: the public id of the session.
            token: its token.
            shown: the secret with its page.

        Raises:
            StoreUnavailable: it could not be kept.
        """
        ...

    async def take(self, session_id: str, token: Secret, ticket: str) -> OneTimeSecret | None:
        """Return and remove the secret of a ticket; None if it belongs to another session, was used, or has expired.

        Raises:
            StoreUnavailable: it is not known whether there is one.
        """
        ...


class MemoryTickets:
    """Implements `Tickets` in memory, for a single server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, deque[_Waiting]] = {}

    async def put(self, session_id: str, _token: Secret, shown: OneTimeSecret) -> str:
        self._forget_old()
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        waiting = self._waiting.setdefault(session_id, deque(maxlen=_MOST))
        waiting.append(_Waiting(ticket, self._clock() + _SECONDS, shown))
        return ticket

    async def take(self, session_id: str, _token: Secret, ticket: str) -> OneTimeSecret | None:
        self._forget_old()
        given = ticket.encode("utf-8", "surrogatepass")
        for each in self._waiting.get(session_id, ()):
            if secrets.compare_digest(each.ticket.encode(), given):
                self._waiting[session_id].remove(each)
                return each.shown
        return None

    def _forget_old(self) -> None:
        now = self._clock()
        for session, waiting in list(self._waiting.items()):
            while waiting and waiting[0].ends_at <= now:
                waiting.popleft()
            if not waiting:
                del self._waiting[session]


class StoredTickets:
    """Implements `Tickets` in a store that other servers share, any of which may be asked for the page.

    A secret is stored sealed: only who presents the token of its session and the ticket can read it, and the store has
    only digests of both.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Take where they are kept.

        Args:
            store: holds them.
            clock: returns seconds since the epoch.
        """
        self._store = store
        self._clock = clock

    async def put(self, session_id: str, token: Secret, shown: OneTimeSecret) -> str:
        ticket, now = secrets.token_urlsafe(_TICKET_BYTES), self._clock()
        until = written(shown.until) if shown.until is not None else None
        plain = Secret(json.dumps((shown.title, shown.what, shown.secret.reveal(), shown.back, until)))
        async with self._store.transaction() as transaction:
            await transaction.sessions.remove_secrets(session_id, now=now, most=_MOST - 1)
            await transaction.sessions.put_secret(
                _digest(ticket), session_id, _key(token, ticket).seal(plain, about=session_id), ends_at=now + _SECONDS
            )
            await transaction.commit()
        return ticket

    async def take(self, session_id: str, token: Secret, ticket: str) -> OneTimeSecret | None:
        async with self._store.transaction() as transaction:
            found = await transaction.sessions.take_secret(_digest(ticket), session_id, now=self._clock())
            # Before it is shown, so that no other server shows it too.
            await transaction.commit()
        plain = None if found is None else _key(token, ticket).open(found, about=session_id)
        if plain is None:
            return None
        title, what, secret, back, until = json.loads(plain.reveal())
        return OneTimeSecret(title, what, Secret(secret), back, datetime.fromisoformat(until) if until else None)


def _key(token: Secret, ticket: str) -> SealingKey:
    """Return the key of one secret, which takes both its session's token and its ticket."""
    return SealingKey(token, purpose=f"kiteward: a secret shown once, by the ticket {ticket}")


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
