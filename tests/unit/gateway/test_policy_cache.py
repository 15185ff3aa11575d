"""The snapshot follows every change before it is acknowledged, or nothing is decided at all."""

import asyncio

import pytest
from tests.support.gateway import GatewayHarness

from kiteward.authn.authenticator import Authenticator
from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import AccessDenied, NotReady, StoreUnavailable
from kiteward.gateway.policy_cache import PolicyCache

KEY = GrantKey(ObjectType.COLLECTION, "default", "docs", "Query")


async def refuse() -> None:
    raise AccessDenied("no longer")


async def test_nothing_is_current_before_the_first_load(harness: GatewayHarness) -> None:
    policy_cache = PolicyCache(harness.store, Authenticator(harness.store, harness.hasher), harness.recorder)
    with pytest.raises(NotReady):
        policy_cache.current()
    await policy_cache.load()
    assert policy_cache.current() == harness.policy_cache.current()


async def test_snapshot_that_followed_equals_one_that_was_loaded(harness: GatewayHarness) -> None:
    async with harness.policy_cache.change() as transaction:
        await transaction.groups.put(PrivilegeGroup("mine", ("Query",)))
        await transaction.roles.put(Role("reader", "reads"))
        await transaction.roles.put(Role("writer"))
        await transaction.grants.add([Grant("reader", KEY, "root")])
    async with harness.policy_cache.change() as transaction:
        group = GrantKey(ObjectType.GLOBAL, "default", "docs", "mine")
        await transaction.grants.add([Grant("writer", group, "root")])
        await transaction.groups.put(PrivilegeGroup("mine", ("Insert", "Query")))
        await transaction.roles.remove("reader")
    loaded = PolicySnapshot.compile(await harness.store.policy())
    assert harness.policy_cache.current() == loaded


async def test_change_that_fails_changes_nothing(harness: GatewayHarness) -> None:
    before, state = harness.policy_cache.current(), await harness.state()
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with harness.policy_cache.change() as transaction:
            await transaction.roles.put(Role("reader"))
            raise RuntimeError
    assert harness.policy_cache.current() is before
    assert await harness.state() == state


async def test_change_of_a_caller_that_may_no_longer_is_not_begun(harness: GatewayHarness) -> None:
    state = await harness.state()
    with pytest.raises(AccessDenied):
        async with harness.policy_cache.change(refuse) as transaction:
            await transaction.roles.put(Role("reader"))
    assert await harness.state() == state


async def test_change_that_changes_nothing_keeps_the_snapshot(harness: GatewayHarness) -> None:
    before = harness.policy_cache.current()
    async with harness.policy_cache.change() as transaction:
        await transaction.roles.put(Role("admin"))
    assert harness.policy_cache.current() is before


async def test_change_that_cannot_be_followed_makes_the_gateway_refuse_until_the_policy_loads(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: int) -> None:
        raise StoreUnavailable("the store cannot be read")

    with monkeypatch.context() as broken_store:
        broken_store.setattr(harness.store, "changes_since", broken)
        with pytest.raises(StoreUnavailable):
            async with harness.policy_cache.change() as transaction:
                await transaction.roles.put(Role("reader"))
    with pytest.raises(NotReady):
        harness.policy_cache.current()
    await harness.policy_cache.load()
    assert "reader" in harness.policy_cache.current().roles


async def test_change_is_acknowledged_only_when_decisions_see_it(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()
    read = harness.store.changes_since

    async def slowly(revision: int) -> object:
        reading.set()
        await go_on.wait()
        return await read(revision)

    monkeypatch.setattr(harness.store, "changes_since", slowly)

    async def put() -> None:
        async with harness.policy_cache.change() as transaction:
            await transaction.roles.put(Role("reader"))

    changing = asyncio.create_task(put())
    await reading.wait()
    told, known = changing.done(), "reader" in harness.policy_cache.current().roles
    go_on.set()
    await changing
    assert (told, known) == (False, False)
    assert "reader" in harness.policy_cache.current().roles


async def test_users_are_forgotten_before_their_change_is_acknowledged(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.role("reader")
    await harness.user("alice")
    forgotten: list[str] = []
    monkeypatch.setattr(harness.authenticator, "forget", lambda users, _keys: forgotten.extend(users))
    async with harness.policy_cache.change() as transaction:
        await transaction.roles.bind("alice", "reader")
    assert forgotten == ["alice"]
    async with harness.policy_cache.change() as transaction:
        await transaction.roles.remove("reader")
    assert forgotten == ["alice", "alice"]
