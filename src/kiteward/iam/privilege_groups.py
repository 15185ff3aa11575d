"""Custom privilege groups (contract 2.5). Texts are those of Milvus 2.6 and 3.0."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authz.model import PrivilegeGroup
from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, Level, group_level
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InUse, InvalidArgument, InvalidGrant
from kiteward.domain.faults import Faults
from kiteward.iam.caller import Caller
from kiteward.iam.grantable import unknown_privilege
from kiteward.iam.recorded_states import group_before
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction

_CREATABLE: Final = "failed to check if privilege group creatable"
ALTERABLE: Final = "failed to check if privilege group alterable"
"""The prefix of Milvus to the texts of these checks."""


@dataclass(frozen=True, slots=True)
class ChangedGroup:
    """What a change of a privilege group did: the privileges that it has got, and those that it has lost."""

    added: Sequence[str]
    removed: Sequence[str]


def is_reserved_group_name(name: str) -> bool:
    """Return whether a name is one of Milvus's own, which no custom group may have."""
    return name == ALL or name in PRIVILEGES or name in BUILT_IN_GROUPS or name in LEGACY_GROUPS


async def is_group_member(transaction: Transaction, name: str) -> bool:
    """Return whether a name is that of a privilege or group, and may therefore be named as a member of a group."""
    return name in PRIVILEGES or name in BUILT_IN_GROUPS or await transaction.groups.get(name) is not None


async def create_group(services: Services, caller: Caller, name: str, privileges: Sequence[str] = ()) -> None:
    """Create a group, empty or with its privileges.

    Raises:
        InvalidGroupName, InvalidArgument: a name breaks a rule.
        InvalidGrant: there is a privilege or group of this name; or of the privileges, as of `add_privileges`.
        AccessDenied: privileges are given, and the caller lacks OperatePrivilegeGroup.
    """
    if privileges:
        _require_operator(caller)
    faults = Faults()
    async with caller.change() as transaction:
        if privileges:
            _require_operator(caller)
        with faults:
            services.naming.check_group_name(name)
            _require_not_reserved(name)
            await _require_free(transaction, name)
        with faults:
            _check_privilege_names(services, privileges)
            _require_one_level(privileges)
            await _require_members(transaction, privileges)
        faults.require_none()
        await transaction.groups.put(PrivilegeGroup(name, tuple(sorted({*privileges}))))


def _require_not_reserved(name: str) -> None:
    if is_reserved_group_name(name):
        raise InvalidGrant(
            f"{_CREATABLE}: privilege group name [{name}] is defined by "
            "built in privileges or privilege groups in system",
            ErrorDetail(ErrorCode.GROUP_NAME_RESERVED, {"name": name}),
            field="privilegeGroupName",
        )


async def _require_free(transaction: Transaction, name: str) -> None:
    if await transaction.groups.get(name) is not None:
        raise InvalidGrant(
            f"{_CREATABLE}: privilege group name [{name}] is defined by users",
            ErrorDetail(ErrorCode.GROUP_EXISTS, {"name": name}),
            field="privilegeGroupName",
        )


async def drop_group(services: Services, caller: Caller, name: str) -> None:
    """Drop a group. A group that does not exist or is built in is ignored (contract Q18, Q19).

    Raises:
        InvalidGroupName, InvalidArgument: the name breaks a rule.
        InUse: a role holds a grant of it.
    """
    services.naming.check_group_name(name)
    async with caller.change() as transaction:
        group = await transaction.groups.get(name)
        if group is None:
            return
        holders = await transaction.grants.roles_with(name)
        if holders:
            raise InUse(
                f"failed to check if privilege group dropable: privilege group [{name}] is used by role "
                f"[{holders[0]}], Use REVOKE API to revoke it first",
                ErrorDetail(ErrorCode.GROUP_IN_USE, {"name": name, "role": holders[0]}),
                field="privilegeGroupName",
            )
        caller.record(before=group_before(group))
        await transaction.groups.remove(name)


async def add_privileges(services: Services, caller: Caller, name: str, privileges: Sequence[str]) -> None:
    """Add privileges to a group. Groups are accepted too, and have no effect.

    Raises:
        InvalidGroupName, InvalidArgument: a name breaks a rule.
        InvalidGrant: there is no such group or privilege, or the privileges are not of one level.
    """
    check_names(services, name, privileges)
    async with caller.change() as transaction:
        group = await _require_alterable(transaction, name, privileges)
        members = {*group.privileges, *privileges}
        _require_one_level(members)
        await transaction.groups.put(PrivilegeGroup(group.name, tuple(sorted(members))))


async def remove_privileges(services: Services, caller: Caller, name: str, privileges: Sequence[str]) -> None:
    """Remove privileges from a group. Those that it does not hold are ignored.

    Raises:
        InvalidGroupName, InvalidArgument: a name breaks a rule.
        InvalidGrant: there is no such group or privilege.
    """
    check_names(services, name, privileges)
    async with caller.change() as transaction:
        group = await _require_alterable(transaction, name, privileges)
        members = set(group.privileges) - set(privileges)
        await transaction.groups.put(PrivilegeGroup(group.name, tuple(sorted(members))))


async def change_privileges(
    services: Services, caller: Caller, name: str, *, add: Sequence[str], remove: Sequence[str]
) -> ChangedGroup:
    """Add privileges to a group and remove others, all of it or nothing.

    Args:
        services: what services work with.
        caller: who changes it.
        name: the group.
        add: what it gets.
        remove: what it loses; those that it does not hold are ignored.

    Returns:
        What it has got and lost, without what it held already or never held.

    Raises:
        InvalidGroupName, InvalidArgument: a name breaks a rule, or is in both.
        InvalidGrant: as of `add_privileges`.
    """
    both = sorted({*add} & {*remove})
    if both:
        raise InvalidArgument(
            f"the same privilege is in both `add` and `remove`: {both[0]}",
            ErrorDetail(ErrorCode.PRIVILEGE_ADDED_AND_REMOVED, {"name": both[0]}),
            field="remove",
        )
    check_names(services, name, (*add, *remove))
    async with caller.change() as transaction:
        group = await _require_alterable(transaction, name, (*add, *remove))
        members = {*group.privileges, *add} - {*remove}
        if add:
            _require_one_level(members)
        await transaction.groups.put(PrivilegeGroup(group.name, tuple(sorted(members))))
    held = {*group.privileges}
    return ChangedGroup(sorted(members - held), sorted(held - members))


def list_groups(caller: Caller) -> list[PrivilegeGroup]:
    """Return custom groups by name, then the built-in ones in Milvus's order."""
    custom = caller.snapshot.groups
    built_in = (PrivilegeGroup(name, tuple(members)) for name, members in BUILT_IN_GROUPS.items())
    return [*(custom[name] for name in sorted(custom)), *built_in]


def check_names(services: Services, name: str, privileges: Iterable[str]) -> None:
    """Check the name of a group and those of privileges.

    Raises:
        InvalidGroupName, InvalidArgument: a name breaks a rule.
    """
    services.naming.check_group_name(name)
    _check_privilege_names(services, privileges)


def _check_privilege_names(services: Services, privileges: Iterable[str]) -> None:
    for each in privileges:
        services.naming.check_object_name(each, "Privilege")


async def _require_alterable(transaction: Transaction, name: str, privileges: Sequence[str]) -> PrivilegeGroup:
    group = await transaction.groups.get(name)
    if group is None:
        raise InvalidGrant(
            f"{ALTERABLE}: there is no privilege group name [{name}] defined in system to operate",
            ErrorDetail(ErrorCode.GROUP_NOT_FOUND, {"name": name}),
            field="privilegeGroupName",
        )
    if not privileges:
        raise InvalidGrant(
            f"{ALTERABLE}: privileges is empty when alter the privilege group",
            ErrorDetail(ErrorCode.GROUP_EMPTY),
            field="privileges",
        )
    await _require_members(transaction, privileges)
    return group


def _require_operator(caller: Caller) -> None:
    condition = Condition(PRIVILEGES["OperatePrivilegeGroup"])
    decide(caller.principal, (condition,), caller.snapshot).require_allowed()


async def _require_members(transaction: Transaction, privileges: Iterable[str]) -> None:
    for each in privileges:
        if not await is_group_member(transaction, each):
            raise unknown_privilege(each, field="privileges")


def _require_one_level(members: Iterable[str]) -> None:
    if len({_level(name) for name in members} - {None}) > 1:
        raise InvalidGrant(
            f"{ALTERABLE}: privileges are not the same privilege level",
            ErrorDetail(ErrorCode.GROUP_LEVELS),
            field="privileges",
        )


def _level(name: str) -> Level | None:
    if name in PRIVILEGES:
        return PRIVILEGES[name].level
    return group_level(BUILT_IN_GROUPS[name]) if name in BUILT_IN_GROUPS else None
