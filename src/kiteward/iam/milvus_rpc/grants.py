"""Milvus's RPCs about grants, of both generations, and their listing (contract 2.4, 4.12)."""

from typing import Final

from kiteward.authz.model import Grant
from kiteward.authz.privileges import ObjectType
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument, InvalidGrant, RoleNotFound
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam import grants
from kiteward.iam.grants import PrivilegeScope
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.services import Services
from kiteward.iam.wording import reworded
from kiteward.milvus import messages

_OPERATIONS: Final = {
    messages.OperatePrivilegeType.Grant: grants.give_grant,
    messages.OperatePrivilegeType.Revoke: grants.revoke_grant,
}

_CHECK: Final = "failed to operate privilege common check"
"""What Milvus 2.6 and 3.0 put before the texts of what OperatePrivilege and OperatePrivilegeV2 check first."""

_OBJECT_TYPES: Final = frozenset(ObjectType)


async def operate_v1(services: Services, request: Request) -> bytes:
    """Grant or revoke a privilege on an object of a named type."""
    message = request.read(messages.OperatePrivilegeRequest)
    entity = _v1_entity(message)
    naming, database = services.naming, _database(request, entity.db_name)
    naming.check_object_name(entity.grantor.privilege.name, "Privilege")
    naming.check_object_name(entity.object.name, "ObjectType")
    naming.check_object_name(entity.object_name)
    naming.check_role_name(entity.role.name)
    if database != ANY:
        naming.check_database_name(database)
    if message.type not in _OPERATIONS:
        raise InvalidGrant(
            f"{_CHECK}: invalid operate privilege type, current type: {message.type}, valid value: [Grant, Revoke]"
        )
    if entity.object.name not in _OBJECT_TYPES:
        raise InvalidGrant(f"{_CHECK}: the object entity in the request is nil or invalid")
    kind = ObjectType(entity.object.name)
    name = ANY if kind is ObjectType.GLOBAL else entity.object_name
    scope = PrivilegeScope(entity.grantor.privilege.name, database, name, kind)
    await _operate(services, request, message.type, entity.role.name, scope)
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


async def operate_v2(services: Services, request: Request) -> bytes:
    """Grant or revoke a privilege or privilege group on a database and collection."""
    message = request.read(messages.OperatePrivilegeV2Request)
    if not message.HasField("role"):
        raise InvalidArgument("the role in the request is nil")
    # Milvus dereferences what may be missing here and dies (contract Q26).
    if not message.HasField("grantor"):
        raise InvalidArgument("the grantor in the request is nil")
    if not message.grantor.HasField("privilege"):
        raise InvalidArgument("the privilege entity in the grantor entity is nil")
    services.naming.check_role_name(message.role.name)
    services.naming.check_object_name(message.grantor.privilege.name, "Privilege")
    if message.type not in _OPERATIONS:
        raise InvalidArgument(f"the type in the request not grant or revoke, current type: {message.type}")
    scope = PrivilegeScope(message.grantor.privilege.name, _database(request, message.db_name), message.collection_name)
    await _operate(services, request, message.type, message.role.name, scope)
    return messages.success("OperatePrivilegeV2")


async def _operate(
    services: Services,
    request: Request,
    kind: messages.OperatePrivilegeType.ValueType,
    role: str,
    scope: PrivilegeScope,
) -> None:
    of_type = "" if scope.object_type is None else f" in object[{scope.object_type}]"
    unknown = f"not found the privilege name[{scope.privilege}]{of_type}"
    with (
        reworded(RoleNotFound, f'{_CHECK}: the role "{role}" does not exist'),
        reworded(InvalidGrant, unknown, code=ErrorCode.PRIVILEGE_UNKNOWN),
    ):
        await _OPERATIONS[kind](services, request, role=role, scope=scope)


def _database(request: Request, given: str) -> str:
    """Return the database of a grant: as given, else the connection's, else `default`; `*` is every database."""
    return given or request.call.database or DEFAULT_DATABASE


async def select(services: Services, request: Request) -> bytes:
    """List the grants of a role, of one database with `*`, or of all; optionally of one object."""
    message = request.read(messages.SelectGrantRequest)
    if not message.HasField("entity"):
        raise InvalidArgument("the grant entity in the request is nil")
    entity = message.entity
    if not entity.HasField("role"):
        raise InvalidArgument("the role entity in the grant entity is nil")
    services.naming.check_role_name(entity.role.name)
    named = _named_object(services, entity)
    with reworded(RoleNotFound, f'the role "{entity.role.name}" does not exist'):
        found = await grants.list_grants(
            services, request, entity.role.name, database=_database(request, entity.db_name), named=named
        )
    entities = [grant_entity(grant) for grant in found]
    return bytes(messages.SelectGrantResponse(status=messages.Status(), entities=entities).SerializeToString())


def _named_object(services: Services, entity: messages.GrantEntity) -> tuple[ObjectType, str] | None:
    """Return the object to list the grants on; a name without a type is ignored, as in Milvus."""
    if not entity.HasField("object"):
        return None
    services.naming.check_object_name(entity.object_name)
    if entity.object.name not in _OBJECT_TYPES:
        raise InvalidGrant(
            f"not found the object type[name: {entity.object.name}], supported the object types: "
            "[Collection Global User]"
        )
    return ObjectType(entity.object.name), entity.object_name


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
