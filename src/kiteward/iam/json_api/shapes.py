"""Parts that several responses share."""

from datetime import UTC, datetime
from typing import Self

from kiteward.authz.model import Grant
from kiteward.domain.identity import FederatedName
from kiteward.iam.json_api.base import Outcome


class Changed(Outcome):
    """Whether a change has changed anything: what is to be removed may not have been there."""

    changed: bool


class HeldGrant(Outcome):
    """One grant of a role."""

    role: str
    object_type: str
    db_name: str
    object_name: str
    privilege: str

    @classmethod
    def of(cls, grant: Grant) -> Self:
        """Return a grant in the form of a response."""
        key = grant.key
        return cls(
            role=grant.role,
            object_type=key.object_type.value,
            db_name=key.db_name,
            object_name=key.object_name,
            privilege=key.privilege,
        )


def moment(seconds: float | None) -> datetime | None:
    """Return seconds since the epoch as a time in UTC, rounded down to whole seconds."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)


def issuer_of(identity: FederatedName | None) -> str | None:
    """Return the identity provider of a federated user; None for a local one."""
    return None if identity is None else identity.issuer


def subject_of(identity: FederatedName | None) -> str | None:
    """Return who a federated user is there; None for a local one, and for one who has not signed in yet."""
    return None if identity is None else identity.subject or None
