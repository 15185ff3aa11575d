"""Users over the gateway: every condition of contract 2.2."""

import asyncio
import base64
from typing import Any

import pytest
from tests.support.gateway import PASSWORD, GatewayHarness, encoded, presented
from tests.unit.iam.milvus_rpc.conftest import Refused

from kiteward.audit.events import Outcome as AuditOutcome
from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES
from kiteward.domain.errors import AccessDenied, PasswordRejected
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.iam.settings import Limits

GOOD = encoded("Password-9")
NOT_BASE64 = "no base64"


async def logs_in(harness: GatewayHarness, user: str, password: str = PASSWORD) -> bool:
    try:
        await harness.call("GetVersion", by=PasswordCredential(user, Secret(password)))
    except PasswordRejected:
        return False
    return True


async def names(harness: GatewayHarness) -> list[str]:
    return list((await harness.succeed("ListCredUsers")).usernames)


async def described(harness: GatewayHarness, name: str) -> Any:
    (found,) = (await harness.succeed("SelectUser", user={"name": name}, include_role_info=True)).results
    return found


# CreateCredential


async def test_created_user_logs_in_and_has_no_role(harness: GatewayHarness) -> None:
    await harness.succeed("CreateCredential", username="carol.x-1_", password=GOOD, description="paints")
    assert await logs_in(harness, "carol.x-1_", "Password-9")
    found = await described(harness, "carol.x-1_")
    assert (list(found.roles), found.description) == ([], "paints")


@pytest.mark.parametrize("name", ["admin", "public", "anonymous", "Alice", "a", "a" * 32])
async def test_ordinary_names_are_free_whatever_they_mean_elsewhere(harness: GatewayHarness, name: str) -> None:
    await harness.succeed("CreateCredential", username=name, password=GOOD)
    assert name in await names(harness)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "username must be not empty: invalid parameter"),
        ("   ", "username must be not empty"),
        ("a" * 33, "length 33, the length of username must be at most 32 bytes"),
        ("é" * 17, "length 34"),
        ("1carol", "the first character must be a letter, but got '1'"),
        ("_carol", "the first character must be a letter, but got '_'"),
        ("écarol", "the first character must be a letter"),
        (" carol", "the first character must be a letter, but got ' '"),
        ("carol ", "but got ' '"),
        ("car\nol", "username must contain only numbers, letters, underscores, dots, and hyphens, but got '\\n'"),
        ("carol\n", "but got '\\n'"),
        ("car:ol", "but got ':'"),
        ("carél", "but got 'é'"),
        (" root ", "the first character must be a letter"),
        ("root ", "but got ' '"),
    ],
)
async def test_illegal_name_is_refused_with_the_rule(refused: Refused, name: str, text: str) -> None:
    await refused("CreateCredential", 1100, 5, text, username=name, password=GOOD)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (NOT_BASE64, "decode password failed: it must be the standard base64 form"),
        (base64.urlsafe_b64encode(b"Pass>>word??1").decode(), "decode password failed"),
        (GOOD.rstrip("="), "decode password failed"),
        (base64.b64encode(b"\xff\xfePassword-1").decode(), "decode password failed"),
        (
            encoded("Abc-1"),
            "invalid password length: invalid parameter[5 out of range 8 <= value <= 64]",
        ),
        ("", "invalid password length: invalid parameter[0 out of range"),
        (encoded("Aa1" * 30), "invalid password length: invalid parameter[90 out of range"),
        (encoded("password"), "it must include three of upper case letters, lower case letters"),
    ],
)
async def test_bad_password_is_refused_with_the_rule(refused: Refused, password: str, text: str) -> None:
    assert text != "decode password failed" or GOOD.endswith("=")
    await refused("CreateCredential", 1100, 5, text, username="carol", password=password)


async def test_refusals_never_show_the_password(harness: GatewayHarness) -> None:
    for password in ("password-only-letters", "Aa1" * 40):
        status = await harness.status("CreateCredential", username="carol", password=encoded(password))
        assert password not in str(status)
        assert encoded(password) not in str(status)


async def test_description_is_limited_in_bytes(harness: GatewayHarness, refused: Refused) -> None:
    fields = {"username": "carol", "password": GOOD}
    text = "length of user description must be less than or equal to 1024"
    await refused("CreateCredential", 1100, 5, text, **fields, description="é" * 512 + "x")
    await harness.succeed("CreateCredential", **fields, description="é" * 512)


@pytest.mark.parametrize("name", ["alice", "root"])
async def test_user_that_exists_is_refused_and_keeps_its_password(
    harness: GatewayHarness, refused: Refused, name: str
) -> None:
    text = f"user already exists: {name}: invalid parameter"
    await refused("CreateCredential", 1100, 29, text, username=name, password=GOOD)
    await harness.call("GetVersion", by=name)


async def test_limit_of_users_counts_root(harness: GatewayHarness, refused: Refused) -> None:
    harness.configure(limits=Limits(users=4))
    await harness.succeed("CreateCredential", username="carol", password=GOOD)
    text = "quota exceeded"
    await refused("CreateCredential", 9, 29, text, username="dave", password=GOOD)
    text = (
        "failed to check if add credential: quota exceeded"
        "[reason=unable to add user because the number of users has reached the limit]"
    )
    await refused("CreateCredential", 9, 29, text, username="dave", password=GOOD)
    # A duplicate is one before the limit is.
    await refused("CreateCredential", 1100, 29, "already exists", username="carol", password=GOOD)


async def test_one_name_created_twice_at_once_is_created_once(harness: GatewayHarness) -> None:
    requests = [
        harness.status("CreateCredential", username="carol", password=encoded(f"Password-{n}")) for n in range(4)
    ]
    assert sorted(status.code for status in await asyncio.gather(*requests)) == [0, 1100, 1100, 1100]


# UpdateCredential


async def test_changed_password_works_and_the_old_one_does_not(harness: GatewayHarness) -> None:
    await harness.succeed(
        "UpdateCredential", by="alice", username="alice", oldPassword=encoded(PASSWORD), newPassword=GOOD
    )
    assert await logs_in(harness, "alice", "Password-9")
    assert not await logs_in(harness, "alice")
    assert [role.name for role in (await described(harness, "alice")).roles] == ["reader"]


async def test_same_password_again_is_accepted(harness: GatewayHarness) -> None:
    same = encoded(PASSWORD)
    await harness.succeed("UpdateCredential", username="alice", oldPassword=same, newPassword=same)
    assert await logs_in(harness, "alice")


@pytest.mark.parametrize("by", ["root", "alice"])
async def test_wrong_old_password_and_unknown_user_are_one_answer_whoever_asks(
    harness: GatewayHarness, by: str
) -> None:
    wrong = {"oldPassword": encoded("Password-8"), "newPassword": GOOD}
    status = await harness.status("UpdateCredential", by=by, username="alice", **wrong)
    assert (status.code, status.error_code) == (1400, 1)
    assert status.reason == "old password not correct for alice: not authenticated"
    unknown = await harness.status("UpdateCredential", username="nobody", **wrong)
    assert (unknown.code, unknown.error_code) == (1400, 1)
    assert unknown.reason == "old password not correct for nobody: not authenticated"
    assert await logs_in(harness, "alice")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (NOT_BASE64, GOOD, "decode old password failed"),
        (encoded(PASSWORD), NOT_BASE64, "decode password failed"),
        (encoded(PASSWORD), encoded("Abc-1"), "invalid password length: invalid parameter[5 out of range"),
        (encoded("Password-8"), encoded("Abc-1"), "invalid password length: invalid parameter[5 out of range"),
        ("", "", "must update either password or description"),
    ],
)
async def test_wrong_update_is_refused_with_the_rule(refused: Refused, old: str, new: str, text: str) -> None:
    await refused("UpdateCredential", 1100, 5, text, username="alice", oldPassword=old, newPassword=new)


async def test_empty_old_password_is_not_accepted(refused: Refused) -> None:
    text = "old password not correct"
    await refused("UpdateCredential", 1400, 1, text, username="alice", oldPassword="", newPassword=GOOD)


async def test_root_changes_its_own_password(harness: GatewayHarness) -> None:
    await harness.succeed("UpdateCredential", username="root", oldPassword=encoded("Milvus"), newPassword=GOOD)
    assert await logs_in(harness, "root", "Password-9")
    assert not await logs_in(harness, "root", "Milvus")


async def test_other_users_password_is_denied_alike_whether_the_user_exists(harness: GatewayHarness) -> None:
    wrong = {"oldPassword": encoded("Password-8"), "newPassword": GOOD}
    texts = []
    for name in ("alice", "nobody"):
        with pytest.raises(AccessDenied) as denied:
            await harness.call("UpdateCredential", by="bob", username=name, **wrong)
        texts.append(str(denied.value))
    assert texts[0] == texts[1]


async def test_super_user_needs_no_old_password_and_learns_of_unknown_users(harness: GatewayHarness) -> None:
    harness.configure(super_users=frozenset({"root"}))
    await harness.succeed("UpdateCredential", username="alice", newPassword=GOOD)
    assert await logs_in(harness, "alice", "Password-9")
    status = await harness.status("UpdateCredential", username="nobody", newPassword=GOOD)
    assert (status.code, status.error_code) == (1100, 30)
    assert "failed to check if update credential: user not found" in status.reason


async def test_super_users_are_callers_not_targets(harness: GatewayHarness, refused: Refused) -> None:
    harness.configure(super_users=frozenset({"alice"}))
    await refused("UpdateCredential", 1400, 1, "old password not correct", username="alice", newPassword=GOOD)


async def test_description_alone_needs_no_password_and_can_be_cleared(harness: GatewayHarness) -> None:
    await harness.succeed("UpdateCredential", by="alice", username="alice", description="reads")
    assert (await described(harness, "alice")).description == "reads"
    await harness.succeed("UpdateCredential", username="alice", oldPassword=NOT_BASE64, description="")
    assert (await described(harness, "alice")).description == ""
    assert await logs_in(harness, "alice")


async def test_password_change_keeps_the_description_unless_one_is_given(harness: GatewayHarness) -> None:
    await harness.succeed("UpdateCredential", username="alice", description="reads")
    first = {"oldPassword": encoded(PASSWORD), "newPassword": GOOD}
    await harness.succeed("UpdateCredential", username="alice", **first)
    assert (await described(harness, "alice")).description == "reads"
    second = {"oldPassword": GOOD, "newPassword": encoded(PASSWORD)}
    await harness.succeed("UpdateCredential", username="alice", **second, description="writes")
    assert (await described(harness, "alice")).description == "writes"


async def test_description_of_an_unknown_user_is_refused(refused: Refused) -> None:
    text = "failed to check if update credential: user not found"
    await refused("UpdateCredential", 1100, 30, text, username="nobody", description="x")


async def test_too_long_description_refuses_the_whole_update(harness: GatewayHarness, refused: Refused) -> None:
    long = "x" * 1025
    await refused("UpdateCredential", 1100, 5, "description", username="alice", description=long)
    passwords = {"oldPassword": encoded(PASSWORD), "newPassword": GOOD}
    await refused("UpdateCredential", 1100, 5, "description", username="alice", **passwords, description=long)


async def test_name_is_not_checked_against_the_naming_rule_in_updates(refused: Refused) -> None:
    passwords = {"oldPassword": encoded(PASSWORD), "newPassword": GOOD}
    await refused("UpdateCredential", 1400, 1, "old password not correct", username=" alice ", **passwords)


async def test_of_two_changes_on_the_same_old_password_one_wins(harness: GatewayHarness) -> None:
    requests = [
        harness.status(
            "UpdateCredential",
            username="alice",
            oldPassword=encoded(PASSWORD),
            newPassword=encoded(f"Password-{number}"),
        )
        for number in (7, 8)
    ]
    codes = [status.code for status in await asyncio.gather(*requests)]
    assert sorted(codes) == [0, 1400]
    works = [await logs_in(harness, "alice", f"Password-{number}") for number in (7, 8)]
    assert works == [code == 0 for code in codes]


async def test_user_recreated_during_a_password_change_keeps_its_new_password(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right for somebody who is gone."""
    hashing, go_on = asyncio.Event(), asyncio.Event()
    hash_now = harness.hasher.hash

    async def slowly(password: Secret) -> str:
        hashing.set()
        await go_on.wait()
        return await hash_now(password)

    monkeypatch.setattr(harness.hasher, "hash", slowly)
    request = harness.status("UpdateCredential", username="alice", oldPassword=encoded(PASSWORD), newPassword=GOOD)
    changing = asyncio.create_task(request)
    await hashing.wait()
    monkeypatch.setattr(harness.hasher, "hash", hash_now)
    await harness.succeed("DeleteCredential", username="alice")
    await harness.succeed("CreateCredential", username="alice", password=encoded("Password-5"))
    go_on.set()
    assert (await changing).code == 1400
    assert await logs_in(harness, "alice", "Password-5")


# The old password is verified like any other


GUESSER = "10.6.6.6:1234"


async def guess_old(
    harness: GatewayHarness, target: str, password: str, *, address: str = GUESSER, by: Any = "alice"
) -> tuple[int, int, str]:
    status = await harness.status(
        "UpdateCredential",
        by=by,
        address=address,
        username=target,
        oldPassword=encoded(password),
        newPassword=encoded("Taken-over-1"),
    )
    return status.code, status.error_code, status.reason


@pytest.fixture
async def updaters(harness: GatewayHarness) -> GatewayHarness:
    """Alice may change every user's password with the old one; the clock of the throttle does not advance."""
    await harness.grant("reader", "UpdateUser", "*", "*")
    harness.throttle_clock.step = 0.0
    return harness


@pytest.mark.parametrize("target", ["root", "bob", "alice", "nobody"])
async def test_guesses_at_an_old_password_wait_and_the_right_one_among_them_is_answered_like_a_wrong_one(
    updaters: GatewayHarness, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    wrong = await guess_old(updaters, target, "guess")
    assert wrong == (1400, 1, f"old password not correct for {target}: not authenticated")
    for number in range(1, FREE_FAILURES):
        assert await guess_old(updaters, target, f"guess-{number}") == wrong
    monkeypatch.setattr(updaters.hasher, "find", None)
    right = {"root": "Milvus"}.get(target, PASSWORD)
    assert await guess_old(updaters, target, right) == wrong
    assert updaters.authenticator.counts["password", "throttled"] == 1


async def test_guesses_at_an_old_password_and_at_the_sign_in_count_together(updaters: GatewayHarness) -> None:
    for number in range(FREE_FAILURES):
        await guess_old(updaters, "bob", f"guess-{number}")
    with pytest.raises(PasswordRejected) as refusal:
        await updaters.call("GetVersion", by="bob", address="10.6.6.6:9")
    assert refusal.value.reason == "throttled after wrong passwords"
    await updaters.call("GetVersion", by="bob", address="10.7.7.7:9")


async def test_who_guesses_an_old_password_delays_neither_itself_nor_others(updaters: GatewayHarness) -> None:
    await updaters.call("GetVersion", address="10.7.7.7:9")
    for number in range(FREE_FAILURES + 3):
        await guess_old(updaters, "root", f"guess-{number}")
    await updaters.call("GetVersion", by="alice", address=GUESSER)
    await updaters.call("GetVersion", address="10.7.7.7:9")
    await updaters.call("GetVersion", address="10.7.7.7:10")


async def test_a_hundred_wrong_old_passwords_lock_their_user_and_not_who_guessed(updaters: GatewayHarness) -> None:
    for number in range(FAILURES_TO_LOCK):
        await guess_old(updaters, "bob", f"guess-{number}", address=f"10.6.{number}.6:1")
    await updaters.authenticator.close()
    bob, alice = await updaters.store.user("bob"), await updaters.store.user("alice")
    assert bob is not None
    assert alice is not None
    assert (bob.locked_at is not None, alice.locked_at) == (True, None)
    assert (await guess_old(updaters, "bob", PASSWORD, address="10.8.8.8:1"))[0] == 1400


async def test_a_change_that_is_no_new_password_resets_no_failure_count(updaters: GatewayHarness) -> None:
    for number in range(FREE_FAILURES):
        await guess_old(updaters, "alice", f"guess-{number}", address=f"10.6.6.6:{number}")
        await updaters.succeed(
            "UpdateCredential", by="alice", username="alice", description=f"{number}", address=GUESSER
        )
        await updaters.succeed("OperateUserRole", username="alice", role_name="idle", type=number % 2)
    assert (await guess_old(updaters, "alice", PASSWORD))[0] == 1400
    assert updaters.authenticator.counts["password", "throttled"] == 1


async def test_a_new_password_resets_the_failure_count(updaters: GatewayHarness) -> None:
    for number in range(FREE_FAILURES):
        await guess_old(updaters, "bob", f"guess-{number}")
    await updaters.succeed(
        "UpdateCredential",
        by="bob",
        username="bob",
        oldPassword=encoded(PASSWORD),
        newPassword=GOOD,
        address="10.7.7.7:1",
    )
    await updaters.call("GetVersion", by=presented("bob", "Password-9"), address=GUESSER)


async def test_a_wrong_old_password_is_recorded_as_one(updaters: GatewayHarness) -> None:
    updaters.trail.events.clear()
    await guess_old(updaters, "bob", "guess")
    await guess_old(updaters, "nobody", "guess")
    for number in range(FREE_FAILURES):
        await guess_old(updaters, "bob", f"guess-{number}")
    ended = [each for each in updaters.trail.events if each.outcome is not AuditOutcome.RECEIVED]
    assert {(each.outcome, each.principal, each.address) for each in ended} == {
        (AuditOutcome.REFUSED, "alice", GUESSER)
    }
    assert [(each.details["user"], each.error) for each in (ended[0], ended[1], ended[-1])] == [
        ("bob", "OldPasswordWrong: wrong password"),
        ("nobody", "OldPasswordWrong: no such user"),
        ("bob", "OldPasswordWrong: throttled after wrong passwords"),
    ]


async def test_the_old_password_of_a_user_who_may_not_sign_in_changes_nothing(updaters: GatewayHarness) -> None:
    async with updaters.policy_cache.change() as transaction:
        await transaction.users.enable("bob", False)
    assert (await guess_old(updaters, "bob", PASSWORD))[0] == 1400


async def test_a_previous_password_changes_nothing(updaters: GatewayHarness) -> None:
    hashed = await updaters.hasher.hash(Secret("Password-2"))
    async with updaters.policy_cache.change() as transaction:
        await transaction.users.set_password("bob", hashed, former_until=2.0**40)
    assert (await guess_old(updaters, "bob", PASSWORD))[0] == 1400
    assert (await guess_old(updaters, "bob", "Password-2"))[0] == 0


async def test_the_old_password_is_no_sign_that_its_user_was_there(updaters: GatewayHarness) -> None:
    updaters.authenticator.take_last_used()
    assert (await guess_old(updaters, "bob", PASSWORD))[0] == 0
    users = updaters.authenticator.take_last_used().users
    assert "bob" not in users


# DeleteCredential


async def test_deleted_user_is_refused_at_once_and_leaves_no_binding(harness: GatewayHarness) -> None:
    await harness.call("GetVersion", by="alice")
    await harness.succeed("DeleteCredential", username="alice")
    assert not await logs_in(harness, "alice")
    assert "alice" not in await names(harness)
    await harness.user("alice")
    assert list((await described(harness, "alice")).roles) == []


async def test_deleting_an_unknown_user_succeeds_and_changes_nothing(harness: GatewayHarness) -> None:
    before = await harness.state()
    for name in ("nobody", "Alice", "a:b", " alice "):
        await harness.succeed("DeleteCredential", username=name)
    assert await harness.state() == before


async def test_root_cannot_be_deleted(refused: Refused) -> None:
    await refused("DeleteCredential", 1401, 1, "root user cannot be deleted: privilege not permitted", username="root")


@pytest.mark.parametrize("name", [" root ", "root ", " root", "root\n", "Root", "ro\0ot"])
async def test_no_spelling_of_root_deletes_root(harness: GatewayHarness, name: str) -> None:
    await harness.status("DeleteCredential", username=name)
    assert await logs_in(harness, "root", "Milvus")
    assert "root" in await names(harness)


@pytest.mark.parametrize("name", ["", "  "])
async def test_empty_name_is_refused(refused: Refused, name: str) -> None:
    await refused("DeleteCredential", 1100, 31, "username is empty: invalid parameter", username=name)


async def test_user_may_delete_itself_with_the_privilege_and_is_gone(harness: GatewayHarness) -> None:
    await harness.grant("reader", "DropOwnership", "*", "*")
    await harness.succeed("DeleteCredential", by="alice", username="alice")
    assert not await logs_in(harness, "alice")


async def test_user_may_not_delete_itself_without_the_privilege(harness: GatewayHarness) -> None:
    with pytest.raises(AccessDenied, match="PrivilegeDropOwnership"):
        await harness.call("DeleteCredential", by="alice", username="alice")


async def test_grants_made_by_a_deleted_user_stay_with_its_name(harness: GatewayHarness) -> None:
    await harness.user("carol", "admin")
    fields = {"role": {"name": "idle"}, "grantor": {"privilege": {"name": "Query"}}, "collection_name": "docs"}
    await harness.succeed("OperatePrivilegeV2", by="carol", **fields)
    await harness.succeed("DeleteCredential", username="carol")
    (listed,) = (await harness.succeed("SelectGrant", entity={"role": {"name": "idle"}})).entities
    assert listed.grantor.user.name == "carol"


# ListCredUsers and SelectUser


async def test_user_names_are_listed_sorted_and_again_after_each_change(harness: GatewayHarness) -> None:
    assert await names(harness) == ["alice", "bob", "root"]
    await harness.user("aaron")
    assert await names(harness) == ["aaron", "alice", "bob", "root"]
    await harness.succeed("DeleteCredential", username="bob")
    assert await names(harness) == ["aaron", "alice", "root"]


async def test_remembered_list_is_not_shown_to_those_who_may_not_see_it(harness: GatewayHarness) -> None:
    await names(harness)
    with pytest.raises(AccessDenied):
        await harness.call("ListCredUsers", by="alice")


async def test_all_users_are_described_in_order_with_roles_only_when_asked(harness: GatewayHarness) -> None:
    with_roles = (await harness.succeed("SelectUser", include_role_info=True)).results
    assert [(result.user.name, [role.name for role in result.roles]) for result in with_roles] == [
        ("alice", ["reader"]),
        ("bob", []),
        ("root", []),
    ]
    without = (await harness.succeed("SelectUser")).results
    assert [len(result.roles) for result in without] == [0, 0, 0]


async def test_unknown_user_gives_no_result(harness: GatewayHarness) -> None:
    assert list((await harness.succeed("SelectUser", user={"name": "nobody"})).results) == []


@pytest.mark.parametrize(("name", "text"), [("", "username must be not empty"), (" root ", "first character")])
async def test_illegal_name_is_refused_in_select(refused: Refused, name: str, text: str) -> None:
    await refused("SelectUser", 1100, 5, text, user={"name": name})


async def test_user_sees_itself_and_nobody_else(harness: GatewayHarness) -> None:
    assert len((await harness.succeed("SelectUser", by="alice", user={"name": "alice"})).results) == 1
    for others in ({"user": {"name": "bob"}}, {"user": {"name": ""}}, {}):
        with pytest.raises(AccessDenied, match="PrivilegeSelectUser"):
            await harness.call("SelectUser", by="alice", **others)


async def test_privilege_on_one_user_reaches_that_user_only(harness: GatewayHarness) -> None:
    fields = {"role": {"name": "reader"}, "object": {"name": "User"}, "object_name": "bob"}
    await harness.succeed("OperatePrivilege", entity={**fields, "grantor": {"privilege": {"name": "SelectUser"}}})
    await harness.succeed("SelectUser", by="alice", user={"name": "bob"})
    for others in ({"user": {"name": "root"}}, {}):
        with pytest.raises(AccessDenied):
            await harness.call("SelectUser", by="alice", **others)


async def test_wrong_credential_learns_nothing_from_administration(harness: GatewayHarness) -> None:
    for method in ("ListCredUsers", "SelectUser", "CreateCredential", "DeleteCredential", "UpdateCredential"):
        with pytest.raises(PasswordRejected):
            await harness.call(method, by=presented("root", "Milvus2"))
