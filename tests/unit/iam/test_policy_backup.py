"""The whole policy as one value."""

from dataclasses import replace

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.model import Role
from kiteward.domain.errors import InvalidGrant
from kiteward.iam import policy_backup
from kiteward.iam.roles import drop_role
from kiteward.iam.users import delete_user


async def test_backup_of_a_policy_restores_it(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    taken = await policy_backup.back_up(harness.services, caller)
    await delete_user(harness.services, caller, "alice")
    await drop_role(harness.services, caller, "reader", force=True)
    await policy_backup.restore(harness.services, caller, taken)
    assert await policy_backup.back_up(harness.services, caller) == taken


async def test_grant_without_grantor_is_of_who_restores_it(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader", ("Query", "default", "docs"))
    taken = await policy_backup.back_up(harness.services, caller)
    await drop_role(harness.services, caller, "reader", force=True)
    nobodys = replace(taken, grants=[replace(grant, grantor="") for grant in taken.grants])
    await policy_backup.restore(harness.services, caller, nobodys)
    assert [grant.grantor for grant in (await policy_backup.back_up(harness.services, caller)).grants] == ["root"]


async def test_backup_with_something_that_exists_restores_nothing(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader")
    before = await harness.state()
    taken = await policy_backup.back_up(harness.services, caller)
    more = replace(taken, roles=[Role("writer"), *taken.roles])
    with pytest.raises(InvalidGrant, match=r"role \[reader\] already exists"):
        await policy_backup.restore(harness.services, caller, more)
    assert await harness.state() == before
