"""Second factors, recovery codes, tickets and challenges, as every store keeps them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.conformance.store.harness import OpenStore, Transact

from kiteward.store.base import Store
from kiteward.store.factor_records import FactorRecord, TicketRecord
from kiteward.store.records import Change, Subject
from kiteward.store.transaction import Transaction

APP = FactorRecord("a", "alice", "totp", "phone", 100.0, sealed="sealed")
PASSKEY = FactorRecord(
    "k", "alice", "passkey", "laptop", 200.0, confirmed_at=200.0, credential_id="id", public_key="key", sign_count=2**32
)
TICKET = TicketRecord("alice", "v", "c", "10.0.0.1:5", "Firefox", 400.0)
ALICE = (Change(Subject.USER, "alice"),)


async def alice_enrolled(transaction: Transaction) -> None:
    for name in ("alice", "bob"):
        await transaction.users.add(name, "hash")
    for factor in (APP, PASSKEY, replace(APP, factor_id="b", user_name="bob")):
        await transaction.factors.add(factor)
    await transaction.factors.replace_codes("alice", ["1", "2"])
    await transaction.factors.put_ticket("t", TICKET, now=100.0, most=8)
    await transaction.factors.put_challenge("c", "alice", "s", now=100.0, ends_at=400.0)


async def test_they_are_found_at_every_server(open_store: OpenStore, change: Transact) -> None:
    await change(alice_enrolled)
    other = await open_store()
    assert list(await other.factors("alice")) == [APP, PASSKEY]
    assert (await other.recovery_codes("alice"), await other.recovery_codes("bob")) == (2, 0)
    assert (await other.sign_in_ticket("t"), await other.sign_in_ticket("x")) == (TICKET, None)


def confirming(factor: str, user: str) -> Callable[[Transaction], Awaitable[bool]]:
    return lambda transaction: transaction.factors.confirm(factor, user, label="x", step=8, now=1.0)


async def test_a_user_has_one_when_it_is_confirmed_and_that_is_announced(store: Store, change: Transact) -> None:
    await change(alice_enrolled)
    alice, bob = await store.user("alice"), await store.user("bob")
    assert alice is not None
    assert bob is not None
    assert (alice.second_factor, bob.second_factor) == (True, False)
    confirmed = await change(lambda t: t.factors.confirm("b", "bob", label="x", step=7, now=300.0))
    assert confirmed.changes == (Change(Subject.USER, "bob"),)
    for name, factor in (("bob", "b"), ("alice", "unknown"), ("bob", "a")):
        assert (await change(confirming(factor, name))).changes == ()
    (held,) = await store.factors("bob")
    assert (held.confirmed_at, held.last_step, held.label) == (300.0, 7, "x")
    assert [user.name for user in await store.users() if user.second_factor] == ["alice", "bob"]
    assert (await change(lambda t: t.factors.remove("b", "bob"))).changes == (Change(Subject.USER, "bob"),)
    assert (await change(lambda t: t.factors.remove("k", "bob"))).changes == ()


async def taken(store: Store, step: int) -> bool:
    async with store.transaction() as transaction:
        accepted = await transaction.factors.accept_step("a", step, now=500.0)
        await transaction.commit()
    return accepted


async def test_a_time_step_is_accepted_once_and_none_before_it(open_store: OpenStore, change: Transact) -> None:
    await change(alice_enrolled)
    one, other = await open_store(), await open_store()
    assert not await taken(one, 1)  # it is not confirmed
    await change(lambda t: t.factors.confirm("a", "alice", label="", step=7, now=300.0))
    assert sorted(await asyncio.gather(taken(one, 8), taken(other, 8))) == [False, True]
    assert [await taken(other, step) for step in (7, 8, 9)] == [False, False, True]


async def test_a_code_a_ticket_and_a_challenge_are_taken_once_and_announce_nothing(change: Transact) -> None:
    await change(alice_enrolled)
    results: list[bool] = []

    async def take(transaction: Transaction) -> None:
        factors = transaction.factors
        results.append(await factors.take_code("alice", "1"))
        results.append(await factors.take_ticket("t"))
        results.append(await factors.take_challenge("c", "alice", "s", now=399.0))

    assert (await change(take)).changes == ()
    await change(take)
    assert results == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("user", "holder", "now"), [("bob", "s", 100.0), ("alice", "another", 100.0), ("alice", "s", 400.0)]
)
async def test_a_challenge_is_for_its_user_and_holder_until_it_expires(
    user: str, holder: str, now: float, change: Transact
) -> None:
    await change(alice_enrolled)

    async def take(transaction: Transaction) -> None:
        assert not await transaction.factors.take_challenge("c", user, holder, now=now)

    await change(take)


async def test_reset_removes_all_of_one_user_and_ends_sessions_and_tickets(store: Store, change: Transact) -> None:
    await change(alice_enrolled)
    before = await store.user("alice")
    reset = await change(lambda t: t.users.reset_factors("alice"))
    assert set(reset.changes) == {*ALICE, Change(Subject.FACTOR, "alice")}
    after = await store.user("alice")
    assert before is not None
    assert after is not None
    assert after.credential_id != before.credential_id
    assert (list(await store.factors("alice")), await store.recovery_codes("alice")) == ([], 0)
    assert await store.sign_in_ticket("t") is None
    assert len(await store.factors("bob")) == 1


async def test_they_go_with_their_user(store: Store, change: Transact) -> None:
    await change(alice_enrolled)
    await change(lambda t: t.users.remove("alice"))
    assert (list(await store.factors("alice")), await store.recovery_codes("alice")) == ([], 0)
    assert await store.sign_in_ticket("t") is None


async def test_old_tickets_and_challenges_are_removed_with_the_next_one(store: Store, change: Transact) -> None:
    await change(alice_enrolled)
    await change(lambda t: t.factors.put_ticket("u", replace(TICKET, ends_at=900.0), now=400.0, most=8))
    assert (await store.sign_in_ticket("t"), await store.sign_in_ticket("u") is None) == (None, False)
