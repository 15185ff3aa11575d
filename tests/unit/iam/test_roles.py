"""Roles as a service."""

import pytest
from tests.support.gateway import House
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.model import Role
from kiteward.domain.errors import ProtectedObject, RoleNotFound, UserNotFound
from kiteward.domain.identity import Principal
from kiteward.iam import roles


async def test_role_is_described_with_its_holders(house: House, caller: FakeCaller) -> None:
    await roles.create_role(house.services, caller, Role("reader", "reads"))
    await house.user("alice", "reader")
    (found,) = await roles.describe_roles(house.services, caller, "reader", with_users=True)
    assert (found.role, found.users) == (Role("reader", "reads"), ("alice",))


async def test_who_may_not_know_the_holders_of_a_role_sees_only_itself(house: House) -> None:
    await house.role("reader")
    await house.user("alice", "reader")
    await house.user("bob", "reader")
    alice = FakeCaller(house, Principal("alice", frozenset({"reader"})))
    (found,) = await roles.describe_roles(house.services, alice, "reader", with_users=True)
    assert found.users == ("alice",)


async def test_binding_needs_a_role_and_a_user_and_unbinding_a_role(house: House, caller: FakeCaller) -> None:
    await house.role("reader")
    with pytest.raises(UserNotFound):
        await roles.bind_role(house.services, caller, user="gone", role="reader")
    with pytest.raises(RoleNotFound):
        await roles.bind_role(house.services, caller, user="root", role="gone")
    with pytest.raises(RoleNotFound):
        await roles.unbind_role(house.services, caller, user="root", role="gone")
    await roles.unbind_role(house.services, caller, user="gone", role="reader")


@pytest.mark.parametrize("name", ["admin", "public"])
async def test_built_in_roles_are_neither_described_nor_dropped(house: House, caller: FakeCaller, name: str) -> None:
    with pytest.raises(ProtectedObject, match="altered"):
        await roles.describe_role(house.services, caller, Role(name, "other"))
    with pytest.raises(ProtectedObject, match="dropped"):
        await roles.drop_role(house.services, caller, name, force=True)
