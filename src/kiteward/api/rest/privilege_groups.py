"""Custom privilege groups (contract 5.2)."""

from typing import Final

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Body, Endpoint, Name, Nothing, RequestContext, ResponseData
from kiteward.milvus import messages

_ADD: Final = messages.OperatePrivilegeGroupType.AddPrivilegesToGroup
_REMOVE: Final = messages.OperatePrivilegeGroupType.RemovePrivilegesFromGroup


class PrivilegeGroupReq(Body):
    """The name of a privilege group."""

    privilege_group_name: Name


class MembersReq(Body):
    """A privilege group, and privileges to add or remove."""

    privilege_group_name: Name
    privileges: list[str] = msgspec.field(default_factory=list)


class PrivilegeGroup(ResponseData):
    """A privilege group; its members are separated by commas."""

    privilege_group_name: str
    privileges: str


class PrivilegeGroups(ResponseData):
    """All privilege groups."""

    privilege_groups: list[PrivilegeGroup]


async def create(context: RequestContext, body: PrivilegeGroupReq) -> Nothing:
    """Answer `privilege_groups/create`."""
    request = messages.CreatePrivilegeGroupRequest(group_name=body.privilege_group_name)
    await context.call(request)
    return NOTHING


async def drop(context: RequestContext, body: PrivilegeGroupReq) -> Nothing:
    """Answer `privilege_groups/drop`."""
    request = messages.DropPrivilegeGroupRequest(group_name=body.privilege_group_name)
    await context.call(request)
    return NOTHING


async def list_all(context: RequestContext, _body: Body) -> PrivilegeGroups:
    """Answer `privilege_groups/list`."""
    response = await context.call(messages.ListPrivilegeGroupsRequest(), messages.ListPrivilegeGroupsResponse)
    return PrivilegeGroups(
        privilege_groups=[
            PrivilegeGroup(
                privilege_group_name=group.group_name,
                privileges=",".join(privilege.name for privilege in group.privileges),
            )
            for group in response.privilege_groups
        ]
    )


async def add(context: RequestContext, body: MembersReq) -> Nothing:
    """Answer `privilege_groups/add_privileges_to_group`."""
    return await _operate(context, body, _ADD)


async def remove(context: RequestContext, body: MembersReq) -> Nothing:
    """Answer `privilege_groups/remove_privileges_from_group`."""
    return await _operate(context, body, _REMOVE)


async def _operate(
    context: RequestContext, body: MembersReq, kind: messages.OperatePrivilegeGroupType.ValueType
) -> Nothing:
    request = messages.OperatePrivilegeGroupRequest(
        group_name=body.privilege_group_name,
        privileges=[messages.PrivilegeEntity(name=name) for name in body.privileges],
        type=kind,
    )
    await context.call(request)
    return NOTHING


ENDPOINTS: Final = (
    Endpoint("privilege_groups/create", PrivilegeGroupReq, Nothing, create, "Create an empty privilege group."),
    Endpoint(
        "privilege_groups/drop",
        PrivilegeGroupReq,
        Nothing,
        drop,
        "Drop a privilege group that is not granted to any role.",
    ),
    Endpoint("privilege_groups/list", Body, PrivilegeGroups, list_all, "List all privilege groups."),
    Endpoint(
        "privilege_groups/add_privileges_to_group", MembersReq, Nothing, add, "Add privileges to a privilege group."
    ),
    Endpoint(
        "privilege_groups/remove_privileges_from_group",
        MembersReq,
        Nothing,
        remove,
        "Remove privileges from a privilege group.",
    ),
)
