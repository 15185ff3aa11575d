"""API keys as a service: which keys a caller manages, and what one creates."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.domain.errors import AccessDenied, InvalidArgument, NotFound
from kiteward.domain.identity import KeyScope, Principal
from kiteward.iam import api_keys
from kiteward.iam.new_keys import NewKey
from kiteward.store.records import KeyRecord


def record(key_id: str, owner: str = "alice") -> KeyRecord:
    return KeyRecord(key_id, owner, "digest", "", 0.0, owner)


PARENT, CHILD = record("parent"), record("child")
LIMITED = KeyScope("parent", narrowed=True)


@pytest.mark.parametrize(
    ("principal", "managed"),
    [
        (Principal("root", unrestricted=True), True),
        (Principal("bob", frozenset({"admin"})), True),
        (Principal("bob"), False),
        (Principal("alice"), True),
        (Principal("alice", key=KeyScope("other")), True),
        (Principal("alice", key=KeyScope("other", narrowed=True)), False),
        (Principal("alice", key=LIMITED), True),
        (Principal("bob", key=LIMITED), False),
    ],
)
def test_key_is_managed_by_its_owner_administrators_and_keys_that_it_descends_from(
    harness: GatewayHarness, principal: Principal, managed: bool
) -> None:
    assert api_keys.manages_key(FakeCaller(harness, principal), [CHILD, PARENT]) is managed


def test_nobody_manages_a_key_that_does_not_exist(harness: GatewayHarness) -> None:
    assert not api_keys.manages_key(FakeCaller(harness, Principal("root", unrestricted=True)), [])


async def test_key_of_another_user_is_not_distinguished_from_a_missing_one(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.user("alice")
    issued = await api_keys.create_key(harness.services, caller, NewKey(owner="root"))
    alice = FakeCaller(harness, Principal("alice"))
    for key_id in (issued.record.key_id, "missing"):
        with pytest.raises(NotFound, match=f"API key not found: {key_id}"):
            await api_keys.revoke_key(alice, key_id)
    found, _ = await api_keys.describe_key(harness.services, caller, issued.record.key_id)
    assert found.owner == "root"


async def test_key_that_a_limited_key_creates_stays_within_its_limits(harness: GatewayHarness) -> None:
    await harness.role("reader")
    await harness.user("alice", "reader")
    scope = KeyScope("parent", narrowed=True, expires_at=9e9, networks=("10.0.0.0/8",))
    maker = FakeCaller(harness, Principal("alice", frozenset({"reader"}), key=scope))
    with pytest.raises(AccessDenied, match="networks"):
        await api_keys.create_key(harness.services, maker, NewKey(networks=["192.168.0.0/16"]))
    with pytest.raises(AccessDenied, match="roles"):
        await api_keys.create_key(harness.services, maker, NewKey(roles=["admin"]))


async def test_secret_of_a_rotated_key_is_accepted_until_its_grace_period_ends(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    issued = await api_keys.create_key(harness.services, caller, NewKey(lifetime=60))
    rotated = await api_keys.rotate_key(caller, issued.record.key_id, grace_period=3600)
    assert rotated.secret != issued.secret
    assert rotated.old_valid_until == issued.record.expires_at
    with pytest.raises(InvalidArgument):
        await api_keys.rotate_key(caller, issued.record.key_id, grace_period=-1)
