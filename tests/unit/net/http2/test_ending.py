"""A connection ends when either side says so, and what was asked before is answered."""

import asyncio

from hyperframe.frame import (
    GoAwayFrame,
    PingFrame,
)
from tests.support import http2_frames as frames
from tests.support.http2 import REQUEST, Asked, Link, data, headers, turns
from tests.support.http2_frames import encoded

from kiteward.net.http2.limits import Http2Limits


async def answered(asked: Asked) -> None:
    asked.answer(b"answered")
    await turns()


def pong_of(link: Link) -> bytes:
    """Return the client's answer to the ping that it was sent."""
    (ping,) = (frame for frame in link.answers() if isinstance(frame, PingFrame))
    return frames.frame(frames.PING, frames.ACK, 0, ping.opaque_data)


async def test_requests_that_were_sent_before_the_client_knew_are_served() -> None:
    link = Link()
    link.send(headers(1, end=True))
    link.connection.shut_down()
    first, ping = link.answers()
    assert isinstance(first, GoAwayFrame)
    assert (first.last_stream_id, first.error_code) == (frames.LAST_STREAM, frames.NO_ERROR)
    assert isinstance(ping, PingFrame)
    link.send(headers(3, end=True), frames.frame(frames.PING, frames.ACK, 0, ping.opaque_data))
    (second,) = link.answers()
    assert isinstance(second, GoAwayFrame)
    assert (second.last_stream_id, second.error_code) == (3, frames.NO_ERROR)
    link.send(headers(5), data(5, b"too late", end=True))
    assert len(link.asked) == 2
    await answered(link.asked[0])
    assert not link.wire.is_closing()
    await answered(link.asked[1])
    assert [frame.stream_id for frame in link.answers()] == [1, 1, 1, 3, 3, 3]
    assert link.wire.is_closing()
    assert link.losses == 1


async def test_a_connection_without_requests_ends_at_once() -> None:
    link = Link()
    link.connection.shut_down()
    link.send(pong_of(link))
    assert link.codes(GoAwayFrame) == [(0, frames.NO_ERROR)]
    assert link.wire.is_closing()


async def test_a_client_that_does_not_answer_hears_a_last_call() -> None:
    link = Link(Http2Limits(goaway_grace=0.0))
    link.connection.shut_down()
    await turns()
    assert len(link.codes(GoAwayFrame)) == 2
    assert link.wire.is_closing()


async def test_a_connection_is_shut_once() -> None:
    link = Link()
    link.connection.shut_down()
    link.answers()
    link.connection.shut_down()
    assert not link.answers()


async def test_a_connection_whose_fault_is_not_sent_yet_is_shut_down_too() -> None:
    link = Link()
    link.send(headers(1), frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)))
    link.connection.shut_down()
    assert link.codes(GoAwayFrame) == [(0, frames.PROTOCOL_ERROR)]
    assert link.wire.is_closing()


async def test_an_answer_to_another_ping_ends_nothing() -> None:
    link = Link()
    answer = frames.frame(frames.PING, frames.ACK, 0, b"the end?")
    link.send(answer)
    link.connection.shut_down()
    link.send(frames.frame(frames.PING, frames.ACK, 0, b"whatever"), headers(1, end=True))
    assert link.asked[0].whole == 1


async def test_a_goaway_of_the_client_lets_its_requests_finish() -> None:
    link = Link()
    link.send(headers(1, end=True), frames.goaway(0, frames.NO_ERROR, "bye"))
    assert link.codes(GoAwayFrame) == [(0, frames.NO_ERROR)]
    link.send(headers(3, end=True))
    assert len(link.asked) == 1
    await answered(link.asked[0])
    assert [frame.stream_id for frame in link.answers()] == [1, 1, 1]
    assert link.wire.is_closing()


async def test_a_goaway_of_a_client_without_requests_closes() -> None:
    link = Link()
    link.send(frames.goaway(0, frames.NO_ERROR))
    assert link.wire.is_closing()


async def test_requests_after_the_end_still_keep_the_tables_alike() -> None:
    link = Link()
    link.send(headers(1), frames.goaway(0, frames.NO_ERROR))
    # A request that is not served names a field, and the trailers of one that is served refer to it.
    link.send(frames.frame(frames.HEADERS, 0x5, 3, encoded(REQUEST) + b"\x40\x01a\x011"))
    link.send(frames.frame(frames.HEADERS, 0x5, 1, b"\xbe"))
    assert len(link.codes(GoAwayFrame)) == 1
    assert link.asked[0].whole == 1


async def test_what_comes_behind_a_fault_is_read_for_a_moment_so_that_the_client_gets_the_fault() -> None:
    link = Link(Http2Limits(linger=0.01))
    link.wire.halves = True
    link.send(headers(1), frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2"))
    assert link.codes(GoAwayFrame) == [(0, frames.PROTOCOL_ERROR)]
    assert link.asked[0].gone == 1
    assert link.wire.is_closing()
    link.send(headers(3), data(1, b"what was on its way"))
    assert len(link.asked) == 1
    assert link.losses == 0
    async with asyncio.timeout(30):
        while not link.losses:
            await asyncio.sleep(0.001)
    assert link.wire.is_aborted()


async def test_a_client_that_was_notified_of_its_fault_may_hang_up() -> None:
    link = Link()
    link.wire.halves = True
    link.send(frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2"))
    assert not link.connection.eof_received()
    link.connection.connection_lost(None)
    assert link.losses == 1
