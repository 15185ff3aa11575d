"""Many users, members or keys in one step: all of them or none, and each of them said."""

from typing import Any

import pytest
from tests.support.gateway import presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import (
    AccessDenied,
    AuthenticationError,
    InvalidArgument,
    LimitReached,
    NotFound,
    ProtectedObject,
    RequestRefused,
    RoleNotFound,
)
from kiteward.domain.identity import LocalCredential
from kiteward.iam import identities
from kiteward.store.identity_records import GroupRole

NAMES = ["ann", "bob"]


async def people(own: Own) -> None:
    await own.harness.role("reader")
    for name in NAMES:
        await own.harness.user(name)


def told(answer: dict[str, Any]) -> list[tuple[str, bool, list[str]]]:
    return [(row["name"], row["changed"], [each["code"] for each in row["details"]]) for row in answer["rows"]]


async def test_users_are_disabled_enabled_and_deleted_and_each_is_said(own: Own) -> None:
    await people(own)
    await own("DisableUser", userName="bob")
    twice = [*NAMES, "ann"]
    assert told(await own("ChangeUsers", userNames=twice, change="disable")) == [("ann", True, []), ("bob", False, [])]
    assert [user["userName"] for user in (await own("ListUserAccounts", state="disabled"))["users"]] == NAMES
    assert told(await own("ChangeUsers", userNames=["bob"], change="enable")) == [("bob", True, [])]
    assert told(await own("ChangeUsers", userNames=NAMES, change="delete")) == [("ann", True, []), ("bob", True, [])]
    assert [user["userName"] for user in (await own("ListUserAccounts"))["users"]] == ["root"]


@pytest.mark.parametrize("change", ["disable", "delete"])
async def test_one_refusal_refuses_all_and_a_dry_run_says_which_it_is(own: Own, change: str) -> None:
    await people(own)
    await own.harness.user("boss", "admin")
    before = await own.harness.state()
    wanted: dict[str, Any] = {"userNames": ["ann", "root", "boss", "ghost"], "change": change}
    assert told(await own("ChangeUsers", by="boss", dryRun=True, **wanted)) == [
        ("ann", True, []),
        ("root", False, ["changed_alone"]),
        ("boss", False, ["changed_alone"]),
        ("ghost", False, ["user_not_found"]),
    ]
    for names, error in ((["ann", "root"], ProtectedObject), (["ann", "boss"], ProtectedObject), (["x"], NotFound)):
        with pytest.raises(error):
            await own("ChangeUsers", by="boss", userNames=names, change=change)
    assert await own.harness.state() == before


async def test_the_last_administrators_are_not_taken_together(own: Own) -> None:
    for name in ("boss", "chief"):
        await own.harness.user(name, "admin")
    await own("DisableUser", userName="root")
    with pytest.raises(ProtectedObject, match="last administrator"):
        await own("ChangeUsers", by=LocalCredential(), userNames=["boss", "chief"], change="disable")
    assert (await own("ListUserAccounts", by="boss", state="disabled", total=True))["total"] == 1


async def test_members_are_added_and_removed_in_one_step(own: Own) -> None:
    await people(own)
    await own.harness.succeed("OperateUserRole", username="bob", role_name="reader")
    wanted: dict[str, Any] = {"roleName": "reader", "add": ["ann"], "remove": ["bob", "root"]}
    expected: list[tuple[str, bool, list[str]]] = [("ann", True, []), ("bob", True, []), ("root", False, [])]
    assert told(await own("ChangeRoleMembers", dryRun=True, **wanted)) == expected
    assert [user["userName"] for user in (await own("ListUserAccounts", roleName="reader"))["users"]] == ["bob"]
    assert told(await own("ChangeRoleMembers", **wanted)) == expected
    assert [user["userName"] for user in (await own("ListUserAccounts", roleName="reader"))["users"]] == ["ann"]
    for role in ("ghost", "9 lives"):
        with pytest.raises(RequestRefused) as refused:
            await own("ChangeRoleMembers", roleName=role, add=["ann"], dryRun=True)
        assert refused.value.field == "roleName"
    for role, name in (("reader", "ghost"), ("ghost", "ann")):
        with pytest.raises(NotFound):
            await own("ChangeRoleMembers", roleName=role, add=[name])


async def test_nobody_takes_the_role_admin_from_root_or_from_oneself_among_others(own: Own) -> None:
    for name in ("boss", "chief"):
        await own.harness.user(name, "admin")
    await own.harness.succeed("OperateUserRole", username="root", role_name="admin")
    for name in ("root", "boss"):
        with pytest.raises(ProtectedObject):
            await own("ChangeRoleMembers", by="boss", roleName="admin", remove=["chief", name])
    assert told(await own("ChangeRoleMembers", by="boss", roleName="admin", remove=["chief"])) == [("chief", True, [])]


async def test_keys_are_changed_with_what_descends_from_them(own: Own) -> None:
    await people(own)
    first = await own("CreateApiKey", by="ann")
    second = await own("CreateApiKey", by=first["key"])
    ids = [first["keyId"], second["keyId"]]
    assert told(await own("ChangeApiKeys", keyIds=ids, change="disable")) == [(each, True, []) for each in ids]
    assert told(await own("ChangeApiKeys", keyIds=ids, change="enable")) == [(each, True, []) for each in ids]
    assert told(await own("ChangeApiKeys", by="ann", keyIds=ids, change="revoke")) == [(each, True, []) for each in ids]
    assert (await own("ListApiKeys"))["keys"] == []


async def test_users_change_their_own_keys_and_no_others(own: Own) -> None:
    await people(own)
    mine, other = await own("CreateApiKey", by="ann"), await own("CreateApiKey", by="bob")
    ids = [mine["keyId"], other["keyId"]]
    with pytest.raises(NotFound, match=ids[1]):
        await own("ChangeApiKeys", by="ann", keyIds=ids, change="revoke")
    assert len((await own("ListApiKeys"))["keys"]) == 2
    assert told(await own("ChangeApiKeys", by="ann", keyIds=ids, change="revoke", dryRun=True)) == [
        (ids[0], True, []),
        (ids[1], False, ["api_key_not_found"]),
    ]
    limited = await own("CreateApiKey", by="ann", expiresIn=60)
    with pytest.raises(NotFound):
        await own("ChangeApiKeys", by=limited["key"], keyIds=ids[:1], change="revoke")


@pytest.mark.parametrize("operation", ["ChangeUsers", "ChangeRoleMembers"])
async def test_users_and_members_are_for_administrators(own: Own, operation: str) -> None:
    await people(own)
    given: dict[str, dict[str, Any]] = {
        "ChangeUsers": {"userNames": ["bob"], "change": "delete"},
        "ChangeRoleMembers": {"roleName": "reader"},
    }
    with pytest.raises(AccessDenied):
        await own(operation, by="ann", **given[operation])


async def test_unknown_changes_and_too_many_names_are_refused(own: Own) -> None:
    given: dict[str, dict[str, Any]]
    for operation, names in (("ChangeUsers", "userNames"), ("ChangeApiKeys", "keyIds")):
        given = {"one": {names: ["x"]}, "many": {names: [f"n{number}" for number in range(1001)]}}
        with pytest.raises(InvalidArgument, match="must be one of disable, enable"):
            await own(operation, change="rename", **given["one"])
        with pytest.raises(LimitReached, match="at most 1000"):
            await own(operation, change="enable", **given["many"])


async def test_a_change_of_many_holds_on_the_next_request(own: Own) -> None:
    await people(own)
    await own("WhoAmI", by=presented("ann"))
    await own("ChangeUsers", userNames=NAMES, change="disable")
    with pytest.raises(AuthenticationError):
        await own("WhoAmI", by=presented("ann"))


async def test_roles_of_groups_are_changed_together_and_each_is_said(own: Own) -> None:
    await own.harness.role("reader")
    given = [GroupRole("scim", name, is_pattern, "reader") for name in ("a", "b*") for is_pattern in (False, True)]
    async with own.harness.policy_cache.change() as transaction:
        for each in given:
            await transaction.identities.grant_role(each)
    named: list[dict[str, Any]] = [
        {"issuer": "scim", "group": "a", "roleName": "reader", "pattern": True},
        {"issuer": "scim", "group": "c", "roleName": "reader"},
        {"issuer": "scim", "group": "b*", "roleName": "reader"},
    ]
    wanted: dict[str, Any] = {"grant": [named[2], named[1], {**named[2], "pattern": True}], "revoke": named}
    done = {"granted": [True, True, False], "revoked": [True, False, True]}
    assert await own("ChangeGroupRoles", **wanted, dryRun=True) == done
    assert await own.harness.store.group_roles(None) == given
    assert await own("ChangeGroupRoles", **wanted) == done
    left = [given[0], given[2], given[3], GroupRole("scim", "c", False, "reader")]
    assert await own.harness.store.group_roles(None) == left
    with pytest.raises(LimitReached):
        await own("ChangeGroupRoles", grant=named[:1], revoke=named[:1] * 1_000)
    await own.harness.user("ann")
    with pytest.raises(AccessDenied):
        await own("ChangeGroupRoles", by="ann", revoke=named)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"roleName": "ghost"}, RoleNotFound),
        ({"issuer": "https://idp.example"}, NotFound),
        ({"group": "without a star", "pattern": True}, InvalidArgument),
        ({"group": "x" * 1_025}, InvalidArgument),
    ],
)
async def test_a_role_of_a_group_that_cannot_be_given_changes_no_other(
    own: Own, wrong: dict[str, Any], error: type[Exception]
) -> None:
    await own.harness.role("reader")
    named = {"issuer": "scim", "group": "a", "roleName": "reader"}
    await own("GrantGroupRole", **named)
    before = await own.harness.state()
    for dry_run in (True, False):
        wanted: dict[str, Any] = {
            "grant": [{**named, "group": "b"}, {**named, "group": "c", **wrong}],
            "revoke": [named],
        }
        with pytest.raises(error):
            await own("ChangeGroupRoles", **wanted, dryRun=dry_run)
        assert await own.harness.state() == before


async def test_groups_give_no_more_roles_than_the_limit(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "MOST_GROUP_ROLES", 2)
    await own.harness.role("reader")
    named = [{"issuer": "scim", "group": group, "roleName": "reader"} for group in ("a", "b", "c")]
    with pytest.raises(LimitReached):
        await own("ChangeGroupRoles", grant=named)
    assert await own.harness.store.group_roles(None) == []
    await own("ChangeGroupRoles", grant=named[:2])
    assert await own("ChangeGroupRoles", grant=named[2:], revoke=named[:1]) == {"granted": [True], "revoked": [True]}
