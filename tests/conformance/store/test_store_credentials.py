"""Credentials: previous passwords, locks, API keys, when they were last used, and the feed that names changes."""

import pytest
from tests.conformance.store.harness import Clock, Transact, adding, changed_since, existing

from kiteward.authz.model import Role
from kiteward.store.base import Store
from kiteward.store.records import Change, KeyRecord, LastUsed, PreviousSecret, Subject
from kiteward.store.transaction import FEED_LENGTH, Transaction

KEY = KeyRecord("k1", "alice", "aa" * 32, "for the crawler", 0.0, "root", 99.5, ("reader",), ("10.0.0.0/8", "::1/128"))


async def alice_with_a_key(transaction: Transaction) -> None:
    await transaction.users.add("alice", "hash")
    for role in ("reader", "writer"):
        await transaction.roles.put(Role(role))
    await transaction.keys.add(KEY)


async def only(store: Store, key_id: str) -> KeyRecord | None:
    """Return a key, or None."""
    return next(iter(await store.lineage(key_id)), None)


async def three_generations(transaction: Transaction) -> None:
    """`k1` of alice made `k2` of bob, which made `k3` of alice; `other` of alice descends from nothing."""
    await alice_with_a_key(transaction)
    await transaction.users.add("bob", "hash")
    await transaction.keys.add(KeyRecord("k2", "bob", "bb", "", 0.0, "alice", made_by_key="k1"))
    await transaction.keys.add(
        KeyRecord("k3", "alice", "cc", "", 0.0, "bob", 70.0, ("reader", "writer"), made_by_key="k2")
    )
    await transaction.keys.add(KeyRecord("other", "alice", "dd", "", 0.0, "alice"))


async def ids(store: Store) -> list[str]:
    return [key.key_id for key in await store.keys()]


async def test_the_lineage_of_a_key_is_what_it_descends_from_the_nearest_first(store: Store, change: Transact) -> None:
    await change(three_generations)
    lineage = await store.lineage("k3")
    assert [(key.key_id, key.owner, key.roles) for key in lineage] == [
        ("k3", "alice", ("reader", "writer")),
        ("k2", "bob", None),
        ("k1", "alice", ("reader",)),
    ]
    assert list(await store.lineage("nothing")) == []
    async with store.transaction() as transaction:
        assert await transaction.keys.lineage("k3") == lineage


async def test_a_key_is_listed_with_what_descends_from_it(store: Store, change: Transact) -> None:
    await change(three_generations)
    assert [key.key_id for key in await store.keys(root="k2")] == ["k2", "k3"]
    assert [key.key_id for key in await store.keys(root="k1", owner="alice")] == ["k1", "k3"]
    assert [key.key_id for key in await store.keys(root="k1", after="k1", limit=1)] == ["k2"]
    assert [key.key_id for key in await store.keys(root="k3")] == ["k3"]
    assert list(await store.keys(root="nothing")) == []


async def test_what_descends_from_a_key_is_removed_with_it_and_announced(store: Store, change: Transact) -> None:
    await change(three_generations)
    done = await change(lambda t: t.keys.remove("k1"))
    assert set(done.changes) == {Change(Subject.KEY, key_id) for key_id in ("k1", "k2", "k3")}
    assert await ids(store) == ["other"]


async def test_what_descends_from_a_users_keys_goes_with_the_user_whosever_it_is(
    store: Store, change: Transact
) -> None:
    await change(three_generations)
    done = await change(lambda t: t.users.remove("bob"))
    assert set(done.changes) == {Change(Subject.USER, "bob"), Change(Subject.KEY, "k2"), Change(Subject.KEY, "k3")}
    assert await ids(store) == ["k1", "other"]


async def test_what_a_key_has_made_ends_when_its_secret_is_replaced(store: Store, change: Transact) -> None:
    await change(three_generations)
    done = await change(lambda t: t.keys.rotate("k1", "ee"))
    assert set(done.changes) == {Change(Subject.KEY, key_id) for key_id in ("k1", "k2", "k3")}
    assert await ids(store) == ["k1", "other"]


async def test_what_a_key_has_made_ends_with_a_secret_that_stays_for_a_while(store: Store, change: Transact) -> None:
    await change(three_generations)
    done = await change(lambda t: t.keys.rotate("k1", "ee", former_until=80.0))
    assert set(done.changes) == {Change(Subject.KEY, "k1"), Change(Subject.KEY, "k2")}
    assert {key.key_id: key.expires_at for key in await store.keys()} == {
        "k1": 99.5,
        "k2": 80.0,
        "k3": 70.0,
        "other": None,
    }


async def test_a_new_user_is_enabled_unlocked_and_unseen(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    alice = await existing(store, "alice")
    assert (alice.enabled, alice.locked_at, alice.signed_in_at, alice.previous) == (True, None, None, None)


async def test_a_password_may_stay_for_a_while_beside_its_successor(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    before = await existing(store, "alice")
    await change(lambda t: t.users.set_password("alice", "second", former_until=50.0))
    alice = await existing(store, "alice")
    assert alice.previous == PreviousSecret(before.password_hash, before.credential_id, 50.0)
    assert (alice.password_hash, alice.credential_id != before.credential_id) == ("second", True)


async def test_only_one_previous_password_is_kept_and_a_plain_change_ends_it(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    await change(lambda t: t.users.set_password("alice", "second", former_until=50.0))
    await change(lambda t: t.users.set_password("alice", "third", former_until=60.0))
    previous = (await existing(store, "alice")).previous
    assert previous is not None
    assert (previous.stored, previous.valid_until) == ("second", 60.0)
    await change(lambda t: t.users.set_password("alice", "fourth"))
    assert (await existing(store, "alice")).previous is None


async def test_a_previous_password_is_ended_early_and_that_is_a_change(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    assert (await change(lambda t: t.users.end_previous_secret("alice"))).changes == ()
    await change(lambda t: t.users.set_password("alice", "second", former_until=50.0))
    assert (await change(lambda t: t.users.end_previous_secret("alice"))).changes == (Change(Subject.USER, "alice"),)
    assert (await existing(store, "alice")).previous is None


async def test_a_better_hash_of_the_same_password_changes_nothing_else(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    before = await existing(store, "alice")
    done = await change(lambda t: t.users.rehash("alice", "better", credential_id=before.credential_id))
    alice = await existing(store, "alice")
    assert (alice.password_hash, alice.credential_id, alice.changed_at) == (
        "better",
        before.credential_id,
        before.changed_at,
    )
    assert done.changes == ()


async def test_a_hash_of_a_password_that_was_replaced_meanwhile_is_not_stored(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    before = await existing(store, "alice")
    await change(lambda t: t.users.set_password("alice", "second"))
    await change(lambda t: t.users.rehash("alice", "better", credential_id=before.credential_id))
    assert (await existing(store, "alice")).password_hash == "second"


async def test_disabling_and_locking_are_changes_once(store: Store, change: Transact, clock: Clock) -> None:
    await change(adding("alice"))
    clock.now = 12.0
    alice = (Change(Subject.USER, "alice"),)
    forgiven = (*alice, Change(Subject.CREDENTIAL, "alice"))
    assert (await change(lambda t: t.users.enable("alice", False))).changes == alice
    assert (await change(lambda t: t.users.enable("alice", False))).changes == ()
    assert (await change(lambda t: t.users.lock("alice"))).changes == alice
    clock.now = 13.0
    assert (await change(lambda t: t.users.lock("alice"))).changes == ()
    user = await existing(store, "alice")
    assert (user.enabled, user.locked_at) == (False, 12.0)
    unlocked = (await change(lambda t: t.users.unlock("alice"))).changes
    assert unlocked == (*forgiven, Change(Subject.FACTOR, "alice"))
    assert (await change(lambda t: t.users.unlock("alice"))).changes == ()
    assert (await existing(store, "alice")).locked_at is None


async def test_a_key_is_read_back_whole_and_sorted(store: Store, change: Transact, clock: Clock) -> None:
    clock.now = 7.0
    done = await change(alice_with_a_key)
    assert Change(Subject.KEY, "k1") in done.changes
    key = await only(store, "k1")
    assert key == KeyRecord(
        "k1", "alice", "aa" * 32, "for the crawler", 7.0, "root", 99.5, ("reader",), ("10.0.0.0/8", "::1/128")
    )
    assert await only(store, "k2") is None
    assert "aa" not in repr(key)


async def test_keys_are_listed_by_owner_and_in_pages(store: Store, change: Transact) -> None:
    await change(alice_with_a_key)
    await change(adding("bob"))
    async with store.transaction() as transaction:
        for number, owner in ((2, "bob"), (3, "alice"), (4, "alice")):
            await transaction.keys.add(KeyRecord(f"k{number}", owner, "bb", "", 0.0, owner))
        await transaction.commit()
    assert [key.key_id for key in await store.keys()] == ["k1", "k2", "k3", "k4"]
    assert [key.key_id for key in await store.keys(owner="alice")] == ["k1", "k3", "k4"]
    assert [key.key_id for key in await store.keys(owner="alice", after="k1", limit=1)] == ["k3"]
    assert list(await store.keys(owner="nobody")) == []
    async with store.transaction() as transaction:
        assert await transaction.keys.count("alice") == 3


async def test_a_key_that_is_not_restricted_has_no_roles_of_its_own(store: Store, change: Transact) -> None:
    await change(alice_with_a_key)
    await change(lambda t: t.keys.add(KeyRecord("all", "alice", "bb", "", 0.0, "alice")))
    await change(lambda t: t.keys.add(KeyRecord("none", "alice", "bb", "", 0.0, "alice", roles=())))
    everything, nothing = await only(store, "all"), await only(store, "none")
    assert everything is not None
    assert nothing is not None
    assert (everything.roles, nothing.roles) == (None, ())


async def test_a_removed_role_leaves_the_key_and_does_not_come_back_with_its_name(
    store: Store, change: Transact
) -> None:
    await change(alice_with_a_key)
    done = await change(lambda t: t.roles.remove("reader"))
    assert Change(Subject.KEY, "k1") in done.changes
    await change(lambda t: t.roles.put(Role("reader")))
    key = await only(store, "k1")
    assert key is not None
    assert key.roles == ()


async def test_keys_go_with_their_owner(store: Store, change: Transact) -> None:
    await change(alice_with_a_key)
    await change(lambda t: t.users.remove("alice"))
    assert await only(store, "k1") is None


async def test_rotating_disabling_and_removing_a_key_are_changes(store: Store, change: Transact) -> None:
    await change(alice_with_a_key)
    changed = (Change(Subject.KEY, "k1"),)
    assert (await change(lambda t: t.keys.rotate("k1", "cc", former_until=5.0))).changes == changed
    key = await only(store, "k1")
    assert key is not None
    assert (key.digest, key.previous) == ("cc", PreviousSecret("aa" * 32, "", 5.0))
    await change(lambda t: t.keys.rotate("k1", "dd"))
    assert (await change(lambda t: t.keys.enable("k1", False))).changes == changed
    key = await only(store, "k1")
    assert key is not None
    assert (key.digest, key.previous, key.enabled) == ("dd", None, False)
    assert (await change(lambda t: t.keys.remove("k1"))).changes == changed
    assert (await change(lambda t: t.keys.remove("k1"))).changes == ()


async def test_a_note_of_use_is_kept_and_is_no_change(store: Store, change: Transact) -> None:
    await change(alice_with_a_key)
    before = await store.revision()
    await store.record_last_used(LastUsed({"alice": 10.0, "gone": 11.0}, {"k1": 12.0}))
    key = await only(store, "k1")
    assert key is not None
    assert ((await existing(store, "alice")).signed_in_at, key.used_at) == (10.0, 12.0)
    assert await store.revision() == before


async def test_earlier_use_that_is_stored_later_changes_nothing(store: Store, change: Transact) -> None:
    """Several servers store when something was used, each for itself."""
    await change(alice_with_a_key)
    await store.record_last_used(LastUsed({"alice": 10.0}, {"k1": 12.0}))
    await store.record_last_used(LastUsed({"alice": 9.0}, {"k1": 13.0}))
    key = await only(store, "k1")
    assert key is not None
    assert ((await existing(store, "alice")).signed_in_at, key.used_at) == (10.0, 13.0)


async def test_users_are_listed_in_pages_and_by_prefix(store: Store, change: Transact) -> None:
    await change(lambda t: t.roles.put(Role("reader")))
    for name in ("al", "alice", "alicia", "bob", "al%ce", "zoë"):
        await change(adding(name))
    await change(lambda t: t.roles.bind("alice", "reader"))
    assert [user.name for user in await store.users(limit=2)] == ["al", "al%ce"]
    assert [user.name for user in await store.users(after="al%ce", limit=2)] == ["alice", "alicia"]
    assert [(user.name, user.roles) for user in await store.users(prefix="ali")] == [
        ("alice", ("reader",)),
        ("alicia", ()),
    ]
    assert [user.name for user in await store.users(prefix="al%")] == ["al%ce"]
    assert [user.name for user in await store.users(prefix="ali", after="alice")] == ["alicia"]


async def test_the_feed_tells_what_changed_after_a_revision(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    seen = await store.revision()
    assert (await changed_since(store, seen)).changes == ()
    await change(lambda t: t.users.describe("alice", "one"))
    await change(lambda t: t.roles.put(Role("reader")))
    await change(lambda t: t.users.describe("alice", "two"))
    changes = await changed_since(store, seen)
    assert changes.changes == (Change(Subject.USER, "alice"), Change(Subject.ROLE, "reader"))
    assert (changes.names(Subject.USER), changes.names(Subject.KEY)) == (["alice"], [])
    assert await store.revision() == seen + 3


@pytest.mark.parametrize("distance", [-1, FEED_LENGTH + 1])
async def test_a_revision_that_the_feed_does_not_reach_is_told_apart(
    store: Store, change: Transact, distance: int
) -> None:
    await change(adding("alice"))
    assert await store.changes_since(await store.revision() - distance) is None


async def test_so_much_that_reading_the_whole_policy_is_less_is_told_apart(store: Store, change: Transact) -> None:
    before = await store.revision()

    async def many(transaction: Transaction) -> None:
        for number in range(501):
            await transaction.roles.put(Role(f"role{number}"))

    await change(many)
    assert await store.changes_since(before) is None
