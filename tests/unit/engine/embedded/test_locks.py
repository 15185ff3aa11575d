import asyncio

import pytest

from kiteward.engine.embedded.locks import NamedLocks

Locks = NamedLocks[tuple[str, str]]
A, B = ("default", "a"), ("default", "b")


async def test_second_caller_waits_until_the_first_releases() -> None:
    locks: Locks = NamedLocks()
    held = await locks.acquire([A])
    waiting = asyncio.create_task(locks.acquire([A]))
    await asyncio.sleep(0)
    assert not waiting.done()
    locks.release(held)
    locks.release(await waiting)


async def test_other_names_do_not_wait() -> None:
    locks: Locks = NamedLocks()
    await locks.acquire([A])
    async with asyncio.timeout(30):
        await locks.acquire([B])


async def test_opposite_orders_do_not_wait_for_each_other() -> None:
    locks: Locks = NamedLocks()

    async def hold(*keys: tuple[str, str]) -> None:
        for _ in range(50):
            held = await locks.acquire(keys)
            await asyncio.sleep(0)
            locks.release(held)

    async with asyncio.timeout(30):
        await asyncio.gather(hold(A, B), hold(B, A), hold(A, A))


async def test_caller_that_gives_up_waiting_holds_nothing() -> None:
    locks: Locks = NamedLocks()
    held = await locks.acquire([B])
    giving_up = asyncio.create_task(locks.acquire([A, B]))
    await asyncio.sleep(0)
    giving_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    async with asyncio.timeout(30):
        locks.release(await locks.acquire([A]))
    locks.release(held)


async def test_names_nobody_holds_are_forgotten() -> None:
    locks: Locks = NamedLocks()
    for number in range(100):
        locks.release(await locks.acquire([("default", str(number))]))
    assert len(locks) == 0
