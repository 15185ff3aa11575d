"""The whole policy as one value: taken as a backup, and restored (contract 2.6)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from kiteward.authz.model import BUILT_IN_ROLES, Grant, PrivilegeGroup, Role
from kiteward.domain.errors import AlreadyExists, InvalidArgument, InvalidGrant, RoleNotFound
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import ANY
from kiteward.iam.caller import Caller
from kiteward.iam.grantable import is_grantable
from kiteward.iam.lookup import require_role
from kiteward.iam.privilege_groups import is_group_member, is_reserved_group_name
from kiteward.iam.roles import add_role
from kiteward.iam.services import Services
from kiteward.iam.users import NewUser, add_user
from kiteward.iam.wording import reworded
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class BackedUpUser:
    """A user and the names of its roles."""

    user: NewUser
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyBackup:
    """Users with password hashes, roles, custom groups and grants, without the built-in ones.

    Users without a password are left out. A grant without grantor is restored with the restoring user as its grantor.
    """

    users: Sequence[BackedUpUser]
    roles: Sequence[Role]
    groups: Sequence[PrivilegeGroup]
    grants: Sequence[Grant]


async def back_up(services: Services, caller: Caller) -> PolicyBackup:
    """Return the policy without `root`, the built-in roles and grants on dropped collections."""
    snapshot = caller.snapshot
    roles = [snapshot.roles[name] for name in sorted(snapshot.roles) if name not in BUILT_IN_ROLES]
    users = [
        BackedUpUser(
            NewUser(
                record.name,
                record.password_hash,
                record.description,
                one_time=record.one_time,
                enabled=record.enabled,
                locked=record.locked_at is not None,
            ),
            record.roles,
        )
        for record in await services.store.users()
        if record.name != ROOT and record.has_password
    ]
    return PolicyBackup(
        users,
        [held.role for held in roles],
        [snapshot.groups[name] for name in sorted(snapshot.groups)],
        # A grant that is kept for one user would apply to all holders once restored.
        [grant for held in roles for grant in held.grants if grant.kept_for is None],
    )


async def restore(services: Services, caller: Caller, backup: PolicyBackup) -> None:
    """Add everything in a backup, or nothing. Names, hashes and limits are checked, unlike in Milvus (contract Q31).

    Raises:
        InvalidArgument, InvalidGroupName, DatabaseNameInvalid: a name, description or password hash is not acceptable.
        InvalidGrant: an object exists already, or something names an object that does not exist.
        LimitReached: the limit of users or roles would be exceeded.
    """
    _check_names(services, backup)
    async with caller.change() as transaction:
        for role in backup.roles:
            with reworded(AlreadyExists, f"role [{role.name}] already exists", instead=InvalidGrant):
                await add_role(services, transaction, role)
        await _restore_groups(transaction, backup.groups)
        await _restore_grants(transaction, caller, backup.grants)
        for each in backup.users:
            await _restore_user(services, transaction, each)


def _check_names(services: Services, backup: PolicyBackup) -> None:
    naming = services.naming
    for role in backup.roles:
        naming.check_role_name(role.name)
        naming.check_role_description(role.description)
    for group in backup.groups:
        naming.check_group_name(group.name)
    for each in backup.users:
        naming.check_user_name(each.user.name)
        if not services.hasher.recognises(each.user.password_hash):
            raise InvalidArgument(f"the password hash of user [{each.user.name}] is neither Argon2id nor bcrypt")
    for grant in backup.grants:
        naming.check_object_name(grant.key.object_name)
        if grant.key.db_name != ANY:
            naming.check_database_name(grant.key.db_name)


async def _restore_groups(transaction: Transaction, groups: Sequence[PrivilegeGroup]) -> None:
    restored = {group.name for group in groups}
    for group in groups:
        if is_reserved_group_name(group.name) or await transaction.groups.get(group.name) is not None:
            raise InvalidGrant(f"privilege group [{group.name}] already exists")
        for member in group.privileges:
            if member not in restored and not await is_group_member(transaction, member):
                raise InvalidGrant(f"privilege [{member}] does not exist")
        await transaction.groups.put(group)


async def _restore_grants(transaction: Transaction, caller: Caller, grants: Sequence[Grant]) -> None:
    for grant in grants:
        if not await is_grantable(transaction, grant.key.privilege):
            raise InvalidGrant(f"privilege [{grant.key.privilege}] does not exist")
        with _refused_without(grant.role):
            await require_role(transaction, grant.role)
        await transaction.grants.add([replace(grant, grantor=grant.grantor or caller.principal.user_name)])


async def _restore_user(services: Services, transaction: Transaction, each: BackedUpUser) -> None:
    name = each.user.name
    with reworded(AlreadyExists, f"user [{name}] already exists", instead=InvalidGrant):
        await add_user(services, transaction, each.user)
    for role in each.roles:
        with _refused_without(role):
            await require_role(transaction, role)
        await transaction.roles.bind(name, role)


def _refused_without(role: str) -> AbstractContextManager[None]:
    return reworded(RoleNotFound, f"role [{role}] does not exist", instead=InvalidGrant)
