"""Roles as a service."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.model import Role
from kiteward.domain.errors import ProtectedObject, RoleNotFound, UserNotFound
from kiteward.domain.identity import Principal
from kiteward.iam import roles


async def test_role_is_described_with_its_holders(harness: GatewayHarness, caller: FakeCaller) -> None:
    await roles.create_role(harness.services, caller, Role("reader", "reads"))
    await harness.user("alice", "reader")
    (found,) = await roles.describe_roles(harness.services, caller, "reader", with_users=True)
    assert (found.role, found.users) == (Role("reader", "reads"), ("alice",))


async def test_who_may_not_know_the_holders_of_a_role_sees_only_itself(harness: GatewayHarness) -> None:
    await harness.role("reader")
    await harness.user("alice", "reader")
    await harness.user("bob", "reader")
    alice = FakeCaller(harness, Principal("alice", frozenset({"reader"})))
    (found,) = await roles.describe_roles(harness.services, alice, "reader", with_users=True)
    assert found.users == ("alice",)


async def test_binding_needs_a_role_and_a_user_and_unbinding_a_role(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.role("reader")
    with pytest.raises(UserNotFound):
        await roles.bind_role(harness.services, caller, user="gone", role="reader")
    with pytest.raises(RoleNotFound):
        await roles.bind_role(harness.services, caller, user="root", role="gone")
    with pytest.raises(RoleNotFound):
        await roles.unbind_role(harness.services, caller, user="root", role="gone")
    await roles.unbind_role(harness.services, caller, user="gone", role="reader")


@pytest.mark.parametrize("name", ["admin", "public"])
async def test_built_in_roles_are_neither_described_nor_dropped(
    harness: GatewayHarness, caller: FakeCaller, name: str
) -> None:
    with pytest.raises(ProtectedObject, match="altered"):
        await roles.describe_role(harness.services, caller, Role(name, "other"))
    with pytest.raises(ProtectedObject, match="dropped"):
        await roles.drop_role(harness.services, caller, name, force=True)
