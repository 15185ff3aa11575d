"""Privilege groups as a service."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.privileges import BUILT_IN_GROUPS
from kiteward.domain.errors import InUse, InvalidGrant
from kiteward.iam import privilege_groups


async def test_privileges_of_one_level_are_added_and_removed(harness: GatewayHarness, caller: FakeCaller) -> None:
    services = harness.services
    await privilege_groups.create_group(services, caller, "mine")
    await privilege_groups.add_privileges(services, caller, "mine", ["Search", "Query"])
    with pytest.raises(InvalidGrant, match="level"):
        await privilege_groups.add_privileges(services, caller, "mine", ["CreateResourceGroup"])
    await privilege_groups.remove_privileges(services, caller, "mine", ["Search"])
    assert caller.snapshot.groups["mine"].privileges == ("Query",)


async def test_custom_groups_are_listed_before_the_built_in_ones(harness: GatewayHarness, caller: FakeCaller) -> None:
    await privilege_groups.create_group(harness.services, caller, "mine")
    names = [group.name for group in privilege_groups.list_groups(caller)]
    assert names == ["mine", *BUILT_IN_GROUPS]


async def test_group_that_a_role_holds_is_not_dropped_and_a_missing_one_changes_nothing(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.group("mine", "Query")
    await harness.role("reader", ("mine", "default", "docs"))
    with pytest.raises(InUse, match="reader"):
        await privilege_groups.drop_group(harness.services, caller, "mine")
    before = await harness.state()
    await privilege_groups.drop_group(harness.services, caller, "gone")
    assert await harness.state() == before


@pytest.mark.parametrize("name", ["Query", "CollectionReadOnly", "All"])
async def test_names_of_the_protocol_are_reserved(harness: GatewayHarness, caller: FakeCaller, name: str) -> None:
    with pytest.raises(InvalidGrant, match="built in"):
        await privilege_groups.create_group(harness.services, caller, name)
