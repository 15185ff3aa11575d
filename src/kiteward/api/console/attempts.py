"""Sign-ins at an identity provider that a browser has begun and not finished. The browser alone has them, in a cookie.

State, nonce and code verifier are derived from one random secret in the cookie and from everything else that belongs to
the attempt. Whoever lacks the cookie cannot finish it, and whoever changes anything in it does not either: the state
that the provider returns is another one then. No server keeps anything, so that any of those behind one name finishes
what another one began, and unauthenticated clients cannot fill a store.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Final, Self

from kiteward.domain.identity import Secret

LIFETIME: Final = 600
"""Seconds that a user may take at the identity provider."""

_SECRET_BYTES: Final = 32
_PARTS: Final = 3
_MOST_COOKIE: Final = 2_048
_MARK: Final = 12
"""Characters of the state by which the cookie of an attempt is found among several."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in that was begun.

    Attributes:
        provider: the name of the identity provider.
        secret: 256 random bits.
        began_at: when it began, in whole seconds since the epoch.
        back_to: the page to show after it.
    """

    provider: str
    secret: Secret
    began_at: int
    back_to: str

    @classmethod
    def begin(cls, provider: str, back_to: str, *, now: float) -> Self:
        """Return a new attempt.

        Args:
            provider: the name of the identity provider.
            back_to: the page to show after it.
            now: seconds since the epoch.
        """
        return cls(provider, Secret(secrets.token_urlsafe(_SECRET_BYTES)), int(now), back_to)

    @classmethod
    def finish(cls, provider: str, cookie: str, *, state: str, now: float) -> Self | None:
        """Return the attempt of a cookie, if it is the one that an answer belongs to.

        Args:
            provider: the name of the identity provider that answers.
            cookie: the value of the cookie.
            state: the state in the answer.
            now: seconds since the epoch.

        Returns:
            None if the cookie has another attempt or none, if it was changed, or if the attempt is too old.
        """
        parts = cookie.split(".")
        if len(cookie) > _MOST_COOKIE or len(parts) != _PARTS or not parts[1].isdecimal():
            return None
        try:
            back_to = base64.urlsafe_b64decode(parts[2]).decode()
        except ValueError:
            return None
        attempt = cls(provider, Secret(parts[0]), int(parts[1]), back_to)
        ours = hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "surrogatepass"))
        return attempt if ours and now < attempt.began_at + LIFETIME else None

    @property
    def cookie(self) -> Secret:
        """The value of its cookie."""
        back_to = base64.urlsafe_b64encode(self.back_to.encode()).decode()
        return Secret(f"{self.secret.reveal()}.{self.began_at}.{back_to}")

    @property
    def state(self) -> str:
        """What the provider returns with its answer, so that only the browser that began it can finish it."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the ID token must contain, so that it was issued for this attempt."""
        return self._derived("nonce")

    @property
    def verifier(self) -> Secret:
        """The code verifier (RFC 7636, 4.1): without it, nobody gets anything for the authorization code."""
        return Secret(self._derived("code verifier"))

    @property
    def challenge(self) -> str:
        """The code challenge of the method S256 (RFC 7636, 4.2)."""
        return _text(hashlib.sha256(self.verifier.reveal().encode()).digest())

    def _derived(self, purpose: str) -> str:
        name = json.dumps([purpose, self.provider, self.began_at, self.back_to]).encode()
        return _text(hmac.digest(self.secret.reveal().encode("utf-8", "surrogatepass"), name, "sha256"))


def mark_of(state: str) -> str:
    """Return what the name of the cookie of an attempt ends with: several may be in progress in one browser.

    Args:
        state: the state of the attempt, or one that an answer claims.
    """
    return state[:_MARK]


def _text(digest: bytes) -> str:
    """Return a digest in base64url without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
