"""Privilege groups as a service."""

import pytest
from tests.support.gateway import House
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.privileges import BUILT_IN_GROUPS
from kiteward.domain.errors import InUse, InvalidGrant
from kiteward.iam import privilege_groups


async def test_privileges_of_one_level_are_added_and_removed(house: House, caller: FakeCaller) -> None:
    services = house.services
    await privilege_groups.create_group(services, caller, "mine")
    await privilege_groups.add_privileges(services, caller, "mine", ["Search", "Query"])
    with pytest.raises(InvalidGrant, match="level"):
        await privilege_groups.add_privileges(services, caller, "mine", ["CreateResourceGroup"])
    await privilege_groups.remove_privileges(services, caller, "mine", ["Search"])
    assert caller.snapshot.groups["mine"].privileges == ("Query",)


async def test_custom_groups_are_listed_before_the_built_in_ones(house: House, caller: FakeCaller) -> None:
    await privilege_groups.create_group(house.services, caller, "mine")
    names = [group.name for group in privilege_groups.list_groups(caller)]
    assert names == ["mine", *BUILT_IN_GROUPS]


async def test_group_that_a_role_holds_is_not_dropped_and_a_missing_one_changes_nothing(
    house: House, caller: FakeCaller
) -> None:
    await house.group("mine", "Query")
    await house.role("reader", ("mine", "default", "docs"))
    with pytest.raises(InUse, match="reader"):
        await privilege_groups.drop_group(house.services, caller, "mine")
    before = await house.state()
    await privilege_groups.drop_group(house.services, caller, "gone")
    assert await house.state() == before


@pytest.mark.parametrize("name", ["Query", "CollectionReadOnly", "All"])
async def test_names_of_the_protocol_are_reserved(house: House, caller: FakeCaller, name: str) -> None:
    with pytest.raises(InvalidGrant, match="built in"):
        await privilege_groups.create_group(house.services, caller, name)
