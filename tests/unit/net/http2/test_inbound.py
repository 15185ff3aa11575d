"""Unauthenticated senders hold little of a connection; an accepted request may have a body of any size."""

import pytest
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    WindowUpdateFrame,
)
from tests.support import http2_frames as frames
from tests.support.http2 import Link, data, headers

from kiteward.net.http2.limits import Http2Limits

CREDIT = 65_535


def reset(stream: int, code: int = frames.CANCEL) -> bytes:
    return frames.reset(stream, code)


def granted(link: Link, stream: int) -> int:
    """Return how many bytes more the client was allowed since this was asked last."""
    return sum(
        frame.window_increment
        for frame in link.answers()
        if isinstance(frame, WindowUpdateFrame) and frame.stream_id == stream
    )


async def test_unknown_senders_hold_no_more_of_a_connection_than_allowed() -> None:
    limits = Http2Limits(unauthenticated=128 * 1024)
    link = Link(limits, greeted=False)
    window = CREDIT + granted(link, 0)
    assert window == limits.unauthenticated
    link.send(frames.settings({}))
    for stream in range(1, 17, 2):
        link.send(headers(stream), data(stream, b"x" * 16_384))
    assert sum(len(asked.body) for asked in link.asked) == limits.unauthenticated
    assert granted(link, 0) == 0
    link.send(data(15, b"x"))
    assert link.codes(GoAwayFrame) == [(0, frames.FLOW_CONTROL_ERROR)]


async def test_what_unknown_senders_held_is_given_back_when_they_are_gone() -> None:
    limits = Http2Limits(unauthenticated=128 * 1024)
    link = Link(limits)
    for stream in range(1, 17, 2):
        link.send(headers(stream), data(stream, b"x" * 16_384))
    link.answers()
    for stream in range(1, 9, 2):
        link.send(reset(stream))
    assert granted(link, 0) == limits.unauthenticated // 2
    link.asked[4].answer()
    link.asked[5].answer()
    link.send(data(13, b"", end=True), data(15, b"", end=True))
    assert granted(link, 0) == 0  # whole, and still there
    link.asked[6].answer()
    link.asked[7].answer()
    assert granted(link, 0) == limits.unauthenticated // 2


async def test_no_stream_takes_more_than_its_window_before_it_is_accepted() -> None:
    link = Link()
    link.send(headers(1), *(data(1, b"x" * 13_107) for _ in range(5)))
    assert not link.answers()
    link.send(data(1, b"x"))
    assert link.codes(GoAwayFrame) == [(0, frames.FLOW_CONTROL_ERROR)]
    assert link.asked[0].gone == 1


@pytest.mark.parametrize("size", [0, 10, CREDIT, CREDIT + 1, 3_000_000, 70_000_000])
async def test_a_body_of_any_announced_size_flows_when_its_sender_is_accepted(size: int) -> None:
    link = Link(greeted=False)
    windows = {0: CREDIT, 1: CREDIT}
    link.send(frames.settings({}), headers(1))
    asked = link.asked[0]
    asked.on_received = asked.body.clear
    got = 0
    chunk = memoryview(bytes(frames.FRAME_LIMIT))
    while got < size:
        for frame in link.answers():
            if isinstance(frame, WindowUpdateFrame):
                windows[frame.stream_id] += frame.window_increment
        now = min(frames.FRAME_LIMIT, size - got, *windows.values())
        assert now, f"stuck at {got} of {size}: {windows}"
        link.send(data(1, bytes(chunk[:now])))
        for stream in windows:
            windows[stream] -= now
        if not got:
            asked.stream.admit(size)
        got += now
    link.send(data(1, b"", end=True))
    assert asked.whole == 1


@pytest.mark.parametrize("size", [20_000, CREDIT - 1, CREDIT, CREDIT + 1, 200_000])
async def test_the_window_is_open_when_the_body_that_was_accepted_is_whole(size: int) -> None:
    link = Link()
    link.send(headers(1))
    link.send(*(data(1, bytes(10_000)) for _ in range(2)))
    link.asked[0].stream.admit(size)
    assert CREDIT + granted(link, 1) > size


async def test_a_connection_on_which_one_was_accepted_takes_more() -> None:
    limits = Http2Limits(authenticated=1_000_000)
    link = Link(limits)
    link.send(headers(1), headers(3))
    link.asked[0].stream.admit(10)
    assert granted(link, 0) == limits.authenticated
    link.asked[0].stream.admit(10)
    link.asked[1].stream.admit(10)
    assert granted(link, 0) == 0


async def test_a_connection_takes_more_even_if_who_was_accepted_had_sent_everything() -> None:
    limits = Http2Limits(authenticated=1_000_000)
    link = Link(limits)
    link.send(headers(1, end=True))
    link.asked[0].stream.admit(0)
    assert granted(link, 0) == limits.authenticated


async def test_accepting_what_is_gone_changes_nothing_for_it() -> None:
    link = Link()
    link.send(headers(1), reset(1))
    link.asked[0].stream.admit(1_000_000)
    assert granted(link, 1) == 0


async def test_padding_is_no_part_of_the_body_that_is_waited_for() -> None:
    size = 200_000
    link = Link(greeted=False)
    windows = {0: CREDIT, 1: CREDIT}
    link.send(frames.settings({}), headers(1))
    asked = link.asked[0]
    left = size
    while left:
        for frame in link.answers():
            if isinstance(frame, WindowUpdateFrame):
                windows[frame.stream_id] += frame.window_increment
        room = min(windows.values())
        assert room, f"stuck with {left} left"
        padding = min(255, max(0, room - 2))
        piece = min(left, 1_000, room - padding - 1) or min(left, room)
        if piece < room:
            link.send(DataFrame(1, b"x" * piece, pad_length=padding, flags=["PADDED"]).serialize())
        else:
            padding = -1
            link.send(data(1, b"x" * piece))
        for stream in windows:
            windows[stream] -= piece + padding + 1
        left -= piece
        if len(asked.body) == piece:
            asked.stream.admit(size)
    link.send(data(1, b"", end=True))
    assert (len(asked.body), asked.whole) == (size, 1)
