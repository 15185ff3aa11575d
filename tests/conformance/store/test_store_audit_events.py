"""Audit events in the store: with their transaction or not at all, without gaps, and removed oldest first."""

import asyncio
import functools

import pytest
from tests.conformance.store.harness import OpenStore, Transact

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.reader import AuditQuery
from kiteward.audit.shared import SharedEvents, SharedTrail
from kiteward.domain.errors import StoreUnavailable
from kiteward.store.audit_events import LineRange, StoredLine
from kiteward.store.base import Store
from kiteward.store.transaction import Transaction

NOW = 1_795_780_800.0


def event(name: str) -> AuditEvent:
    return AuditEvent(Event.USER_CHANGE, NOW, Outcome.COMMITTED, name, "root", details={"userName": "ünder_100%"})


async def add(transaction: Transaction, *texts: str, elapsed: float = 0.0) -> None:
    seq = (await transaction.audit_events.head()).seq
    lines = [StoredLine(seq + number, NOW + seq + number, text) for number, text in enumerate(texts, 1)]
    await transaction.audit_events.append(lines, chain=f"chain of {texts[-1]}", elapsed=elapsed)


async def add_at(at: float, transaction: Transaction) -> None:
    await add(transaction, f"line {at}", elapsed=at)


async def test_empty_store_has_a_head_before_the_first_line(store: Store) -> None:
    assert tuple(await store.audit_head()) == (1, "0" * 64, 0, "0" * 64, 0.0)
    assert await store.audit_lines(LineRange(1, 100)) == []


async def test_lines_are_there_after_the_commit_and_gone_without_one(store: Store) -> None:
    async with store.transaction() as transaction:
        await add(transaction, "undone")
    async with store.transaction() as transaction:
        await add(transaction, "one", "two", elapsed=5.5)
        assert (await transaction.commit()).revision == 0
    assert await store.audit_lines(LineRange(1, 100)) == ["one", "two"]
    head = await store.audit_head()
    assert (head.first, head.seq, head.chain, head.elapsed) == (1, 2, "chain of two", 5.5)


async def test_line_is_undone_with_the_change_that_fails(store: Store, change: Transact) -> None:
    async def fail(transaction: Transaction) -> None:
        await add(transaction, "of a change")
        await transaction.roles.bind("nobody", "nothing")

    with pytest.raises(StoreUnavailable):
        await change(fail)
    assert await store.audit_lines(LineRange(1, 100)) == []


async def test_lines_are_selected_by_number_text_and_time(store: Store, change: Transact) -> None:
    await change(lambda t: add(t, '{"a":"x_y"}', '{"a":"xzy"}', '{"a":"50%","b":"\\u00fc"}', '{"a":"/"}'))
    for wanted, found in (
        (LineRange(2, 3), [2, 3]),
        (LineRange(1, 9, ('"x_y"',)), [1]),
        (LineRange(1, 9, ("0%",)), [3]),
        (LineRange(1, 9, ("\\u00fc", '"a"')), [3]),
        (LineRange(1, 9, ("/",)), [4]),
        (LineRange(1, 9, (), NOW + 2, NOW + 4), [2, 3]),
    ):
        lines = await store.audit_lines(LineRange(1, 9))
        assert await store.audit_lines(wanted) == [lines[number - 1] for number in found]


async def test_position_of_a_trail_is_kept_and_moved(store: Store, change: Transact) -> None:
    assert await store.audit_position("t1") == 0
    await change(lambda t: t.audit_events.move("t1", 7, replica="a"))
    await change(lambda t: t.audit_events.move("t1", 9, replica="a"))
    await change(lambda t: t.audit_events.move("t2", 3, replica="b"))
    assert [await store.audit_position(trail) for trail in ("t1", "t2", "t3")] == [9, 3, 0]


async def test_oldest_lines_are_found_and_removed(store: Store, change: Transact) -> None:
    for number in range(1, 6):
        await change(functools.partial(add_at, float(number)))
    async with store.transaction() as transaction:
        assert await transaction.audit_events.last_before(1.0, within=10) is None
        assert await transaction.audit_events.last_before(3.5, within=10) == (3, "line 3.0")
        assert await transaction.audit_events.last_before(99.0, within=2) == (2, "line 2.0")
    await change(lambda t: t.audit_events.remove_to(3, chain="chain of three"))
    assert await store.audit_lines(LineRange(1, 9)) == ["line 4.0", "line 5.0"]
    head = await store.audit_head()
    assert (head.first, head.before, head.seq) == (4, "chain of three", 5)
    await change(lambda t: add(t, "line 6"))
    assert (await store.audit_head()).seq == 6


async def test_writers_on_several_stores_make_one_chain(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(3)]

    async def write(name: str, store: Store) -> None:
        events = SharedEvents(name)
        for number in range(10):
            async with store.transaction() as transaction:
                await events.append(transaction, event(f"{name}{number}"))
                if number % 3 != 2:
                    await transaction.commit()

    await asyncio.gather(*(write(name, store) for name, store in zip("abc", stores, strict=True)))
    trail = SharedTrail(stores[0])
    verified = await trail.verify()
    assert (verified.lines, verified.findings, verified.replicas) == (21, (), ("a", "b", "c"))
    assert len((await trail.search(AuditQuery(user="ünder_100%", replica="b"), limit=50)).entries) == 7
