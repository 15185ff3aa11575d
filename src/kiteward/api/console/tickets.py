"""Tickets: what waits for one session to be asked for once, such as a secret that is shown once, or an undo."""

import hashlib
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, Self, TypeVar

from kiteward.authn.sealing import SealingKey
from kiteward.domain.identity import Secret
from kiteward.domain.moments import written
from kiteward.store.base import Store

SHOWN_SOON: Final = 60.0
"""Seconds in which the browser must request the page of a secret. It is the shortest time of any ticket."""

_MOST: Final = 8
"""The number of tickets of one session; one more replaces the oldest. Those that wait longer are counted apart."""

_TICKET_BYTES: Final = 16
_PARTS: Final = 5


class Kept(Protocol):
    """What can wait for its ticket."""

    def packed(self) -> Secret:
        """Return it as a text, for a store."""
        ...

    @classmethod
    def unpacked(cls, packed: Secret) -> Self | None:
        """Return what `packed` has made a text of; None for a text of another kind."""
        ...


_K = TypeVar("_K", bound=Kept)


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

    def packed(self) -> Secret:
        """Return it as a text, for a store."""
        until = written(self.until) if self.until is not None else None
        return Secret(json.dumps((self.title, self.what, self.secret.reveal(), self.back, until)))

    @classmethod
    def unpacked(cls, packed: Secret) -> Self | None:
        """Return what `packed` has made a text of; None for a text of another kind."""
        parts = json.loads(packed.reveal())
        if not isinstance(parts, list) or len(parts) != _PARTS:
            return None
        title, what, secret, back, until = parts
        return cls(title, what, Secret(secret), back, datetime.fromisoformat(until) if until else None)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What waits: its ticket, and when it expires by the monotonic clock."""

    ticket: str
    ends_at: float
    kept: Kept


class Tickets(Protocol):
    """All that waits, at the server or at all servers that share a store."""

    async def put(self, session_id: str, token: Secret, kept: Kept, *, seconds: float = SHOWN_SOON) -> str:
        """Keep something for a session, and return its ticket.

        Args:
            session_id: the public id of the session.
            token: its token.
            kept: what is kept.
            seconds: how long it is kept.

        Raises:
            StoreUnavailable: it could not be kept.
        """
        ...

    async def waits(self, session_id: str, ticket: str) -> bool:
        """Return whether a ticket of a session can be used.

        Raises:
            StoreUnavailable: it is not known.
        """
        ...

    async def take(self, session_id: str, token: Secret, ticket: str, kind: type[_K]) -> _K | None:
        """Return and remove what is kept for a ticket.

        Args:
            session_id: the public id of the session.
            token: its token.
            ticket: the ticket.
            kind: what kind of thing is wanted.

        Returns:
            None if the ticket belongs to another session or to another kind of thing, was used, or has expired.

        Raises:
            StoreUnavailable: it is not known whether there is one.
        """
        ...


class MemoryTickets:
    """Implements `Tickets` in memory, for a single server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[tuple[str, float], deque[_Waiting]] = {}

    async def put(self, session_id: str, _token: Secret, kept: Kept, *, seconds: float = SHOWN_SOON) -> str:
        self._forget_old()
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        waiting = self._waiting.setdefault((session_id, seconds), deque(maxlen=_MOST))
        waiting.append(_Waiting(ticket, self._clock() + seconds, kept))
        return ticket

    async def waits(self, session_id: str, ticket: str) -> bool:
        return self._find(session_id, ticket) is not None

    async def take(self, session_id: str, _token: Secret, ticket: str, kind: type[_K]) -> _K | None:
        found = self._find(session_id, ticket)
        if found is None:
            return None
        waiting, each = found
        waiting.remove(each)
        return each.kept if isinstance(each.kept, kind) else None

    def _find(self, session_id: str, ticket: str) -> tuple[deque[_Waiting], _Waiting] | None:
        self._forget_old()
        given = ticket.encode("utf-8", "surrogatepass")
        for (session, _), waiting in self._waiting.items():
            for each in waiting if session == session_id else ():
                if secrets.compare_digest(each.ticket.encode(), given):
                    return waiting, each
        return None

    def _forget_old(self) -> None:
        now = self._clock()
        for session, waiting in list(self._waiting.items()):
            while waiting and waiting[0].ends_at <= now:
                waiting.popleft()
            if not waiting:
                del self._waiting[session]


class StoredTickets:
    """Implements `Tickets` in a store that other servers share, any of which may be asked.

    What waits is stored sealed: only who presents the token of its session and the ticket can read it, and the store
    has only digests of both.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Take where they are kept.

        Args:
            store: holds them.
            clock: returns seconds since the epoch.
        """
        self._store = store
        self._clock = clock

    async def put(self, session_id: str, token: Secret, kept: Kept, *, seconds: float = SHOWN_SOON) -> str:
        ticket, now = secrets.token_urlsafe(_TICKET_BYTES), self._clock()
        # What ends within a minute is counted apart, so that no secret is lost among tickets that wait for long.
        ends_after = now if seconds <= SHOWN_SOON else now + SHOWN_SOON
        async with self._store.transaction() as transaction:
            await transaction.sessions.remove_secrets(
                session_id, now=now, most=_MOST - 1, among=(ends_after, now + seconds)
            )
            await transaction.sessions.put_secret(
                _digest(ticket),
                session_id,
                _key(token, ticket).seal(kept.packed(), about=session_id),
                ends_at=now + seconds,
            )
            await transaction.commit()
        return ticket

    async def waits(self, session_id: str, ticket: str) -> bool:
        return await self._store.secret_waits(_digest(ticket), session_id, now=self._clock())

    async def take(self, session_id: str, token: Secret, ticket: str, kind: type[_K]) -> _K | None:
        async with self._store.transaction() as transaction:
            found = await transaction.sessions.take_secret(_digest(ticket), session_id, now=self._clock())
            # Before it is used, so that no other server uses it too.
            await transaction.commit()
        packed = None if found is None else _key(token, ticket).open(found, about=session_id)
        return None if packed is None else kind.unpacked(packed)


def _key(token: Secret, ticket: str) -> SealingKey:
    """Return the key of one secret, which takes both its session's token and its ticket."""
    return SealingKey(token, purpose=f"kiteward: a secret shown once, by the ticket {ticket}")


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
