"""BackupRBAC and RestoreRBAC: the whole policy in one message (contract 2.6)."""

from collections.abc import Mapping
from typing import Final

from kiteward.authz.model import BUILT_IN_ROLES, Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, InvalidGrant, LimitReached
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.gateway.administration.base import Handler, Request, Services
from kiteward.gateway.administration.grants import grant_entity
from kiteward.gateway.administration.privilege_groups import is_reserved_group_name
from kiteward.gateway.administration.user_states import BackedUpPassword
from kiteward.milvus import messages
from kiteward.store.base import Transaction


async def backup(services: Services, request: Request) -> bytes:
    """Return users with password hashes, roles and what keeps them out, roles, grants and custom groups.

    `root`, `admin` and `public` are left out, and so are grants on dropped collections.
    """
    snapshot = request.snapshot
    roles = [snapshot.roles[name] for name in sorted(snapshot.roles) if name not in BUILT_IN_ROLES]
    meta = messages.RBACMeta(
        users=[
            messages.UserInfo(
                user=record.name,
                password=BackedUpPassword.of(record).text(),
                roles=[messages.RoleEntity(name=role) for role in record.roles],
            )
            for record in await services.store.users()
            if record.name != ROOT
        ],
        roles=[messages.RoleEntity(name=held.role.name, description=held.role.description) for held in roles],
        # What is kept for one user would be for anybody once restored.
        grants=[grant_entity(grant) for held in roles for grant in held.grants if grant.kept_for is None],
        privilege_groups=[
            messages.PrivilegeGroupInfo(
                group_name=name,
                privileges=[messages.PrivilegeEntity(name=member) for member in snapshot.groups[name].privileges],
            )
            for name in sorted(snapshot.groups)
        ],
    )
    return bytes(messages.BackupRBACMetaResponse(status=messages.Status(), RBAC_meta=meta).SerializeToString())


async def restore(services: Services, request: Request) -> bytes:
    """Add everything in a backup, or nothing. Names, hashes and limits are checked, unlike in Milvus (contract Q31).

    Users come back as they were: disabled, locked, or with a one-time password. Those that exist are never touched.
    """
    meta = messages.RestoreRBACMetaRequest.FromString(request.call.payload).RBAC_meta
    _check_names(services, meta)
    async with request.change() as transaction:
        await _restore_roles(transaction, services, meta)
        await _restore_groups(transaction, meta)
        await _restore_grants(transaction, request, meta)
        await _restore_users(transaction, services, meta)
    return messages.success("RestoreRBAC")


def _check_names(services: Services, meta: messages.RBACMeta) -> None:
    for role in meta.roles:
        services.naming.check_role_name(role.name)
        services.naming.check_role_description(role.description)
    for group in meta.privilege_groups:
        services.naming.check_group_name(group.group_name)
    for user in meta.users:
        services.naming.check_user_name(user.user)
        if not services.hasher.recognises(BackedUpPassword.parse(user.password, user_name=user.user).stored):
            raise InvalidArgument(f"the password hash of user [{user.user}] is neither Argon2id nor bcrypt")
    for grant in meta.grants:
        services.naming.check_object_name(grant.object_name)
        if grant.db_name not in ("", ANY):
            services.naming.check_database_name(grant.db_name)
        if grant.object.name not in frozenset(ObjectType):
            raise InvalidGrant(f"not found the object type[name: {grant.object.name}]")


async def _restore_roles(transaction: Transaction, services: Services, meta: messages.RBACMeta) -> None:
    for role in meta.roles:
        if await transaction.roles.get(role.name) is not None:
            raise InvalidGrant(f"role [{role.name}] already exists")
        if await transaction.roles.count() >= services.limits.roles:
            raise LimitReached(
                "unable to create role because the number of roles has reached the limit",
                ErrorDetail(ErrorCode.ROLES_LIMIT),
            )
        await transaction.roles.put(Role(role.name, role.description))


async def _restore_groups(transaction: Transaction, meta: messages.RBACMeta) -> None:
    brought = {group.group_name for group in meta.privilege_groups}
    for group in meta.privilege_groups:
        taken = is_reserved_group_name(group.group_name)
        if taken or await transaction.groups.get(group.group_name) is not None:
            raise InvalidGrant(f"privilege group [{group.group_name}] already exists")
        members = sorted({member.name for member in group.privileges})
        for member in members:
            known = member in PRIVILEGES or member in BUILT_IN_GROUPS or member in brought
            if not known and await transaction.groups.get(member) is None:
                raise InvalidGrant(f"privilege [{member}] does not exist")
        await transaction.groups.put(PrivilegeGroup(group.group_name, tuple(members)))


async def _restore_grants(transaction: Transaction, request: Request, meta: messages.RBACMeta) -> None:
    for grant in meta.grants:
        name = grant.grantor.privilege.name
        known = name in PRIVILEGES or name in BUILT_IN_GROUPS or name in LEGACY_GROUPS or name in (ALL, ANY)
        if not known and await transaction.groups.get(name) is None:
            raise InvalidGrant(f"privilege [{name}] does not exist")
        if await transaction.roles.get(grant.role.name) is None:
            raise InvalidGrant(f"role [{grant.role.name}] does not exist")
        key = GrantKey(ObjectType(grant.object.name), grant.db_name or DEFAULT_DATABASE, grant.object_name, name)
        await transaction.grants.add(
            [Grant(grant.role.name, key, grant.grantor.user.name or request.principal.user_name)]
        )


async def _restore_users(transaction: Transaction, services: Services, meta: messages.RBACMeta) -> None:
    for user in meta.users:
        if await transaction.users.get(user.user) is not None:
            raise InvalidGrant(f"user [{user.user}] already exists")
        if await transaction.users.count() >= services.limits.users:
            raise LimitReached(
                "unable to add user because the number of users has reached the limit",
                ErrorDetail(ErrorCode.USERS_LIMIT),
            )
        password = BackedUpPassword.parse(user.password, user_name=user.user)
        await transaction.users.add(user.user, password.stored, one_time=password.one_time)
        if not password.enabled:
            await transaction.users.enable(user.user, False)
        if password.locked:
            await transaction.users.lock(user.user)
        for role in user.roles:
            if await transaction.roles.get(role.name) is None:
                raise InvalidGrant(f"role [{role.name}] does not exist")
            await transaction.roles.bind(user.user, role.name)


HANDLERS: Final[Mapping[str, Handler]] = {
    "BackupRBAC": Handler(backup, changes=False),
    "RestoreRBAC": Handler(restore),
}
