"""Row policies, the properties that enforce them, and tags: what is stored, and what counts as a change."""

from dataclasses import replace

import pytest
from tests.conformance.store.harness import Clock, OpenStore, Transact, changed_since, existing

from kiteward.authz.model import Role
from kiteward.authz.row_policies import PolicyType, ProtectedCollection, RowAction, RowPolicy
from kiteward.store.base import Store
from kiteward.store.records import Change, KeyRecord, Subject, collection_subject, subject_collection
from kiteward.store.transaction import Transaction

DOCS = ("default", "docs")
OWN = RowPolicy(
    "own",
    PolicyType.PERMISSIVE,
    actions=frozenset({RowAction.QUERY, RowAction.UPSERT}),
    using_expr="owner == $current_principal",
    check_expr="owner == $current_principal",
    description="one's own",
)
LIMIT = RowPolicy(
    "limit",
    PolicyType.RESTRICTIVE,
    actions=frozenset({RowAction.SEARCH}),
    roles=("reader", "writer"),
    using_expr="secret == false",
)


def changed(*names: str) -> tuple[Change, ...]:
    return tuple(Change(Subject.COLLECTION, f"default/{name}") for name in names)


@pytest.fixture
async def roles(change: Transact) -> None:
    async def create(transaction: Transaction) -> None:
        for role in ("reader", "writer"):
            await transaction.roles.put(Role(role))

    await change(create)


@pytest.fixture
async def docs(change: Transact, roles: None) -> None:
    """The collection `docs` has both policies, which are enforced."""

    async def create(transaction: Transaction) -> None:
        await transaction.row_policies.protect(*DOCS, enabled=True, force=False)
        for policy in (OWN, LIMIT):
            await transaction.row_policies.put(*DOCS, policy)

    await change(create)


async def held(store: Store, name: str = "docs", database: str = "default") -> ProtectedCollection:
    found = [each for each in (await store.policy()).protected if (each.database, each.collection) == (database, name)]
    return found[0]


async def test_collections_without_policies_are_not_stored(store: Store) -> None:
    assert (await store.policy()).protected == ()


async def test_what_was_stored_is_read_after_a_restart_in_one_read_with_the_policy(
    store: Store, open_store: OpenStore, docs: None
) -> None:
    again = await open_store()
    found = await held(again)
    assert (found.database, found.collection, found.enabled, found.force) == (*DOCS, True, False)
    assert found.policies == (replace(LIMIT, created_at=1000.0), replace(OWN, created_at=1000.0))
    assert (await again.policy()).protected == (found,)


async def test_each_change_is_announced_by_the_collection_and_no_change_is_not(
    store: Store, change: Transact, docs: None
) -> None:
    protect = await change(lambda transaction: transaction.row_policies.protect(*DOCS, enabled=False, force=True))
    assert protect.changes == changed("docs")
    same = await change(lambda transaction: transaction.row_policies.protect(*DOCS, enabled=False, force=True))
    assert same.changes == ()
    removed = await change(lambda transaction: transaction.row_policies.remove(*DOCS, "own"))
    assert removed.changes == changed("docs")
    absent = await change(lambda transaction: transaction.row_policies.remove(*DOCS, "own"))
    assert absent.changes == ()
    assert [policy.name for policy in (await held(store)).policies] == ["limit"]


async def test_policies_that_are_enabled_again_are_a_change(store: Store, change: Transact, docs: None) -> None:
    """It waits for writes that were decided before the first attempt, which may not have waited."""
    again = await change(lambda transaction: transaction.row_policies.protect(*DOCS, enabled=True, force=False))
    assert again.changes == changed("docs")


async def test_names_in_the_feed_stand_for_one_collection() -> None:
    assert subject_collection(collection_subject("a", "b/c")) == ("a", "b/c")


async def test_a_replaced_policy_keeps_its_time_of_creation_and_nothing_else(
    store: Store, change: Transact, docs: None, clock: Clock
) -> None:
    clock.now = 2000.0
    after = replace(LIMIT, roles=(), policy_type=PolicyType.PERMISSIVE, using_expr="true")
    await change(lambda transaction: transaction.row_policies.put(*DOCS, after))
    assert (await held(store)).policy("limit") == replace(after, created_at=1000.0)


async def test_a_first_policy_is_not_enforced_by_itself(store: Store, change: Transact) -> None:
    await change(lambda transaction: transaction.row_policies.put(*DOCS, OWN))
    assert not (await held(store)).enabled


async def test_a_dropped_collection_loses_policies_and_protection(store: Store, change: Transact, docs: None) -> None:
    await change(lambda transaction: transaction.row_policies.protect("default", "docs2", enabled=True, force=False))
    dropped = await change(lambda transaction: transaction.row_policies.drop(*DOCS))
    assert dropped.changes == changed("docs")
    assert [each.collection for each in (await store.policy()).protected] == ["docs2"]
    changes = await changed_since(store, dropped.revision - 2)
    assert changes.collections == {DOCS: None, ("default", "docs2"): await held(store, "docs2")}


async def test_a_dropped_database_loses_those_of_all_its_collections(
    store: Store, change: Transact, docs: None
) -> None:
    await change(lambda transaction: transaction.row_policies.protect("other", "docs", enabled=True, force=False))
    await change(lambda transaction: transaction.row_policies.drop("default", None))
    assert [found.database for found in (await store.policy()).protected] == ["other"]


async def test_a_copy_takes_the_place_of_what_there_was(store: Store, change: Transact, docs: None) -> None:
    target = ("default", "papers")
    await change(lambda transaction: transaction.row_policies.put(*target, replace(OWN, name="old")))
    copied = await change(lambda transaction: transaction.row_policies.copy(DOCS, target))
    assert copied.changes == changed("papers")
    assert await held(store, "papers") == replace(await held(store), collection="papers")


async def test_copying_nothing_leaves_what_there_was(store: Store, change: Transact) -> None:
    await change(lambda transaction: transaction.row_policies.put(*DOCS, OWN))
    await change(lambda transaction: transaction.row_policies.copy(("default", "none"), DOCS))
    assert (await held(store)).policy("own") is not None


async def test_a_dropped_role_leaves_policies_and_takes_those_that_were_for_it_alone(
    store: Store, change: Transact, docs: None
) -> None:
    await change(lambda transaction: transaction.roles.remove("writer"))
    limit = (await held(store)).policy("limit")
    assert limit is not None
    assert limit.roles == ("reader",)
    last = await change(lambda transaction: transaction.roles.remove("reader"))
    assert set(changed("docs")) <= set(last.changes)
    assert [policy.name for policy in (await held(store)).policies] == ["own"]


# Tags


@pytest.fixture
async def people(change: Transact) -> None:
    """Users alice and bob, and a key of alice with one that was made with it."""

    async def create(transaction: Transaction) -> None:
        for user in ("alice", "bob"):
            await transaction.users.add(user, "hash")
        for key_id, maker in (("first", None), ("second", "first")):
            await transaction.keys.add(KeyRecord(key_id, "alice", "digest", "", 0.0, "alice", made_by_key=maker))

    await change(create)


async def test_tags_of_a_user_are_set_replaced_and_removed_as_changes_of_the_user(
    store: Store, change: Transact, people: None
) -> None:
    user = (Change(Subject.USER, "alice"),)
    first = await change(lambda transaction: transaction.user_tags.put("alice", {"team": "a", "level": "1"}))
    second = await change(lambda transaction: transaction.user_tags.put("alice", {"team": "b"}))
    same = await change(lambda transaction: transaction.user_tags.put("alice", {"team": "b"}))
    assert (first.changes, second.changes, same.changes) == (user, user, ())
    assert (await existing(store, "alice")).tags == {"level": "1", "team": "b"}
    removed = await change(lambda transaction: transaction.user_tags.remove("alice", ["level", "none"]))
    absent = await change(lambda transaction: transaction.user_tags.remove("alice", ["level"]))
    assert (removed.changes, absent.changes) == (user, ())
    assert (await existing(store, "alice")).tags == {"team": "b"}
    assert (await existing(store, "bob")).tags == {}


async def test_tags_and_roles_of_a_user_do_not_multiply_one_another(
    store: Store, change: Transact, people: None, roles: None
) -> None:
    async def bind(transaction: Transaction) -> None:
        await transaction.user_tags.put("alice", {"a": "1", "b": "2", "c": "3"})
        for role in ("reader", "writer"):
            await transaction.roles.bind("alice", role)

    await change(bind)
    (alice, _) = await store.users()
    assert (alice.roles, dict(alice.tags)) == (("reader", "writer"), {"a": "1", "b": "2", "c": "3"})


async def test_a_key_has_tags_of_its_own_as_changes_of_the_key(store: Store, change: Transact, people: None) -> None:
    put = await change(lambda transaction: transaction.key_tags.put("first", {"team": "a"}))
    assert put.changes == (Change(Subject.KEY, "first"),)
    assert [key.tags for key in await store.keys()] == [{"team": "a"}, {}]
    assert [key.tags for key in await store.lineage("second")] == [{}, {"team": "a"}]
    await change(lambda transaction: transaction.key_tags.remove("first", ["team"]))
    assert [key.tags for key in await store.keys()] == [{}, {}]


async def test_users_are_found_by_a_tag_exactly(store: Store, change: Transact, people: None) -> None:
    await change(lambda transaction: transaction.user_tags.put("bob", {"team": "a"}))
    await change(lambda transaction: transaction.user_tags.put("alice", {"team": "a"}))
    assert await store.users_with_tag("team", "a") == ["alice", "bob"]
    assert await store.users_with_tag("team", "A") == []
    assert await store.users_with_tag("a", "team") == []


async def test_tags_go_with_their_holder(store: Store, change: Transact, people: None) -> None:
    await change(lambda transaction: transaction.user_tags.put("alice", {"team": "a"}))
    await change(lambda transaction: transaction.key_tags.put("first", {"team": "b"}))
    await change(lambda transaction: transaction.users.remove("alice"))
    assert await store.users_with_tag("team", "a") == []
    await change(lambda transaction: transaction.users.add("alice", "hash"))
    assert (await existing(store, "alice")).tags == {}
