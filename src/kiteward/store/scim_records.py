"""What the store keeps of users and groups that identity providers manage by SCIM."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

SCIM_ISSUER: Final = "scim"
"""Stands for an issuer where roles are given to groups that SCIM manages."""


class ScimGroupName(NamedTuple):
    """A group as its members know it."""

    group_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ScimUserRecord:
    """A user whom SCIM manages.

    Attributes:
        scim_id: the id for SCIM clients.
        user_name: the user in Kiteward.
        login: `userName`, the name at the identity provider.
        external_id: the id that the client gave it, or None.
        active: whether the client wants it to be active.
        attributes: the other attributes, by their names in the schema.
        created_at, changed_at: seconds since the epoch.
        enabled: whether the user may authenticate.
        groups: its groups, sorted by id.
        deactivated: whether it was SCIM that disabled the user, and nobody has enabled or disabled it since.
    """

    scim_id: str
    user_name: str
    login: str
    external_id: str | None
    active: bool
    attributes: Mapping[str, Any] = field(hash=False)
    created_at: float = 0.0
    changed_at: float = 0.0
    enabled: bool = True
    groups: tuple[ScimGroupName, ...] = ()
    deactivated: bool = False


class ScimMember(NamedTuple):
    """A member of a group: the id of a user, and its name in Kiteward."""

    scim_id: str
    user_name: str


@dataclass(frozen=True, slots=True)
class ScimGroupRecord:
    """A group that SCIM manages.

    Attributes:
        group_id: the id for SCIM clients.
        display_name: its name.
        external_id: the id that the client gave it, or None.
        created_at, changed_at: seconds since the epoch.
    """

    group_id: str
    display_name: str
    external_id: str | None
    created_at: float = 0.0
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ScimSelection:
    """Which users or groups to read, sorted by id. None leaves a criterion out.

    Attributes:
        key: the `userName` or `displayName`, in any case.
        external_id: the client's id.
        resource_id: the id.
        member: groups: the id of a member.
        after: only ids that sort after this one.
        offset: leaves out so many.
        limit: at most so many; None for all.
    """

    key: str | None = None
    external_id: str | None = None
    resource_id: str | None = None
    member: str | None = None
    after: str = ""
    offset: int = 0
    limit: int | None = None
