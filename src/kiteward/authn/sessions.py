"""Sessions of the console, under digests of their tokens: in memory, or in the store where other servers share it."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from kiteward.authn.password_verifier import WRONG_PASSWORD
from kiteward.authn.sign_in import SignIn
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import LimitReached, PasswordRejected, SessionEnded
from kiteward.domain.identity import Secret
from kiteward.store.base import Store
from kiteward.store.records import SessionRecord
from kiteward.store.transaction import Transaction

_TOKEN_BYTES: Final = 32
_LAST_USE_IS_LATE: Final = 60.0
"""Seconds for which a stored session that is over is kept: other servers may have used it meanwhile."""

OpenChange = Callable[[], AbstractAsyncContextManager[Transaction]]
"""Opens the transaction of a change, which is in force on every server when it has ended."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a session may last, and how many there may be.

    Attributes:
        idle: seconds without a request after which it ends, `kiteward.console.idleTimeout`.
        lifetime: seconds after which it ends in any case, `kiteward.console.sessionLifetime`.
        per_user: most sessions of one user; a further one ends the one that was idle longest.
        total: most sessions of all users.
    """

    idle: float = 30 * 60
    lifetime: float = 12 * 3600
    per_user: int = 50
    total: int = 10_000

    def ends_at(self, session: "Session") -> float:
        """Return when a session expires if it is not used, in seconds since the epoch."""
        return min(session.used_at + self.idle, session.began_at + self.lifetime)


@dataclass(slots=True)
class Session:
    """One session, as a server holds it. Its token is in the browser's cookie alone.

    Attributes:
        record: what it is, with the last use that is stored.
        used_at: when it was last used, in seconds since the epoch.
        ended: whether it is held no more: it has ended, or may have.
    """

    record: SessionRecord
    used_at: float
    ended: bool = False

    @property
    def session_id(self) -> str:
        """The public id."""
        return self.record.session_id

    @property
    def user_name(self) -> str:
        """The user who signed in."""
        return self.record.user_name

    @property
    def began_at(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.record.began_at


class Sessions(Protocol):
    """All sessions of the server, or of all servers that share a store.

    Whether their users may still sign in is not checked here.
    """

    @property
    def rules(self) -> SessionRules:
        """How long they last, and how many there may be."""
        ...

    def change_by(self, change: OpenChange) -> None:
        """Set what changes the store."""
        ...

    async def begin(self, sign_in: SignIn) -> Secret:
        """Begin a session and return its token, of which only the digest is kept.

        Raises:
            LimitReached: there are too many already.
            PasswordRejected: the user was changed since the password was verified.
            StoreUnavailable: it could not be stored.
        """
        ...

    async def find(self, token: Secret) -> Session:
        """Return the session of a token.

        Raises:
            SessionEnded: there is none, or it has expired.
            StoreUnavailable: it cannot be read.
        """
        ...

    def touch(self, session: Session) -> None:
        """Record that a session is used now."""
        ...

    def refuse(self, session: Session) -> None:
        """Take note that a session was refused because of its user."""
        ...

    async def of(self, user_name: str) -> Sequence[Session]:
        """Return a user's sessions, the latest first."""
        ...

    async def get(self, session_id: str) -> Session | None:
        """Return the session with a public id, or None if there is none or it has expired."""
        ...

    async def end(self, session_ids: Collection[str]) -> None:
        """End the sessions with these public ids, on every server; no effect where there is none.

        Raises:
            StoreUnavailable: it could not be stored.
        """
        ...

    async def count(self) -> int:
        """Return the number of sessions."""
        ...

    def forget(self, user_names: Collection[str] | None) -> None:
        """Read the sessions of these users, or of all where None, from the store again: they may have ended."""
        ...

    def take_last_used(self) -> Mapping[str, float]:
        """Return when sessions were last used since the previous call, by id, for the store."""
        ...

    def return_last_used(self, used: Mapping[str, float]) -> None:
        """Restore what could not be stored. Later times take precedence."""
        ...


class MemorySessions:
    """Implements `Sessions` in memory: they end when the server stops."""

    def __init__(self, rules: SessionRules | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.rules = rules or SessionRules()
        self._clock = clock
        self._by_digest: dict[str, Session] = {}

    def change_by(self, change: OpenChange) -> None:
        """Do nothing: no store has them."""

    async def begin(self, sign_in: SignIn) -> Secret:
        own = sorted(await self.of(sign_in.user_name), key=lambda session: session.used_at)
        self._end([session.session_id for session in own[: max(0, len(own) + 1 - self.rules.per_user)]])
        if len(self._by_digest) >= self.rules.total:
            raise _too_many()
        token, record = secrets.token_urlsafe(_TOKEN_BYTES), sign_in.begun(self._clock())
        self._by_digest[_digest(token)] = Session(record, record.used_at)
        return Secret(token)

    async def find(self, token: Secret) -> Session:
        # The look-up is by digest, so that its duration reveals nothing about the token.
        session = self._by_digest.get(_digest(token.reveal()))
        if session is not None and self._is_over(session):
            self._end([session.session_id])
            session = None
        if session is None:
            raise _ended()
        return session

    def touch(self, session: Session) -> None:
        session.used_at = self._clock()

    def refuse(self, session: Session) -> None:
        """End it: its user was changed."""
        self._end([session.session_id])

    async def of(self, user_name: str) -> Sequence[Session]:
        self._remove_ended()
        found = [session for session in self._by_digest.values() if session.user_name == user_name]
        return sorted(found, key=lambda session: session.began_at, reverse=True)

    async def get(self, session_id: str) -> Session | None:
        self._remove_ended()
        return next((each for each in self._by_digest.values() if each.session_id == session_id), None)

    async def end(self, session_ids: Collection[str]) -> None:
        self._end(session_ids)

    async def count(self) -> int:
        self._remove_ended()
        return len(self._by_digest)

    def forget(self, user_names: Collection[str] | None) -> None:
        """Do nothing: they are nowhere else."""

    def take_last_used(self) -> Mapping[str, float]:
        return {}

    def return_last_used(self, used: Mapping[str, float]) -> None:
        """Do nothing: nothing is taken."""

    def _end(self, session_ids: Collection[str]) -> None:
        for digest, session in list(self._by_digest.items()):
            if session.session_id in session_ids:
                del self._by_digest[digest]
                session.ended = True

    def _is_over(self, session: Session) -> bool:
        return self._clock() >= self.rules.ends_at(session)

    def _remove_ended(self) -> None:
        self._end([session.session_id for session in self._by_digest.values() if self._is_over(session)])


class StoredSessions:
    """Implements `Sessions` in a store that other servers share. Those in use are cached.

    INVARIANT: a cached session was read after the last change of its user that this server has applied. The end of a
    session is such a change, so that no server accepts it after that was acknowledged.

    When a session was last used is stored now and then (`take_last_used`), not at every request.
    """

    def __init__(
        self, store: Store, rules: SessionRules | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Set up an empty cache.

        Args:
            store: holds the sessions.
            rules: how long they last, and how many there may be.
            clock: returns seconds since the epoch.
        """
        self.rules = rules or SessionRules()
        self._store = store
        self._clock = clock
        self._change: OpenChange = store.transaction
        self._cached: OrderedDict[str, Session] = OrderedDict()
        self._digests_of: dict[str, set[str]] = {}
        self._forgets = 0
        self._used: dict[str, float] = {}

    def change_by(self, change: OpenChange) -> None:
        self._change = change

    async def begin(self, sign_in: SignIn) -> Secret:
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        async with self._change() as transaction:
            user = await transaction.users.get(sign_in.user_name)
            if user is None or user.credential_id != sign_in.current_id or (user.second_factor and not sign_in.factor):
                raise PasswordRejected(WRONG_PASSWORD, reason="the user was changed in the meantime")
            await transaction.sessions.remove_over(
                used_before=now - self.rules.idle - _LAST_USE_IS_LATE,
                began_before=now - self.rules.lifetime - _LAST_USE_IS_LATE,
            )
            own = sorted(await transaction.sessions.of(sign_in.user_name), key=lambda session: session.used_at)
            idle = [session.session_id for session in own[: max(0, len(own) + 1 - self.rules.per_user)]]
            if idle:
                await transaction.sessions.end(idle)
            if await transaction.sessions.count() >= self.rules.total:
                raise _too_many()
            await transaction.sessions.add(_digest(token), sign_in.begun(now))
        return Secret(token)

    async def find(self, token: Secret) -> Session:
        # The look-up is by digest, so that its duration reveals nothing about the token.
        digest = _digest(token.reveal())
        session = self._cached.get(digest)
        if session is None or self._is_over(session):
            # Another server may have begun or used it meanwhile.
            session = await self._read(digest)
        if session is None or self._is_over(session):
            self._drop(digest)
            raise _ended()
        self._cached.move_to_end(digest)
        return session

    def touch(self, session: Session) -> None:
        session.used_at = self._used[session.session_id] = self._clock()

    def refuse(self, session: Session) -> None:
        """Do nothing: this server may not have applied yet the change of the user after which the session began."""

    async def of(self, user_name: str) -> Sequence[Session]:
        stored = map(self._latest, await self._store.sessions_of(user_name))
        return [session for session in stored if not self._is_over(session)]

    async def get(self, session_id: str) -> Session | None:
        record = await self._store.session_named(session_id)
        session = None if record is None else self._latest(record)
        return None if session is None or self._is_over(session) else session

    async def end(self, session_ids: Collection[str]) -> None:
        async with self._change() as transaction:
            await transaction.sessions.end(list(session_ids))

    async def count(self) -> int:
        return await self._store.session_count()

    def forget(self, user_names: Collection[str] | None) -> None:
        self._forgets += 1
        for name in list(self._digests_of) if user_names is None else user_names:
            for digest in list(self._digests_of.get(name, ())):
                self._drop(digest)

    def take_last_used(self) -> Mapping[str, float]:
        used, self._used = self._used, {}
        return used

    def return_last_used(self, used: Mapping[str, float]) -> None:
        self._used = {**used, **self._used}

    async def _read(self, digest: str) -> Session | None:
        """Read a session into the cache; again if any was removed from it meanwhile, because it may have ended."""
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.session(digest)
        self._drop(digest)
        if record is None:
            return None
        session = self._cached[digest] = self._latest(record)
        self._digests_of.setdefault(session.user_name, set()).add(digest)
        while len(self._cached) > self.rules.total:
            self._drop(next(iter(self._cached)))
        return session

    def _drop(self, digest: str) -> None:
        session = self._cached.pop(digest, None)
        if session is None:
            return
        session.ended = True
        digests = self._digests_of[session.user_name]
        digests.discard(digest)
        if not digests:
            del self._digests_of[session.user_name]

    def _latest(self, record: SessionRecord) -> Session:
        """Return a stored session; this server may know of a later use."""
        return Session(record, max(record.used_at, self._used.get(record.session_id, record.used_at)))

    def _is_over(self, session: Session) -> bool:
        return self._clock() >= self.rules.ends_at(session)


def _ended() -> SessionEnded:
    return SessionEnded("the session has ended: sign in again")


def _too_many() -> LimitReached:
    return LimitReached(
        "too many users are signed in: wait until some have signed out", ErrorDetail(ErrorCode.SESSIONS_LIMIT)
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
