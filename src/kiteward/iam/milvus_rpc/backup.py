"""Milvus's RPCs BackupRBAC and RestoreRBAC: the whole policy in one message (contract 2.6)."""

from typing import Final

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import InvalidGrant
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam import policy_backup
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.milvus_rpc.grants import grant_entity
from kiteward.iam.milvus_rpc.privilege_groups import group_info
from kiteward.iam.milvus_rpc.user_states import BackedUpPassword
from kiteward.iam.policy_backup import BackedUpUser, PolicyBackup
from kiteward.iam.services import Services
from kiteward.iam.users import NewUser
from kiteward.milvus import messages

_OBJECT_TYPES: Final = frozenset(ObjectType)


async def backup(services: Services, request: Request) -> bytes:
    """Return users with password hashes, roles, grants and custom groups."""
    taken = await policy_backup.back_up(services, request)
    meta = messages.RBACMeta(
        users=[
            messages.UserInfo(
                user=each.user.name,
                password=BackedUpPassword.of(each.user).text(),
                roles=[messages.RoleEntity(name=role) for role in each.roles],
            )
            for each in taken.users
        ],
        roles=[messages.RoleEntity(name=role.name, description=role.description) for role in taken.roles],
        grants=[grant_entity(grant) for grant in taken.grants],
        privilege_groups=[group_info(group) for group in taken.groups],
    )
    return bytes(messages.BackupRBACMetaResponse(status=messages.Status(), RBAC_meta=meta).SerializeToString())


async def restore(services: Services, request: Request) -> bytes:
    """Add everything in a backup, or nothing.

    Users are restored as they were: disabled, locked, or with a one-time password. Existing users are never changed.
    """
    meta = request.read(messages.RestoreRBACMetaRequest).RBAC_meta
    await policy_backup.restore(
        services,
        request,
        PolicyBackup(
            [_user(user) for user in meta.users],
            [Role(role.name, role.description) for role in meta.roles],
            [
                PrivilegeGroup(group.group_name, tuple(sorted({member.name for member in group.privileges})))
                for group in meta.privilege_groups
            ],
            [_grant(entity) for entity in meta.grants],
        ),
    )
    return messages.success("RestoreRBAC")


def _user(user: messages.UserInfo) -> BackedUpUser:
    password = BackedUpPassword.parse(user.password, user_name=user.user)
    return BackedUpUser(
        NewUser(
            user.user,
            password.stored,
            one_time=password.one_time,
            enabled=password.enabled,
            locked=password.locked,
        ),
        tuple(role.name for role in user.roles),
    )


def _grant(entity: messages.GrantEntity) -> Grant:
    if entity.object.name not in _OBJECT_TYPES:
        raise InvalidGrant(f"not found the object type[name: {entity.object.name}]")
    kind, privilege = ObjectType(entity.object.name), entity.grantor.privilege.name
    key = GrantKey(kind, entity.db_name or DEFAULT_DATABASE, entity.object_name, privilege)
    return Grant(entity.role.name, key, entity.grantor.user.name)
