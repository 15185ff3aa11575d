"""One role with its users and grants, the grants of all roles, and deleting a role."""

import pytest
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, InUse, ProtectedObject, RoleNotFound


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
    [("DescribeRole", {"roleName": "reader"}), ("DeleteRole", {"roleName": "reader"}), ("ListGrants", {})],
)
async def test_only_administrators_may(filled: Own, operation: str, arguments: dict[str, str]) -> None:
    with pytest.raises(AccessDenied):
        await filled(operation, by="alice", **arguments)
