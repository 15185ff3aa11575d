"""One-time passwords: good for setting another one, and for nothing else."""

from typing import Any

import pytest
from tests.support.gateway import encoded, least_arguments, presented
from tests.unit.iam.json_api.conftest import Own, is_over, signed_in

from kiteward.domain.errors import AccessDenied, InvalidArgument, NotFound
from kiteward.domain.identity import PasswordCredential, SessionCredential
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS

FIRST = "First-password-1"
ALLOWED = {
    "Connect",
    "GetVersion",
    "UpdateCredential",
    "BeginSession",
    "EndSession",
    "WhoAmI",
    "DescribePasswordPolicy",
}


@pytest.fixture
async def first(own: Own) -> PasswordCredential:
    """Alice has everything, and a one-time password."""
    await own("CreateUserAccount", userName="alice", password=FIRST, oneTime=True, roles=["admin"])
    return presented("alice", FIRST)


async def id_of(own: Own, session: SessionCredential) -> str:
    credential: str = (await own("WhoAmI", by=session))["credential"]
    return credential.removeprefix("session:")


async def change(own: Own, by: PasswordCredential, new: str) -> Any:
    return await own.harness.call(
        "UpdateCredential", by=by, username="alice", oldPassword=encoded(FIRST), newPassword=encoded(new)
    )


async def test_nothing_but_setting_another_password_is_allowed(own: Own, first: PasswordCredential) -> None:
    before = await own.harness.state()
    for name in {*OPERATIONS, *ADMIN_OPERATIONS} - ALLOWED:
        call: Call[Any] = Call(name, b"" if name in OPERATIONS else least_arguments(name), first)
        with pytest.raises(AccessDenied, match="the password of alice is a one-time password: set another one first"):
            await own.harness.gateway.handle(call)
    assert await own.harness.state() == before


async def test_nobody_elses_password_is_set_with_it(own: Own, first: PasswordCredential) -> None:
    await own.harness.user("bob")
    own.harness.configure(super_users=frozenset({"alice"}))
    with pytest.raises(AccessDenied, match="of the same user"):
        await own.harness.call("UpdateCredential", by=first, username="bob", newPassword=encoded("Taken-over-1"))


async def test_its_session_can_be_ended_and_no_other_even_by_an_administrator(
    own: Own, first: PasswordCredential
) -> None:
    await own.harness.user("bob")
    session, *others = [await signed_in(own, *by) for by in (("alice", FIRST), ("alice", FIRST), ("bob",))]
    for other in others:
        for by in (first, session):
            with pytest.raises(NotFound):
                await own("EndSession", by=by, sessionId=await id_of(own, other))
    await own("EndSession", by=session, sessionId=await id_of(own, session))
    assert [await is_over(own, each) for each in (session, *others)] == [True, False, False]


async def test_another_password_gives_access_to_everything(own: Own, first: PasswordCredential) -> None:
    me = await own("WhoAmI", by=first)
    assert (me["userName"], me["oneTimePassword"]) == ("alice", True)
    await own.harness.succeed("Connect", by=first)
    await change(own, first, "Second-password-2")
    second = presented("alice", "Second-password-2")
    assert not (await own("WhoAmI", by=second))["oneTimePassword"]
    await own.harness.succeed("ListCredUsers", by=second)


async def test_the_same_password_again_is_no_other_one(own: Own, first: PasswordCredential) -> None:
    with pytest.raises(InvalidArgument, match="must differ from the one-time password"):
        await change(own, first, FIRST)
    assert (await own("WhoAmI", by=first))["oneTimePassword"]


async def test_reset_may_make_a_one_time_password_while_the_old_one_and_api_keys_go_on(own: Own) -> None:
    await own.harness.user("alice", "admin")
    key = (await own("CreateApiKey", userName="alice"))["key"]
    made = await own("ResetPassword", userName="alice", oneTime=True, keepOldFor=600)
    with pytest.raises(AccessDenied):
        await own("ListUserAccounts", by=presented("alice", made["password"]))
    await own("ListUserAccounts", by="alice")
    await own("ListUserAccounts", by=key)
    assert (await own("DescribeUserAccount", userName="alice"))["oneTimePassword"]


async def test_refusal_is_recorded_as_one(own: Own, first: PasswordCredential) -> None:
    own.harness.trail.events.clear()
    with pytest.raises(AccessDenied):
        await own("ListUserAccounts", by=first)
    (event,) = own.harness.trail.events
    assert (event.outcome, event.principal) == ("refused", "alice")
    assert "one-time password" in event.reason
