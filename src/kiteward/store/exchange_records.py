"""What the store keeps of the exchange that an API key came of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kiteward.store.identity_records import ClaimedRights


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token of an issuer, as much as a cut-off needs to know of it.

    Attributes:
        issuer: who issued it.
        issued_at: when, in seconds since the epoch.
    """

    issuer: str
    issued_at: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange that an API key came of (RFC 8693): a service presented a credential of the key's owner.

    The API key that it presented for the owner is the `made_by_key` of the key.

    Attributes:
        actor: the service, which acts with the key for its owner.
        actor_key: the id of the API key that the service authenticated with, or None.
        actor_token: the token that the service authenticated with, or None.
        subject_token: the token that it presented for the owner, or None.
        subject_rights: what that token said about rights, which the key has besides those of its owner.
        kept_tags: the tags that the key has of its owner, and of the key that it descends from: each as long as these
            have it with this value.
    """

    actor: str
    actor_key: str | None = None
    actor_token: IssuedToken | None = None
    subject_token: IssuedToken | None = None
    subject_rights: ClaimedRights = field(default_factory=ClaimedRights)
    kept_tags: Mapping[str, str] = field(default_factory=dict, hash=False)
