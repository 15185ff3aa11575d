import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kiteward.net.http2.deadlines import Deadlines


class Request:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.bucket: set[Any] | None = None
        self.expired: list[float] = []

    def expire(self) -> None:
        self.expired.append(asyncio.get_running_loop().time())


@pytest.fixture
async def deadlines() -> AsyncIterator[Deadlines]:
    made = Deadlines()
    yield made
    made.close()


def after(seconds: float) -> Request:
    return Request(asyncio.get_running_loop().time() + seconds)


async def late(request: Request) -> bool:
    """Wait until a little after a deadline, and return whether the request had not ended by then.

    It is waited by the same event loop, so that a busy machine delays both.
    """
    await asyncio.sleep(request.deadline + 0.1 - asyncio.get_running_loop().time())
    for _ in range(3):
        await asyncio.sleep(0)
    return not request.expired


async def test_each_request_ends_once_and_not_before_its_deadline(deadlines: Deadlines) -> None:
    order = random.Random(1)
    requests = [after(order.uniform(0.01, 0.4)) for _ in range(300)]
    for request in requests:
        deadlines.add(request)
    assert not any(await asyncio.gather(*map(late, requests)))
    assert all(len(request.expired) == 1 for request in requests)
    assert all(request.expired[0] >= request.deadline for request in requests)


async def test_request_that_has_ended_is_forgotten(deadlines: Deadlines) -> None:
    request, other = after(0.05), after(0.05)
    deadlines.add(request)
    deadlines.add(other)
    deadlines.discard(request)
    deadlines.discard(request)
    assert not await late(other)
    assert not request.expired


async def test_earlier_deadline_that_is_added_later_ends_in_time(deadlines: Deadlines) -> None:
    far, early = after(60), after(0.05)
    deadlines.add(far)
    deadlines.add(early)
    assert not await late(early)
    assert not far.expired


async def test_far_deadline_is_met_as_precisely(deadlines: Deadlines) -> None:
    request = after(2.3)
    deadlines.add(request)
    assert not await late(request)
    assert len(request.expired) == 1
    assert request.expired[0] >= request.deadline


async def test_many_requests_with_far_deadlines_take_few_buckets(deadlines: Deadlines) -> None:
    for _ in range(10_000):
        request = after(3600)
        deadlines.add(request)
        deadlines.discard(request)
    assert len(deadlines._buckets) <= 3
