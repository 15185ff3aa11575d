"""Lists over the operations: what they select, their order, pages and totals, and what is refused."""

from typing import Any

import pytest
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import InvalidArgument, RoleNotFound


async def people(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"), ("Query", "default", "docs"))
    await own.harness.role("writer")
    for name, *roles in (("anna", "reader"), ("Bob", "reader", "admin"), ("carl",)):
        await own.harness.user(name, *roles)


def of(rows: list[dict[str, Any]], field: str) -> list[Any]:
    return [row[field] for row in rows]


async def test_users_are_searched_filtered_sorted_and_counted(own: Own) -> None:
    await people(own)
    await own("DisableUser", userName="carl")
    for asked, expected in (
        ({}, ["Bob", "anna", "carl", "root"]),
        ({"contains": "A"}, ["anna", "carl"]),
        ({"state": "disabled"}, ["carl"]),
        ({"roleName": "reader"}, ["Bob", "anna"]),
        ({"sort": "-userName"}, ["root", "carl", "anna", "Bob"]),
        ({"sort": "-userName", "offset": 1, "limit": 2}, ["carl", "anna"]),
    ):
        found = await own("ListUserAccounts", total=True, **asked)
        assert of(found["users"], "userName") == expected
        assert found["total"] == (4 if "sort" in asked else len(expected))
    assert (await own("ListUserAccounts"))["total"] is None


async def test_accounts_say_who_is_an_administrator(own: Own) -> None:
    await people(own)
    found = await own("ListUserAccounts")
    assert {user["userName"]: user["administrator"] for user in found["users"]} == {
        "anna": False,
        "Bob": True,
        "carl": False,
        "root": True,
    }
    assert (await own("DescribeUserAccount", userName="root"))["administrator"] is True
    own.harness.configure(root_bypass=False)
    assert (await own("DescribeUserAccount", userName="root"))["administrator"] is False


async def test_a_key_of_a_disabled_user_is_blocked_and_not_enabled(own: Own) -> None:
    await people(own)
    made = await own("CreateApiKey", by="anna", expiresIn=3600)
    await own("CreateApiKey", by="Bob")
    await own("DisableUser", userName="anna")
    blocked = (await own("ListApiKeys", state="blocked", total=True))["keys"]
    assert [(key["keyId"], key["state"], key["enabled"]) for key in blocked] == [(made["keyId"], "blocked", True)]
    assert (await own("DescribeApiKey", keyId=made["keyId"]))["state"] == "blocked"
    found = (await own("ListApiKeys", contains="bo"))["keys"]  # in an id, which is random, too
    assert ("Bob", "enabled") in [(key["userName"], key["state"]) for key in found]
    assert (await own("ListApiKeys", contains="bo-"))["keys"] == []
    assert of((await own("ListApiKeys", expiresWithin=7200))["keys"], "keyId") == [made["keyId"]]
    assert (await own("ListApiKeys", expiresWithin=60))["keys"] == []
    assert of((await own("ListApiKeys", sort="-userName"))["keys"], "userName") == ["anna", "Bob"]


async def test_roles_are_listed_with_their_numbers(own: Own) -> None:
    await people(own)
    found = await own("ListRoles", total=True)
    numbers = {row["roleName"]: (row["members"], row["grants"], row["builtIn"]) for row in found["roles"]}
    assert numbers["reader"] == (2, 2, False)
    assert (numbers["writer"], numbers["admin"], found["total"]) == ((0, 0, False), (1, 0, True), 4)
    assert of((await own("ListRoles", sort="-members", limit=2))["roles"], "roleName") == ["reader", "admin"]
    assert of((await own("ListRoles", contains="RITE"))["roles"], "roleName") == ["writer"]
    first = await own("ListRoles", limit=2)
    rest = await own("ListRoles", limit=2, after=first["next"])
    assert of([*first["roles"], *rest["roles"]], "roleName") == ["admin", "public", "reader", "writer"]
    assert rest["next"] == ""


async def test_limits_are_searched_and_sorted_and_an_absent_limit_is_the_highest(own: Own) -> None:
    await people(own)
    await own("SetLimits", userName="anna", requestsPerSecond=5)
    await own("SetLimits", userName="carl", concurrentRequests=2)
    await own("SetLimits", roleName="reader", requestsPerSecond=3)
    assert of((await own("ListLimits", holder="role"))["limits"], "name") == ["reader"]
    found = await own("ListLimits", sort="requestsPerSecond", total=True)
    assert (of(found["limits"], "name"), found["total"]) == (["reader", "anna", "carl"], 3)
    assert of((await own("ListLimits", contains="AN"))["limits"], "name") == ["anna"]


LISTS = ("ListUserAccounts", "ListApiKeys", "ListRoles", "ListLimits", "ListIdentities")


@pytest.mark.parametrize("operation", LISTS)
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sort": "colour"}, "`sort` must be one of"),
        ({"sort": "--"}, "`sort` must be one of"),
        ({"offset": -1}, "`offset`"),
        ({"offset": 10**12}, "`offset`"),
        ({"sort": "-", "after": "x"}, "`after` goes with"),
    ],
)
async def test_what_a_list_cannot_do_is_said(own: Own, operation: str, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        await own(operation, **asked)


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("ListUserAccounts", {"state": "asleep"}),
        ("ListApiKeys", {"state": "locked"}),
        ("ListLimits", {"holder": "group"}),
        ("ListApiKeys", {"expiresWithin": -1}),
        ("ListApiKeys", {"expiresWithin": 10**12}),
    ],
)
async def test_a_filter_that_there_is_not_is_refused(own: Own, operation: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=f"`{next(iter(asked))}`|`state`"):
        await own(operation, **asked)


async def test_users_with_a_role_that_does_not_exist_are_no_empty_list(own: Own) -> None:
    await people(own)
    assert (await own("ListUserAccounts", roleName="writer"))["users"] == []
    with pytest.raises(RoleNotFound):
        await own("ListUserAccounts", roleName="ghost")
