"""The budget of bytes: all or nothing, with a share for each address and each user, and a reserve for the next ones."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.domain.errors import CapacityExceeded
from kiteward.net.budget import Budget, ByteLimits, Claim, Pool


def claims(*, limit: int, share: int, holders: int) -> tuple[Pool, list[Claim]]:
    pool = Pool(limit)
    return pool, [Claim(pool, (pool.share(str(number), share),)) for number in range(holders)]


def test_a_claim_takes_all_or_nothing() -> None:
    pool, (claim,) = claims(limit=1_000, share=100, holders=1)
    assert claim.take(60)
    assert not claim.take(41)
    assert (claim.held, pool.held, pool.refused) == (60, 60, 1)
    assert claim.take(40)


def test_claims_of_one_holder_have_one_share() -> None:
    pool, (claim,) = claims(limit=1_000, share=100, holders=1)
    other = Claim(pool, (pool.share("0", 100),))
    assert claim.take(60)
    assert not other.take(60)
    claim.close()
    assert other.take(60)


def test_nobody_takes_more_than_is_left_to_others() -> None:
    pool, holders = claims(limit=1_000, share=1_000, holders=5)
    taken = []
    for claim in holders:
        while claim.take(1):
            pass
        taken.append(claim.held)
    assert taken == [500, 250, 125, 62, 31]
    assert pool.held < pool.limit


def test_a_claim_that_is_resized_holds_just_that_much_or_what_it_held() -> None:
    pool, (claim,) = claims(limit=1_000, share=100, holders=1)
    assert claim.resize(80)
    assert claim.resize(20)
    assert claim.resize(20)
    assert not claim.resize(101)
    assert (claim.held, pool.held) == (20, 20)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take", "resize", "close"]), st.integers(0, 400))))
def test_what_is_held_is_the_sum_of_the_claims_and_never_more_than_allowed(
    steps: list[tuple[int, str, int]],
) -> None:
    budget = Budget(ByteLimits(authenticated=1_000, address=500, user=300))
    held = [budget.of_user("a", "1"), budget.of_user("a", "2"), budget.of_user("b", "2")]
    for number, step, amount in steps:
        getattr(held[number], step)(*(() if step == "close" else (amount,)))
        alice, others = held[0].held + held[1].held, held[1].held + held[2].held
        assert budget.authenticated.held == sum(claim.held for claim in held) <= 1_000
        assert alice <= 300
        assert others <= 500
    for claim in held:
        claim.close()
    assert budget.authenticated.held == 0


def test_shares_are_forgotten_with_their_last_claim() -> None:
    budget = Budget()
    claim = budget.of_user("alice", "192.0.2.1")
    assert claim.take(1)
    claim.close()
    del claim
    assert not budget.authenticated._shares


def test_callers_who_are_authenticated_and_those_who_are_not_take_nothing_from_one_another() -> None:
    budget = Budget(ByteLimits(unauthenticated=100, authenticated=100))
    stranger, known = budget.of_source("192.0.2.1"), budget.of_user("alice", "192.0.2.1")
    assert stranger.take(50)
    assert known.take(50)
    assert budget.usage() == {"unauthenticated": (50, 100, 0), "authenticated": (50, 100, 0)}


async def test_whoever_waits_is_given_room_when_there_is_some() -> None:
    budget = Budget(ByteLimits(user=100, wait=60))
    first, second = budget.of_user("alice", "192.0.2.1"), budget.of_user("alice", "192.0.2.1")
    assert first.take(80)
    waiting = asyncio.ensure_future(second.wait_for(50))
    await asyncio.sleep(0)
    first.give_back(20)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    first.close()
    await asyncio.wait_for(waiting, 30)
    assert (second.held, budget.authenticated.refused) == (50, 0)


async def test_whoever_waits_too_long_is_refused() -> None:
    budget = Budget(ByteLimits(user=100, wait=0.01))
    first, second = budget.of_user("alice", "192.0.2.1"), budget.of_user("alice", "192.0.2.1")
    assert first.take(80)
    with pytest.raises(CapacityExceeded, match="does not allow 50 more bytes"):
        await second.wait_for(50)
    assert (second.held, budget.authenticated.refused) == (0, 1)


@pytest.mark.parametrize("limits", [{"user": 100}, {"address": 100}, {"authenticated": 200}])
async def test_whoever_asks_for_more_than_there_ever_is_does_not_wait(limits: dict[str, int]) -> None:
    budget = Budget(ByteLimits(**limits, wait=60))
    claim = budget.of_user("alice", "192.0.2.1")
    with pytest.raises(CapacityExceeded):
        await asyncio.wait_for(claim.wait_for(101), 30)
    await claim.wait_for(100)


async def test_whoever_gives_up_waiting_takes_nothing() -> None:
    budget = Budget(ByteLimits(user=100, wait=60))
    first, second = budget.of_user("alice", "192.0.2.1"), budget.of_user("alice", "192.0.2.1")
    assert first.take(80)
    waiting = asyncio.ensure_future(second.wait_for(50))
    await asyncio.sleep(0)
    first.close()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.authenticated.held == 0
