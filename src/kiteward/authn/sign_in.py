"""A sign-in to the console: what began it, and what comes of it."""

import secrets
from dataclasses import dataclass
from typing import Final

from kiteward.domain.identity import Secret
from kiteward.store.provider_records import ProviderSignIn
from kiteward.store.records import SessionRecord

MOST_DESCRIPTION: Final = 200
"""Most characters of how a browser describes itself."""

AT_PROVIDER: Final = "provider"
"""The `factor` of a sign-in at an identity provider: second factors are presented there."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that was verified.

    Attributes:
        user_name, verified_id, current_id, address, description, factor: as of `SessionRecord`.
        provider: the sign-in at an identity provider; None if it was with a password.
    """

    user_name: str
    verified_id: str
    current_id: str
    address: str
    description: str
    provider: ProviderSignIn | None = None
    factor: str = ""

    def begun(self, now: float) -> SessionRecord:
        """Return a new session of it, with a random id."""
        return SessionRecord(
            secrets.token_hex(8),
            self.user_name,
            self.verified_id,
            self.current_id,
            self.address,
            self.description[:MOST_DESCRIPTION],
            now,
            now,
            factor=self.factor,
            sign_in=self.provider,
        )


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """What a verified sign-in has led to: one of the two.

    Attributes:
        token: of a session; None while a second factor is to be presented.
        ticket: for presenting it; None where there is a session.
    """

    token: Secret | None = None
    ticket: Secret | None = None
