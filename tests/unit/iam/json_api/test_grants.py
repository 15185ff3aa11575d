"""Grants changed in one step: all or nothing, with a look ahead, under the rules of the protocol."""

from typing import Any

import pytest
from tests.support.gateway import v1
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, InvalidArgument, InvalidGrant, LimitReached, NotFound


def named(privilege: str, collection: str = "*", database: str = "default") -> dict[str, str]:
    return {"privilege": privilege, "dbName": database, "collectionName": collection}


async def test_grants_are_given_and_taken_together_and_reported(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"), ("Query", "default", "docs"))
    await own.harness.user("alice", "reader")
    done = await own(
        "ChangeGrants",
        roleName="reader",
        grant=[named("Insert", "docs"), named("Query", "docs")],
        revoke=[named("Search", "docs"), named("Delete", "docs")],
    )
    assert [each["privilege"] for each in done["granted"]] == ["Insert"]
    assert [each["privilege"] for each in done["revoked"]] == ["Search"]
    assert done["users"] == ["alice"]
    assert {grant[3] for grant in await own.harness.grants("reader")} == {"Insert", "Query"}


async def test_a_dry_run_tells_the_same_and_changes_nothing(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    before = await own.harness.state()
    change: dict[str, Any] = {
        "roleName": "reader",
        "grant": [named("Load", "docs")],
        "revoke": [named("Search", "docs")],
    }
    told = await own("ChangeGrants", dryRun=True, **change)
    assert await own.harness.state() == before
    assert {each["privilege"] for each in told["granted"]} == {"Load", "GetLoadState", "GetLoadingProgress"}
    assert await own("ChangeGrants", **change) == told


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (named("NoSuchPrivilege"), InvalidGrant),
        (named("ClusterAdmin", "docs"), InvalidGrant),
        (named("Search", "docs", "nowhere"), Exception),
        ({**named("Search"), "objectType": "Collection"}, InvalidArgument),
    ],
)
async def test_one_wrong_grant_leaves_everything_as_it_was(
    own: Own, wrong: dict[str, str], error: type[Exception]
) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    before = await own.harness.state()
    with pytest.raises(error):
        await own("ChangeGrants", roleName="reader", grant=[named("Insert"), wrong], revoke=[named("Search", "docs")])
    assert await own.harness.state() == before


async def test_a_grant_of_the_older_kind_is_taken_by_its_type(own: Own) -> None:
    await own.harness.role("older")
    await own.harness.succeed("OperatePrivilege", **v1("older", "*", "Collection", "docs"))
    revoked = {**named("*", "docs"), "objectType": "Collection"}
    assert len((await own("ChangeGrants", roleName="older", revoke=[revoked]))["revoked"]) == 1
    assert await own.harness.grants("older") == []


async def test_an_unknown_role_is_reported_and_a_step_is_bounded(own: Own) -> None:
    with pytest.raises(NotFound):
        await own("ChangeGrants", roleName="nobody", grant=[named("Search")])
    with pytest.raises(LimitReached):
        await own("ChangeGrants", roleName="public", grant=[named("Search", f"c{i}") for i in range(1001)])


async def test_a_grant_that_allows_nothing_is_made_as_in_milvus_and_said(own: Own) -> None:
    await own.harness.role("reader")
    done = await own("ChangeGrants", roleName="reader", grant=[named("BackupRBAC", "docs"), named("Search", "docs")])
    assert {each["privilege"]: each["allowsNothing"] for each in done["granted"]} == {
        "BackupRBAC": True,
        "Search": False,
    }
    assert {grant[3] for grant in await own.harness.grants("reader")} == {"BackupRBAC", "Search"}
    await own.harness.user("alice", "reader")
    assert not (await own("ExplainAccess", userName="alice", privilege="BackupRBAC"))["allowed"]


async def test_a_grant_on_a_collection_that_does_not_exist_is_made_and_said(own: Own) -> None:
    own.harness.engine.create("docs")
    await own.harness.role("reader")
    grants = [named("Search", "docs"), named("Search", "flims"), named("Search", "*")]
    done = await own("ChangeGrants", roleName="reader", grant=grants)
    assert {each["objectName"]: each["missing"] for each in done["granted"]} == {
        "docs": False,
        "flims": True,
        "*": False,
    }
    revoked = (await own("ChangeGrants", roleName="reader", revoke=[named("Search", "flims")]))["revoked"]
    assert [each["missing"] for each in revoked] == [False]


async def test_these_very_grants_are_changed_where_that_is_asked_for(own: Own) -> None:
    await own.harness.role("reader", ("Load", "default", "docs"))
    await own("ChangeGrants", roleName="reader", revoke=[named("Load", "docs")], exact=True)
    assert {grant[3] for grant in await own.harness.grants("reader")} == {"GetLoadState", "GetLoadingProgress"}
    await own("ChangeGrants", roleName="reader", grant=[named("Load", "logs")], exact=True)
    assert {grant[3] for grant in await own.harness.grants("reader") if grant[2] == "logs"} == {"Load"}
    typed = {**named("*", "docs"), "objectType": "Collection"}
    await own("ChangeGrants", roleName="reader", grant=[typed], exact=True)
    assert {grant[3] for grant in await own.harness.grants("reader") if grant[0] == "Collection"} >= {"*"}
    with pytest.raises(InvalidArgument):
        await own("ChangeGrants", roleName="reader", grant=[typed])
    with pytest.raises(InvalidGrant):
        await own("ChangeGrants", roleName="reader", grant=[named("NoPrivilege")], exact=True)


async def test_a_privilege_group_is_changed_in_one_step_or_not_at_all(own: Own) -> None:
    await own.harness.succeed("CreatePrivilegeGroup", group_name="finders")
    changed = await own("ChangePrivilegeGroup", privilegeGroupName="finders", add=["Search", "Query"])
    assert changed == {"added": ["Query", "Search"], "removed": []}
    before = await own.harness.state()
    wrongs: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"add": ["Insert", "CreateDatabase"], "remove": ["Search"]}, InvalidGrant),
        ({"add": ["Insert"], "remove": ["Insert"]}, InvalidArgument),
        ({"add": ["Insert"], "remove": ["NoPrivilege"]}, InvalidGrant),
        ({}, InvalidGrant),
    ]
    for wrong, error in wrongs:
        with pytest.raises(error):
            await own("ChangePrivilegeGroup", privilegeGroupName="finders", **wrong)
    with pytest.raises(InvalidGrant):
        await own("ChangePrivilegeGroup", privilegeGroupName="nobodys", add=["Search"])
    assert await own.harness.state() == before
    wanted: dict[str, Any] = {"add": ["CreateDatabase"], "remove": ["Search", "Query", "Insert"]}
    changed = await own("ChangePrivilegeGroup", privilegeGroupName="finders", **wanted)
    assert changed == {"added": ["CreateDatabase"], "removed": ["Query", "Search"]}


async def test_a_privilege_group_is_changed_by_whoever_may_change_groups(own: Own) -> None:
    await own.harness.succeed("CreatePrivilegeGroup", group_name="finders")
    await own.harness.role("keeper", ("OperatePrivilegeGroup", "*", "*"))
    await own.harness.user("alice")
    change: dict[str, Any] = {"privilegeGroupName": "finders", "add": ["Search"]}
    with pytest.raises(AccessDenied):
        await own("ChangePrivilegeGroup", by="alice", **change)
    await own("ChangeRoleMembers", roleName="keeper", add=["alice"])
    assert (await own("ChangePrivilegeGroup", by="alice", **change))["added"] == ["Search"]


async def test_a_name_that_no_privilege_can_have_is_not_looked_up(own: Own) -> None:
    await own.harness.role("reader")
    with pytest.raises(InvalidArgument, match="Privilege"):
        await own("ChangeGrants", roleName="reader", revoke=[named("-query")])
