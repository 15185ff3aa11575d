"""Active users: their credential ids, and the principals of those credentials."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from kiteward.authn.principals import block_of_user
from kiteward.domain.identity import Principal
from kiteward.store.identity_records import IdentityRecord
from kiteward.store.records import PreviousSecret, UserRecord


@dataclass(frozen=True, slots=True)
class CachedUser:
    """A cached user.

    Attributes:
        credential_id: the current credential; None while the user is disabled or locked.
        previous: the previous credential, while it is accepted.
        principal: the principal of the current credential.
        before: the principal of the previous credential.
        identity: whom tokens sign in as the user; None for a local user.
        second_factor: whether the user has a second factor for the console.
    """

    credential_id: str | None
    previous: PreviousSecret | None
    principal: Principal
    before: Principal
    identity: IdentityRecord | None = None
    second_factor: bool = False

    @classmethod
    def of(cls, record: UserRecord, principal: Principal) -> Self:
        """Return the cache entry of a user with this principal."""
        credential_id = record.credential_id if block_of_user(record) is None else None
        previous = record.previous
        current = replace(principal, credential=fingerprint(record.credential_id), one_time=record.one_time)
        before = replace(principal, credential=fingerprint(previous.credential_id)) if previous else current
        return cls(credential_id, previous, current, before, record.identity, record.second_factor)

    def principal_for(self, credential_id: str, clock: Callable[[], float]) -> Principal | None:
        """Return the principal of a verified credential, or None if it is no longer one of the user's."""
        if credential_id == self.credential_id:
            return self.principal
        previous = self.previous
        if self.credential_id is None or previous is None or credential_id != previous.credential_id:
            return None
        return self.before if clock() < previous.valid_until else None


def fingerprint(credential_id: str) -> str:
    """Return a short text that differs between the passwords of a user and reveals nothing about them."""
    return f"password:{credential_id[:8]}"
