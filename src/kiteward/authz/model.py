"""The parts of the policy: roles, grants and privilege groups as they are stored and listed."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kiteward.authz.privileges import ObjectType
from kiteward.domain.request_limits import RequestLimits

if TYPE_CHECKING:
    from kiteward.authz.row_policies import ProtectedCollection

ADMIN_ROLE: Final = "admin"
"""Its holders may do everything; it has no stored grants (contract 4.7)."""

PUBLIC_ROLE: Final = "public"
"""Implicit for every user (contract 4.7)."""

BUILT_IN_ROLES: Final = (ADMIN_ROLE, PUBLIC_ROLE)


@dataclass(frozen=True, slots=True)
class Role:
    """A named holder of grants.

    Attributes:
        name: its name.
        description: free text.
        limits: the limits of the requests of each user who holds it.
    """

    name: str
    description: str = ""
    limits: RequestLimits = field(default_factory=RequestLimits)


@dataclass(frozen=True, slots=True, order=True)
class GrantKey:
    """The identity of a grant within its role. The order is the one in which SelectGrant lists grants (contract 2.4).

    Attributes:
        object_type: v1 object type; Global for groups, `*` given by V2 and privileges unknown to v1 (contract 4.12).
        db_name: a database or `*`.
        object_name: a collection, a user or `*`.
        privilege: a privilege, a group, `All` or `*`.
    """

    object_type: ObjectType
    db_name: str
    object_name: str
    privilege: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege on a resource given to a role. Grants only allow; there is no deny grant.

    Attributes:
        role: the role that holds it.
        key: what is granted.
        grantor: the user who granted it first; granting it again does not change this (contract 4.1).
        kept_for: for a kept grant, the user who dropped its collection (decision 0030). The grant is deleted when
            another user creates a collection of that name. None for other grants.
    """

    role: str
    key: GrantKey
    grantor: str
    kept_for: str | None = None


@dataclass(frozen=True, slots=True)
class PrivilegeGroup:
    """A custom privilege group: a named set of privilege names, sorted."""

    name: str
    privileges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """All roles, grants, groups and protected collections at one revision, as the store holds them."""

    revision: int
    roles: tuple[Role, ...]
    grants: tuple[Grant, ...]
    groups: tuple[PrivilegeGroup, ...]
    protected: "tuple[ProtectedCollection, ...]" = ()
