"""Users that administrators hand over to SCIM, and take back."""

import pytest
from tests.support.gateway import GatewayHarness, own_call
from tests.support.scim import SETTINGS, Scim, group, own, patch, serving, user

from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode

DEACTIVATE = patch({"op": "replace", "path": "active", "value": False})


async def hand_over(harness: GatewayHarness, name: str, login: str = "") -> None:
    await own(harness, "HandOverToScim", userName=name, scimUserName=login)


async def id_of(scim: Scim, login: str) -> str:
    (found,) = await scim.found("/Users", f'userName eq "{login}"')
    return found


async def test_who_is_handed_over_keeps_name_password_and_roles(harness: GatewayHarness) -> None:
    await harness.role("reader")
    await harness.user("alice", "reader")
    async with serving(harness) as scim:
        await hand_over(harness, "alice", "alice@corp")
        shown = await scim.ask("GET", f"/Users/{await id_of(scim, 'ALICE@corp')}")
        assert (shown["userName"], shown["active"]) == ("alice@corp", True)
        await harness.call("GetVersion", by="alice")
        await scim.ask("PUT", f"/Users/{shown['id']}", user("alice@other", active=True))
        record = await harness.store.user("alice")
        assert record is not None
        assert (record.roles, record.scim_login) == (("reader",), "alice@other")
        await scim.ask("PATCH", f"/Users/{shown['id']}", DEACTIVATE)
        with pytest.raises(errors.PasswordRejected):
            await harness.call("GetVersion", by="alice")


async def test_who_is_taken_back_stays_and_leaves_its_groups(harness: GatewayHarness) -> None:
    async with serving(harness) as scim:
        made = await scim.ask("POST", "/Users", user("alice"))
        await harness.role("teammate")
        await scim.ask("POST", "/Groups", group("Team", made["id"]))
        await own(harness, "GrantGroupRole", issuer="scim", group="Team", roleName="teammate")
        shown = await own(harness, "DescribeUserAccount", userName="scim_alice")
        assert (shown.scim_user_name, shown.group_roles) == ("alice", ["teammate"])
        await own(harness, "TakeBackFromScim", userName="scim_alice")
        shown = await own(harness, "DescribeUserAccount", userName="scim_alice")
        assert (shown.scim_user_name, shown.group_roles, shown.enabled) == (None, [], True)
        assert await scim.failure("GET", f"/Users/{made['id']}") == (404, "")


@pytest.mark.parametrize(
    ("name", "login", "kind", "code"),
    [
        ("root", "", errors.ProtectedObject, ErrorCode.SCIM_USER_PROTECTED),
        ("superior", "", errors.ProtectedObject, ErrorCode.SCIM_USER_PROTECTED),
        ("nobody", "", errors.UserNotFound, ErrorCode.USER_NOT_FOUND),
        ("scim_alice", "", errors.AlreadyExists, ErrorCode.SCIM_MANAGED_ALREADY),
        ("bob", "ALICE", errors.AlreadyExists, ErrorCode.SCIM_NAME_TAKEN),
        ("bob", "x" * 2000, errors.InvalidArgument, ErrorCode.SCIM_VALUE_INVALID),
    ],
)
async def test_a_wrong_hand_over_is_refused_and_changes_nothing(
    harness: GatewayHarness, name: str, login: str, kind: type[errors.KitewardError], code: ErrorCode
) -> None:
    for each in ("superior", "bob"):
        await harness.user(each)
    async with serving(harness, super_users=frozenset({"superior"})) as scim:
        await scim.ask("POST", "/Users", user("alice"))
        with pytest.raises(kind) as refused:
            await hand_over(harness, name, login)
        assert refused.value.code is code
        assert (await scim.ask("GET", "/Users"))["totalResults"] == 1


async def test_only_administrators_hand_over_and_take_back(harness: GatewayHarness) -> None:
    async with serving(harness) as scim:
        await scim.ask("POST", "/Users", user("alice"))
        for call in (
            own_call("HandOverToScim", "directory", userName="directory"),
            own_call("TakeBackFromScim", "directory", userName="scim_alice"),
        ):
            with pytest.raises(errors.AccessDenied):
                await harness.gateway.handle(call)


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("nobody", errors.UserNotFound, ErrorCode.USER_NOT_FOUND),
        ("bob", errors.NotFound, ErrorCode.SCIM_NOT_MANAGED),
    ],
)
async def test_who_is_not_managed_cannot_be_taken_back(
    harness: GatewayHarness, name: str, kind: type[errors.KitewardError], code: ErrorCode
) -> None:
    await harness.user("bob")
    with pytest.raises(kind) as refused:
        await own(harness, "TakeBackFromScim", userName=name)
    assert refused.value.code is code


async def test_who_becomes_a_super_user_later_is_changed_no_more(harness: GatewayHarness) -> None:
    await harness.user("alice")
    harness.configure(scim=SETTINGS)
    await hand_over(harness, "alice")
    async with serving(harness, super_users=frozenset({"alice"})) as scim:
        found = await id_of(scim, "alice")
        for method, body in (("PATCH", DEACTIVATE), ("PUT", user("alice", displayName="A")), ("DELETE", None)):
            assert await scim.failure(method, f"/Users/{found}", body) == (403, "")
        await harness.call("GetVersion", by="alice")
