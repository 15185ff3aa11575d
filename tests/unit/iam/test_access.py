"""Explanations of access as a service."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.domain.errors import AccessDenied, InvalidArgument, NotFound
from kiteward.domain.identity import Principal
from kiteward.iam.access import AccessQuestion, Who, explain_access, find_principal, held_access
from kiteward.iam.users import disable_user

ALICE = Who(user_name="alice")


async def test_user_is_explained_to_administrators_and_to_itself_only(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.user("alice")
    alice, bob = FakeCaller(harness, Principal("alice")), FakeCaller(harness, Principal("bob"))
    assert (await find_principal(harness.services, caller, ALICE))[0].principal.user_name == "alice"
    assert (await find_principal(harness.services, alice, ALICE))[0].principal.user_name == "alice"
    with pytest.raises(AccessDenied):
        await find_principal(harness.services, bob, ALICE)


async def test_without_a_name_the_caller_itself_is_explained(harness: GatewayHarness, caller: FakeCaller) -> None:
    state, key_id = await find_principal(harness.services, caller, Who())
    assert (state.principal, state.closed, key_id) == (caller.principal, None, None)


async def test_missing_users_and_keys_are_not_found_and_both_at_once_are_invalid(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    for who in (Who(user_name="gone"), Who(key_id="gone")):
        with pytest.raises(NotFound):
            await find_principal(harness.services, caller, who)
    with pytest.raises(InvalidArgument):
        await find_principal(harness.services, caller, Who("alice", "gone"))


async def test_blocked_user_is_not_allowed_what_its_roles_allow(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    question = AccessQuestion(ALICE, privilege="Query", collection="docs")
    before = await explain_access(harness.services, caller, question)
    await disable_user(harness.services, caller, "alice")
    after = await explain_access(harness.services, caller, question)
    assert (before.allowed, after.allowed, after.explanation.decision.allowed) == (True, False, True)
    assert after.reason == "the user is disabled"
    assert [grant.role for grant in after.explanation.ways] == ["reader"]


@pytest.mark.parametrize(
    "question", [AccessQuestion(Who()), AccessQuestion(Who(), privilege="Query", operation="Query")]
)
async def test_exactly_one_of_privilege_and_operation_is_asked_about(
    harness: GatewayHarness, caller: FakeCaller, question: AccessQuestion
) -> None:
    with pytest.raises(InvalidArgument, match="either"):
        await explain_access(harness.services, caller, question)


async def test_administrator_holds_everything_without_a_list(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    administrator = await held_access(harness.services, caller, Who())
    assert (administrator.administrator, administrator.collections, administrator.cluster) == (True, (), ())
    alice = await held_access(harness.services, caller, ALICE)
    assert [row for row, _ in alice.collections] == [("default", "docs")]
    assert "Query" in alice.collections[0][1]
