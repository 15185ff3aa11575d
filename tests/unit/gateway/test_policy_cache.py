"""The snapshot follows every change before it is acknowledged, or nothing is decided at all."""

import asyncio

import pytest
from tests.support.gateway import PASSWORD, GatewayHarness

from kiteward.authn.authenticator import Authenticator
from kiteward.authz.model import Grant, GrantKey, Policy, PrivilegeGroup, Role
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import (
    AccessDenied,
    AlreadyExists,
    CommitUnknown,
    LeaseOver,
    NotReady,
    PasswordRejected,
    StoreUnavailable,
)
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.gateway.policy_cache import Acknowledge, PolicyCache, alone
from kiteward.gateway.replicas.lease import Lease, elapsed
from kiteward.store.records import Committed

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
        # Not merely unavailable, which says that nothing was changed.
        with pytest.raises(CommitUnknown):
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
    monkeypatch.setattr(harness.authenticator, "forget", lambda users, *_others: forgotten.extend(users))
    async with harness.policy_cache.change() as transaction:
        await transaction.roles.bind("alice", "reader")
    assert forgotten == ["alice"]
    async with harness.policy_cache.change() as transaction:
        await transaction.roles.remove("reader")
    assert forgotten == ["alice", "alice"]


# Other servers on the same store


async def shared(harness: GatewayHarness, acknowledge: Acknowledge = alone) -> tuple[PolicyCache, Lease]:
    """Return the policy of a server that shares its store, and its lease."""
    lease = Lease(1000.0)
    authenticator = Authenticator(harness.store, harness.hasher)
    policy_cache = PolicyCache(harness.store, authenticator, harness.recorder, lease=lease, acknowledge=acknowledge)
    await policy_cache.load()
    return policy_cache, lease


async def test_nothing_is_decided_without_a_lease(harness: GatewayHarness) -> None:
    policy_cache, lease = await shared(harness)
    for use in (policy_cache.current, policy_cache.require_lease):
        with pytest.raises(LeaseOver, match="lost contact with its store"):
            use()
    lease.extend(elapsed())
    assert policy_cache.current().revision == await harness.store.revision()
    lease.end()
    with pytest.raises(LeaseOver):
        policy_cache.current()


async def test_change_is_acknowledged_when_the_others_are_waited_for(harness: GatewayHarness) -> None:
    waiting: list[Committed] = []
    go_on = asyncio.Event()

    async def wait(committed: Committed) -> None:
        waiting.append(committed)
        await go_on.wait()

    policy_cache, lease = await shared(harness, wait)
    lease.extend(elapsed())

    async def put(name: str) -> None:
        async with policy_cache.change() as transaction:
            await transaction.roles.put(Role(name))

    changes = [asyncio.create_task(put(name)) for name in ("one", "two")]
    while len(waiting) < 2:  # the second begins while the first waits
        await asyncio.sleep(0.01)
    assert not any(change.done() for change in changes)
    assert {"one", "two"} <= policy_cache.current().roles.keys()
    go_on.set()
    await asyncio.gather(*changes)
    assert [committed.revision for committed in waiting] == [waiting[0].revision, waiting[0].revision + 1]


async def test_change_that_finds_all_as_it_should_be_waits_until_others_have_applied_that(
    harness: GatewayHarness,
) -> None:
    """An earlier attempt may have made it, whose outcome is not known: nobody has waited for the others then."""
    waiting: list[Committed] = []

    async def wait(committed: Committed) -> None:
        waiting.append(committed)

    policy_cache, _ = await shared(harness, wait)
    async with policy_cache.change() as transaction:
        await transaction.roles.put(Role("admin"))
    assert [(each.revision, len(each.changes)) for each in waiting] == [(await harness.store.revision(), 0)]


async def test_refusal_waits_until_others_have_applied_what_it_is_for(harness: GatewayHarness) -> None:
    """As above; and it is committed first, which a store with a standby confirms."""
    waiting: list[Committed] = []

    async def wait(committed: Committed) -> None:
        waiting.append(committed)

    policy_cache, _ = await shared(harness, wait)
    with pytest.raises(AlreadyExists):
        async with policy_cache.change():
            raise AlreadyExists("it exists")
    assert [(each.revision, len(each.changes)) for each in waiting] == [(await harness.store.revision(), 0)]


async def test_change_that_failed_waits_for_nobody(harness: GatewayHarness) -> None:
    async def wait(_committed: Committed) -> None:
        pytest.fail("nothing was committed")

    policy_cache, _ = await shared(harness, wait)
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with policy_cache.change() as transaction:
            await transaction.roles.put(Role("reader"))
            raise RuntimeError


async def test_changes_of_others_are_applied_in_one_step(harness: GatewayHarness) -> None:
    await harness.user("alice")
    policy_cache, lease = await shared(harness)
    lease.extend(elapsed())
    await harness.role("reader")
    async with harness.policy_cache.change() as transaction:
        await transaction.grants.add([Grant("reader", KEY, "root")])
        await transaction.groups.put(PrivilegeGroup("mine", ("Query",)))
    assert "reader" not in policy_cache.current().roles
    await policy_cache.follow_others()
    assert policy_cache.current() == harness.policy_cache.current()


async def test_store_that_cannot_be_read_leaves_the_policy_in_force_for_as_long_as_the_lease_lasts(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy_cache, lease = await shared(harness)
    lease.extend(elapsed())
    await harness.role("reader")
    before = policy_cache.current()

    async def broken(_: int) -> None:
        raise StoreUnavailable("the store cannot be read")

    monkeypatch.setattr(harness.store, "changes_since", broken)
    with pytest.raises(StoreUnavailable):
        await policy_cache.follow_others()
    assert policy_cache.current() is before


async def test_user_that_was_read_while_the_policy_was_loaded_is_read_again(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cached is forgotten after the policy was read, so that nothing older than the policy is left."""
    await harness.user("alice")
    authenticator = Authenticator(harness.store, harness.hasher)
    policy_cache = PolicyCache(harness.store, authenticator, harness.recorder)
    alice = PasswordCredential("alice", Secret(PASSWORD))
    read = harness.store.policy

    async def slowly() -> Policy:
        await authenticator.authenticate(alice)
        async with harness.policy_cache.change() as transaction:
            await transaction.users.enable("alice", False)
        return await read()

    monkeypatch.setattr(harness.store, "policy", slowly)
    await policy_cache.load()
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(alice)
