"""Sessions of the console, under digests of their tokens. Those that servers share are in `stored_sessions`."""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from kiteward.authn.session_rules import SessionRules
from kiteward.authn.sign_in import SignIn
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import KeyRejected, LimitReached, SessionEnded
from kiteward.domain.identity import Secret
from kiteward.store.provider_records import ProviderLogout
from kiteward.store.records import SessionRecord
from kiteward.store.transaction import Transaction

_TOKEN_BYTES: Final = 32

LOGOUTS_KEPT: Final = 900.0
"""Seconds for which the notice of a provider that a user has signed out there ends sign-ins that are in progress."""

OpenChange = Callable[[], AbstractAsyncContextManager[Transaction]]
"""Opens the transaction of a change, which is in force on every server when it has ended."""


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
            KeyRejected: the user has signed out at the identity provider meanwhile.
            PasswordRejected: the user was changed since the sign-in was verified.
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

    async def end_by_provider(self, logout: ProviderLogout) -> Sequence[str]:
        """End the sessions that the notice of an identity provider is about, on every server, and sign-ins in progress.

        Returns:
            The users whose sessions have ended, sorted.

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
        self._logouts: list[tuple[float, ProviderLogout]] = []

    def change_by(self, change: OpenChange) -> None:
        """Do nothing: no store has them."""

    async def begin(self, sign_in: SignIn) -> Secret:
        if any(logout.ends(sign_in.provider) for _, logout in self._logouts):
            raise signed_out_meanwhile()
        own = sorted(await self.of(sign_in.user_name), key=lambda session: session.used_at)
        self._end([session.session_id for session in own[: max(0, len(own) + 1 - self.rules.per_user)]])
        if len(self._by_digest) >= self.rules.total:
            raise too_many_sessions()
        token, record = new_token(), sign_in.begun(self._clock())
        self._by_digest[digest_of(token)] = Session(record, record.used_at)
        return token

    async def find(self, token: Secret) -> Session:
        # The look-up is by digest, so that its duration reveals nothing about the token.
        session = self._by_digest.get(digest_of(token))
        if session is not None and self._is_over(session):
            self._end([session.session_id])
            session = None
        if session is None:
            raise session_ended()
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

    async def end_by_provider(self, logout: ProviderLogout) -> Sequence[str]:
        now = self._clock()
        self._logouts = [(at, each) for at, each in self._logouts if at > now - LOGOUTS_KEPT and each != logout]
        self._logouts.append((now, logout))
        ended = [session for session in self._by_digest.values() if logout.ends(session.record.sign_in)]
        self._end([session.session_id for session in ended])
        return sorted({session.user_name for session in ended})

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
        return self._clock() >= self.rules.ends_at(session.began_at, session.used_at)

    def _remove_ended(self) -> None:
        self._end([session.session_id for session in self._by_digest.values() if self._is_over(session)])


def new_token() -> Secret:
    """Return a random token of a session."""
    return Secret(secrets.token_urlsafe(_TOKEN_BYTES))


def digest_of(token: Secret) -> str:
    """Return the digest of a token, under which its session is kept; revealed because a digest reveals nothing."""
    return hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def session_ended() -> SessionEnded:
    """Return the refusal of a session that there is not, or no more."""
    return SessionEnded("the session has ended: sign in again")


def signed_out_meanwhile() -> KeyRejected:
    """Return the refusal of a sign-in whose user has signed out at the identity provider before it was finished."""
    return KeyRejected(
        "the user has signed out at the identity provider: sign in again",
        ErrorDetail(ErrorCode.SIGN_IN_ENDED_THERE),
        reason="the identity provider has ended the session meanwhile",
    )


def too_many_sessions() -> LimitReached:
    """Return the refusal of a session beyond the most that there may be."""
    return LimitReached(
        "too many users are signed in: wait until some have signed out", ErrorDetail(ErrorCode.SESSIONS_LIMIT)
    )
