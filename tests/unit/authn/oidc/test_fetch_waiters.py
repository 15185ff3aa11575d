"""Tokens that wait for the next fetch of keys."""

import asyncio
from typing import Any

from kiteward.authn.oidc.fetch_waiters import FetchWaiters


async def forever(_: float) -> None:
    """Sleep until cancelled."""
    await asyncio.Event().wait()


def waiting(waiters: FetchWaiters, *sources: str) -> list[asyncio.Task[bool]]:
    return [asyncio.create_task(waiters.wait(source, 60.0)) for source in sources]


async def done(tasks: list[asyncio.Task[Any]]) -> list[bool]:
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def test_no_more_of_one_source_wait_than_it_may_have_and_others_find_room() -> None:
    waiters = FetchWaiters(5, of_source=2, sleep=forever)
    tasks = waiting(waiters, "a", "a", "a", "b", "c", "d", "e")
    assert await done(tasks) == [False, False, True, False, False, False, True]
    waiters.wake()
    assert await asyncio.gather(*tasks) == [True, True, False, True, True, True, False]


async def test_a_token_that_is_given_up_leaves_its_place() -> None:
    waiters = FetchWaiters(1, of_source=1, sleep=forever)
    (first,) = waiting(waiters, "a")
    assert await done([first]) == [False]
    first.cancel()
    await done([first])
    (second,) = waiting(waiters, "a")
    assert await done([second]) == [False]
    waiters.wake()
    assert await second


async def test_a_wait_ends_by_itself() -> None:
    assert await FetchWaiters(1, of_source=1).wait("a", 0.0)
