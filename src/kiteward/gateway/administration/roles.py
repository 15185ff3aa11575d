"""Roles and role bindings (contract 2.3). Clients match on the texts, so they are those of Milvus 2.6 and 3.0."""

from collections.abc import Mapping
from typing import Final

from kiteward.authz.model import ADMIN_ROLE, BUILT_IN_ROLES, Role
from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, InUse, InvalidGrant, LimitReached, NotFound, ProtectedObject
from kiteward.domain.identity import ROOT
from kiteward.gateway.administration.administrators import require_another_administrator
from kiteward.gateway.administration.base import Handler, Request, Services
from kiteward.milvus import messages
from kiteward.store.base import Transaction

_ADD, _REMOVE = 0, 1


async def create(services: Services, request: Request) -> bytes:
    """Create a role."""
    message = messages.CreateRoleRequest.FromString(request.call.payload)
    name = message.entity.name
    services.naming.check_role_name(name)
    services.naming.check_role_description(message.entity.description)
    async with request.change() as transaction:
        if await transaction.roles.get(name) is not None:
            raise AlreadyExists(
                f'role [name:"{name}"] already exists',
                ErrorDetail(ErrorCode.ROLE_EXISTS, {"name": name}),
                field="roleName",
            )
        if await transaction.roles.count() >= services.limits.roles:
            raise LimitReached(
                "failed to check if create role: quota exceeded"
                "[reason=unable to create role because the number of roles has reached the limit]",
                ErrorDetail(ErrorCode.ROLES_LIMIT),
            )
        await transaction.roles.put(Role(name, message.entity.description))
    return messages.success("CreateRole")


async def alter(services: Services, request: Request) -> bytes:
    """Replace a role's description; an empty one clears it."""
    message = messages.AlterRoleRequest.FromString(request.call.payload)
    services.naming.check_role_name(message.role_name)
    services.naming.check_role_description(message.description)
    if message.role_name in BUILT_IN_ROLES:
        raise ProtectedObject(
            f"the role[{message.role_name}] is a default role, which can't be altered",
            ErrorDetail(ErrorCode.ROLE_BUILT_IN, {"name": message.role_name}),
            field="roleName",
        )
    async with request.change() as transaction:
        await _require_role(transaction, message.role_name, "failed to check if alter role: role not exists")
        await transaction.roles.put(Role(message.role_name, message.description))
    return messages.success("AlterRole")


async def drop(services: Services, request: Request) -> bytes:
    """Drop a role and its bindings; one that holds grants only when forced, unless those are kept for a user."""
    message = messages.DropRoleRequest.FromString(request.call.payload)
    services.naming.check_role_name(message.role_name)
    if message.role_name in BUILT_IN_ROLES:
        raise ProtectedObject(
            f"the role[{message.role_name}] is a default role, which can't be dropped",
            ErrorDetail(ErrorCode.ROLE_BUILT_IN, {"name": message.role_name}),
            field="roleName",
        )
    async with request.change() as transaction:
        await _require_role(transaction, message.role_name)
        grants = await transaction.grants.of_role(message.role_name)
        # What is kept for who dropped a collection is on nothing that exists (decision 0030), and goes with the role.
        if not message.force_drop and any(grant.kept_for is None for grant in grants):
            raise InUse(
                "failed to check if drop role: "
                "fail to drop the role that it has privileges. Use REVOKE API to revoke privileges"
            )
        await transaction.roles.remove(message.role_name)
    return messages.success("DropRole")


async def operate_binding(services: Services, request: Request) -> bytes:
    """Bind a role to a user, or unbind it; doing it again changes nothing."""
    message = messages.OperateUserRoleRequest.FromString(request.call.payload)
    services.naming.check_user_name(message.username)
    services.naming.check_role_name(message.role_name)
    if message.type not in (_ADD, _REMOVE):
        raise InvalidGrant(f"invalid operate user role type {message.type}, valid values: 0 (add), 1 (remove)")
    async with request.change() as transaction:
        await _require_role(transaction, message.role_name)
        known = await transaction.users.get(message.username)
        if message.type == _REMOVE:
            if known is not None:
                stays = message.username == ROOT and services.root_bypass
                if message.role_name == ADMIN_ROLE and ADMIN_ROLE in known.roles and not stays:
                    await require_another_administrator(services, transaction, message.username)
                await transaction.roles.unbind(message.username, message.role_name)
        elif known is not None:
            await transaction.roles.bind(message.username, message.role_name)
        else:
            raise NotFound(
                f'failed to check if operate user role: user "{message.username}" not found',
                ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": message.username}),
                field="userName",
            )
    return messages.success("OperateUserRole")


async def select(services: Services, request: Request) -> bytes:
    """Describe one role or all; an unknown one gives no result."""
    if not _may_see_users(request):
        return await _describe(services, request, sees_users=False)
    revision = request.snapshot.revision
    remembered = services.response_cache.get(request.call, revision)
    if remembered is not None:
        return remembered
    return services.response_cache.put(request.call, revision, await _describe(services, request, sees_users=True))


async def _describe(services: Services, request: Request, *, sees_users: bool) -> bytes:
    message = messages.SelectRoleRequest.FromString(request.call.payload)
    snapshot = request.snapshot
    only: str | None = None
    if message.HasField("role"):
        only = message.role.name
        services.naming.check_role_name(only)
    names = sorted(snapshot.roles) if only is None else [only] if only in snapshot.roles else []
    bound = await services.store.bindings(only) if message.include_user_info else {}
    if not sees_users:
        # The role is the caller's own; who else holds it is not the caller's business.
        own = request.principal.user_name
        bound = {name: tuple(user for user in users if user == own) for name, users in bound.items()}
    results = [
        messages.RoleResult(
            role=messages.RoleEntity(name=name, description=snapshot.roles[name].role.description),
            users=[messages.UserEntity(name=user) for user in bound.get(name, ())],
        )
        for name in names
    ]
    return bytes(messages.SelectRoleResponse(status=messages.Status(), results=results).SerializeToString())


def _may_see_users(request: Request) -> bool:
    condition = Condition(PRIVILEGES["SelectOwnership"])
    return decide(request.principal, (condition,), request.snapshot).allowed


_NO_ROLE: Final = "not found the role, maybe the role isn't existed or internal system error"


async def _require_role(transaction: Transaction, name: str, told: str = _NO_ROLE) -> None:
    if await transaction.roles.get(name) is None:
        raise NotFound(told)


HANDLERS: Final[Mapping[str, Handler]] = {
    "CreateRole": Handler(create),
    "AlterRole": Handler(alter),
    "DropRole": Handler(drop),
    "OperateUserRole": Handler(operate_binding),
    "SelectRole": Handler(select, changes=False),
}
