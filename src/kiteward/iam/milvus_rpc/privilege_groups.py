"""Milvus's RPCs about privilege groups (contract 2.5)."""

from typing import Final

from kiteward.authz.model import PrivilegeGroup
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidGrant, RequestRefused
from kiteward.iam import privilege_groups
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.privilege_groups import ALTERABLE
from kiteward.iam.services import Services
from kiteward.iam.wording import reworded
from kiteward.milvus import messages

_OPERATIONS: Final = {
    messages.OperatePrivilegeGroupType.AddPrivilegesToGroup: privilege_groups.add_privileges,
    messages.OperatePrivilegeGroupType.RemovePrivilegesFromGroup: privilege_groups.remove_privileges,
}


async def create(services: Services, request: Request) -> bytes:
    """Create an empty group."""
    message = request.read(messages.CreatePrivilegeGroupRequest)
    await privilege_groups.create_group(services, request, message.group_name)
    return messages.success("CreatePrivilegeGroup")


async def drop(services: Services, request: Request) -> bytes:
    """Drop a group that no role holds; an unknown or built-in one succeeds without effect."""
    message = request.read(messages.DropPrivilegeGroupRequest)
    await privilege_groups.drop_group(services, request, message.group_name)
    return messages.success("DropPrivilegeGroup")


async def operate(services: Services, request: Request) -> bytes:
    """Add privileges to a group or remove them."""
    message = request.read(messages.OperatePrivilegeGroupRequest)
    names = [entity.name for entity in message.privileges]
    privilege_groups.check_names(services, message.group_name, names)
    if message.type not in _OPERATIONS:
        raise InvalidGrant(f"invalid operate privilege group type {message.type}, valid values: 0 (add), 1 (remove)")
    with reworded(InvalidGrant, _no_such_member, code=ErrorCode.PRIVILEGE_UNKNOWN):
        await _OPERATIONS[message.type](services, request, message.group_name, names)
    return messages.success("OperatePrivilegeGroup")


def _no_such_member(error: RequestRefused) -> str:
    name = error.details[0].parameters["name"]
    return f"{ALTERABLE}: there is no privilege name or privilege group name [{name}] defined in system to operate"


async def list_all(_services: Services, request: Request) -> bytes:
    """List custom groups by name, then the built-in ones in Milvus's order."""
    infos = [group_info(group) for group in privilege_groups.list_groups(request)]
    return bytes(
        messages.ListPrivilegeGroupsResponse(status=messages.Status(), privilege_groups=infos).SerializeToString()
    )


def group_info(group: PrivilegeGroup) -> messages.PrivilegeGroupInfo:
    """Return a group as ListPrivilegeGroups and BackupRBAC show it."""
    return messages.PrivilegeGroupInfo(
        group_name=group.name, privileges=[messages.PrivilegeEntity(name=member) for member in group.privileges]
    )
