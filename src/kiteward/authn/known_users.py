"""Users that are active: which credentials are theirs, and the principals those make."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from kiteward.authn.subjects import closed_user
from kiteward.domain.identity import Principal
from kiteward.store.base import FormerSecret, UserRecord


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What is known of a user while it is active.

    Attributes:
        credential_id: the current credential; None while the user is disabled or locked.
        former: the credential before it, while it is accepted.
        principal: what the current one makes.
        before: what the former one makes.
    """

    credential_id: str | None
    former: FormerSecret | None
    principal: Principal
    before: Principal

    @classmethod
    def of(cls, record: UserRecord, principal: Principal) -> Self:
        """Return what is to be known of a user that makes this principal."""
        credential_id = record.credential_id if closed_user(record) is None else None
        former = record.former
        current = replace(principal, credential=_fingerprint(record.credential_id), one_time=record.one_time)
        before = replace(principal, credential=_fingerprint(former.credential_id)) if former else current
        return cls(credential_id, former, current, before)

    def opened_by(self, credential_id: str, clock: Callable[[], float]) -> Principal | None:
        """Return the principal of a verified credential, or None if it is not one of the user's any more."""
        if credential_id == self.credential_id:
            return self.principal
        former = self.former
        if self.credential_id is None or former is None or credential_id != former.credential_id:
            return None
        return self.before if clock() < former.valid_until else None


def _fingerprint(credential_id: str) -> str:
    """Return what tells one password of a user from the next in the record, and reveals nothing of either."""
    return f"password:{credential_id[:8]}"
