"""Changing the members of a privilege group in one step."""

from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authz.privileges import PRIVILEGES
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.privilege_groups import change_privileges
from kiteward.iam.services import Services


class GroupChange(Arguments):
    """The privileges that a group gets, and those that it loses."""

    privilege_group_name: str
    add: list[str] = msgspec.field(default_factory=list)
    remove: list[str] = msgspec.field(default_factory=list)


class ChangedGroup(Outcome):
    """The privileges of the group after the change, sorted."""

    privileges: list[str]


async def group_changed(services: Services, request: Request, arguments: GroupChange) -> ChangedGroup:
    """Add privileges to a group and remove others from it, all of it or nothing."""
    held = await change_privileges(
        services, request, arguments.privilege_group_name, add=arguments.add, remove=arguments.remove
    )
    return ChangedGroup(privileges=list(held))


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ChangePrivilegeGroup",
        "privilege_groups/change",
        GroupChange,
        ChangedGroup,
        group_changed,
        "Add privileges to a privilege group and remove others from it in one step.",
        administrators=False,
        privilege=PRIVILEGES["OperatePrivilegeGroup"],
        event=Event.GROUP_CHANGE,
    ),
)
