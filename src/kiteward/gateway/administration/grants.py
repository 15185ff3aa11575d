"""Grants: v1 and V2, and their listing (contract 2.4, 4.12). Both versions share one storage."""

from collections.abc import Mapping
from typing import Final

from kiteward.domain.access import Grant, GrantKey
from kiteward.domain.errors import DatabaseNotFound, InvalidArgument, InvalidGrant, NotFound
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.domain.privileges import (
    ALL,
    BUILT_IN_GROUPS,
    GRANTED_ALONG,
    LEGACY_GROUP_TYPES,
    PRIVILEGES,
    Level,
    ObjectType,
    group_level,
)
from kiteward.gateway.administration.base import Handler, Request, Tools
from kiteward.store.base import Transaction
from kiteward.wire import messages

_GRANT, _REVOKE = 0, 1
_OBJECT_TYPES: Final = frozenset(ObjectType)


async def operate_v1(tools: Tools, request: Request) -> bytes:
    """Grant or revoke a privilege on an object of a named type."""
    message = messages.OperatePrivilegeRequest.FromString(request.call.payload)
    entity = _v1_entity(message)
    privilege, object_type, object_name = entity.grantor.privilege.name, entity.object.name, entity.object_name
    tools.naming.check_object_name(privilege, "Privilege")
    tools.naming.check_object_name(object_type, "ObjectType")
    tools.naming.check_object_name(object_name)
    tools.naming.check_role_name(entity.role.name)
    database = _database(tools, request, entity.db_name)
    if message.type not in (_GRANT, _REVOKE):
        raise InvalidGrant(
            f"invalid operate privilege type, current type: {message.type}, valid value: [Grant, Revoke]"
        )
    if object_type not in _OBJECT_TYPES:
        raise InvalidGrant(
            f"not found the object type[name: {object_type}], supported the object types: [Collection Global User]"
        )
    kind = ObjectType(object_type)
    if kind is ObjectType.GLOBAL:
        object_name = ANY
    elif kind is ObjectType.COLLECTION:
        object_name = collection_of(tools, database, object_name)
    async with request.change() as transaction:
        await _require_role(transaction, entity.role.name)
        await _check_v1_privilege(transaction, privilege, kind)
        key = GrantKey(kind, database, object_name, privilege)
        await _operate(transaction, request, entity.role.name, key, revoke=message.type == _REVOKE)
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


async def operate_v2(tools: Tools, request: Request) -> bytes:
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
    tools.naming.check_role_name(message.role.name)
    tools.naming.check_object_name(name, "Privilege")
    if message.type not in (_GRANT, _REVOKE):
        raise InvalidArgument(f"the type in the request not grant or revoke, current type: {message.type}")
    database = _database(tools, request, message.db_name)
    tools.naming.check_object_name(message.collection_name, "collection name")
    kind = v2_type(name)
    collection = message.collection_name
    if kind is not ObjectType.USER:
        collection = collection_of(tools, database, collection)
    async with request.change() as transaction:
        await _require_role(transaction, message.role.name)
        await check_v2_privilege(transaction, name, database, collection)
        key = GrantKey(kind, database, collection, name)
        await _operate(transaction, request, message.role.name, key, revoke=message.type == _REVOKE)
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
            raise InvalidGrant(f"not found the privilege name[{name}]")
        level = group_level(group.privileges)
    if level is Level.CLUSTER and (database, collection) != (ANY, ANY):
        raise InvalidGrant(f"dbName and collectionName should be * for the cluster level privilege: {name}")
    if level is Level.DATABASE and collection != ANY:
        raise InvalidGrant(f"collectionName should be * for the database level privilege: {name}")
    if level is Level.COLLECTION and database == ANY and collection != ANY:
        raise InvalidGrant(f"please specify database name for the collection level privilege: {name}")


async def _operate(transaction: Transaction, request: Request, role: str, key: GrantKey, *, revoke: bool) -> None:
    keys = with_those_along(key)
    request.record(
        object_type=key.object_type.value,
        database=key.db_name,
        object=key.object_name,
        privileges=[each.privilege for each in keys],
    )
    if revoke:
        await transaction.grants.remove(role, keys)
    else:
        await transaction.grants.add([Grant(role, each, request.principal.user_name) for each in keys])


def with_those_along(key: GrantKey) -> list[GrantKey]:
    """Return a grant's key with those that are granted and revoked together with it (contract 2.4)."""
    along = GRANTED_ALONG.get(key.privilege, ())
    return [key, *(GrantKey(key.object_type, key.db_name, key.object_name, name) for name in along)]


async def _require_role(transaction: Transaction, name: str) -> None:
    if await transaction.roles.get(name) is None:
        raise NotFound(f'the role "{name}" does not exist')


def _database(tools: Tools, request: Request, given: str) -> str:
    """Return the database of a grant: as given, else the connection's, else `default`; `*` is every database."""
    database = given or request.call.database or DEFAULT_DATABASE
    if database != ANY:
        tools.naming.check_database_name(database)
    return database


def collection_of(tools: Tools, database: str, name: str) -> str:
    """Return the collection behind a name in a grant (contract 4.10).

    A name that is neither collection nor alias is kept, so that grants may come before their object; its database must
    exist.
    """
    if ANY in (name, database):
        return name
    if not tools.catalog.has_database(database):
        raise DatabaseNotFound(f"database not found[database={database}]")
    return tools.catalog.resolve(database, name)


async def select(tools: Tools, request: Request) -> bytes:
    """List the grants of a role, of one database with `*`, or of all; optionally of one object."""
    message = messages.SelectGrantRequest.FromString(request.call.payload)
    if not message.HasField("entity"):
        raise InvalidArgument("the grant entity in the request is nil")
    entity = message.entity
    if not entity.HasField("role"):
        raise InvalidArgument("the role entity in the grant entity is nil")
    tools.naming.check_role_name(entity.role.name)
    database = entity.db_name or request.call.database or DEFAULT_DATABASE
    wanted = _wanted_object(tools, entity, database)
    role = request.snapshot.roles.get(entity.role.name)
    if role is None:
        raise NotFound(f'the role "{entity.role.name}" does not exist')
    entities = [
        grant_entity(grant)
        for grant in role.grants
        if database in (ANY, grant.key.db_name) or grant.key.db_name == ANY
        if wanted is None or wanted == (grant.key.object_type, grant.key.object_name)
    ]
    return bytes(messages.SelectGrantResponse(status=messages.Status(), entities=entities).SerializeToString())


def _wanted_object(tools: Tools, entity: messages.GrantEntity, database: str) -> tuple[str, str] | None:
    """Return the object to list the grants on; a name without a type is ignored, as in Milvus."""
    if not entity.HasField("object"):
        return None
    tools.naming.check_object_name(entity.object_name)
    kind = entity.object.name
    if kind not in _OBJECT_TYPES:
        raise InvalidGrant(
            f"not found the object type[name: {kind}], supported the object types: [Collection Global User]"
        )
    if kind == ObjectType.COLLECTION:
        return kind, collection_of(tools, database, entity.object_name)
    return kind, entity.object_name


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
