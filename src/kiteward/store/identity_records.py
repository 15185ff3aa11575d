"""What the store keeps of users whom tokens of identity providers sign in."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClaimedRights:
    """What the token of a federated user's last sign-in said about rights.

    Attributes:
        groups: names of groups, sorted.
        roles: names of roles, sorted; only those that the issuer may give.
        tags: tags by key, sorted.
    """

    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """Whom the tokens of an identity provider sign in as a user. A user has at most one identity, and no password then.

    Attributes:
        user_name: the user.
        issuer: the issuer of the tokens, as their claim `iss` says it.
        subject: their claim `sub`; None for a user who was invited and has not signed in yet.
        created_at: when it was created, in seconds since the epoch.
        rights: as of the last sign-in.
        not_before: no token issued before this moment is accepted, in seconds since the epoch; 0 for any.
    """

    user_name: str
    issuer: str
    subject: str | None
    created_at: float
    rights: ClaimedRights = field(default_factory=ClaimedRights)
    not_before: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class GroupRole:
    """A role that membership in a group of an identity provider gives.

    Attributes:
        issuer: the issuer whose tokens name the group; `scim` for groups that were provisioned by SCIM.
        group: the name of the group, or a pattern in which `*` stands for any characters.
        is_pattern: whether it is a pattern.
        role: the role.
    """

    issuer: str
    group: str
    is_pattern: bool
    role: str
