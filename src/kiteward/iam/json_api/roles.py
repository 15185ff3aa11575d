"""Roles, as lists show them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kiteward.authz.model import BUILT_IN_ROLES, PUBLIC_ROLE
from kiteward.iam.json_api.base import AdminOperation, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, cut, matches, part_of
from kiteward.iam.roles import ListedRole, list_roles
from kiteward.iam.services import Services


class RoleListing(ListArguments):
    """Selects the roles to list."""


class RoleShown(Outcome):
    """A role, with the number of users that it is bound to and of its grants.

    `allUsers` says that everybody holds it, whoever it is bound to: `public`.
    """

    role_name: str
    description: str
    built_in: bool
    members: int
    all_users: bool
    grants: int


class RoleList(Outcome):
    """A page of roles; `next` is the value of `after` for the next page, empty at the end or in another order."""

    roles: list[RoleShown]
    next: str
    total: int | None = None


_COLUMNS: Final[Mapping[str, Callable[[ListedRole], Any]]] = {
    "roleName": lambda role: role.name,
    "description": lambda role: role.description,
    "members": lambda role: role.members,
    "grants": lambda role: role.grants,
}


async def listed(services: Services, request: Request, arguments: RoleListing) -> RoleList:
    """List roles, sorted by name unless asked otherwise, a page at a time."""
    part = part_of(arguments, _COLUMNS, "roleName")
    roles = [
        role for role in await list_roles(services, request) if matches(arguments.contains, role.name, role.description)
    ]
    found = cut(roles, part, _COLUMNS, "roleName")
    return RoleList(
        roles=[
            RoleShown(
                role_name=role.name,
                description=role.description,
                built_in=role.name in BUILT_IN_ROLES,
                members=role.members,
                all_users=role.name == PUBLIC_ROLE,
                grants=role.grants,
            )
            for role in found.entries
        ],
        next=found.next,
        total=found.total,
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListRoles", "roles/list", RoleListing, RoleList, listed, "List roles, page by page.", changes=False
    ),
)
