"""Grants: give, revoke, list, and change several in one step (contract 2.4, 4.12).

A grant names a privilege or privilege group and its scope. Milvus has two generations of RPCs, of which the first also
names the object type. Grants of both are stored in the same way.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.policy import listed_databases
from kiteward.authz.privileges import GRANTED_ALONG, LEGACY_GROUP_TYPES, PRIVILEGES, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import DatabaseNotFound, InvalidArgument, LimitReached
from kiteward.domain.naming import ANY
from kiteward.iam.caller import Caller
from kiteward.iam.grantable import check_scoped_privilege, check_typed_privilege, is_grantable, unknown_privilege
from kiteward.iam.lookup import known_role, require_role
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction

MOST_CHANGED: Final = 1_000
"""Most grants that are changed in one step."""


@dataclass(frozen=True, slots=True)
class PrivilegeScope:
    """A privilege or privilege group, and its scope.

    Attributes:
        privilege: its name.
        database: a database, or `*` for all.
        name: a collection, or a user for privileges on users; `*` for all.
        object_type: the object type, where the caller names it; None for the one that fits the privilege.
    """

    privilege: str
    database: str
    name: str
    object_type: ObjectType | None = None

    @property
    def key(self) -> GrantKey:
        """The key of the grant, with the name as given."""
        kind = self.object_type or fitting_type(self.privilege)
        return GrantKey(kind, self.database, self.name, self.privilege)


@dataclass(frozen=True, slots=True)
class ChangedGrants:
    """What a change of grants did, or would do.

    Attributes:
        granted: new grants of the role, without those that it held already.
        revoked: grants that the role lost, without those that it did not hold.
        users: the users who hold the role.
    """

    granted: Sequence[GrantKey]
    revoked: Sequence[GrantKey]
    users: Sequence[str]


async def give_grant(services: Services, caller: Caller, *, role: str, scope: PrivilegeScope) -> None:
    """Grant a privilege to a role. Granting it again changes nothing.

    Raises:
        InvalidArgument, DatabaseNameInvalid: a name breaks its rule.
        DatabaseNotFound: there is no such database, and the caller may know that.
        RoleNotFound: there is no such role.
        InvalidGrant: there is no such privilege, or it cannot be granted there.
    """
    _check_names(services, role, scope)
    await _look_up(services, caller, scope.key)
    require_database(services, caller, scope.key)
    async with caller.change() as transaction:
        await require_role(transaction, role)
        await _check_privilege(transaction, scope)
        await _look_up(services, caller, scope.key)
        keys = _with_companions(_on_collection(services, scope.key))
        await transaction.grants.add([Grant(role, each, caller.principal.user_name) for each in keys])
        _record(caller, scope.key, keys, changed=True)


async def revoke_grant(services: Services, caller: Caller, *, role: str, scope: PrivilegeScope) -> None:
    """Revoke a privilege from a role. Revoking one that it does not hold changes nothing (contract 2.4).

    Raises:
        InvalidArgument, DatabaseNameInvalid: a name breaks its rule.
        RoleNotFound: there is no such role.
        InvalidGrant: there is no such privilege, or it cannot be granted there.
        DatabaseNotFound: the role does not hold it, there is no such database, and the caller may know that.
    """
    _check_names(services, role, scope)
    await _look_up(services, caller, scope.key)
    async with caller.change() as transaction:
        await require_role(transaction, role)
        await _check_privilege(transaction, scope)
        await _look_up(services, caller, scope.key)
        keys = _revoked_keys(services, scope)
        changed = bool(await transaction.grants.remove(role, keys))
        if not changed:
            require_database(services, caller, scope.key)
        _record(caller, scope.key, keys, changed=changed)


async def change_grants(
    services: Services,
    caller: Caller,
    role: str,
    *,
    grant: Sequence[PrivilegeScope],
    revoke: Sequence[PrivilegeScope],
    dry_run: bool,
    exact: bool = False,
) -> ChangedGrants:
    """Grant and revoke several privileges of a role, all of it or nothing; what is revoked need not be grantable now.

    Args:
        services: what services work with.
        caller: who changes them.
        role: the role.
        grant: what it gets.
        revoke: what it loses.
        dry_run: only return the changes.
        exact: change these very grants: none that is granted with one, and none on the collection behind an alias.

    Raises:
        LimitReached, RoleNotFound: more than `MOST_CHANGED`; there is no such role.
        InvalidArgument: a grant is both granted and revoked, or a name breaks its rule.
        InvalidGrant, DatabaseNotFound: as of `give_grant`; or there is no such privilege to revoke.
        EngineError: the engine's aliases are not in memory, and it does not respond.
    """
    _require_within_limit(len(grant) + len(revoke))
    await _look_up_all(services, caller, (*grant, *revoke))
    async with caller.change() as transaction:
        await require_role(transaction, role)
        await _look_up_all(services, caller, (*grant, *revoke))
        stored = await transaction.grants.of_role(role)
        named = {key for scope in grant for key in await _granted_keys(services, transaction, caller, scope)}
        unwanted = {scope.key for scope in revoke} if exact else await _unwanted(services, transaction, revoke, stored)
        granted, revoked = _differences(stored, {scope.key for scope in grant} if exact else named, unwanted)
        if not dry_run:
            await transaction.grants.add([Grant(role, key, caller.principal.user_name) for key in granted])
            await transaction.grants.remove(role, revoked)
        return ChangedGrants(granted, revoked, (await services.store.bindings(role)).get(role, ()))


async def _look_up_all(services: Services, caller: Caller, scopes: Iterable[PrivilegeScope]) -> None:
    for scope in scopes:
        await _look_up(services, caller, scope.key)


async def _unwanted(
    services: Services, transaction: Transaction, revoke: Iterable[PrivilegeScope], stored: Sequence[Grant]
) -> set[GrantKey]:
    """Return the keys of what a role is to lose.

    Raises:
        InvalidArgument: a name is not held by the role, and breaks the rule of privileges.
        InvalidGrant: something is neither a privilege nor a privilege group, nor held by the role.
    """
    held = {each.key.privilege for each in stored}
    for privilege in dict.fromkeys(scope.privilege for scope in revoke if scope.privilege not in held):
        services.naming.check_object_name(privilege, "Privilege")
        if not await is_grantable(transaction, privilege):
            raise unknown_privilege(privilege, field="privilege")
    return {key for scope in revoke for key in _revoked_keys(services, scope)}


def _differences(
    stored: Sequence[Grant], wanted: Set[GrantKey], unwanted: Set[GrantKey]
) -> tuple[list[GrantKey], list[GrantKey]]:
    """Return what is granted and what is revoked, sorted, of what a role is to hold and not to hold.

    Raises:
        InvalidArgument: a grant would be both.
    """
    held = {each.key for each in stored if each.kept_for is None}
    granted, revoked = wanted - held, unwanted & {each.key for each in stored}
    if granted & unwanted or wanted & revoked:
        detail = ErrorDetail(ErrorCode.GRANT_GIVEN_AND_TAKEN)
        raise InvalidArgument("the same grant is in both `grant` and `revoke`", detail)
    return sorted(granted), sorted(revoked)


async def keys_to_hold(
    services: Services, caller: Caller, held: Set[GrantKey], *, role: str, scope: PrivilegeScope
) -> Sequence[GrantKey]:
    """Return the keys under which a grant is stored that a role is to hold, whether or not it does already.

    What the role holds under these very names needs no look-up, and need not be grantable now.

    Args:
        services: what services work with.
        caller: who changes the grants.
        held: the grants that the role holds.
        role: the role.
        scope: the privilege and its scope.

    Raises:
        As `give_grant`, but RoleNotFound; EngineError: the catalog is needed, and the engine does not respond.
    """
    named = _with_companions(scope.key)
    if held >= set(named):
        return named
    _check_names(services, role, scope)
    await _look_up(services, caller, scope.key)
    async with caller.change() as transaction:
        return await _granted_keys(services, transaction, caller, scope)


async def replace_grants(
    caller: Caller, role: str, wanted: Set[GrantKey]
) -> tuple[Sequence[GrantKey], Sequence[GrantKey]]:
    """Let a role hold these grants and no others; kept grants on dropped collections stay as they are.

    Args:
        caller: who changes them.
        role: the role.
        wanted: keys that `keys_to_hold` has returned.

    Returns:
        What was granted, and what was revoked.

    Raises:
        RoleNotFound: there is no such role.
    """
    async with caller.change() as transaction:
        await require_role(transaction, role)
        held = {each.key for each in await transaction.grants.of_role(role) if each.kept_for is None}
        granted, revoked = sorted(wanted - held), sorted(held - wanted)
        await transaction.grants.add([Grant(role, key, caller.principal.user_name) for key in granted])
        await transaction.grants.remove(role, revoked)
    return granted, revoked


def _require_within_limit(number: int) -> None:
    if number > MOST_CHANGED:
        raise LimitReached(
            f"at most {MOST_CHANGED} grants can be changed in one step",
            ErrorDetail(ErrorCode.GRANTS_LIMIT, {"limit": MOST_CHANGED}),
        )


async def list_grants(
    services: Services, caller: Caller, role: str, *, database: str, named: tuple[ObjectType, str] | None
) -> Sequence[Grant]:
    """Return the grants of a role.

    Args:
        services: what services work with.
        caller: who lists them.
        role: the role.
        database: the database to which they apply; `*` for all grants.
        named: the type and name of the object that they are on; None for any. A grant on the collection behind an alias
            is listed under both names.

    Raises:
        DatabaseNotFound: as of `give_grant`.
        RoleNotFound: there is no such role.
    """
    objects = None if named is None else await _listed_objects(services, caller, database, *named)
    return [
        grant
        for grant in known_role(caller, role).grants
        if database in (ANY, grant.key.db_name) or grant.key.db_name == ANY
        if objects is None or (grant.key.object_type, grant.key.object_name) in objects
    ]


def require_database(services: Services, caller: Caller, key: GrantKey) -> None:
    """Refuse a grant on a named collection of a missing database.

    A caller who may not see the database does not learn that it is missing. The grant is then stored as one on a
    collection that does not exist yet.

    Raises:
        DatabaseNotFound: there is none, and the caller may know that.
    """
    if ANY in (key.object_name, key.db_name) or key.object_type is ObjectType.USER:
        return
    shown = listed_databases(caller.principal, [key.db_name], caller.snapshot)[0]
    if shown and not services.catalog.has_database(key.db_name):
        raise DatabaseNotFound(
            f"database not found[database={key.db_name}]",
            ErrorDetail(ErrorCode.DATABASE_NOT_FOUND, {"name": key.db_name}),
            field="dbName",
        )


def fitting_type(privilege: str) -> ObjectType:
    """Return the object type under which a grant that names none is stored (contract 4.12)."""
    if privilege in LEGACY_GROUP_TYPES:
        return LEGACY_GROUP_TYPES[privilege]
    found = PRIVILEGES.get(privilege)
    return found.object_type if found is not None else ObjectType.GLOBAL


def _check_names(services: Services, role: str, scope: PrivilegeScope) -> None:
    services.naming.check_role_name(role)
    _check_scope_names(services, scope)


def _check_scope_names(services: Services, scope: PrivilegeScope) -> None:
    services.naming.check_object_name(scope.privilege, "Privilege")
    if scope.database != ANY:
        services.naming.check_database_name(scope.database)
    services.naming.check_object_name(scope.name, "collection name" if scope.object_type is None else "object name")


async def _check_privilege(transaction: Transaction, scope: PrivilegeScope) -> None:
    if scope.object_type is None:
        await check_scoped_privilege(transaction, scope.privilege, scope.database, scope.name)
    else:
        await check_typed_privilege(transaction, scope.privilege, scope.object_type)


async def _granted_keys(
    services: Services, transaction: Transaction, caller: Caller, scope: PrivilegeScope
) -> list[GrantKey]:
    _check_scope_names(services, scope)
    await _check_privilege(transaction, scope)
    require_database(services, caller, scope.key)
    return _with_companions(_on_collection(services, scope.key))


def _with_companions(key: GrantKey) -> list[GrantKey]:
    """Return a grant's key with those that are granted and revoked together with it (contract 2.4)."""
    along = GRANTED_ALONG.get(key.privilege, ())
    return [key, *(replace(key, privilege=name) for name in along)]


async def _look_up(services: Services, caller: Caller, key: GrantKey) -> None:
    """Make the catalog hold the database and the object of a grant, unless it is on all of them.

    It is called once more in a transaction, where it takes no time unless the catalog was read again meanwhile.
    """
    if not _names_no_collection(key):
        await services.catalog.ensure(key.db_name, key.object_name, caller=caller.principal.user_name)


async def stored_key(services: Services, caller: Caller, key: GrantKey) -> GrantKey:
    """Return the key of a grant as it is stored now: on the collection behind an alias. Raises EngineError."""
    await _look_up(services, caller, key)
    return _on_collection(services, key)


def _names_no_collection(key: GrantKey) -> bool:
    """Return whether a grant is on a user, or on all collections or databases, so that there is nothing to look up."""
    return key.object_type is ObjectType.USER or ANY in (key.db_name, key.object_name)


def _on_collection(services: Services, key: GrantKey) -> GrantKey:
    """Return the key of a grant as it is stored: on the collection behind an alias (contract 4.10).

    A name that is neither a collection nor an alias is kept, so that grants can be given before their object exists.
    """
    if _names_no_collection(key):
        return key
    return replace(key, object_name=services.catalog.resolve(key.db_name, key.object_name))


def _revoked_keys(services: Services, scope: PrivilegeScope) -> list[GrantKey]:
    """Return the keys of all grants that a revocation removes.

    A grant may have been stored under a name that became an alias later. A revocation therefore removes both the grant
    on the given name and the one on its collection. Without an object type, `*` removes grants of `*` of both types.
    """
    key = scope.key
    both = scope.privilege == ANY and scope.object_type is None
    kinds = (ObjectType.GLOBAL, ObjectType.COLLECTION) if both else (key.object_type,)
    as_given = [replace(key, object_type=kind) for kind in kinds]
    meant = [*as_given, *(_on_collection(services, each) for each in as_given)]
    return list(dict.fromkeys(each for named in meant for each in _with_companions(named)))


async def _listed_objects(
    services: Services, caller: Caller, database: str, kind: ObjectType, name: str
) -> frozenset[tuple[ObjectType, str]]:
    if kind is not ObjectType.COLLECTION:
        return frozenset({(kind, name)})
    key = GrantKey(kind, database, name, ANY)
    await _look_up(services, caller, key)
    require_database(services, caller, key)
    return frozenset({(kind, each.object_name) for each in (key, _on_collection(services, key))})


def _record(caller: Caller, key: GrantKey, keys: Sequence[GrantKey], *, changed: bool) -> None:
    caller.record(
        object_type=key.object_type.value,
        database=key.db_name,
        objects=list(dict.fromkeys(each.object_name for each in keys)),
        privileges=list(dict.fromkeys(each.privilege for each in keys)),
        changed=changed,
    )
