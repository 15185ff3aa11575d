"""Transactions: all or nothing, one after another, durable once acknowledged, and robust against cancellation."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.store.harness import OpenStore, Transact, adding, existing

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import StoreError, StoreUnavailable
from kiteward.store.base import Store
from kiteward.store.intent_records import Claimant, Intent, IntentKind
from kiteward.store.records import Change, Committed, Subject
from kiteward.store.transaction import Transaction

QUERY = Grant("reader", GrantKey(ObjectType.COLLECTION, "default", "docs", "Query"), "root")


async def everything(transaction: Transaction) -> None:
    await transaction.users.add("alice", "hash", description="writes docs")
    await transaction.roles.put(Role("reader", "reads"))
    await transaction.roles.bind("alice", "reader")
    await transaction.grants.add([QUERY])
    await transaction.groups.put(PrivilegeGroup("mine", ("Insert",)))
    await transaction.intents.add(Intent(IntentKind.DROP_COLLECTION, "default", "docs"))


async def still_empty(store: Store) -> bool:
    policy = await store.policy()
    async with store.transaction() as transaction:
        intents = await transaction.intents.all()
    return (policy.revision, policy.roles, policy.grants, policy.groups) == (0, (), (), ()) and not (
        intents or await store.users()
    )


# Revision and changes


async def test_revision_advances_once_for_each_changing_transaction(store: Store, change: Transact) -> None:
    assert (await change(everything)).revision == 1
    assert (await change(lambda t: t.users.describe("alice", "reads docs"))).revision == 2
    assert (await change(lambda t: t.users.describe("alice", "reads docs"))).revision == 2
    assert (await change(lambda t: t.users.remove("alice"))).revision == 3
    assert (await store.policy()).revision == 3


async def test_changes_name_each_thing_once(change: Transact) -> None:
    committed = await change(everything)
    assert set(committed.changes) == {
        Change(Subject.USER, "alice"),
        Change(Subject.CREDENTIAL, "alice"),
        Change(Subject.ROLE, "reader"),
        Change(Subject.GROUP, "mine"),
        Change(Subject.CATALOG, "default/docs"),
    }
    assert len(committed.changes) == 5


# Intents


async def test_intents_come_back_oldest_first_and_the_feed_names_what_they_are_about(store: Store) -> None:
    written = [
        Intent(IntentKind.RENAME_COLLECTION, "default", "docs", "archive", "old"),
        Intent(IntentKind.DROP_DATABASE, "sales"),
        Intent(IntentKind.DROP_COLLECTION, "default", "docs"),
        Intent(IntentKind.CREATE_COLLECTION, "default", "docs", claimant=Claimant("alice", ("reader", "writer"))),
        Intent(IntentKind.DROP_COLLECTION, "default", "docs", claimant=Claimant("alice", ())),
    ]
    announced = [["archive/old", "default/docs"], ["sales/"], ["default/docs"], ["default/docs"], ["default/docs"]]
    stored: list[Intent] = []
    for intent, names in zip(written, announced, strict=True):
        async with store.transaction() as transaction:
            stored.append(replace(intent, intent_id=await transaction.intents.add(intent)))
            committed = await transaction.commit()
        assert [(change.subject, change.name) for change in committed.changes] == [
            (Subject.CATALOG, name) for name in names
        ]
        assert await store.open_intents() == (committed.revision, tuple(stored))
        following = await store.changes_since(committed.revision - 1)
        assert following is not None
        assert following.intents == tuple(stored)
    async with store.transaction() as transaction:
        assert list(await transaction.intents.all()) == stored


async def test_changes_without_a_word_about_the_catalog_leave_the_intents_as_they_are(
    store: Store, change: Transact
) -> None:
    async def add_a_user(transaction: Transaction) -> None:
        await transaction.users.add("alice", "hash")

    committed = await change(add_a_user)
    following = await store.changes_since(committed.revision - 1)
    assert following is not None
    assert following.intents is None


async def test_names_that_may_stand_for_something_else_are_announced(store: Store) -> None:
    async with store.transaction() as transaction:
        transaction.note_catalog([("default", "latest"), ("sales", "")])
        committed = await transaction.commit()
    following = await store.changes_since(committed.revision - 1)
    assert following is not None
    assert (following.names(Subject.CATALOG), following.intents) == (["default/latest", "sales/"], ())


async def test_removed_intent_is_forgotten_and_its_id_is_not_used_again(store: Store) -> None:
    intent = Intent(IntentKind.DROP_COLLECTION, "default", "docs")
    async with store.transaction() as transaction:
        first = await transaction.intents.add(intent)
        assert await transaction.intents.remove(replace(intent, intent_id=first))
        assert not await transaction.intents.remove(replace(intent, intent_id=first))
        assert list(await transaction.intents.all()) == []
        await transaction.commit()
    async with store.transaction() as transaction:
        assert await transaction.intents.add(intent) > first


# All or nothing


async def test_leaving_without_commit_undoes_everything(store: Store) -> None:
    async with store.transaction() as transaction:
        await everything(transaction)
    assert await still_empty(store)


async def test_exception_undoes_everything_and_passes_through(store: Store, change: Transact) -> None:
    async def fail(transaction: Transaction) -> None:
        await everything(transaction)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change(fail)
    assert await still_empty(store)


async def test_statement_that_fails_leaves_the_store_usable(store: Store, change: Transact) -> None:
    with pytest.raises(StoreUnavailable):
        await change(lambda t: t.roles.bind("nobody", "nothing"))
    assert await still_empty(store)
    assert (await change(everything)).revision == 1


async def test_nothing_is_committed_after_a_statement_that_failed(store: Store, change: Transact) -> None:
    await change(adding("alice"))
    async with store.transaction() as transaction:
        await transaction.users.add("bob", "hash")
        with pytest.raises(StoreUnavailable):
            await transaction.users.add("alice", "hash")
        with pytest.raises(StoreUnavailable, match="a statement of the transaction failed"):
            await transaction.commit()
    assert await store.user_names() == ["alice"]


async def test_ended_transaction_refuses_to_run(store: Store, change: Transact) -> None:
    async with store.transaction() as committed:
        await committed.commit()
        with pytest.raises(StoreError):
            await committed.commit()
    async with store.transaction() as left:
        pass
    async with store.transaction() as running:
        for ended in (committed, left):
            with pytest.raises(StoreError):
                await ended.users.add("mallory", "hash")
            with pytest.raises(StoreError):
                await ended.users.get("mallory")
        assert (await running.commit()).changes == ()
    assert await store.user("mallory") is None


# One after another


async def test_twenty_transactions_at_once_each_get_a_revision_of_their_own(store: Store, change: Transact) -> None:
    committed = await asyncio.gather(*(change(adding(f"user{number:02}")) for number in range(20)))
    assert sorted(each.revision for each in committed) == list(range(1, 21))
    assert list(await store.user_names()) == [f"user{number:02}" for number in range(20)]
    assert (await store.policy()).revision == 20


async def test_what_a_transaction_has_read_holds_until_it_commits(store: Store, change: Transact) -> None:
    await change(lambda t: t.users.add("counter", "hash", description="0"))

    async def count_up(transaction: Transaction) -> None:
        user = await transaction.users.get("counter")
        assert user is not None
        await asyncio.sleep(0)
        await transaction.users.describe("counter", str(int(user.description) + 1))

    await asyncio.gather(*(change(count_up) for _ in range(15)))
    assert (await existing(store, "counter")).description == "15"


async def test_reads_during_an_open_transaction_see_the_old_state_and_do_not_wait(
    store: Store, change: Transact
) -> None:
    await change(everything)
    before = await store.policy(), await store.users(), await store.bindings(None)
    async with store.transaction() as transaction, asyncio.timeout(30):
        await transaction.users.add("bob", "hash")
        await transaction.roles.remove("reader")
        await transaction.groups.remove("mine")
        assert (await store.policy(), await store.users(), await store.bindings(None)) == before
        assert list(await store.user_names()) == ["alice"]
        assert await store.user("bob") is None
        await transaction.commit()
    assert list(await store.user_names()) == ["alice", "bob"]
    assert (await store.policy()).roles == ()


async def test_reads_right_after_a_commit_see_it(store: Store, change: Transact) -> None:
    for number in range(20):
        await change(adding(f"user{number}"))
        seen = await asyncio.gather(*(store.user(f"user{number}") for _ in range(6)))
        assert all(seen)
        assert (await store.policy()).revision == number + 1


async def test_policy_is_of_one_revision_while_transactions_run(store: Store) -> None:
    async def write() -> None:
        for number in range(1, 25):
            async with store.transaction() as transaction:
                await transaction.roles.put(Role("first", str(number)))
                await transaction.groups.put(PrivilegeGroup("second", (str(number),)))
                await transaction.commit()

    writing = asyncio.create_task(write())
    revisions = set()
    while not writing.done():
        policy = await store.policy()
        if policy.revision:
            expected = str(policy.revision)
            assert (policy.roles[0].description, policy.groups[0].privileges) == (expected, (expected,))
        revisions.add(policy.revision)
    await writing
    assert len(revisions) > 1


# Durable


async def test_committed_changes_survive_closing_and_opening(open_store: OpenStore) -> None:
    store = await open_store()
    async with store.transaction() as transaction:
        await everything(transaction)
        await transaction.commit()
    before = await store.policy(), await store.users()
    await store.close()
    store = await open_store()
    assert (await store.policy(), await store.users()) == before
    async with store.transaction() as transaction:
        assert [intent.object_name for intent in await transaction.intents.all()] == ["docs"]
        await transaction.users.remove("alice")
        assert (await transaction.commit()).revision == 2


async def test_committed_changes_are_there_for_a_second_opener_before_the_first_closes(open_store: OpenStore) -> None:
    first = await open_store()
    async with first.transaction() as transaction:
        await everything(transaction)
        await transaction.commit()
    second = await open_store()
    assert await second.policy() == await first.policy()


async def test_closed_store_refuses_reads_and_transactions(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.policy()
    with pytest.raises(StoreUnavailable):
        await store.user("alice")
    with pytest.raises(StoreUnavailable):
        async with store.transaction():
            pytest.fail("a transaction began")
    await store.close()


async def test_closing_waits_for_the_open_transaction(store: Store, open_store: OpenStore) -> None:
    async with store.transaction() as transaction:
        closing = asyncio.create_task(store.close())
        await everything(transaction)
        await transaction.commit()
    await closing
    assert (await (await open_store()).policy()).revision == 1


# Cancelled


async def test_cancellation_at_any_point_leaves_all_or_nothing_and_a_working_store(store: Store) -> None:
    """Cancel the same transaction after every possible number of steps of the event loop, until one gets through."""
    outcomes = set()
    for steps in range(2000):
        acknowledged: list[Committed] = []
        task = asyncio.create_task(_add_alice(store, acknowledged))
        await _cancel_after(steps, task)
        async with asyncio.timeout(30):
            user, policy = await store.user("alice"), await store.policy()
        if acknowledged:
            # It must be there, even if the cancellation came late and the task ended as cancelled.
            assert user is not None
            assert policy.revision == acknowledged[0].revision
        else:
            assert task.cancelled()
            assert user is None
            assert policy.roles == ()
        outcomes.add(bool(acknowledged))
        if len(outcomes) == 2:
            return
        await _remove_alice(store)
    pytest.fail("no transaction got through, or none was cancelled")


async def _add_alice(store: Store, acknowledged: list[Committed]) -> None:
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        await transaction.roles.put(Role("reader"))
        await transaction.roles.bind("alice", "reader")
        acknowledged.append(await transaction.commit())


async def _remove_alice(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.users.remove("alice")
        await transaction.roles.remove("reader")
        await transaction.commit()


async def _cancel_after(steps: int, task: asyncio.Task[None]) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=60)
    assert task.done(), "cancellation did not end the transaction"


async def test_cancelled_waiter_does_not_keep_the_writers_place(store: Store, change: Transact) -> None:
    async with store.transaction() as transaction:
        waiting = asyncio.create_task(change(everything))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert waiting.cancelled()
        await transaction.users.add("bob", "hash")
        await transaction.commit()
    async with asyncio.timeout(30):
        assert (await change(adding("carol"))).revision == 2
    assert list(await store.user_names()) == ["bob", "carol"]


async def test_cancelled_reads_leave_the_store_readable(store: Store, change: Transact) -> None:
    await change(everything)
    for steps in range(60):
        reading = [asyncio.create_task(store.policy()) for _ in range(6)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
    async with asyncio.timeout(30):
        policies = await asyncio.gather(*(store.policy() for _ in range(8)))
    assert all(policy.revision == 1 for policy in policies)
