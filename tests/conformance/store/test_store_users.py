"""Users: what is stored, what moves with what, and what counts as a change."""

import pytest
from tests.conformance.store.harness import Clock, Transact, Work, adding, changed_since, existing

from kiteward.authz.model import Role
from kiteward.store.base import Store
from kiteward.store.records import Change, HashSchemes, Subject
from kiteward.store.transaction import Transaction


def user_changed(*names: str) -> tuple[Change, ...]:
    return tuple(Change(Subject.USER, name) for name in names)


def credential_changed(name: str) -> tuple[Change, ...]:
    return (Change(Subject.USER, name), Change(Subject.CREDENTIAL, name))


async def alice_reads_and_writes(transaction: Transaction) -> None:
    await transaction.roles.put(Role("writer"))
    await transaction.roles.put(Role("reader"))
    await transaction.users.add("alice", "hash")
    await transaction.roles.bind("alice", "writer")
    await transaction.roles.bind("alice", "reader")


async def test_added_user_is_read_back_whole(store: Store, change: Transact, clock: Clock) -> None:
    clock.now = 77.5
    committed = await change(lambda t: t.users.add("alice", "$argon2id$...", description="writes docs"))
    user = await existing(store, "alice")
    assert (user.name, user.password_hash, user.description) == ("alice", "$argon2id$...", "writes docs")
    assert (user.created_at, user.changed_at, user.roles) == (77.5, 77.5, ())
    assert user.credential_id
    assert committed.changes == credential_changed("alice")


async def test_only_what_resets_the_failure_count_is_a_change_of_its_credential(store: Store, change: Transact) -> None:
    """It resets the failure count, so that nothing a user or key can do often may be one."""
    await change(alice_reads_and_writes)
    credential, user = credential_changed("alice"), user_changed("alice")
    works: list[tuple[Work, tuple[Change, ...]]] = [
        (lambda t: t.users.describe("alice", "something else"), user),
        (lambda t: t.users.set_password("alice", "second", former_until=99.0), credential),
        (lambda t: t.users.end_previous_secret("alice"), user),
        (lambda t: t.users.lock("alice"), user),
        (lambda t: t.users.unlock("alice"), (*credential, Change(Subject.FACTOR, "alice"))),
        (lambda t: t.users.unlock("alice"), ()),
        (lambda t: t.users.enable("alice", False), user),
        (lambda t: t.users.enable("alice", True), credential),
        (lambda t: t.users.enable("alice", True), ()),
        (lambda t: t.roles.unbind("alice", "writer"), user),
        (lambda t: t.roles.bind("alice", "writer"), user),
        (lambda t: t.users.remove("alice"), user),
    ]
    before = await store.revision()
    for work, expected in works:
        assert (await change(work)).changes == expected
        assert set((await changed_since(store, before)).changes) == set(expected)
        before = await store.revision()


async def test_kinds_of_hashes_are_returned_of_all_users_and_of_some(store: Store, change: Transact) -> None:
    own, brought, older = "$argon2id$v=19$m=19456,t=2,p=1$", "$2a$04", "$argon2id$v=19$m=8,t=1,p=16"
    assert await store.hash_schemes(None) == HashSchemes(frozenset(), None)
    await change(lambda t: t.users.add("alice", f"{own}c2FsdA$aGFzaA"))
    await change(lambda t: t.users.add("anna", f"{own}b3RoZXI$aGFzaA"))
    await change(lambda t: t.users.add("bob", f"{brought}$" + "a" * 53))
    await change(lambda t: t.users.add("carol", f"{older}$c2FsdA$aGFzaA"))
    await change(lambda t: t.users.set_password("carol", f"{own}c2FsdA$aGFzaA", former_until=99.0))
    assert await store.hash_schemes(None) == HashSchemes(frozenset({own, brought, older}), 99.0)
    assert await store.hash_schemes(["alice", "nobody"]) == HashSchemes(frozenset({own}), None)
    assert await store.hash_schemes(["bob"]) == HashSchemes(frozenset({brought}), None)
    assert await store.hash_schemes(["carol"]) == HashSchemes(frozenset({own, older}), 99.0)


async def test_unknown_user_is_none_inside_and_outside_a_transaction(store: Store) -> None:
    assert await store.user("nobody") is None
    async with store.transaction() as transaction:
        assert await transaction.users.get("nobody") is None


@pytest.mark.parametrize("name", ["", " alice", "alice ", "Alice", "ALICE", "alic_", "alice\0", "%", "a%", "\ud800"])
async def test_only_the_exact_name_finds_a_user(store: Store, change: Transact, name: str) -> None:
    await change(lambda t: t.users.add("alice", "hash"))
    assert await store.user(name) is None


async def test_names_that_differ_only_in_case_are_two_users(store: Store, change: Transact) -> None:
    await change(lambda t: t.users.add("alice", "one"))
    await change(lambda t: t.users.add("Alice", "two"))
    assert (await existing(store, "alice")).password_hash == "one"
    assert (await existing(store, "Alice")).password_hash == "two"
    assert await store.user_names() == ["Alice", "alice"]


async def test_transaction_reads_its_own_writes(store: Store) -> None:
    async with store.transaction() as transaction:
        assert await transaction.users.count() == 0
        await alice_reads_and_writes(transaction)
        assert await transaction.users.count() == 1
        alice = await transaction.users.get("alice")
        assert alice is not None
        assert alice.roles == ("reader", "writer")


async def test_users_and_names_are_listed_sorted_with_their_roles(store: Store, change: Transact) -> None:
    await change(alice_reads_and_writes)
    for name in ("carol", "bob"):
        await change(adding(name))
    await change(lambda t: t.roles.bind("carol", "reader"))
    users = await store.users()
    assert [(user.name, user.roles) for user in users] == [
        ("alice", ("reader", "writer")),
        ("bob", ()),
        ("carol", ("reader",)),
    ]
    assert users[1] == await store.user("bob")
    assert list(await store.user_names()) == ["alice", "bob", "carol"]


async def test_new_password_brings_a_new_credential_id_and_moves_the_time(
    store: Store, change: Transact, clock: Clock
) -> None:
    await change(alice_reads_and_writes)
    before = await existing(store, "alice")
    clock.now += 10
    committed = await change(lambda t: t.users.set_password("alice", "another hash"))
    after = await existing(store, "alice")
    assert after.password_hash == "another hash"
    assert after.credential_id != before.credential_id
    assert (after.created_at, after.changed_at) == (before.created_at, before.created_at + 10)
    assert after.roles == before.roles
    assert committed.changes == credential_changed("alice")


async def test_same_password_hash_again_is_still_a_new_credential(store: Store, change: Transact) -> None:
    await change(lambda t: t.users.add("alice", "hash"))
    before = await existing(store, "alice")
    committed = await change(lambda t: t.users.set_password("alice", "hash"))
    assert (await existing(store, "alice")).credential_id != before.credential_id
    assert committed.changes == credential_changed("alice")


async def test_every_password_of_every_user_has_a_credential_id_of_its_own(store: Store, change: Transact) -> None:
    seen = set()
    for name in ("alice", "bob"):
        await change(adding(name))
        seen.add((await existing(store, name)).credential_id)
    for _ in range(3):
        await change(lambda t: t.users.set_password("alice", "hash"))
        seen.add((await existing(store, "alice")).credential_id)
    assert len(seen) == 5


async def test_description_changes_alone(store: Store, change: Transact, clock: Clock) -> None:
    await change(lambda t: t.users.add("alice", "hash", description="old"))
    before = await existing(store, "alice")
    clock.now += 10
    committed = await change(lambda t: t.users.describe("alice", "new"))
    after = await existing(store, "alice")
    assert (after.description, after.changed_at) == ("new", before.created_at + 10)
    assert (after.password_hash, after.credential_id) == (before.password_hash, before.credential_id)
    assert committed.changes == user_changed("alice")


async def test_same_description_again_changes_nothing(store: Store, change: Transact, clock: Clock) -> None:
    first = await change(lambda t: t.users.add("alice", "hash", description="text"))
    clock.now += 10
    again = await change(lambda t: t.users.describe("alice", "text"))
    assert (again.revision, again.changes) == (first.revision, ())
    assert (await existing(store, "alice")).changed_at == 1000.0


async def test_removed_user_is_gone_with_its_bindings(store: Store, change: Transact) -> None:
    await change(alice_reads_and_writes)
    committed = await change(lambda t: t.users.remove("alice"))
    assert committed.changes == user_changed("alice")
    assert await store.user("alice") is None
    assert await store.users() == []
    assert await store.bindings("reader") == {"reader": ()}


async def test_user_added_again_inherits_no_roles(store: Store, change: Transact) -> None:
    await change(alice_reads_and_writes)
    await change(lambda t: t.users.remove("alice"))
    await change(lambda t: t.users.add("alice", "hash"))
    assert (await existing(store, "alice")).roles == ()


@pytest.mark.parametrize(
    "work",
    [
        lambda t: t.users.remove("nobody"),
        lambda t: t.users.set_password("nobody", "hash"),
        lambda t: t.users.describe("nobody", "text"),
    ],
)
async def test_unknown_user_is_not_changed(store: Store, change: Transact, work: Work) -> None:
    committed = await change(work)
    assert (committed.revision, committed.changes) == (0, ())
    assert await store.users() == []


async def test_password_hash_is_not_in_the_repr_of_a_user(store: Store, change: Transact) -> None:
    await change(lambda t: t.users.add("alice", "$argon2id$secret"))
    assert "argon2id" not in repr(await store.user("alice"))
