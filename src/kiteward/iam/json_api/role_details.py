"""Roles and grants, for administrators: a role with its users and grants, the grants of all roles, deleting a role."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.authz.model import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, Role
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InUse
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam.grantable import require_grantable
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, cut, matches, part_of
from kiteward.iam.json_api.shapes import HeldGrant
from kiteward.iam.lookup import known_role
from kiteward.iam.object_lookup import database_exists, exists
from kiteward.iam.roles import compare_roles, copy_role, describe_roles, drop_role
from kiteward.iam.services import Services


class RoleNamed(Arguments):
    """Names a role."""

    role_name: str


class RoleDeletion(Arguments):
    """Names a role to delete; with `force` also one that has grants, or that row policies name."""

    role_name: str
    force: bool = False


class RoleCopy(Arguments):
    """Names a new role, with its description, and the role `source` whose grants it gets."""

    role_name: str
    source: str
    description: str = ""


class CopiedRole(Outcome):
    """How many grants a new role has."""

    grants: int


class RoleDetails(Outcome):
    """A role with the users that it is bound to, and its grants.

    `allUsers` says that everybody holds it, whoever it is bound to: `public`.
    """

    role_name: str
    description: str
    built_in: bool
    users: list[str]
    all_users: bool
    grants: list[HeldGrant]


class RolesToCompare(Arguments):
    """Names two roles."""

    role_name: str
    other_role_name: str


class ComparedGrant(Outcome):
    """A grant that one of two roles holds, or both.

    `held` and `heldByOther` say which. `coveredBy` are the grants of the role that lacks it which give all of it
    already, so that the roles differ in form only.
    """

    object_type: str
    db_name: str
    object_name: str
    privilege: str
    held: bool
    held_by_other: bool
    covered_by: list[HeldGrant]


class RolesCompared(Outcome):
    """The grants of two roles side by side; `same` says whether both hold the same ones."""

    role_name: str
    other_role_name: str
    same: bool
    grants: list[ComparedGrant]


class GrantListing(ListArguments):
    """Selects grants: of a role, of a privilege or group, and those that apply to a collection or a database.

    A collection without `dbName` is in `default`. `contains` searches roles, objects and privileges.
    """

    role_name: str = ""
    privilege: str = ""
    db_name: str = ""
    collection_name: str = ""


class GrantList(Outcome):
    """A page of grants; `next` is the value of `after` for the next page, empty at the end or in another order.

    `exists` says whether the collection or database exists that selects them, null without one or where that is not
    known. Grants may be on what does not exist yet.
    """

    grants: list[HeldGrant]
    next: str
    total: int | None = None
    exists: bool | None = None


async def described(services: Services, request: Request, arguments: RoleNamed) -> RoleDetails:
    """Describe a role."""
    role = known_role(request, arguments.role_name).role
    found = await describe_roles(services, request, role.name, with_users=True)
    return RoleDetails(
        role_name=role.name,
        description=role.description,
        built_in=role.name in BUILT_IN_ROLES,
        users=list(found[0].users),
        all_users=role.name == PUBLIC_ROLE,
        grants=[HeldGrant.of(grant) for grant in _grants(request, role.name)],
    )


async def copied(services: Services, request: Request, arguments: RoleCopy) -> CopiedRole:
    """Create a role with the grants of another one."""
    role = Role(arguments.role_name, arguments.description)
    return CopiedRole(grants=await copy_role(services, request, arguments.source, role))


async def compared(_services: Services, request: Request, arguments: RolesToCompare) -> RolesCompared:
    """Compare the grants of two roles."""
    first, second = arguments.role_name, arguments.other_role_name
    found = compare_roles(request, first, second)
    grants = [
        ComparedGrant(
            object_type=each.key.object_type.value,
            db_name=each.key.db_name,
            object_name=each.key.object_name,
            privilege=each.key.privilege,
            held=each.in_first,
            held_by_other=each.in_second,
            covered_by=[HeldGrant.of(Grant(second if each.in_first else first, key, "")) for key in each.covered_by],
        )
        for each in found
    ]
    same = all(each.in_first and each.in_second for each in found)
    return RolesCompared(role_name=first, other_role_name=second, same=same, grants=grants)


async def deleted(services: Services, request: Request, arguments: RoleDeletion) -> Done:
    """Delete a role with its bindings, and with `force` its grants."""
    name = arguments.role_name
    try:
        await drop_role(services, request, name, force=arguments.force)
    except InUse as error:
        if error.code is not ErrorCode.ROLE_HAS_GRANTS:
            raise
        # The service has the text of Milvus, which names its own API.
        raise InUse(f"the role {name} has grants: revoke them first, or use `force`", *error.details) from None
    return Done()


_COLUMNS: Final[Mapping[str, Callable[[Grant], Any]]] = {
    "grant": lambda grant: "/".join((grant.role, *_place(grant))),
    "role": lambda grant: grant.role,
    "privilege": lambda grant: grant.key.privilege,
    "objectName": lambda grant: grant.key.object_name,
}


async def granted(services: Services, request: Request, arguments: GrantListing) -> GrantList:
    """List grants, sorted by role and object unless asked otherwise, a page at a time."""
    part = part_of(arguments, _COLUMNS, "grant")
    if arguments.privilege:
        require_grantable(arguments.privilege, request.snapshot.groups)
    roles = [arguments.role_name] if arguments.role_name else sorted(request.snapshot.roles)
    grants = [grant for role in roles for grant in _grants(request, role) if _is_wanted(arguments, grant)]
    found = cut(grants, part, _COLUMNS, "grant")
    return GrantList(
        grants=[HeldGrant.of(grant) for grant in found.entries],
        next=found.next,
        total=found.total,
        exists=await _exists(services, arguments),
    )


async def _exists(services: Services, arguments: GrantListing) -> bool | None:
    if arguments.collection_name:
        return await exists(services.catalog, _database(arguments), arguments.collection_name)
    return await database_exists(services.catalog, arguments.db_name) if arguments.db_name else None


def _database(arguments: GrantListing) -> str:
    return arguments.db_name or (DEFAULT_DATABASE if arguments.collection_name else "")


def _is_wanted(arguments: GrantListing, grant: Grant) -> bool:
    key, collection, database = grant.key, arguments.collection_name, _database(arguments)
    return (
        (not arguments.privilege or key.privilege == arguments.privilege)
        and (not database or key.db_name in (database, ANY))
        and (not collection or key.object_name in (collection, ANY))
        and matches(arguments.contains, grant.role, *_place(grant))
    )


def _grants(request: Request, role: str) -> list[Grant]:
    """Return the grants of a role, sorted; without kept grants (decision 0030), which allow nothing now.

    Raises:
        RoleNotFound: there is no such role.
    """
    return sorted((grant for grant in known_role(request, role).grants if grant.kept_for is None), key=_place)


def _place(grant: Grant) -> tuple[str, str, str, str]:
    key = grant.key
    return key.db_name, key.object_name, key.object_type.value, key.privilege


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "DescribeRole",
        "roles/describe",
        RoleNamed,
        RoleDetails,
        described,
        "Describe a role: its users and grants.",
        changes=False,
    ),
    AdminOperation(
        "CopyRole",
        "roles/copy",
        RoleCopy,
        CopiedRole,
        copied,
        "Create a role with the grants of another one, all of it or nothing.",
        event=Event.ROLE_CHANGE,
    ),
    AdminOperation(
        "CompareRoles",
        "roles/compare",
        RolesToCompare,
        RolesCompared,
        compared,
        "Compare the grants of two roles.",
        changes=False,
    ),
    AdminOperation(
        "DeleteRole",
        "roles/delete",
        RoleDeletion,
        Done,
        deleted,
        "Delete a role; with `force` also one that has grants.",
        event=Event.ROLE_CHANGE,
    ),
    AdminOperation(
        "ListGrants",
        "grants/list",
        GrantListing,
        GrantList,
        granted,
        "List grants, page by page.",
        changes=False,
    ),
)
