"""Custom privilege groups (contract 2.5)."""

from collections.abc import Iterable, Mapping
from typing import Final

from kiteward.authz.model import PrivilegeGroup
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, Level, group_level
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InUse, InvalidGrant
from kiteward.gateway.administration.base import Handler, Request, Services
from kiteward.milvus import messages
from kiteward.store.base import Transaction

_ADD, _REMOVE = 0, 1
_CREATABLE: Final = "failed to check if privilege group creatable"
_ALTERABLE: Final = "failed to check if privilege group alterable"
"""What Milvus 2.6 and 3.0 put before the texts of these checks."""


def is_reserved_group_name(name: str) -> bool:
    """Tell whether a name is Milvus' own, so that no custom group may bear it."""
    return name == ALL or name in PRIVILEGES or name in BUILT_IN_GROUPS or name in LEGACY_GROUPS


async def create(services: Services, request: Request) -> bytes:
    """Create an empty group."""
    message = messages.CreatePrivilegeGroupRequest.FromString(request.call.payload)
    name = message.group_name
    services.naming.check_group_name(name)
    if is_reserved_group_name(name):
        raise InvalidGrant(
            f"{_CREATABLE}: privilege group name [{name}] is defined by "
            "built in privileges or privilege groups in system",
            ErrorDetail(ErrorCode.GROUP_NAME_RESERVED, {"name": name}),
            field="privilegeGroupName",
        )
    async with request.change() as transaction:
        if await transaction.groups.get(name) is not None:
            raise InvalidGrant(
                f"{_CREATABLE}: privilege group name [{name}] is defined by users",
                ErrorDetail(ErrorCode.GROUP_EXISTS, {"name": name}),
                field="privilegeGroupName",
            )
        await transaction.groups.put(PrivilegeGroup(name))
    return messages.success("CreatePrivilegeGroup")


async def drop(services: Services, request: Request) -> bytes:
    """Drop a group that no role holds; an unknown or built-in one succeeds without effect (contract Q18, Q19)."""
    message = messages.DropPrivilegeGroupRequest.FromString(request.call.payload)
    name = message.group_name
    services.naming.check_group_name(name)
    async with request.change() as transaction:
        if await transaction.groups.get(name) is not None:
            holders = await transaction.grants.roles_with(name)
            if holders:
                raise InUse(
                    f"failed to check if privilege group dropable: privilege group [{name}] is used by role "
                    f"[{holders[0]}], Use REVOKE API to revoke it first",
                    ErrorDetail(ErrorCode.GROUP_IN_USE, {"name": name, "role": holders[0]}),
                    field="privilegeGroupName",
                )
            await transaction.groups.remove(name)
    return messages.success("DropPrivilegeGroup")


async def operate(services: Services, request: Request) -> bytes:
    """Add privileges to a group or remove them.

    Members share one level; group names are accepted and have no effect.
    """
    message = messages.OperatePrivilegeGroupRequest.FromString(request.call.payload)
    services.naming.check_group_name(message.group_name)
    names = [entity.name for entity in message.privileges]
    for name in names:
        services.naming.check_object_name(name, "Privilege")
    if message.type not in (_ADD, _REMOVE):
        raise InvalidGrant(f"invalid operate privilege group type {message.type}, valid values: 0 (add), 1 (remove)")
    async with request.change() as transaction:
        group = await transaction.groups.get(message.group_name)
        if group is None:
            raise InvalidGrant(
                f"{_ALTERABLE}: there is no privilege group name [{message.group_name}] defined in system to operate",
                ErrorDetail(ErrorCode.GROUP_NOT_FOUND, {"name": message.group_name}),
                field="privilegeGroupName",
            )
        if not names:
            raise InvalidGrant(
                f"{_ALTERABLE}: privileges is empty when alter the privilege group",
                ErrorDetail(ErrorCode.GROUP_EMPTY),
                field="privileges",
            )
        await _require_known(transaction, names)
        if message.type == _ADD:
            members = {*group.privileges, *names}
            _require_one_level(members)
        else:
            members = set(group.privileges) - set(names)
        await transaction.groups.put(PrivilegeGroup(group.name, tuple(sorted(members))))
    return messages.success("OperatePrivilegeGroup")


async def _require_known(transaction: Transaction, names: Iterable[str]) -> None:
    for name in names:
        if name in PRIVILEGES or name in BUILT_IN_GROUPS or await transaction.groups.get(name) is not None:
            continue
        raise InvalidGrant(
            f"{_ALTERABLE}: there is no privilege name or privilege group name [{name}] defined in system to operate",
            ErrorDetail(ErrorCode.PRIVILEGE_UNKNOWN, {"name": name}),
            field="privileges",
        )


def _require_one_level(members: Iterable[str]) -> None:
    if len({_level(name) for name in members} - {None}) > 1:
        raise InvalidGrant(
            f"{_ALTERABLE}: privileges are not the same privilege level",
            ErrorDetail(ErrorCode.GROUP_LEVELS),
            field="privileges",
        )


def _level(name: str) -> Level | None:
    if name in PRIVILEGES:
        return PRIVILEGES[name].level
    return group_level(BUILT_IN_GROUPS[name]) if name in BUILT_IN_GROUPS else None


async def list_all(_services: Services, request: Request) -> bytes:
    """List custom groups by name, then the built-in ones in Milvus' order."""
    groups = request.snapshot.groups
    listed = [(name, groups[name].privileges) for name in sorted(groups)]
    listed += BUILT_IN_GROUPS.items()
    infos = [
        messages.PrivilegeGroupInfo(
            group_name=name, privileges=[messages.PrivilegeEntity(name=member) for member in members]
        )
        for name, members in listed
    ]
    return bytes(
        messages.ListPrivilegeGroupsResponse(status=messages.Status(), privilege_groups=infos).SerializeToString()
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "CreatePrivilegeGroup": Handler(create),
    "DropPrivilegeGroup": Handler(drop),
    "OperatePrivilegeGroup": Handler(operate),
    "ListPrivilegeGroups": Handler(list_all, changes=False),
}
