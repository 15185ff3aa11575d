"""Places are shared among sources, and no source delays another."""

import asyncio
from collections import Counter, deque

import pytest

from kiteward.authn.fair_queue import LATELY, FairQueue


class Queue:
    """Attempts that wait for places, each named by its source and its number there."""

    def __init__(self, places: int = 1, most_waiting: int = 512, most_each: int | None = None) -> None:
        self.turns = FairQueue(places, most_each=most_each, most_waiting=most_waiting)
        self.order: list[str] = []
        self.holding: deque[str] = deque()
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._of: Counter[str] = Counter()

    async def come(self, *sources: str) -> None:
        """Let attempts come, in this order, and those go on that have been refused."""
        for source in sources:
            self._of[source] += 1
            self.tasks.append(asyncio.create_task(self._attempt(source, f"{source}{self._of[source]}")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _attempt(self, source: str, name: str) -> None:
        if await self.turns.take(source):
            self.order.append(name)
            self.holding.append(source)
        else:
            self.refused.append(name)

    async def serve(self, times: int) -> None:
        """Give a place back so many times, the longest held first."""
        for _ in range(times):
            self.turns.give_back(self.holding.popleft())
            await asyncio.sleep(0)


async def test_places_are_given_at_once_while_there_are_any_and_then_in_order() -> None:
    queue = Queue(places=2)
    await queue.come("a", "a", "a", "a")
    assert queue.order == ["a1", "a2"]
    await queue.serve(2)
    assert queue.order == ["a1", "a2", "a3", "a4"]


async def test_a_source_that_was_served_longest_ago_is_next() -> None:
    queue = Queue()
    await queue.come("a", "a", "a", "a", "b", "b", "c")
    await queue.serve(6)
    assert queue.order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_a_quiet_source_is_next_however_many_others_flood() -> None:
    queue = Queue()
    flood = [f"flood-{number}-" for number in range(100)]
    await queue.come(*flood * 4)
    await queue.serve(100)  # each has had a place by now
    await queue.come(*flood, "quiet")
    await queue.serve(1)
    assert queue.order[-1] == "quiet1"


async def test_a_full_queue_makes_room_for_a_source_that_has_less_than_its_share() -> None:
    queue = Queue(most_waiting=4)
    await queue.come("a", "a", "a", "a", "a")  # one has the place, four wait
    await queue.come("b")
    assert queue.refused == ["a5"]
    await queue.come("a")
    assert queue.refused == ["a5", "a6"]
    await queue.serve(1)
    assert queue.order == ["a1", "b1"]


async def test_what_waits_is_bounded_whoever_comes() -> None:
    queue = Queue(most_waiting=4)
    await queue.come(*(f"source-{number}-" for number in range(50)))
    assert len(queue.refused) == 50 - 1 - 4
    await queue.serve(4)
    # None has been served before, so that the first that came stay.
    assert queue.order == [f"source-{number}-1" for number in range(5)]


async def test_a_source_that_was_served_lately_makes_room_for_one_that_was_not() -> None:
    queue = Queue(most_waiting=2)
    await queue.come("a")
    await queue.serve(1)
    await queue.come("a", "a", "b", "c")
    assert queue.refused == ["a3"]
    await queue.serve(3)
    assert queue.order == ["a1", "a2", "b1", "c1"]


async def test_an_attempt_that_is_cancelled_leaves_no_place_taken() -> None:
    queue = Queue()
    await queue.come("a", "a", "b")
    queue.tasks[1].cancel()
    await asyncio.sleep(0)
    await queue.serve(1)
    assert queue.order == ["a1", "b1"]
    # Given a place and cancelled before it could begin: the place goes on to the next.
    await queue.come("c", "d")
    queue.turns.give_back("b")
    queue.tasks[3].cancel()
    await asyncio.gather(*queue.tasks, return_exceptions=True)
    assert queue.order == ["a1", "b1", "d1"]
    queue.turns.give_back("d")
    await queue.come("e")
    assert queue.order[-1] == "e1"


@pytest.mark.parametrize("full", [True, False])
async def test_an_attempt_that_is_cancelled_and_has_not_left_yet_is_passed_over(full: bool) -> None:
    queue = Queue(most_waiting=2)
    await queue.come("a", "b", "c")
    queue.tasks[1].cancel()
    if full:
        await queue.come("c", "d")
    queue.turns.give_back("a")
    await asyncio.gather(*queue.tasks[:3], return_exceptions=True)
    assert queue.order == ["a1", "c1"]
    assert "b1" not in queue.refused
    queue.turns.give_back("c")
    await asyncio.sleep(0)
    await asyncio.gather(*queue.tasks, return_exceptions=True)
    assert queue.turns._count == 0


async def test_a_source_by_itself_has_all_places() -> None:
    queue = Queue(places=4, most_each=1)
    await queue.come("a", "a", "a", "a", "a")
    assert queue.order == ["a1", "a2", "a3", "a4"]


async def test_while_others_come_no_source_has_more_places_than_it_may() -> None:
    queue = Queue(places=4, most_each=2)
    await queue.come("b", "a", "a", "a", "a")
    assert queue.order == ["b1", "a1", "a2"]
    queue.turns.give_back("b")  # it came lately
    await queue.come()
    assert queue.order == ["b1", "a1", "a2"]
    await queue.come("b", "b", "b")
    assert queue.order == ["b1", "a1", "a2", "b2", "b3"]
    queue.turns.give_back("a")
    await queue.come()
    assert queue.order[-1] == "a3"
    queue.turns.give_back("b")
    await queue.come()
    assert queue.order[-1] == "b4"


async def test_a_place_that_is_kept_for_others_is_theirs_at_once() -> None:
    queue = Queue(places=2, most_each=1)
    await queue.come("b", "a", "a", "a")
    queue.turns.give_back("b")
    await queue.come("c")
    assert queue.order == ["b1", "a1", "c1"]


async def test_when_the_others_have_gone_a_source_has_all_places_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, ahead = asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + ahead)
    queue = Queue(places=2, most_each=1)
    await queue.come("b")
    queue.turns.give_back("b")
    await queue.come("a", "a", "a")
    assert queue.order == ["b1", "a1"]
    ahead = LATELY
    queue.turns.give_back("a")
    await queue.come()
    assert queue.order == ["b1", "a1", "a2", "a3"]


async def test_a_place_is_free_for_whom_it_would_be_given_to() -> None:
    queue = Queue(places=2, most_each=1)
    assert queue.turns.is_free_for("a")
    await queue.come("b", "a")
    queue.turns.give_back("b")
    assert (queue.turns.is_free_for("a"), queue.turns.is_free_for("b")) == (False, True)


async def test_nobody_waits_longer_than_the_longest_wait() -> None:
    turns = FairQueue(1, longest_wait=0.0)
    assert await turns.take("a")
    assert not await turns.take("b")
    turns.give_back("a")
    assert await turns.take("c")


async def test_no_more_sources_are_remembered_than_the_capacity() -> None:
    turns = FairQueue(1, capacity=3)
    for number in range(10):
        assert await turns.take(f"source-{number}")
        turns.give_back(f"source-{number}")
    assert len(turns._served) == 3
    assert not turns._held
