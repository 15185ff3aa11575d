"""One role with its users and grants, the grants of all roles, and deleting a role."""

import pytest
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import (
    AccessDenied,
    AlreadyExists,
    InUse,
    InvalidArgument,
    InvalidGrant,
    ProtectedObject,
    RoleNotFound,
)


@pytest.fixture
async def filled(own: Own) -> Own:
    await own.harness.role("reader", ("Search", "default", "docs"), ("Query", "*", "*"))
    await own.harness.role("writer", ("Insert", "default", "docs"), ("ClusterReadOnly", "*", "*"))
    await own.harness.user("alice", "reader")
    return own


def shown(grants: list[dict[str, str]]) -> list[str]:
    return [f"{each['role']}: {each['privilege']} on {each['dbName']}.{each['objectName']}" for each in grants]


async def test_a_role_is_described_with_its_users_and_grants(filled: Own) -> None:
    role = await filled("DescribeRole", roleName="reader")
    assert (role["users"], role["builtIn"], role["description"]) == (["alice"], False, "")
    assert shown(role["grants"]) == ["reader: Query on *.*", "reader: Search on default.docs"]
    assert (await filled("DescribeRole", roleName="admin"))["builtIn"]
    with pytest.raises(RoleNotFound, match="role not found: nobody"):
        await filled("DescribeRole", roleName="nobody")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"roleName": "reader"}, {"reader: Query on *.*", "reader: Search on default.docs"}),
        ({"privilege": "Insert"}, {"writer: Insert on default.docs"}),
        (
            {"collectionName": "docs"},
            {
                "reader: Query on *.*",
                "reader: Search on default.docs",
                "writer: ClusterReadOnly on *.*",
                "writer: Insert on default.docs",
            },
        ),
        ({"collectionName": "docs", "dbName": "other"}, {"reader: Query on *.*", "writer: ClusterReadOnly on *.*"}),
        ({"contains": "SEARCH"}, {"reader: Search on default.docs"}),
    ],
)
async def test_grants_are_selected(filled: Own, wanted: dict[str, str], expected: set[str]) -> None:
    found = set(shown((await filled("ListGrants", **wanted))["grants"]))
    assert {each for each in found if each.startswith(("reader", "writer"))} == expected


async def test_grants_are_listed_page_by_page(filled: Own) -> None:
    whole = (await filled("ListGrants", total=True))["grants"]
    found, after = [], ""
    while True:
        page = await filled("ListGrants", limit=1, after=after)
        found += page["grants"]
        after = page["next"]
        if not after:
            break
    assert found == whole
    with pytest.raises(RoleNotFound):
        await filled("ListGrants", roleName="nobody")


async def test_a_role_with_grants_is_deleted_on_demand_alone(filled: Own) -> None:
    with pytest.raises(InUse, match="the role reader has grants: revoke them first, or use `force`"):
        await filled("DeleteRole", roleName="reader")
    await filled("DeleteRole", roleName="reader", force=True)
    with pytest.raises(RoleNotFound):
        await filled("DeleteRole", roleName="reader")
    with pytest.raises(ProtectedObject):
        await filled("DeleteRole", roleName="public", force=True)
    assert (await filled("DescribeUserAccount", userName="alice"))["roles"] == []


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("DescribeRole", {"roleName": "reader"}),
        ("DeleteRole", {"roleName": "reader"}),
        ("ListGrants", {}),
        ("CompareRoles", {"roleName": "reader", "otherRoleName": "writer"}),
    ],
)
async def test_only_administrators_may(filled: Own, operation: str, arguments: dict[str, str]) -> None:
    with pytest.raises(AccessDenied):
        await filled(operation, by="alice", **arguments)


async def test_a_role_is_copied_with_its_grants_and_without_members(filled: Own) -> None:
    assert await filled("CopyRole", roleName="alike", source="reader", description="as reader") == {"grants": 2}
    role = await filled("DescribeRole", roleName="alike")
    assert (role["users"], role["description"]) == ([], "as reader")
    assert shown(role["grants"]) == ["alike: Query on *.*", "alike: Search on default.docs"]
    await filled.harness.user("bob", "alike")
    assert (await filled("ExplainAccess", userName="bob", privilege="Search", collectionName="docs"))["allowed"]


async def test_a_role_that_cannot_be_copied_leaves_nothing(filled: Own) -> None:
    before = await filled.harness.state()
    for names, error in (
        ({"roleName": "alike", "source": "nobody"}, RoleNotFound),
        ({"roleName": "writer", "source": "reader"}, AlreadyExists),
        ({"roleName": "alike", "source": "admin"}, ProtectedObject),
        ({"roleName": "no name", "source": "reader"}, InvalidArgument),
    ):
        with pytest.raises(error):
            await filled("CopyRole", **names)
    with pytest.raises(AccessDenied):
        await filled("CopyRole", by="alice", roleName="alike", source="reader")
    assert await filled.harness.state() == before


async def test_roles_are_compared_by_what_one_has_and_the_other_lacks(filled: Own) -> None:
    await filled("ChangeGrants", roleName="writer", grant=[{"privilege": "Query", "dbName": "*"}])
    await filled("ChangeGrants", roleName="writer", grant=[{"privilege": "CollectionReadOnly", "dbName": "default"}])
    found = await filled("CompareRoles", roleName="reader", otherRoleName="writer")
    assert not found["same"]
    sides = {
        f"{each['privilege']} on {each['dbName']}.{each['objectName']}": (each["held"], each["heldByOther"])
        for each in found["grants"]
    }
    assert sides == {
        "ClusterReadOnly on *.*": (False, True),
        "CollectionReadOnly on default.*": (False, True),
        "Insert on default.docs": (False, True),
        "Query on *.*": (True, True),
        "Search on default.docs": (True, False),
    }
    covered = {each["privilege"]: shown(each["coveredBy"]) for each in found["grants"]}
    assert covered.pop("Search") == ["writer: CollectionReadOnly on default.*"]
    assert not any(covered.values())
    await filled("CopyRole", roleName="alike", source="reader")
    assert (await filled("CompareRoles", roleName="alike", otherRoleName="reader"))["same"]


async def test_roles_that_cannot_be_compared_are_refused(filled: Own) -> None:
    for first, second, error, field in (
        ("nobody", "reader", RoleNotFound, "roleName"),
        ("reader", "nobody", RoleNotFound, "otherRoleName"),
        ("admin", "reader", ProtectedObject, "roleName"),
        ("reader", "admin", ProtectedObject, "otherRoleName"),
    ):
        with pytest.raises(error) as refused:
            await filled("CompareRoles", roleName=first, otherRoleName=second)
        assert refused.value.field == field


async def test_grants_say_whether_what_selects_them_exists(filled: Own) -> None:
    filled.harness.engine.create("docs")
    for wanted, exists in (
        ({}, None),
        ({"collectionName": "docs"}, True),
        ({"collectionName": "ghost"}, False),
        ({"collectionName": "docs", "dbName": "ghost"}, False),
        ({"dbName": "ghost"}, False),
        ({"dbName": "default"}, True),
    ):
        assert (await filled("ListGrants", **wanted))["exists"] is exists


async def test_grants_of_a_privilege_that_does_not_exist_are_no_empty_list(filled: Own) -> None:
    with pytest.raises(InvalidGrant, match="Serch"):
        await filled("ListGrants", privilege="Serch")
    assert (await filled("ListGrants", privilege="ClusterReadOnly"))["grants"]
