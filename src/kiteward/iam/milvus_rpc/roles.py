"""Milvus's RPCs about roles and role bindings (contract 2.3).

The texts of errors are those of Milvus 2.6 and 3.0, because clients match on them.
"""

from typing import Final

from kiteward.authz.model import Role
from kiteward.domain.errors import InvalidGrant, LimitReached, RoleNotFound, UserNotFound
from kiteward.iam import roles
from kiteward.iam.milvus_rpc.base import Request, cached
from kiteward.iam.services import Services
from kiteward.iam.wording import reworded
from kiteward.milvus import messages

_NO_ROLE: Final = "not found the role, maybe the role isn't existed or internal system error"
_TOO_MANY: Final = (
    "failed to check if create role: quota exceeded"
    "[reason=unable to create role because the number of roles has reached the limit]"
)


async def create(services: Services, request: Request) -> bytes:
    """Create a role."""
    entity = request.read(messages.CreateRoleRequest).entity
    with reworded(LimitReached, _TOO_MANY):
        await roles.create_role(services, request, Role(entity.name, entity.description))
    return messages.success("CreateRole")


async def alter(services: Services, request: Request) -> bytes:
    """Replace a role's description; an empty one clears it."""
    message = request.read(messages.AlterRoleRequest)
    with reworded(RoleNotFound, "failed to check if alter role: role not exists"):
        await roles.describe_role(services, request, Role(message.role_name, message.description))
    return messages.success("AlterRole")


async def drop(services: Services, request: Request) -> bytes:
    """Drop a role and its bindings; one that holds grants only when forced."""
    message = request.read(messages.DropRoleRequest)
    with reworded(RoleNotFound, _NO_ROLE):
        await roles.drop_role(services, request, message.role_name, force=message.force_drop)
    return messages.success("DropRole")


async def operate_binding(services: Services, request: Request) -> bytes:
    """Bind a role to a user, or unbind it. Repeating it changes nothing."""
    message = request.read(messages.OperateUserRoleRequest)
    user, role = message.username, message.role_name
    roles.check_binding_names(services, user, role)
    no_user = f'failed to check if operate user role: user "{user}" not found'
    with reworded(RoleNotFound, _NO_ROLE), reworded(UserNotFound, no_user):
        match message.type:
            case messages.OperateUserRoleType.AddUserToRole:
                await roles.bind_role(services, request, user=user, role=role)
            case messages.OperateUserRoleType.RemoveUserFromRole:
                await roles.unbind_role(services, request, user=user, role=role)
            case _:
                raise InvalidGrant(f"invalid operate user role type {message.type}, valid values: 0 (add), 1 (remove)")
    return messages.success("OperateUserRole")


async def select(services: Services, request: Request) -> bytes:
    """Describe one role or all; a role that does not exist gives no result."""

    async def answer() -> bytes:
        message = request.read(messages.SelectRoleRequest)
        name = message.role.name if message.HasField("role") else None
        found = await roles.describe_roles(services, request, name, with_users=message.include_user_info)
        results = [
            messages.RoleResult(
                role=messages.RoleEntity(name=each.role.name, description=each.role.description),
                users=[messages.UserEntity(name=user) for user in each.users],
            )
            for each in found
        ]
        return bytes(messages.SelectRoleResponse(status=messages.Status(), results=results).SerializeToString())

    return await (cached(services, request, answer) if roles.sees_role_holders(request) else answer())
