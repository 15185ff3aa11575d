"""Sessions of the console. They are kept in memory under digests and end when the server stops."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import LimitReached, SessionEnded
from kiteward.domain.identity import Secret

_TOKEN_BYTES: Final = 32
_MOST_DESCRIPTION: Final = 200


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


@dataclass(slots=True)
class Session:
    """One session. Its token is in the browser's cookie alone.

    Attributes:
        session_id: the public id, for lists and for ending it.
        user_name: the user who signed in.
        verified_id: id of the stored credential that the password matched.
        current_id: id of the user's current credential at sign-in; another one ends the session.
        address: where the sign-in came from, as `host:port`.
        description: how the browser describes itself.
        began_at, used_at: seconds since the epoch.
    """

    session_id: str
    user_name: str
    verified_id: str
    current_id: str
    address: str
    description: str
    began_at: float
    used_at: float


class Sessions:
    """All sessions of this server."""

    def __init__(self, rules: SessionRules | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.rules = rules or SessionRules()
        self._clock = clock
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, user_name: str, verified_id: str, current_id: str, *, address: str, description: str) -> Secret:
        """Begin a session and return its token, of which only the digest is kept.

        Raises:
            LimitReached: there are too many already.
        """
        self._remove_ended()
        own = sorted(self.of(user_name), key=lambda session: session.used_at)
        for session in own[: max(0, len(own) + 1 - self.rules.per_user)]:
            self.end(session.session_id)
        if len(self._by_digest) >= self.rules.total:
            raise LimitReached(
                "too many users are signed in: wait until some have signed out", ErrorDetail(ErrorCode.SESSIONS_LIMIT)
            )
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        self._by_digest[_digest(token)] = Session(
            secrets.token_hex(8),
            user_name,
            verified_id,
            current_id,
            address,
            description[:_MOST_DESCRIPTION],
            now,
            now,
        )
        return Secret(token)

    def find(self, token: Secret) -> Session:
        """Return the session of a token.

        Raises:
            SessionEnded: there is none, or it has expired.
        """
        # The look-up is by digest, so that its duration reveals nothing about the token.
        digest = _digest(token.reveal())
        session = self._by_digest.get(digest)
        if session is not None and self._is_over(session):
            del self._by_digest[digest]
            session = None
        if session is None:
            raise SessionEnded("the session has ended: sign in again")
        return session

    def touch(self, session: Session) -> None:
        """Record that a session is used now."""
        session.used_at = self._clock()

    def of(self, user_name: str) -> list[Session]:
        """Return a user's sessions, the latest first."""
        self._remove_ended()
        found = [session for session in self._by_digest.values() if session.user_name == user_name]
        return sorted(found, key=lambda session: session.began_at, reverse=True)

    def get(self, session_id: str) -> Session | None:
        """Return the session with a public id, or None if there is none or it has expired."""
        self._remove_ended()
        return next((each for each in self._by_digest.values() if each.session_id == session_id), None)

    def end(self, session_id: str) -> None:
        """End the session with a public id; no effect if there is none."""
        for digest, session in list(self._by_digest.items()):
            if session.session_id == session_id:
                del self._by_digest[digest]

    def count(self) -> int:
        """Return the number of sessions that have not expired."""
        self._remove_ended()
        return len(self._by_digest)

    def ends_at(self, session: Session) -> float:
        """Return when a session expires if it is not used, in seconds since the epoch."""
        return min(session.used_at + self.rules.idle, session.began_at + self.rules.lifetime)

    def _is_over(self, session: Session) -> bool:
        return self._clock() >= self.ends_at(session)

    def _remove_ended(self) -> None:
        for digest, session in list(self._by_digest.items()):
            if self._is_over(session):
                del self._by_digest[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
