"""Grants: v1 and V2, and their listing (contract 2.4, 4.12). Both versions share one storage."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.policy import PolicySnapshot, listed_databases
from kiteward.authz.privileges import (
    ALL,
    BUILT_IN_GROUPS,
    GRANTED_ALONG,
    LEGACY_GROUP_TYPES,
    PRIVILEGES,
    Level,
    ObjectType,
    group_level,
)
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import DatabaseNotFound, InvalidArgument, InvalidGrant, NotFound
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.gateway.administration.base import Handler, Request, Services
from kiteward.milvus import messages
from kiteward.store.base import Transaction

_GRANT, _REVOKE = 0, 1
_CHECK: Final = "failed to operate privilege common check"
"""What Milvus 2.6 and 3.0 put before the texts of what OperatePrivilege and OperatePrivilegeV2 check first."""
_OBJECT_TYPES: Final = frozenset(ObjectType)


class Caller(Protocol):
    """Who asks, and the policy that answers are judged by."""

    @property
    def principal(self) -> Principal: ...
    @property
    def snapshot(self) -> PolicySnapshot: ...


async def operate_v1(services: Services, request: Request) -> bytes:
    """Grant or revoke a privilege on an object of a named type."""
    message = messages.OperatePrivilegeRequest.FromString(request.call.payload)
    entity = _v1_entity(message)
    privilege, object_type, object_name = entity.grantor.privilege.name, entity.object.name, entity.object_name
    services.naming.check_object_name(privilege, "Privilege")
    services.naming.check_object_name(object_type, "ObjectType")
    services.naming.check_object_name(object_name)
    services.naming.check_role_name(entity.role.name)
    database = _database(services, request, entity.db_name)
    if message.type not in (_GRANT, _REVOKE):
        raise InvalidGrant(
            f"{_CHECK}: invalid operate privilege type, current type: {message.type}, valid value: [Grant, Revoke]"
        )
    if object_type not in _OBJECT_TYPES:
        raise InvalidGrant(f"{_CHECK}: the object entity in the request is nil or invalid")
    kind = ObjectType(object_type)
    key = GrantKey(kind, database, ANY if kind is ObjectType.GLOBAL else object_name, privilege)
    if message.type == _GRANT:
        require_database(services, request, key)
    async with request.change() as transaction:
        await _require_role(transaction, entity.role.name)
        await _check_v1_privilege(transaction, privilege, kind)
        revoke = message.type == _REVOKE
        await _operate(services, transaction, request, entity.role.name, key, revoke=revoke, typed=True)
    return messages.success("OperatePrivilege")


def _v1_entity(message: messages.OperatePrivilegeRequest) -> messages.GrantEntity:
    if not message.HasField("entity"):
        raise InvalidArgument("the entity in the request is nil")
    entity = message.entity
    if not entity.HasField("grantor"):
        raise InvalidArgument("the grantor entity in the grant entity is nil")
    if not entity.grantor.HasField("privilege"):
        raise InvalidArgument("the privilege entity in the grantor entity is nil")
    if not entity.HasField("object"):
        raise InvalidArgument("the resource entity in the grant entity is nil")
    if not entity.HasField("role"):
        raise InvalidArgument("the role entity in the grant entity is nil")
    return entity


async def _check_v1_privilege(transaction: Transaction, name: str, kind: ObjectType) -> None:
    """Refuse what cannot be granted on an object of this type (contract 2.4, 4.4)."""
    if name == ANY or (name == ALL and kind is ObjectType.GLOBAL) or LEGACY_GROUP_TYPES.get(name) is kind:
        return
    if name in BUILT_IN_GROUPS:
        raise InvalidGrant(f"can not operate the built-in privilege group [{name}]")
    privilege = PRIVILEGES.get(name)
    if privilege is not None and privilege.by_v1 and privilege.object_type is kind:
        return
    if await transaction.groups.get(name) is not None:
        raise InvalidGrant(f"can not operate the custom privilege group [{name}]")
    raise InvalidGrant(f"not found the privilege name[{name}] in object[{kind}]")


async def operate_v2(services: Services, request: Request) -> bytes:
    """Grant or revoke a privilege or privilege group on a database and collection."""
    message = messages.OperatePrivilegeV2Request.FromString(request.call.payload)
    if not message.HasField("role"):
        raise InvalidArgument("the role in the request is nil")
    # Milvus dereferences what may be missing here and dies (contract Q26).
    if not message.HasField("grantor"):
        raise InvalidArgument("the grantor in the request is nil")
    if not message.grantor.HasField("privilege"):
        raise InvalidArgument("the privilege entity in the grantor entity is nil")
    name = message.grantor.privilege.name
    services.naming.check_role_name(message.role.name)
    services.naming.check_object_name(name, "Privilege")
    if message.type not in (_GRANT, _REVOKE):
        raise InvalidArgument(f"the type in the request not grant or revoke, current type: {message.type}")
    database = _database(services, request, message.db_name)
    services.naming.check_object_name(message.collection_name, "collection name")
    key = GrantKey(v2_type(name), database, message.collection_name, name)
    if message.type == _GRANT:
        require_database(services, request, key)
    async with request.change() as transaction:
        await _require_role(transaction, message.role.name)
        await check_v2_privilege(transaction, name, database, message.collection_name)
        revoke = message.type == _REVOKE
        await _operate(services, transaction, request, message.role.name, key, revoke=revoke, typed=False)
    return messages.success("OperatePrivilegeV2")


def v2_type(name: str) -> ObjectType:
    """Return the object type under which V2 stores a privilege (contract 4.12)."""
    if name in LEGACY_GROUP_TYPES:
        return LEGACY_GROUP_TYPES[name]
    privilege = PRIVILEGES.get(name)
    return privilege.object_type if privilege is not None else ObjectType.GLOBAL


async def check_v2_privilege(transaction: Transaction, name: str, database: str, collection: str) -> None:
    """Refuse unknown names and groups on a scope that does not fit their level.

    Single privileges fit anywhere (contract 2.4).
    """
    if name in (ANY, ALL) or name in PRIVILEGES or name in LEGACY_GROUP_TYPES:
        return
    level: Level | None
    if name in BUILT_IN_GROUPS:
        level = group_level(BUILT_IN_GROUPS[name])
    else:
        group = await transaction.groups.get(name)
        if group is None:
            raise InvalidGrant(
                f"not found the privilege name[{name}]",
                ErrorDetail(ErrorCode.PRIVILEGE_UNKNOWN, {"name": name}),
                field="privilege",
            )
        level = group_level(group.privileges)
    if level is Level.CLUSTER and (database, collection) != (ANY, ANY):
        raise InvalidGrant(
            f"dbName and collectionName should be * for the cluster level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_CLUSTER_LEVEL, {"name": name}),
            field="privilege",
        )
    if level is Level.DATABASE and collection != ANY:
        raise InvalidGrant(
            f"collectionName should be * for the database level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_DATABASE_LEVEL, {"name": name}),
            field="privilege",
        )
    if level is Level.COLLECTION and database == ANY and collection != ANY:
        raise InvalidGrant(
            f"please specify database name for the collection level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_COLLECTION_LEVEL, {"name": name}),
            field="privilege",
        )


async def _operate(
    services: Services,
    transaction: Transaction,
    request: Request,
    role: str,
    key: GrantKey,
    *,
    revoke: bool,
    typed: bool,
) -> None:
    keys = revoked_keys(services, key, typed=typed) if revoke else with_those_along(on_collection(services, key))
    taken = True
    if not revoke:
        await transaction.grants.add([Grant(role, each, request.principal.user_name) for each in keys])
    else:
        taken = bool(await transaction.grants.remove(role, keys))
        if not taken:
            # Revoking what is not there is a success (contract 2.4), but not in a database that is not there either.
            require_database(services, request, key)
    request.record(
        object_type=key.object_type.value,
        database=key.db_name,
        objects=list(dict.fromkeys(each.object_name for each in keys)),
        privileges=list(dict.fromkeys(each.privilege for each in keys)),
        changed=taken,
    )


def with_those_along(key: GrantKey) -> list[GrantKey]:
    """Return a grant's key with those that are granted and revoked together with it (contract 2.4)."""
    along = GRANTED_ALONG.get(key.privilege, ())
    return [key, *(GrantKey(key.object_type, key.db_name, key.object_name, name) for name in along)]


async def _require_role(transaction: Transaction, name: str) -> None:
    if await transaction.roles.get(name) is None:
        raise NotFound(
            f'{_CHECK}: the role "{name}" does not exist',
            ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": name}),
            field="roleName",
        )


def _database(services: Services, request: Request, given: str) -> str:
    """Return the database of a grant: as given, else the connection's, else `default`; `*` is every database."""
    database = given or request.call.database or DEFAULT_DATABASE
    if database != ANY:
        services.naming.check_database_name(database)
    return database


def on_collection(services: Services, key: GrantKey) -> GrantKey:
    """Return the key of a grant as it is stored: on the collection behind an alias (contract 4.10).

    A name that is neither collection nor alias is kept, so that grants may come before their object.
    """
    if key.object_type is ObjectType.USER:
        return key
    return replace(key, object_name=services.catalog.resolve(key.db_name, key.object_name))


def revoked_keys(services: Services, key: GrantKey, *, typed: bool = True) -> list[GrantKey]:
    """Return the keys of all that a revocation takes away.

    A grant may have been stored under a name before that became an alias, so that the name counts as it was given and
    as what it stands for.

    Args:
        services: what knows aliases.
        key: what is revoked.
        typed: whether the caller named the object type. V2 has none: its `*` takes away what v1 has stored as `*`, too.
    """
    kinds = (ObjectType.GLOBAL, ObjectType.COLLECTION) if key.privilege == ANY and not typed else (key.object_type,)
    as_given = [replace(key, object_type=kind) for kind in kinds]
    meant = [*as_given, *(on_collection(services, each) for each in as_given)]
    return list(dict.fromkeys(each for named in meant for each in with_those_along(named)))


def require_database(services: Services, request: Caller, key: GrantKey) -> None:
    """Refuse a grant on a named collection of a missing database.

    Whoever is not shown the database is not told either: a grant there is kept as one on a collection to be.

    Raises:
        DatabaseNotFound: there is none, and the caller would be shown it.
    """
    if ANY in (key.object_name, key.db_name) or key.object_type is ObjectType.USER:
        return
    shown = listed_databases(request.principal, [key.db_name], request.snapshot)[0]
    if shown and not services.catalog.has_database(key.db_name):
        raise DatabaseNotFound(f"database not found[database={key.db_name}]")


async def select(services: Services, request: Request) -> bytes:
    """List the grants of a role, of one database with `*`, or of all; optionally of one object."""
    message = messages.SelectGrantRequest.FromString(request.call.payload)
    if not message.HasField("entity"):
        raise InvalidArgument("the grant entity in the request is nil")
    entity = message.entity
    if not entity.HasField("role"):
        raise InvalidArgument("the role entity in the grant entity is nil")
    services.naming.check_role_name(entity.role.name)
    database = entity.db_name or request.call.database or DEFAULT_DATABASE
    wanted = _wanted_objects(services, request, entity, database)
    role = request.snapshot.roles.get(entity.role.name)
    if role is None:
        raise NotFound(
            f'the role "{entity.role.name}" does not exist',
            ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": entity.role.name}),
            field="roleName",
        )
    entities = [
        grant_entity(grant)
        for grant in role.grants
        if database in (ANY, grant.key.db_name) or grant.key.db_name == ANY
        if wanted is None or (grant.key.object_type, grant.key.object_name) in wanted
    ]
    return bytes(messages.SelectGrantResponse(status=messages.Status(), entities=entities).SerializeToString())


def _wanted_objects(
    services: Services, request: Request, entity: messages.GrantEntity, database: str
) -> frozenset[tuple[str, str]] | None:
    """Return the objects to list the grants on; a name without a type is ignored, as in Milvus.

    An alias is listed as what it stands for and under its own name, like what a revocation takes away.
    """
    if not entity.HasField("object"):
        return None
    services.naming.check_object_name(entity.object_name)
    kind = entity.object.name
    if kind not in _OBJECT_TYPES:
        raise InvalidGrant(
            f"not found the object type[name: {kind}], supported the object types: [Collection Global User]"
        )
    if kind != ObjectType.COLLECTION:
        return frozenset({(kind, entity.object_name)})
    key = GrantKey(ObjectType.COLLECTION, database, entity.object_name, ANY)
    require_database(services, request, key)
    return frozenset({(kind, each.object_name) for each in (key, on_collection(services, key))})


def grant_entity(grant: Grant) -> messages.GrantEntity:
    """Return a grant as SelectGrant and BackupRBAC show it (contract 4.12)."""
    return messages.GrantEntity(
        role=messages.RoleEntity(name=grant.role),
        object=messages.ObjectEntity(name=grant.key.object_type),
        object_name=grant.key.object_name,
        db_name=grant.key.db_name,
        grantor=messages.GrantorEntity(
            user=messages.UserEntity(name=grant.grantor), privilege=messages.PrivilegeEntity(name=grant.key.privilege)
        ),
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "OperatePrivilege": Handler(operate_v1),
    "OperatePrivilegeV2": Handler(operate_v2),
    "SelectGrant": Handler(select, changes=False),
}
