"""Grants: several of a role changed in one step, after a look at what that would change."""

from collections.abc import Iterable
from typing import Final

import msgspec

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.privileges import ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, InvalidGrant, LimitReached, NotFound
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.gateway.administration.base import Services
from kiteward.gateway.administration.grants import (
    check_v2_privilege,
    on_collection,
    require_database,
    revoked_keys,
    v2_type,
    with_those_along,
)
from kiteward.gateway.extensions.base import MOST_LISTED, AdminOperation, Arguments, Outcome, Request
from kiteward.store.base import Transaction

_OBJECT_TYPES: Final = frozenset(ObjectType)


class GrantNamed(Arguments):
    """A privilege or group on a database and collection; `*` stands for all.

    `objectType` names a grant that V2 would have stored under another type, and is taken back only.
    """

    privilege: str
    db_name: str = DEFAULT_DATABASE
    collection_name: str = ANY
    object_type: str = ""


class GrantChange(Arguments):
    """What a role is to be granted and what it is to lose; a `dryRun` tells what would change."""

    role_name: str
    grant: list[GrantNamed] = msgspec.field(default_factory=list)
    revoke: list[GrantNamed] = msgspec.field(default_factory=list)
    dry_run: bool = False


class ChangedGrant(Outcome):
    """A grant that the role gained or lost."""

    object_type: str
    db_name: str
    object_name: str
    privilege: str


class GrantsChanged(Outcome):
    """What changed, or would: what the role had already or never held is not among it.

    What it held on a dropped collection, kept for one user, counts as granted when it is granted to all holders.
    """

    granted: list[ChangedGrant]
    revoked: list[ChangedGrant]
    users: list[str]


async def changed(services: Services, request: Request, arguments: GrantChange) -> GrantsChanged:
    """Grant and revoke, all of it or nothing."""
    if len(arguments.grant) + len(arguments.revoke) > MOST_LISTED:
        raise LimitReached(
            f"at most {MOST_LISTED} grants are changed in one step",
            ErrorDetail(ErrorCode.GRANTS_LIMIT, {"limit": MOST_LISTED}),
        )
    role = arguments.role_name
    if not services.catalog.fresh:
        await services.catalog.refresh()
    async with request.change() as transaction:
        if await transaction.roles.get(role) is None:
            raise NotFound(
                f"role not found: {role}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": role}), field="roleName"
            )
        stored = await transaction.grants.of_role(role)
        held = {grant.key for grant in stored if grant.kept_for is None}
        wanted = [key for named in arguments.grant for key in await _granted(services, transaction, request, named)]
        unwanted = [key for named in arguments.revoke for key in _revoked(services, named)]
        granted, revoked = sorted(set(wanted) - held), sorted(set(unwanted) & {grant.key for grant in stored})
        if set(granted) & set(unwanted) or set(wanted) & set(revoked):
            raise InvalidArgument(
                "the same grant is to be given and taken", ErrorDetail(ErrorCode.GRANT_GIVEN_AND_TAKEN)
            )
        if not arguments.dry_run:
            await transaction.grants.add([Grant(role, key, request.principal.user_name) for key in granted])
            await transaction.grants.remove(role, revoked)
    users = (await services.store.bindings(role)).get(role, ())
    return GrantsChanged(granted=_shown(granted), revoked=_shown(revoked), users=list(users))


async def _granted(services: Services, transaction: Transaction, request: Request, named: GrantNamed) -> list[GrantKey]:
    """Return the keys of a grant that OperatePrivilegeV2 would give, under its rules.

    Raises:
        RequestRefused: it would not give it.
    """
    privilege, database, collection = named.privilege, named.db_name, named.collection_name
    if named.object_type:
        raise InvalidArgument("`objectType` belongs to what is revoked")
    services.naming.check_object_name(privilege, "Privilege")
    services.naming.check_object_name(collection, "collection name")
    if database != ANY:
        services.naming.check_database_name(database)
    await check_v2_privilege(transaction, privilege, database, collection)
    key = GrantKey(v2_type(privilege), database, collection, privilege)
    require_database(services, request, key)
    return with_those_along(on_collection(services, key))


def _revoked(services: Services, named: GrantNamed) -> list[GrantKey]:
    """Return the keys of a grant as the role lists it, whether or not it could be given today."""
    if named.object_type and named.object_type not in _OBJECT_TYPES:
        raise InvalidGrant(f"not found the object type[name: {named.object_type}]")
    kind = ObjectType(named.object_type) if named.object_type else v2_type(named.privilege)
    key = GrantKey(kind, named.db_name, named.collection_name, named.privilege)
    return revoked_keys(services, key, typed=bool(named.object_type))


def _shown(keys: Iterable[GrantKey]) -> list[ChangedGrant]:
    return [
        ChangedGrant(
            object_type=key.object_type.value,
            db_name=key.db_name,
            object_name=key.object_name,
            privilege=key.privilege,
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
        "Grant and revoke several privileges of a role in one step, or tell what that would change.",
    ),
)
