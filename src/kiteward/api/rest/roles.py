"""Roles and their grants (contract 5.2)."""

from typing import Final

from kiteward.api.rest.endpoints import (
    NOTHING,
    Answer,
    Body,
    Described,
    Endpoint,
    Name,
    Nothing,
    RequestContext,
    ResponseData,
)
from kiteward.milvus import messages

_GRANT: Final = messages.OperatePrivilegeType.Grant
_REVOKE: Final = messages.OperatePrivilegeType.Revoke


class RoleReq(Body):
    """The name of a role."""

    role_name: Name


class DescribedRoleReq(Body):
    """A role with its description; an empty one clears it."""

    role_name: Name
    description: str = ""


class GrantReq(Body):
    """A privilege on an object of a named type."""

    role_name: Name
    object_type: Name
    object_name: Name
    privilege: Name


class GrantV2Req(Body):
    """A privilege or privilege group on a database and collection."""

    role_name: Name
    privilege: Name
    collection_name: str = ""


class RoleGrant(ResponseData):
    """A grant of a role."""

    object_type: str
    object_name: str
    privilege: str
    db_name: str
    grantor: str


async def list_names(context: RequestContext, _body: Body) -> list[str]:
    """Answer `roles/list`."""
    response = await context.call(messages.SelectRoleRequest(), messages.SelectRoleResponse)
    return [result.role.name for result in response.results]


async def describe(context: RequestContext, body: RoleReq) -> Answer:
    """Answer `roles/describe`; for an unknown role the second request fails."""
    role = messages.RoleEntity(name=body.role_name)
    found = await context.call(messages.SelectRoleRequest(role=role), messages.SelectRoleResponse)
    entity = messages.GrantEntity(role=role, db_name=body.db_name)
    granted = await context.call(messages.SelectGrantRequest(entity=entity), messages.SelectGrantResponse)
    description = "".join(result.role.description for result in found.results)
    return Answer([_shown(entity) for entity in granted.entities], Described(description=description))


def _shown(entity: messages.GrantEntity) -> RoleGrant:
    return RoleGrant(
        object_type=entity.object.name,
        object_name=entity.object_name,
        privilege=entity.grantor.privilege.name,
        db_name=entity.db_name,
        grantor=entity.grantor.user.name,
    )


async def create(context: RequestContext, body: DescribedRoleReq) -> Nothing:
    """Answer `roles/create`."""
    entity = messages.RoleEntity(name=body.role_name, description=body.description)
    await context.call(messages.CreateRoleRequest(entity=entity))
    return NOTHING


async def alter(context: RequestContext, body: DescribedRoleReq) -> Nothing:
    """Answer `roles/alter`."""
    request = messages.AlterRoleRequest(role_name=body.role_name, description=body.description)
    await context.call(request)
    return NOTHING


async def drop(context: RequestContext, body: RoleReq) -> Nothing:
    """Answer `roles/drop`, which never forces the drop of a role in use."""
    await context.call(messages.DropRoleRequest(role_name=body.role_name))
    return NOTHING


async def grant(context: RequestContext, body: GrantReq) -> Nothing:
    """Answer `roles/grant_privilege`."""
    return await _operate(context, body, _GRANT)


async def revoke(context: RequestContext, body: GrantReq) -> Nothing:
    """Answer `roles/revoke_privilege`."""
    return await _operate(context, body, _REVOKE)


async def _operate(context: RequestContext, body: GrantReq, kind: messages.OperatePrivilegeType.ValueType) -> Nothing:
    entity = messages.GrantEntity(
        role=messages.RoleEntity(name=body.role_name),
        object=messages.ObjectEntity(name=body.object_type),
        object_name=body.object_name,
        db_name=body.db_name,
        grantor=_grantor(body.privilege),
    )
    await context.call(messages.OperatePrivilegeRequest(entity=entity, type=kind))
    return NOTHING


async def grant_v2(context: RequestContext, body: GrantV2Req) -> Nothing:
    """Answer `roles/grant_privilege_v2`."""
    return await _operate_v2(context, body, _GRANT)


async def revoke_v2(context: RequestContext, body: GrantV2Req) -> Nothing:
    """Answer `roles/revoke_privilege_v2`."""
    return await _operate_v2(context, body, _REVOKE)


async def _operate_v2(
    context: RequestContext, body: GrantV2Req, kind: messages.OperatePrivilegeType.ValueType
) -> Nothing:
    request = messages.OperatePrivilegeV2Request(
        role=messages.RoleEntity(name=body.role_name),
        grantor=_grantor(body.privilege),
        type=kind,
        db_name=body.db_name,
        collection_name=body.collection_name,
    )
    await context.call(request)
    return NOTHING


def _grantor(privilege: str) -> messages.GrantorEntity:
    """Return the message for a granted privilege. It names no grantor: that is the authenticated caller."""
    return messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=privilege))


ENDPOINTS: Final = (
    Endpoint("roles/list", Body, list[str], list_names, "List the names of all roles."),
    Endpoint("roles/describe", RoleReq, list[RoleGrant], describe, "List the grants of a role.", extra=Described),
    Endpoint("roles/create", DescribedRoleReq, Nothing, create, "Create a role."),
    Endpoint("roles/alter", DescribedRoleReq, Nothing, alter, "Change a role's description; none clears it."),
    Endpoint("roles/drop", RoleReq, Nothing, drop, "Drop a role without grants."),
    Endpoint("roles/grant_privilege", GrantReq, Nothing, grant, "Grant a privilege on an object of a named type."),
    Endpoint("roles/revoke_privilege", GrantReq, Nothing, revoke, "Revoke a privilege on an object of a named type."),
    # Milvus takes the database of these two only from the body (contract 5.2).
    Endpoint(
        "roles/grant_privilege_v2",
        GrantV2Req,
        Nothing,
        grant_v2,
        "Grant a privilege or privilege group on a database and collection.",
        database_header=False,
    ),
    Endpoint(
        "roles/revoke_privilege_v2",
        GrantV2Req,
        Nothing,
        revoke_v2,
        "Revoke a privilege or privilege group on a database and collection.",
        database_header=False,
    ),
)
