"""Creating a privilege group with members, and changing these: all of it or nothing, and by whom."""

from typing import Any

import pytest
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, InvalidArgument, InvalidGrant, InvalidGroupName, RequestRefused

GROUP = "readers"


@pytest.fixture
async def grouped(own: Own) -> Own:
    """A server with a group that holds Query and Search."""
    await own.harness.call("CreatePrivilegeGroup", group_name=GROUP)
    await own("ChangePrivilegeGroup", privilegeGroupName=GROUP, add=["Search", "Query"])
    return own


def held(own: Own) -> list[str]:
    return list(own.harness.policy_cache.current().groups[GROUP].privileges)


async def test_a_group_is_created_with_its_privileges_or_empty(own: Own) -> None:
    assert await own("MakePrivilegeGroup", privilegeGroupName=GROUP, privileges=["Search", "Query", "Search"]) == {}
    assert held(own) == ["Query", "Search"]
    last = own.harness.trail.events[-1]
    assert (last.operation, last.event.kind, last.outcome) == ("MakePrivilegeGroup", "privilege_group", "succeeded")
    assert last.details["privileges"] == ["Search", "Query", "Search"]
    await own("MakePrivilegeGroup", privilegeGroupName="empty")
    assert own.harness.policy_cache.current().groups["empty"].privileges == ()


@pytest.mark.parametrize(
    ("wanted", "error", "field"),
    [
        ({"privileges": ["Query", "Nope"]}, InvalidGrant, "privileges"),
        ({"privileges": ["Query", "CreateDatabase"]}, InvalidGrant, "privileges"),
        ({"privileges": ["a b"]}, InvalidArgument, ""),
        ({"privileges": ["new"]}, InvalidGrant, "privileges"),
        ({"privilegeGroupName": GROUP, "privileges": ["Insert"]}, InvalidGrant, "privilegeGroupName"),
        ({"privilegeGroupName": "Search", "privileges": ["Insert"]}, InvalidGrant, "privilegeGroupName"),
        ({"privilegeGroupName": "9x"}, InvalidGroupName, "privilegeGroupName"),
        ({"privilegeGroupName": ""}, InvalidArgument, "privilegeGroupName"),
    ],
)
async def test_a_group_that_cannot_be_created_with_all_of_its_privileges_is_not_created(
    grouped: Own, wanted: dict[str, Any], error: type[RequestRefused], field: str
) -> None:
    before = await grouped.harness.state()
    with pytest.raises(error) as refused:
        await grouped("MakePrivilegeGroup", **{"privilegeGroupName": "new", **wanted})
    assert refused.value.field == field or not field
    assert await grouped.harness.state() == before


async def test_a_group_with_privileges_needs_both_privileges_that_its_two_steps_need(own: Own) -> None:
    await own.harness.role("maker", ("CreatePrivilegeGroup", "*", "*"))
    await own.harness.role("keeper", ("OperatePrivilegeGroup", "*", "*"))
    for name, roles in (("alice", ["maker"]), ("emma", ["keeper"]), ("both", ["maker", "keeper"])):
        await own.harness.user(name, *roles)
    wanted: dict[str, Any] = {"privilegeGroupName": GROUP, "privileges": ["Search"]}
    for name, missing in (("alice", "PrivilegeOperatePrivilegeGroup"), ("emma", "PrivilegeCreatePrivilegeGroup")):
        with pytest.raises(AccessDenied, match=missing):
            await own("MakePrivilegeGroup", by=name, **wanted)
    with pytest.raises(AccessDenied):
        await own("MakePrivilegeGroup", by="emma", privilegeGroupName=GROUP)
    assert GROUP not in own.harness.policy_cache.current().groups
    await own("MakePrivilegeGroup", by="alice", privilegeGroupName="empty")
    await own("MakePrivilegeGroup", by="both", **wanted)
    assert held(own) == ["Search"]


async def test_privileges_are_added_and_removed_in_one_step(grouped: Own) -> None:
    changed = await grouped("ChangePrivilegeGroup", privilegeGroupName=GROUP, add=["Insert"], remove=["Search"])
    assert changed == {"added": ["Insert"], "removed": ["Search"]}
    assert held(grouped) == ["Insert", "Query"]
    changed = await grouped("ChangePrivilegeGroup", privilegeGroupName=GROUP, add=["Insert"], remove=["Delete"])
    assert changed == {"added": [], "removed": []}
    changed = await grouped("ChangePrivilegeGroup", privilegeGroupName=GROUP, remove=["Insert", "Query", "Delete"])
    assert changed == {"added": [], "removed": ["Insert", "Query"]}


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ({"add": ["Insert"], "remove": ["Nope"]}, InvalidGrant, "Nope"),
        ({"add": ["Nope"], "remove": ["Search"]}, InvalidGrant, "Nope"),
        ({"add": ["CreateDatabase"], "remove": ["Search"]}, InvalidGrant, "same privilege level"),
        ({"add": ["a b"], "remove": ["Search"]}, InvalidArgument, "found ' ' at 1"),
        ({"add": ["Insert"], "remove": ["Insert"]}, InvalidArgument, "in both `add` and `remove`"),
        ({}, InvalidGrant, "privileges is empty"),
        ({"add": ["Insert"], "privilegeGroupName": "nothing"}, InvalidGrant, "no privilege group name"),
        ({"add": ["Insert"], "privilegeGroupName": "ClusterAdmin"}, InvalidGrant, "no privilege group name"),
        ({"add": ["Insert"], "privilegeGroupName": "9x"}, InvalidGroupName, "first character"),
    ],
)
async def test_of_a_change_that_is_refused_nothing_is_made(
    grouped: Own, wanted: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await grouped("ChangePrivilegeGroup", **{"privilegeGroupName": GROUP, **wanted})
    assert held(grouped) == ["Query", "Search"]


async def test_a_level_is_replaced_by_another_in_one_step(grouped: Own) -> None:
    changed = await grouped(
        "ChangePrivilegeGroup", privilegeGroupName=GROUP, add=["CreateDatabase"], remove=["Search", "Query"]
    )
    assert changed == {"added": ["CreateDatabase"], "removed": ["Query", "Search"]}
    assert held(grouped) == ["CreateDatabase"]


async def test_who_may_operate_groups_may_change_them_and_nobody_else(grouped: Own) -> None:
    await grouped.harness.role("keeper", ("OperatePrivilegeGroup", "*", "*"))
    await grouped.harness.user("alice", "keeper")
    await grouped.harness.user("emma")
    await grouped("ChangePrivilegeGroup", by="alice", privilegeGroupName=GROUP, add=["Insert"])
    with pytest.raises(AccessDenied, match="PrivilegeOperatePrivilegeGroup"):
        await grouped("ChangePrivilegeGroup", by="emma", privilegeGroupName=GROUP, add=["Delete"])
    assert held(grouped) == ["Insert", "Query", "Search"]


async def test_one_event_tells_what_was_added_and_removed(grouped: Own) -> None:
    await grouped("ChangePrivilegeGroup", privilegeGroupName=GROUP, add=["Insert"], remove=["Search"])
    last = grouped.harness.trail.events[-1]
    assert (last.operation, last.event.kind, last.outcome) == ("ChangePrivilegeGroup", "privilege_group", "succeeded")
    assert (last.details["add"], last.details["remove"]) == (["Insert"], ["Search"])


async def test_names_that_no_group_can_have_are_not_looked_up(own: Own) -> None:
    with pytest.raises(RequestRefused) as refused:
        await own("MakePrivilegeGroup", privilegeGroupName="-readers", privileges=["-query"])
    assert [type(each) for each in (refused.value, *refused.value.others)] == [InvalidGroupName, InvalidArgument]
