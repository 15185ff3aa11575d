"""Grants and privilege groups, changed in one step each; what changes grants can be previewed."""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authz.granted_masks import allows_nothing
from kiteward.authz.model import GrantKey
from kiteward.authz.privileges import PRIVILEGES, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, InvalidGrant
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam.grants import PrivilegeScope, change_grants
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.missing_collections import existing, names_collection
from kiteward.iam.privilege_groups import change_privileges, create_group
from kiteward.iam.services import Services

_OBJECT_TYPES: Final = frozenset(ObjectType)


class GrantNamed(Arguments):
    """A privilege or group on a database and collection; `*` stands for all.

    `objectType` names a grant that V2 would have stored under another type; such a grant can only be revoked.
    """

    privilege: str
    db_name: str = DEFAULT_DATABASE
    collection_name: str = ANY
    object_type: str = ""


class GrantChange(Arguments):
    """The grants to give to a role and to revoke from it. With `dryRun` the changes are only returned.

    With `exact`, these very grants are changed: none that is granted with one, and none on the collection behind an
    alias. A grant may then name an `objectType` too.
    """

    role_name: str
    grant: list[GrantNamed] = msgspec.field(default_factory=list)
    revoke: list[GrantNamed] = msgspec.field(default_factory=list)
    dry_run: bool = False
    exact: bool = False


class ChangedGrant(Outcome):
    """A grant that the role gained or lost.

    `allowsNothing` says that its privilege applies to the whole instance only, and so allows nothing where it is;
    `missing`, that its collection does not exist, or not yet.
    """

    object_type: str
    db_name: str
    object_name: str
    privilege: str
    allows_nothing: bool
    missing: bool


class GrantsChanged(Outcome):
    """What changed, or would; without grants that the role held already or never held.

    A kept grant on a dropped collection counts as granted when it is granted to all holders of the role.
    """

    granted: list[ChangedGrant]
    revoked: list[ChangedGrant]
    users: list[str]


class NewGroup(Arguments):
    """A privilege group with its privileges, which may be none."""

    privilege_group_name: str
    privileges: list[str] = msgspec.field(default_factory=list)


class GroupChange(Arguments):
    """The privileges that a privilege group gets, and those that it loses."""

    privilege_group_name: str
    add: list[str] = msgspec.field(default_factory=list)
    remove: list[str] = msgspec.field(default_factory=list)


class GroupChanged(Outcome):
    """What a privilege group has got and lost; without what it held already or never held."""

    added: list[str]
    removed: list[str]


async def group_created(services: Services, request: Request, arguments: NewGroup) -> Done:
    """Create a privilege group with its privileges, all of it or nothing."""
    await create_group(services, request, arguments.privilege_group_name, arguments.privileges)
    return Done()


async def group_changed(services: Services, request: Request, arguments: GroupChange) -> GroupChanged:
    """Add privileges to a privilege group and remove others, all of it or nothing."""
    result = await change_privileges(
        services, request, arguments.privilege_group_name, add=arguments.add, remove=arguments.remove
    )
    return GroupChanged(added=list(result.added), removed=list(result.removed))


async def changed(services: Services, request: Request, arguments: GrantChange) -> GrantsChanged:
    """Grant and revoke, all of it or nothing."""
    if not arguments.exact and any(named.object_type for named in arguments.grant):
        raise InvalidArgument(
            "`objectType` is only valid for revocations", ErrorDetail(ErrorCode.OBJECT_TYPE_OF_REVOCATION)
        )
    result = await change_grants(
        services,
        request,
        arguments.role_name,
        grant=[_scope(named) for named in arguments.grant],
        revoke=[_scope(named) for named in arguments.revoke],
        dry_run=arguments.dry_run,
        exact=arguments.exact,
    )
    places = {(key.db_name, key.object_name) for key in result.granted if names_collection(key)}
    missing = {place for place, there in (await existing(services.catalog, places)).items() if there is False}
    return GrantsChanged(
        granted=_shown(result.granted, missing), revoked=_shown(result.revoked), users=list(result.users)
    )


def _scope(named: GrantNamed) -> PrivilegeScope:
    if named.object_type and named.object_type not in _OBJECT_TYPES:
        raise InvalidGrant(
            f"not found the object type[name: {named.object_type}]",
            ErrorDetail(ErrorCode.OBJECT_TYPE_UNKNOWN, {"name": named.object_type}),
        )
    kind = ObjectType(named.object_type) if named.object_type else None
    return PrivilegeScope(named.privilege, named.db_name, named.collection_name, kind)


def _shown(keys: Iterable[GrantKey], missing: Collection[tuple[str, str]] = ()) -> list[ChangedGrant]:
    return [
        ChangedGrant(
            object_type=key.object_type.value,
            db_name=key.db_name,
            object_name=key.object_name,
            privilege=key.privilege,
            allows_nothing=allows_nothing(key),
            missing=(key.db_name, key.object_name) in missing,
        )
        for key in keys
    ]


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ChangeGrants",
        "roles/change_grants",
        GrantChange,
        GrantsChanged,
        changed,
        "Grant and revoke several privileges of a role in one step, or return what that would change.",
        event=Event.GRANT_CHANGE,
        details_limit=2 * 1024 * 1024,
        # The recorded request says what changed; the users concerned follow from the roles that they hold.
        unrecorded_results=frozenset({"users"}),
    ),
    AdminOperation(
        "MakePrivilegeGroup",
        "privilege_groups/create",
        NewGroup,
        Done,
        group_created,
        "Create a privilege group with its privileges in one step.",
        administrators=False,
        event=Event.GROUP_CHANGE,
        privilege=PRIVILEGES["CreatePrivilegeGroup"],
    ),
    AdminOperation(
        "ChangePrivilegeGroup",
        "privilege_groups/change",
        GroupChange,
        GroupChanged,
        group_changed,
        "Add privileges to a privilege group and remove others in one step.",
        administrators=False,
        event=Event.GROUP_CHANGE,
        privilege=PRIVILEGES["OperatePrivilegeGroup"],
    ),
)
