"""Users as a service: what both adapters rely on."""

import pytest
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.domain.errors import AlreadyExists, LimitReached, RoleNotFound, UserNotFound
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.iam import users
from kiteward.iam.passwords import PasswordChange, reset_password
from kiteward.iam.settings import Limits


async def unverified(_credential: PasswordCredential) -> str:
    raise AssertionError("a super user needs no old password")


async def test_generated_password_is_returned_and_accepted(harness: GatewayHarness, caller: FakeCaller) -> None:
    password = await users.create_user(harness.services, caller, name="alice", password=None)
    assert password is not None
    await harness.authenticator.authenticate(PasswordCredential("alice", password), address="")


async def test_given_password_is_not_returned(harness: GatewayHarness, caller: FakeCaller) -> None:
    assert await users.create_user(harness.services, caller, name="alice", password=Secret(PASSWORD)) is None


async def test_user_is_not_created_without_one_of_its_roles(harness: GatewayHarness, caller: FakeCaller) -> None:
    with pytest.raises(RoleNotFound, match="gone"):
        await users.create_user(harness.services, caller, name="alice", password=None, roles=["public", "gone"])
    assert await harness.store.user("alice") is None


async def test_name_and_number_of_users_are_checked_against_their_limits(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await users.create_user(harness.services, caller, name="alice", password=None)
    with pytest.raises(AlreadyExists):
        await users.create_user(harness.services, caller, name="alice", password=None)
    harness.configure(limits=Limits(users=2))
    with pytest.raises(LimitReached):
        await users.create_user(harness.services, caller, name="bob", password=None)


async def test_every_change_of_a_missing_user_says_that_it_is_missing(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    services = harness.services
    change = PasswordChange(Secret(PASSWORD), Secret("Password-2"))
    harness.configure(super_users=frozenset({"root"}))
    for attempt in (
        users.delete_user(services, caller, "gone"),
        users.disable_user(services, caller, "gone"),
        users.enable_user(caller, "gone"),
        users.unlock_user(caller, "gone"),
        users.describe_user(services, caller, "gone"),
        users.update_user(services, caller, unverified, name="gone", password=None, description="text"),
        users.update_user(harness.services, caller, unverified, name="gone", password=change, description=None),
        reset_password(services, caller, user_name="gone", given=None, one_time=False, grace_period=0),
    ):
        with pytest.raises(UserNotFound, match="user not found: gone"):
            await attempt


async def test_password_change_records_whether_the_old_one_was_verified(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await users.create_user(harness.services, caller, name="alice", password=Secret(PASSWORD))
    harness.configure(super_users=frozenset({"root"}))
    change = PasswordChange(Secret("wrong"), Secret("Password-2"))
    await users.update_user(harness.services, caller, unverified, name="alice", password=change, description="text")
    assert caller.recorded == {"password_changed": True, "old_password_verified": False}
    record = await harness.store.user("alice")
    assert record is not None
    assert record.description == "text"
