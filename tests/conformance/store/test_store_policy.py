"""Roles, bindings, grants and privilege groups: what is stored, and what counts as a change."""

from dataclasses import replace

import pytest
from tests.conformance.store.harness import Clock, Transact, Work, changed_since, existing

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ObjectType
from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.store.base import Store
from kiteward.store.identity_records import GroupRole
from kiteward.store.intent_records import Claimant, Released
from kiteward.store.records import Change, KeyRecord, Subject
from kiteward.store.transaction import Transaction

COLLECTION, GLOBAL, USER = ObjectType.COLLECTION, ObjectType.GLOBAL, ObjectType.USER
ALICE = Claimant("alice", ("reader",))


def role_changed(*names: str) -> tuple[Change, ...]:
    return tuple(Change(Subject.ROLE, name) for name in names)


def user_changed(*names: str) -> tuple[Change, ...]:
    return tuple(Change(Subject.USER, name) for name in names)


def grant(
    role: str,
    privilege: str,
    object_name: str = "docs",
    db_name: str = "default",
    *,
    kind: ObjectType = COLLECTION,
    grantor: str = "root",
) -> Grant:
    return Grant(role, GrantKey(kind, db_name, object_name, privilege), grantor)


def granting(*grants: Grant) -> Work:
    return lambda transaction: transaction.grants.add(grants)


@pytest.fixture
async def people(change: Transact) -> None:
    """Users alice and bob, roles reader and writer, nothing bound or granted."""

    async def create(transaction: Transaction) -> None:
        for user in ("alice", "bob"):
            await transaction.users.add(user, "hash")
        for role in ("writer", "reader"):
            await transaction.roles.put(Role(role, f"may be a {role}"))

    await change(create)


# Roles and bindings


async def test_fresh_store_is_empty_at_revision_zero(store: Store) -> None:
    policy = await store.policy()
    assert (policy.revision, policy.roles, policy.grants, policy.groups) == (0, (), (), ())


async def test_role_is_put_read_counted_and_listed_sorted(store: Store, people: None) -> None:
    async with store.transaction() as transaction:
        assert await transaction.roles.get("reader") == Role("reader", "may be a reader")
        assert await transaction.roles.get("Reader") is None
        assert await transaction.roles.count() == 2
    assert [role.name for role in (await store.policy()).roles] == ["reader", "writer"]


async def test_role_put_again_replaces_its_description_and_keeps_what_hangs_on_it(
    store: Store, change: Transact, people: None
) -> None:
    await change(lambda t: t.roles.bind("alice", "reader"))
    await change(granting(grant("reader", "Query")))
    committed = await change(lambda t: t.roles.put(Role("reader", "reads")))
    assert committed.changes == role_changed("reader")
    assert (await store.policy()).roles[0] == Role("reader", "reads")
    assert (await existing(store, "alice")).roles == ("reader",)
    assert (await store.policy()).grants == (grant("reader", "Query"),)


async def test_binding_shows_on_both_sides_and_marks_the_user(store: Store, change: Transact, people: None) -> None:
    committed = await change(lambda t: t.roles.bind("alice", "reader"))
    assert committed.changes == user_changed("alice")
    assert (await existing(store, "alice")).roles == ("reader",)
    assert await store.bindings("reader") == {"reader": ("alice",)}


async def test_bindings_cover_every_role_or_one(store: Store, change: Transact, people: None) -> None:
    await change(lambda t: t.roles.bind("bob", "reader"))
    await change(lambda t: t.roles.bind("alice", "reader"))
    assert await store.bindings(None) == {"reader": ("alice", "bob"), "writer": ()}
    assert await store.bindings("writer") == {"writer": ()}
    assert await store.bindings("nothing") == {}


async def test_unbinding_marks_the_user(store: Store, change: Transact, people: None) -> None:
    await change(lambda t: t.roles.bind("alice", "reader"))
    committed = await change(lambda t: t.roles.unbind("alice", "reader"))
    assert committed.changes == user_changed("alice")
    assert (await existing(store, "alice")).roles == ()


async def test_removed_role_takes_bindings_and_grants_along_and_marks_its_holders(
    store: Store, change: Transact, people: None
) -> None:
    async def hold(transaction: Transaction) -> None:
        for user in ("bob", "alice"):
            await transaction.roles.bind(user, "reader")
        await transaction.roles.bind("bob", "writer")
        await transaction.grants.add([grant("reader", "Query"), grant("writer", "Insert")])

    await change(hold)
    committed = await change(lambda t: t.roles.remove("reader"))
    assert set(committed.changes) == set(role_changed("reader") + user_changed("alice", "bob"))
    assert len(committed.changes) == 3
    policy = await store.policy()
    assert [role.name for role in policy.roles] == ["writer"]
    assert policy.grants == (grant("writer", "Insert"),)
    assert [user.roles for user in await store.users()] == [(), ("writer",)]


async def test_role_put_again_after_removal_inherits_nothing(store: Store, change: Transact, people: None) -> None:
    await change(lambda t: t.roles.bind("alice", "reader"))
    await change(granting(grant("reader", "Query")))
    await change(lambda t: t.roles.remove("reader"))
    await change(lambda t: t.roles.put(Role("reader")))
    assert (await store.policy()).grants == ()
    assert await store.bindings("reader") == {"reader": ()}


# Grants


async def test_grants_are_listed_in_the_order_of_their_keys(store: Store, change: Transact, people: None) -> None:
    grants = [
        grant("reader", "Query", "b"),
        grant("reader", "Insert", "b"),
        grant("reader", "Query", "a"),
        grant("reader", "Query", "B"),
        grant("reader", "Query", "*", "*"),
        grant("reader", "All", "*", "*", kind=GLOBAL),
        grant("reader", "UpdateUser", "*", "*", kind=USER),
        grant("reader", "Query", "é"),
        grant("reader", "Query", "_"),
    ]
    await change(granting(*grants))
    listed = (await store.policy()).grants
    assert list(listed) == sorted(grants, key=lambda each: each.key)
    async with store.transaction() as transaction:
        assert tuple(await transaction.grants.of_role("reader")) == listed
        assert list(await transaction.grants.of_role("writer")) == []


async def test_policy_lists_the_grants_of_every_role(store: Store, change: Transact, people: None) -> None:
    await change(granting(grant("writer", "Insert"), grant("reader", "Query"), grant("writer", "Delete")))
    assert (await store.policy()).grants == (
        grant("reader", "Query"),
        grant("writer", "Delete"),
        grant("writer", "Insert"),
    )


async def test_grants_mark_every_role_they_are_given_to_once(change: Transact, people: None) -> None:
    committed = await change(granting(grant("writer", "Insert"), grant("reader", "Query"), grant("writer", "Delete")))
    assert set(committed.changes) == set(role_changed("reader", "writer"))
    assert len(committed.changes) == 2


async def test_grants_are_found_by_when_they_were_made_also_after_their_object_was_renamed(
    change: Transact, store: Store, clock: Clock
) -> None:
    await change(lambda t: t.roles.put(Role("reader")))
    clock.now = 100.0
    await change(granting(grant("reader", "Query")))
    clock.now = 200.0
    await change(granting(grant("reader", "Query"), grant("reader", "Search")))
    assert [each.key.privilege for each in await store.grants_since(100.0)] == ["Query", "Search"]
    assert [each.key.privilege for each in await store.grants_since(100.5)] == ["Search"]
    clock.now = 300.0
    await change(lambda t: t.grants.move_object(("default", "docs"), ("default", "old")))
    assert [(each.key.object_name, each.key.privilege) for each in await store.grants_since(200.0)] == [
        ("old", "Search")
    ]
    assert await store.grants_since(300.0) == ()


async def test_grant_that_is_there_keeps_its_grantor_and_changes_nothing(
    store: Store, change: Transact, people: None
) -> None:
    first = await change(granting(grant("reader", "Query", grantor="root")))
    again = await change(granting(grant("reader", "Query", grantor="alice")))
    assert (again.revision, again.changes) == (first.revision, ())
    assert (await store.policy()).grants[0].grantor == "root"


async def test_role_with_one_new_grant_among_old_ones_is_marked(store: Store, change: Transact, people: None) -> None:
    await change(granting(grant("reader", "Query"), grant("writer", "Insert")))
    committed = await change(granting(grant("reader", "Query"), grant("reader", "Search"), grant("writer", "Insert")))
    assert committed.changes == role_changed("reader")
    assert len((await store.policy()).grants) == 3


async def test_removed_grant_leaves_its_neighbours(store: Store, change: Transact, people: None) -> None:
    near = [grant("reader", "Search"), grant("reader", "Query", "docs2"), grant("reader", "Query", db_name="other")]
    near += [grant("reader", "Query", kind=GLOBAL), grant("writer", "Query")]
    await change(granting(grant("reader", "Query"), *near))
    committed = await change(lambda t: t.grants.remove("reader", [grant("reader", "Query").key]))
    assert committed.changes == role_changed("reader")
    assert set((await store.policy()).grants) == set(near)


async def test_roles_with_a_privilege_are_named_once_and_sorted(store: Store, change: Transact, people: None) -> None:
    await change(granting(grant("writer", "mine"), grant("writer", "mine", "a"), grant("reader", "mine")))
    async with store.transaction() as transaction:
        assert list(await transaction.grants.roles_with("mine")) == ["reader", "writer"]
        assert list(await transaction.grants.roles_with("Mine")) == []


async def test_dropped_object_loses_exactly_its_collection_and_global_grants(
    store: Store, change: Transact, people: None
) -> None:
    gone = [grant("reader", "Query"), grant("writer", "Flush", kind=GLOBAL)]
    kept = [
        grant("reader", "Query", "docs2"),
        grant("reader", "Query", "Docs"),
        grant("reader", "Query", "*"),
        grant("reader", "Query", db_name="other"),
        grant("reader", "Query", db_name="*"),
        grant("reader", "UpdateUser", kind=USER),
    ]
    await change(granting(*gone, *kept))
    committed = await change(lambda t: t.grants.drop_object("default", "docs"))
    assert set((await store.policy()).grants) == set(kept)
    assert set(committed.changes) == set(role_changed("reader", "writer"))


async def test_dropped_object_keeps_the_grants_of_some_roles_for_a_user(
    store: Store, change: Transact, people: None
) -> None:
    near = [grant("reader", "Query", "docs2"), grant("reader", "UpdateUser", kind=USER)]
    await change(granting(grant("reader", "Query"), grant("writer", "Flush", kind=GLOBAL), *near))
    kept: list[str] = []

    async def drop(transaction: Transaction) -> None:
        kept.extend(await transaction.grants.drop_object("default", "docs", kept_for=ALICE))

    committed = await change(drop)
    assert set((await store.policy()).grants) == {replace(grant("reader", "Query"), kept_for="alice"), *near}
    assert (kept, set(committed.changes)) == (["reader"], set(role_changed("reader", "writer")))


async def dropped_for_alice(change: Transact) -> None:
    await change(granting(grant("reader", "Query"), grant("reader", "Flush", kind=GLOBAL)))
    await change(dropping("docs", kept_for=ALICE))


def dropping(name: str, *, kept_for: Claimant | None = None) -> Work:
    async def work(transaction: Transaction) -> None:
        await transaction.grants.drop_object("default", name, kept_for=kept_for)

    return work


@pytest.mark.parametrize(
    ("claimant", "stay"),
    [
        (ALICE, True),
        (Claimant("alice", ("writer",)), False),
        (Claimant("bob", ("reader",)), False),
        (None, False),
    ],
)
async def test_released_object_keeps_grants_for_the_same_user_and_role_only(
    store: Store, change: Transact, people: None, claimant: Claimant | None, stay: bool
) -> None:
    await dropped_for_alice(change)
    await change(granting(grant("writer", "Query")))
    found: list[Released] = []

    async def release(transaction: Transaction) -> None:
        found.append(await transaction.grants.release_object("default", "docs", claimant))

    committed = await change(release)
    held = {each.role for each in (await store.policy()).grants}
    assert held == ({"reader", "writer"} if stay else {"writer"})
    assert found == [Released([], ["reader"]) if stay else Released(["reader"], [])]
    assert set(committed.changes) == (set() if stay else set(role_changed("reader")))


async def test_confirmed_object_has_plain_grants(store: Store, change: Transact, people: None) -> None:
    await dropped_for_alice(change)
    committed = await change(lambda t: t.grants.confirm_object("default", "docs"))
    assert {each.kept_for for each in (await store.policy()).grants} == {None}
    assert set(committed.changes) == set(role_changed("reader"))


async def test_grant_given_again_is_kept_for_nobody_and_others_stay_as_they_are(
    store: Store, change: Transact, people: None
) -> None:
    await dropped_for_alice(change)
    committed = await change(granting(grant("reader", "Query", grantor="bob")))
    assert set((await store.policy()).grants) == {
        grant("reader", "Query"),
        replace(grant("reader", "Flush", kind=GLOBAL), kept_for="alice"),
    }
    assert set(committed.changes) == set(role_changed("reader"))


async def test_removed_user_takes_what_was_kept_for_it(store: Store, change: Transact, people: None) -> None:
    await dropped_for_alice(change)
    await change(lambda t: t.users.remove("alice"))
    assert (await store.policy()).grants == ()


async def test_moved_grant_is_kept_for_nobody(store: Store, change: Transact, people: None) -> None:
    await dropped_for_alice(change)
    await change(lambda t: t.grants.move_object(("default", "docs"), ("default", "old")))
    assert {each.kept_for for each in (await store.policy()).grants} == {None}


async def test_dropped_database_loses_every_grant_on_it(store: Store, change: Transact, people: None) -> None:
    gone = [
        grant("reader", "Query", db_name="sales"),
        grant("writer", "Insert", "*", "sales"),
        grant("writer", "DescribeDatabase", "*", "sales", kind=GLOBAL),
        grant("writer", "UpdateUser", "*", "sales", kind=USER),
    ]
    kept = [grant("reader", "Query"), grant("reader", "Query", "*", "*"), grant("reader", "Query", db_name="Sales")]
    await change(granting(*gone, *kept))
    committed = await change(lambda t: t.grants.drop_object("sales", None))
    assert set((await store.policy()).grants) == set(kept)
    assert set(committed.changes) == set(role_changed("reader", "writer"))


async def test_moved_object_takes_its_collection_and_global_grants_along(
    store: Store, change: Transact, people: None
) -> None:
    kept = [
        grant("reader", "Query", "docs2"),
        grant("reader", "Query", db_name="other"),
        grant("reader", "UpdateUser", kind=USER),
        grant("reader", "Query", "*"),
    ]
    await change(
        granting(grant("reader", "Query", grantor="alice"), grant("writer", "Flush", kind=GLOBAL, grantor="bob"), *kept)
    )
    committed = await change(lambda t: t.grants.move_object(("default", "docs"), ("archive", "old")))
    moved = [
        grant("reader", "Query", "old", "archive", grantor="alice"),
        grant("writer", "Flush", "old", "archive", kind=GLOBAL, grantor="bob"),
    ]
    assert set((await store.policy()).grants) == {*kept, *moved}
    assert set(committed.changes) == set(role_changed("reader", "writer"))


async def test_moved_grant_merges_into_an_equal_one(store: Store, change: Transact, people: None) -> None:
    await change(
        granting(
            grant("reader", "Query", grantor="alice"),
            grant("reader", "Query", "old", grantor="bob"),
            grant("writer", "Query"),
        )
    )
    committed = await change(lambda t: t.grants.move_object(("default", "docs"), ("default", "old")))
    assert set((await store.policy()).grants) == {
        grant("reader", "Query", "old", grantor="bob"),
        grant("writer", "Query", "old"),
    }
    assert set(committed.changes) == set(role_changed("reader", "writer"))


async def test_object_moved_onto_itself_keeps_its_grants(store: Store, change: Transact, people: None) -> None:
    first = await change(granting(grant("reader", "Query")))
    committed = await change(lambda t: t.grants.move_object(("default", "docs"), ("default", "docs")))
    assert (committed.revision, committed.changes) == (first.revision, ())
    assert (await store.policy()).grants == (grant("reader", "Query"),)


async def test_changed_roles_are_read_with_their_grants_in_the_order_of_their_keys(
    store: Store, change: Transact, people: None
) -> None:
    before = await store.revision()
    await change(granting(grant("reader", "Search"), grant("reader", "Query", "a"), grant("writer", "Insert")))
    await change(lambda t: t.roles.put(Role("idle")))
    await change(lambda t: t.roles.put(Role("gone")))
    await change(lambda t: t.roles.remove("gone"))
    changes = await changed_since(store, before)
    assert changes.revision == await store.revision()
    assert changes.roles == {
        "reader": (Role("reader", "may be a reader"), [grant("reader", "Query", "a"), grant("reader", "Search")]),
        "writer": (Role("writer", "may be a writer"), [grant("writer", "Insert")]),
        "idle": (Role("idle"), []),
        "gone": None,
    }
    assert (changes.groups, changes.collections) == ({}, {})


# Privilege groups


async def test_group_is_stored_with_sorted_members(store: Store, change: Transact) -> None:
    committed = await change(lambda t: t.groups.put(PrivilegeGroup("mine", ("Search", "Insert", "Query"))))
    assert committed.changes == (Change(Subject.GROUP, "mine"),)
    expected = PrivilegeGroup("mine", ("Insert", "Query", "Search"))
    assert (await store.policy()).groups == (expected,)
    async with store.transaction() as transaction:
        assert await transaction.groups.get("mine") == expected
        assert await transaction.groups.get("Mine") is None
    assert (await changed_since(store, committed.revision - 1)).groups == {"mine": expected}
    await change(lambda t: t.groups.remove("mine"))
    assert (await changed_since(store, committed.revision)).groups == {"mine": None}


async def test_empty_group_is_there(store: Store, change: Transact) -> None:
    committed = await change(lambda t: t.groups.put(PrivilegeGroup("empty")))
    assert committed.changes == (Change(Subject.GROUP, "empty"),)
    assert (await store.policy()).groups == (PrivilegeGroup("empty"),)


async def test_group_put_again_replaces_its_members(store: Store, change: Transact) -> None:
    await change(lambda t: t.groups.put(PrivilegeGroup("mine", ("Insert", "Query"))))
    committed = await change(lambda t: t.groups.put(PrivilegeGroup("mine", ("Query", "Search"))))
    assert committed.changes == (Change(Subject.GROUP, "mine"),)
    assert (await store.policy()).groups == (PrivilegeGroup("mine", ("Query", "Search")),)
    await change(lambda t: t.groups.put(PrivilegeGroup("mine")))
    assert (await store.policy()).groups == (PrivilegeGroup("mine"),)


async def test_groups_are_listed_sorted(store: Store, change: Transact) -> None:
    async def put_three(transaction: Transaction) -> None:
        for name in ("b", "a", "B"):
            await transaction.groups.put(PrivilegeGroup(name, ("Query",)))

    await change(put_three)
    assert [group.name for group in (await store.policy()).groups] == ["B", "a", "b"]


async def test_removed_group_is_gone_and_comes_back_empty(store: Store, change: Transact) -> None:
    await change(lambda t: t.groups.put(PrivilegeGroup("mine", ("Insert",))))
    committed = await change(lambda t: t.groups.remove("mine"))
    assert committed.changes == (Change(Subject.GROUP, "mine"),)
    assert (await store.policy()).groups == ()
    await change(lambda t: t.groups.put(PrivilegeGroup("mine")))
    assert (await store.policy()).groups == (PrivilegeGroup("mine"),)


# Calls that change nothing


@pytest.mark.parametrize(
    "work",
    [
        lambda t: t.roles.put(Role("reader", "may be a reader")),
        lambda t: t.roles.remove("nothing"),
        lambda t: t.roles.bind("alice", "reader"),
        lambda t: t.roles.unbind("alice", "writer"),
        lambda t: t.roles.unbind("nobody", "nothing"),
        lambda t: t.grants.add([]),
        lambda t: t.grants.add([grant("reader", "Query")]),
        lambda t: t.grants.remove("reader", []),
        lambda t: t.grants.remove("reader", [grant("reader", "Insert").key]),
        lambda t: t.grants.remove("nothing", [grant("nothing", "Insert").key]),
        lambda t: t.grants.drop_object("default", "nothing"),
        lambda t: t.grants.drop_object("nothing", None),
        lambda t: t.grants.move_object(("default", "nothing"), ("default", "docs")),
        lambda t: t.groups.put(PrivilegeGroup("mine", ("Query", "Insert"))),
        lambda t: t.groups.remove("nothing"),
        lambda t: t.users.get("alice"),
    ],
)
async def test_transaction_that_changes_nothing_advances_nothing(
    store: Store, change: Transact, people: None, work: Work
) -> None:
    async def prepare(transaction: Transaction) -> None:
        await transaction.roles.bind("alice", "reader")
        await transaction.grants.add([grant("reader", "Query")])
        await transaction.groups.put(PrivilegeGroup("mine", ("Insert", "Query")))

    before = await change(prepare)
    policy = await store.policy()
    committed = await change(work)
    assert (committed.revision, committed.changes) == (before.revision, ())
    assert await store.policy() == policy


async def test_what_goes_with_a_role_or_an_object_can_be_read_before(store: Store) -> None:
    policy = RowPolicy("own", PolicyType.PERMISSIVE, actions=frozenset({RowAction.QUERY}), roles=("reader",))
    for_all = replace(policy, name="open", roles=())
    async with store.transaction() as t:
        await t.roles.put(Role("reader"))
        await t.users.add("alice", "hash")
        await t.roles.bind("alice", "reader")
        await t.keys.add(KeyRecord("k1", "alice", "digest", "", 0.0, "alice", roles=("reader",)))
        docs, notes = (GrantKey(ObjectType.COLLECTION, "default", name, "Query") for name in ("docs", "notes"))
        await t.grants.add([Grant("reader", docs, "root"), Grant("reader", notes, "root")])
        await t.identities.grant_role(GroupRole("scim", "staff", False, "reader"))
        for name, rule in (("docs", policy), ("docs", for_all), ("notes", for_all)):
            await t.row_policies.put("default", name, rule)
        assert await t.roles.holders("reader") == (["alice"], ["k1"])
        assert await t.roles.holders("nobody") == ([], [])
        assert await t.identities.giving_role("reader") == [GroupRole("scim", "staff", False, "reader")]
        assert [each.key for each in await t.grants.on_object("default", "docs")] == [docs]
        assert [each.key for each in await t.grants.on_object("default", None)] == [docs, notes]
        (named,) = await t.row_policies.that_name("reader")
        assert [(each.name, each.roles) for each in named.policies] == [("open", ()), ("own", ("reader",))]
        assert [each.collection for each in await t.row_policies.of_database("default")] == ["docs", "notes"]
        assert await t.row_policies.of_database("other") == []
        assert await t.users.remove("alice") == ["k1"]
