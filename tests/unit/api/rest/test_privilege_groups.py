from typing import Any

import pytest
from tests.support.gateway import GatewayHarness
from tests.support.rest import Rest


async def listed(rest: Rest) -> dict[str, str]:
    data = await rest.ask("privilege_groups/list")
    assert set(data) == {"privilegeGroups"}
    return {group["privilegeGroupName"]: group["privileges"] for group in data["privilegeGroups"]}


async def test_a_group_is_created_listed_and_dropped(rest: Rest) -> None:
    assert await rest.ask("privilege_groups/create", {"privilegeGroupName": "mine"}) == {}
    groups = await listed(rest)
    assert groups["mine"] == ""
    assert "CollectionReadOnly" in groups
    assert await rest.ask("privilege_groups/drop", {"privilegeGroupName": "mine"}) == {}
    assert "mine" not in await listed(rest)


async def test_members_come_and_go_and_are_listed_joined_by_commas(rest: Rest, harness: GatewayHarness) -> None:
    await harness.group("mine")
    members: dict[str, Any] = {"privilegeGroupName": "mine", "privileges": ["Search", "Query"]}
    assert await rest.ask("privilege_groups/add_privileges_to_group", members) == {}
    assert (await listed(rest))["mine"] == "Query,Search"
    gone: dict[str, Any] = {"privilegeGroupName": "mine", "privileges": ["Query"]}
    assert await rest.ask("privilege_groups/remove_privileges_from_group", gone) == {}
    assert (await listed(rest))["mine"] == "Search"


async def test_no_members_are_refused_by_the_gateway(rest: Rest, harness: GatewayHarness) -> None:
    await harness.group("mine")
    answer = await rest.whole("privilege_groups/add_privileges_to_group", {"privilegeGroupName": "mine"})
    assert answer == {
        "code": 1100,
        "message": (
            "failed to check if privilege group alterable: "
            "privileges is empty when alter the privilege group: invalid parameter"
        ),
    }


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("create", "PrivilegeGroupReq"),
        ("drop", "PrivilegeGroupReq"),
        ("add_privileges_to_group", "MembersReq"),
        ("remove_privileges_from_group", "MembersReq"),
    ],
)
async def test_the_group_must_be_named(rest: Rest, action: str, kind: str) -> None:
    members = {"privileges": ["Search"]} if kind == "MembersReq" else {}
    answer = await rest.whole(f"privilege_groups/{action}", {"privilegeGroupName": "", **members})
    assert answer["code"] == 1802
    assert f"Key: '{kind}.PrivilegeGroupName'" in answer["message"]
