"""Responses go out as the client allows: together, in turns, and no faster than it reads them."""

import asyncio
import sys
from types import FrameType
from typing import Any

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame
from tests.support import http2_frames as frames
from tests.support.http2 import Link, headers, turns

from kiteward.net.budget import Budget, ByteLimits

CREDIT = 65_535
WIDE = frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}), frames.window_update(0, 2**30)


def asking(number: int, *first: bytes, taking: bool = True, budget: Budget | None = None) -> Link:
    """Return a connection on which so many requests wait for their responses."""
    link = Link(taking=taking, budget=budget)
    link.send(*first)
    for stream in range(1, 2 * number, 2):
        link.send(headers(stream, end=True))
    link.answers()
    return link


def bodies(sent: list[Frame]) -> dict[int, int]:
    """Return how many bytes of its body each stream got."""
    got: dict[int, int] = {}
    for frame in sent:
        if isinstance(frame, DataFrame):
            got[frame.stream_id] = got.get(frame.stream_id, 0) + len(frame.data)
    return got


def ended(sent: list[Frame]) -> list[int]:
    return [frame.stream_id for frame in sent if "END_STREAM" in frame.flags]


# Writes


async def test_responses_of_one_turn_are_written_together_at_its_end() -> None:
    link = asking(20)
    writes = link.wire.writes
    for asked in link.asked:
        asked.answer(b"one")
    assert link.wire.writes == writes
    await turns()
    assert link.wire.writes == writes + 1
    assert ended(link.answers()) == list(range(1, 41, 2))


async def test_acknowledgement_is_written_with_the_response_to_the_request_that_came_with_it() -> None:
    link = asking(1)
    await turns()
    writes = link.wire.writes
    link.send(headers(3, end=True), PingFrame(0, b"how long").serialize())
    await turns()
    assert link.wire.writes == writes
    link.asked[1].answer(b"one")
    await turns()
    assert link.wire.writes == writes + 1
    assert [type(frame) for frame in link.answers()] == [PingFrame, HeadersFrame, DataFrame, HeadersFrame]


async def test_acknowledgement_waits_only_milliseconds_for_a_response() -> None:
    link = asking(1)
    await turns()
    writes = link.wire.writes
    link.send(PingFrame(0, b"how long").serialize())
    async with asyncio.timeout(30):
        while link.wire.writes == writes:
            await asyncio.sleep(0.001)
    assert [type(frame) for frame in link.answers()] == [PingFrame]


async def test_acknowledgement_is_written_at_once_where_no_response_is_to_come() -> None:
    link = asking(0)
    writes = link.wire.writes
    link.send(PingFrame(0, b"how long").serialize())
    await turns()
    assert link.wire.writes == writes + 1


async def test_response_that_waits_for_its_window_goes_on_at_once_although_another_is_to_come() -> None:
    link = asking(2)
    link.asked[0].answer(b"x" * (CREDIT + 1))
    assert bodies(link.answers()) == {1: CREDIT}
    await turns()
    writes = link.wire.writes
    link.send(frames.window_update(0, 1), frames.window_update(1, 1))
    await turns()
    assert link.wire.writes > writes
    assert bodies(link.answers()) == {1: 1}


async def test_large_responses_are_written_at_once_so_that_a_client_that_reads_none_is_noticed() -> None:
    link = asking(100, *WIDE, taking=False)
    for asked in link.asked:
        asked.answer(b"x" * 60_000)
        if link.connection._congested_since is not None:
            break
    assert 4 <= sum(asked.stream.responded for asked in link.asked) <= 7


async def test_a_client_that_does_not_read_is_sent_no_more() -> None:
    link = asking(2)
    link.connection.pause_writing()
    link.asked[0].answer(b"abc")
    link.asked[1].answer()
    assert link.answers() == []
    link.connection.resume_writing()
    assert sorted(ended(link.answers())) == [1, 3]


async def test_responses_that_wait_for_a_client_that_does_not_read_are_reserved() -> None:
    budget = Budget(ByteLimits(address=150))
    link = asking(2, budget=budget)
    link.connection.pause_writing()
    for asked in link.asked:
        asked.answer(bytes(100))
    await turns()
    assert budget.authenticated.held == 100
    assert [asked.gone for asked in link.asked] == [0, 1]
    link.connection.resume_writing()
    assert link.codes(RstStreamFrame) == [(3, frames.ENHANCE_YOUR_CALM)]
    assert budget.authenticated.held == 0


# Windows


async def test_no_more_is_sent_than_the_stream_allows() -> None:
    link = asking(1, frames.settings({frames.INITIAL_WINDOW_SIZE: 10}))
    link.asked[0].answer(b"a longer ", b"answer")
    assert bodies(link.answers()) == {1: 10}
    link.send(frames.window_update(1, 2))
    assert bodies(link.answers()) == {1: 2}
    link.send(frames.window_update(1, 100))
    sent = link.answers()
    assert (bodies(sent), ended(sent)) == ({1: 3}, [1])


async def test_no_more_is_sent_than_the_connection_allows() -> None:
    link = asking(2, frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    link.asked[0].answer(b"x" * CREDIT)
    assert ended(link.answers()) == [1]
    link.asked[1].answer(b"y")
    assert ended(link.answers()) == []
    link.send(frames.window_update(0, 1))
    assert ended(link.answers()) == [3]


async def test_responses_without_a_body_wait_for_no_window() -> None:
    link = asking(2, frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    link.asked[0].answer(b"waits")
    link.asked[1].answer()
    assert ended(link.answers()) == [3]


async def test_a_smaller_window_is_heeded_even_below_zero() -> None:
    link = asking(1, frames.window_update(0, 1_000_000))
    link.asked[0].answer(b"x" * 70_000)
    assert bodies(link.answers()) == {1: CREDIT}
    link.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}), frames.window_update(1, CREDIT - 100))
    assert bodies(link.answers()) == {}
    link.send(frames.window_update(1, 5))
    assert bodies(link.answers()) == {1: 5}


async def test_frames_are_no_larger_than_every_client_takes() -> None:
    link = asking(1)
    link.asked[0].answer(b"x" * 40_000)
    assert max(len(frame.data) for frame in link.answers() if isinstance(frame, DataFrame)) == frames.FRAME_LIMIT


async def test_heads_larger_than_a_frame_go_in_several() -> None:
    link = asking(1)
    link.asked[0].stream.respond(((b":status", b"200"), (b"a", b"\xff" * 40_000)))
    first, *others = link.answers()
    assert isinstance(first, HeadersFrame)
    assert [frame.stream_id for frame in others] == [1] * len(others)
    assert "END_HEADERS" in others[-1].flags


# Turns


async def test_large_responses_take_turns() -> None:
    link = asking(4, frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    link.asked[0].answer(b"x" * CREDIT)
    link.answers()
    for asked in link.asked[1:]:
        asked.answer(b"y" * 40_000)
    link.send(frames.window_update(0, 200_000))
    order = [frame.stream_id for frame in link.answers() if isinstance(frame, DataFrame)]
    assert order == [3, 5, 7] * 3


async def test_a_small_response_does_not_wait_for_a_large_one() -> None:
    link = asking(2, *WIDE)
    link.asked[0].answer(b"x" * 60_000)
    link.asked[1].answer(b"small")
    assert ended(link.answers()) == [3, 1]


async def test_a_stream_that_may_not_send_delays_no_other() -> None:
    link = asking(2, frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    link.asked[0].answer(b"x" * 1_000)
    link.asked[1].answer(b"y" * 100)
    link.send(frames.window_update(3, 100))
    assert ended(link.answers()) == [3]


def _calls(work: Any) -> int:
    """Return how many functions were called meanwhile."""
    called = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal called
        called += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return called


@pytest.mark.parametrize("stream", [0, 1])
async def test_a_window_costs_the_same_however_many_responses_wait(stream: int) -> None:
    """Otherwise thirteen bytes of a client were work for a thousand streams."""

    def updates(waiting: int) -> int:
        link = asking(waiting, frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        for asked in link.asked:
            asked.answer(b"x" * 100)
        link.answers()

        def allow() -> None:
            for _ in range(20):
                link.send(frames.window_update(stream, 1))
                link.end_turn()

        return _calls(allow)

    few = updates(1)
    assert few > 20
    assert updates(1_000) < 2 * few


# A request that goes on


async def test_a_request_is_stopped_once_its_response_was_sent_and_not_before() -> None:
    link = Link()
    link.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 2}), headers(1))
    link.answers()
    link.asked[0].answer(b"answer")
    assert not [frame for frame in link.answers() if isinstance(frame, RstStreamFrame)]
    link.send(frames.window_update(1, 10))
    sent = link.answers()
    assert ended(sent) == [1]
    link.connection.check(link.connection._heard)
    assert link.codes(RstStreamFrame) == [(1, frames.NO_ERROR)]
    assert not link.connection._streams
    assert link.asked[0].gone == 0
