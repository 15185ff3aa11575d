"""One lock for each collection: held alone by one, or shared by many."""

import asyncio

import pytest

from kiteward.gateway.row_access.locks import CollectionLocks

DOCS, OTHER = ("default", "docs"), ("default", "other")


async def waiting(locks: CollectionLocks, key: tuple[str, str], *, alone: bool) -> "asyncio.Task[bool]":
    """Return a task that has begun to wait for a lock."""
    task = asyncio.ensure_future(locks.acquire(key, alone=alone))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_free_lock_is_taken_without_waiting() -> None:
    locks = CollectionLocks()
    assert await locks.acquire(DOCS, alone=True) is False
    assert await locks.acquire(OTHER, alone=True) is False


async def test_who_shares_a_lock_waits_for_nobody_who_shares_it() -> None:
    locks = CollectionLocks()
    assert await locks.acquire(DOCS, alone=False) is False
    assert await locks.acquire(DOCS, alone=False) is False


@pytest.mark.parametrize(("held", "wanted"), [(True, True), (True, False), (False, True)])
async def test_who_wants_a_lock_that_is_held_otherwise_waits(held: bool, wanted: bool) -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=held)
    task = await waiting(locks, DOCS, alone=wanted)
    locks.release(DOCS, alone=held)
    assert await task is True


async def test_who_shares_a_lock_does_not_pass_who_waits_for_it_alone() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=False)
    alone = await waiting(locks, DOCS, alone=True)
    sharing = [await waiting(locks, DOCS, alone=False) for _ in range(2)]
    locks.release(DOCS, alone=False)
    assert await alone
    await asyncio.sleep(0)
    assert not any(task.done() for task in sharing)
    locks.release(DOCS, alone=True)
    assert all(await asyncio.gather(*sharing))


async def test_who_gives_up_lets_those_behind_pass() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=False)
    alone = await waiting(locks, DOCS, alone=True)
    sharing = await waiting(locks, DOCS, alone=False)
    alone.cancel()
    assert await sharing
    assert alone.cancelled()


async def test_who_gives_up_in_the_moment_of_getting_it_does_not_keep_it() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=True)
    first, second = await waiting(locks, DOCS, alone=True), await waiting(locks, DOCS, alone=True)
    locks.release(DOCS, alone=True)
    first.cancel()
    assert await second
    assert first.cancelled()


async def test_who_has_given_up_is_passed_over() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=True)
    first, second = await waiting(locks, DOCS, alone=True), await waiting(locks, DOCS, alone=True)
    first.cancel()
    locks.release(DOCS, alone=True)
    assert await second
    assert first.cancelled()


async def test_a_lock_that_nobody_holds_is_forgotten() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=True)
    task = await waiting(locks, DOCS, alone=False)
    task.cancel()
    locks.release(DOCS, alone=True)
    await asyncio.wait([task])
    assert len(locks) == 0


async def test_several_locks_are_held_together_and_given_back_together() -> None:
    locks = CollectionLocks()
    async with locks.held({DOCS, ("default", "a")}, changes=True) as waited:
        assert not waited
        task = await waiting(locks, DOCS, alone=False)
        assert not task.done()
    assert await task
    locks.release(DOCS, alone=False)
    assert len(locks) == 0


async def test_who_gives_up_waiting_for_one_of_several_locks_gives_back_the_others() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=False)

    async def both() -> None:
        async with locks.held({("default", "a"), DOCS}, changes=True):
            raise AssertionError("a lock that is shared was taken")

    task = asyncio.create_task(both())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    locks.release(DOCS, alone=False)
    assert len(locks) == 0


async def test_read_is_overtaken_by_a_change_that_begins_or_has_begun() -> None:
    locks = CollectionLocks()
    with locks.reading({DOCS}) as before, locks.reading({OTHER}) as elsewhere:
        async with locks.held({DOCS}, changes=True):
            assert before.overtaken
            with locks.reading({DOCS, OTHER}) as beside:
                assert beside.overtaken
    with locks.reading({DOCS}) as after:
        assert not after.overtaken
    assert not elsewhere.overtaken


async def test_read_is_not_overtaken_by_a_change_that_only_waits() -> None:
    locks = CollectionLocks()
    await locks.acquire(DOCS, alone=False)
    change = asyncio.create_task(locks.held({DOCS}, changes=True).__aenter__())
    await asyncio.sleep(0)
    with locks.reading({DOCS}) as read:
        assert not read.overtaken
        locks.release(DOCS, alone=False)
        await change
        assert read.overtaken


async def test_read_is_not_overtaken_by_who_holds_the_lock_and_changes_nothing() -> None:
    locks = CollectionLocks()
    with locks.reading({DOCS}) as read:
        async with locks.held({DOCS}, changes=False):
            assert not read.overtaken
        await locks.acquire(DOCS, alone=True)
        assert not read.overtaken


async def test_collection_is_settled_when_its_changes_are_over() -> None:
    locks = CollectionLocks()
    await locks.settled({DOCS, OTHER})
    async with locks.held({DOCS}, changes=True):
        settled = asyncio.create_task(locks.settled({DOCS, OTHER}))
        await asyncio.sleep(0)
        assert not settled.done()
    await settled
    assert len(locks) == 0
