"""Accounts: resets, overlaps, disabling, locks, and the last administrator."""

import time
from datetime import datetime

import pytest
from tests.support.gateway import PASSWORD, presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.authn.password_policy import POLICIES
from kiteward.domain.errors import (
    AccessDenied,
    AlreadyExists,
    InvalidArgument,
    LimitReached,
    NotFound,
    PasswordRejected,
    ProtectedObject,
)
from kiteward.domain.identity import LocalCredential
from kiteward.iam.passwords import LONGEST_GRACE_PERIOD, generated_password
from kiteward.iam.settings import Limits
from kiteward.store.records import NO_PASSWORD


async def signs_in(own: Own, user: str, password: str) -> bool:
    try:
        await own("WhoAmI", by=presented(user, password))
    except PasswordRejected:
        return False
    return True


async def test_who_am_i_tells_the_caller_and_its_roles_with_their_grants_and_nobody_elses(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    await own.harness.role("other", ("Insert", "default", "*"))
    await own.harness.user("alice", "reader")
    me = await own("WhoAmI", by="alice")
    assert (me["userName"], me["credential"], me["administrator"], me["roles"]) == (
        "alice",
        "password",
        False,
        ["reader"],
    )
    assert [(grant["role"], grant["dbName"], grant["objectName"], grant["privilege"]) for grant in me["grants"]] == [
        ("reader", "default", "docs", "Search")
    ]
    assert (me["keyId"], me["expiresAt"]) == (None, None)
    assert (await own("WhoAmI"))["administrator"] is True


async def test_accounts_are_listed_in_pages_and_hold_no_secret(own: Own) -> None:
    for name in ("carol", "alice", "bob"):
        await own.harness.user(name)
    first = await own("ListUserAccounts", limit=2)
    assert ([user["userName"] for user in first["users"]], first["next"]) == (["alice", "bob"], "bob")
    rest = await own("ListUserAccounts", limit=2, after=first["next"])
    assert [user["userName"] for user in rest["users"]] == ["carol", "root"]
    assert [user["userName"] for user in (await own("ListUserAccounts", prefix="ca"))["users"]] == ["carol"]
    assert "argon2" not in str(first)


@pytest.mark.parametrize("limit", [0, -1])
async def test_an_empty_page_is_refused(own: Own, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        await own("ListUserAccounts", limit=limit)


async def test_a_page_is_bounded(own: Own) -> None:
    with pytest.raises(LimitReached, match="at most 1000"):
        await own("ListUserAccounts", limit=1001)


async def test_users_describe_themselves_and_nobody_else(own: Own) -> None:
    await own.harness.user("alice")
    account = await own("DescribeUserAccount", by="alice")
    assert (account["userName"], account["enabled"], account["locked"]) == ("alice", True, False)
    with pytest.raises(AccessDenied):
        await own("DescribeUserAccount", by="alice", userName="root")
    with pytest.raises(AccessDenied):
        await own("DescribeUserAccount", by="alice", userName="nobody")
    with pytest.raises(NotFound):
        await own("DescribeUserAccount", userName="nobody")


async def test_a_user_is_created_with_a_password_that_is_returned_once(own: Own) -> None:
    made = await own("CreateUserAccount", userName="alice", roles=["admin"], description="of the team")
    assert await signs_in(own, "alice", made["password"])
    account = await own("DescribeUserAccount", userName="alice")
    assert (account["roles"], account["description"]) == (["admin"], "of the team")
    assert made["password"] not in str(account)


async def test_a_given_password_is_checked_against_the_policy_and_not_repeated(own: Own) -> None:
    with pytest.raises(InvalidArgument, match="length"):
        await own("CreateUserAccount", userName="alice", password="short")
    assert (await own("CreateUserAccount", userName="alice", password="Long-enough-1"))["password"] is None
    assert await signs_in(own, "alice", "Long-enough-1")


async def test_a_user_with_a_role_that_does_not_exist_is_not_created_at_all(own: Own) -> None:
    with pytest.raises(NotFound, match="ghost") as refusal:
        await own("CreateUserAccount", userName="alice", roles=["admin", "ghost"])
    assert refusal.value.field == "roles"
    assert await own.harness.store.user("alice") is None


async def test_a_taken_name_and_a_limit_are_reported(own: Own) -> None:
    await own("CreateUserAccount", userName="alice")
    with pytest.raises(AlreadyExists):
        await own("CreateUserAccount", userName="alice")
    own.harness.configure(limits=Limits(users=2))
    with pytest.raises(LimitReached):
        await own("CreateUserAccount", userName="bob")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
def test_generated_passwords_pass_every_policy(policy: object) -> None:
    for _ in range(50):
        policy.check(generated_password(), user_name="alice")  # type: ignore[attr-defined]  # a PasswordPolicy


async def test_a_reset_holds_on_the_next_request(own: Own) -> None:
    await own.harness.user("alice")
    assert await signs_in(own, "alice", PASSWORD)
    made = await own("ResetPassword", userName="alice")
    assert not await signs_in(own, "alice", PASSWORD)
    assert await signs_in(own, "alice", made["password"])
    assert made["oldPasswordValidUntil"] is None


async def test_a_reset_may_keep_the_old_password_for_a_while_and_the_account_tells(own: Own) -> None:
    await own.harness.user("alice")
    made = await own("ResetPassword", userName="alice", newPassword="Second-2-pass", keepOldFor=3600)
    until = datetime.fromisoformat(made["oldPasswordValidUntil"]).timestamp()
    assert abs(until - time.time() - 3600) < 60
    assert await signs_in(own, "alice", PASSWORD)
    assert await signs_in(own, "alice", "Second-2-pass")
    account = await own("DescribeUserAccount", userName="alice")
    assert account["oldPasswordValidUntil"] == made["oldPasswordValidUntil"]
    await own("EndOldPassword", by=presented("alice", "Second-2-pass"))
    assert not await signs_in(own, "alice", PASSWORD)
    assert (await own("DescribeUserAccount", userName="alice"))["oldPasswordValidUntil"] is None


async def test_where_there_was_no_password_a_reset_keeps_none(own: Own) -> None:
    async with own.harness.policy_cache.change() as transaction:
        await transaction.users.add("alice", NO_PASSWORD)
    made = await own("ResetPassword", userName="alice", keepOldFor=3600)
    assert made["oldPasswordValidUntil"] is None
    assert (await own("DescribeUserAccount", userName="alice"))["oldPasswordValidUntil"] is None
    assert await signs_in(own, "alice", made["password"])


@pytest.mark.parametrize("seconds", [-1, LONGEST_GRACE_PERIOD + 1])
async def test_a_grace_period_is_bounded(own: Own, seconds: int) -> None:
    await own.harness.user("alice")
    with pytest.raises(InvalidArgument, match="keepOldFor"):
        await own("ResetPassword", userName="alice", keepOldFor=seconds)


async def test_users_end_nobody_elses_old_password(own: Own) -> None:
    await own.harness.user("alice")
    with pytest.raises(AccessDenied):
        await own("EndOldPassword", by="alice", userName="root")


async def test_a_reset_lifts_a_lock(own: Own) -> None:
    await own.harness.user("alice")
    async with own.harness.policy_cache.change() as transaction:
        await transaction.users.lock("alice")
    assert (await own("DescribeUserAccount", userName="alice"))["locked"] is True
    made = await own("ResetPassword", userName="alice")
    assert await signs_in(own, "alice", made["password"])


async def test_disabling_and_unlocking_hold_at_once(own: Own) -> None:
    await own.harness.user("alice")
    await own("DisableUser", userName="alice")
    assert not await signs_in(own, "alice", PASSWORD)
    await own("EnableUser", userName="alice")
    assert await signs_in(own, "alice", PASSWORD)
    async with own.harness.policy_cache.change() as transaction:
        await transaction.users.lock("alice")
    assert not await signs_in(own, "alice", PASSWORD)
    await own("UnlockUser", userName="alice")
    assert await signs_in(own, "alice", PASSWORD)


@pytest.mark.parametrize("operation", ["DisableUser", "EnableUser", "UnlockUser", "ResetPassword", "DeleteUserAccount"])
async def test_an_unknown_user_is_reported(own: Own, operation: str) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await own(operation, userName="nobody")


async def test_a_deleted_user_is_gone_with_its_keys(own: Own) -> None:
    await own.harness.user("alice")
    made = await own("CreateApiKey", by="alice")
    await own("DeleteUserAccount", userName="alice")
    assert await own.harness.store.user("alice") is None
    assert not await own.harness.store.lineage(made["keyId"])


async def test_root_can_be_disabled_only_while_there_is_another_administrator(own: Own) -> None:
    with pytest.raises(ProtectedObject, match="root is the last administrator"):
        await own("DisableUser", userName="root")
    await own.harness.user("boss", "admin")
    await own("DisableUser", userName="root")
    with pytest.raises(ProtectedObject, match="boss is the last administrator"):
        await own("DisableUser", by="boss", userName="boss")
    with pytest.raises(ProtectedObject, match="boss is the last administrator"):
        await own("DeleteUserAccount", by="boss", userName="boss")


async def test_root_without_a_password_is_not_the_administrator_who_remains(own: Own) -> None:
    await own.harness.user("boss", "admin")
    async with own.harness.policy_cache.change() as transaction:
        await transaction.users.set_password("root", NO_PASSWORD)
    with pytest.raises(ProtectedObject, match="boss is the last administrator"):
        await own("DeleteUserAccount", by="boss", userName="boss")
    await own("ResetPassword", by="boss", userName="root")
    await own("DeleteUserAccount", by="boss", userName="boss")


async def test_the_last_administrator_cannot_be_deleted_or_lose_its_role_over_grpc_either(own: Own) -> None:
    await own.harness.user("boss", "admin")
    await own("DisableUser", userName="root")
    deleted = await own.harness.status("DeleteCredential", by="boss", username="boss")
    assert deleted.code == 1401
    unbound = await own.harness.status("OperateUserRole", by="boss", username="boss", role_name="admin", type=1)
    assert unbound.code == 1401
    await own("EnableUser", by="boss", userName="root")
    await own.harness.succeed("OperateUserRole", by="root", username="boss", role_name="admin", type=1)


async def test_unbinding_admin_from_root_takes_nothing_away_and_is_not_refused(own: Own) -> None:
    await own.harness.succeed("OperateUserRole", username="root", role_name="admin", type=1)
    await own.harness.succeed("OperateUserRole", username="root", role_name="admin")
    await own.harness.succeed("OperateUserRole", username="root", role_name="admin", type=1)
    assert (await own("WhoAmI"))["administrator"] is True


async def test_root_that_needs_roles_keeps_the_last_admin(own: Own) -> None:
    await own.harness.succeed("OperateUserRole", username="root", role_name="admin")
    own.harness.configure(root_bypass=False)
    assert (await own.harness.status("OperateUserRole", username="root", role_name="admin", type=1)).code == 1401


async def test_root_cannot_be_deleted(own: Own) -> None:
    await own.harness.user("boss", "admin")
    with pytest.raises(ProtectedObject):
        await own("DeleteUserAccount", userName="root")


async def test_the_operator_of_the_command_line_may_do_what_administrators_may(own: Own) -> None:
    made = await own("ResetPassword", by=LocalCredential(), userName="root")
    assert await signs_in(own, "root", made["password"])
