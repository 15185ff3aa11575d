"""A connection: requests come in, answers go out, and what breaks the protocol ends a stream or everything."""

import hpack
import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from tests.support import http2_frames as frames
from tests.support.http2 import ANSWER, REQUEST, TRAILERS, Link, data, decoded, headers, turns

from kiteward.net.http2.limits import Http2Limits

CREDIT = 65_535

NO_RFC7540_PRIORITIES = 9
"""RFC 9218, 2.1."""


def shown(sent: list[Frame]) -> list[tuple[object, int, object]]:
    """Return type, stream and payload of frames with one, of HEADERS the fields."""
    decoder = hpack.Decoder()

    def payload(frame: Frame) -> object:
        return decoded(decoder, frame) if isinstance(frame, HeadersFrame) else getattr(frame, "data", b"")

    return [(type(frame), frame.stream_id, payload(frame)) for frame in sent]


def reset(stream: int, code: int = frames.CANCEL) -> bytes:
    return frames.reset(stream, code)


# Beginning


async def test_a_connection_begins_with_what_its_client_may_take() -> None:
    limits = Http2Limits(streams=7, unauthenticated=300_000)
    settings, window = Link(limits, greeted=False).answers()
    assert isinstance(settings, SettingsFrame)
    assert settings.settings == {
        SettingsFrame.ENABLE_PUSH: 0,
        SettingsFrame.MAX_CONCURRENT_STREAMS: 7,
        NO_RFC7540_PRIORITIES: 1,
    }
    assert isinstance(window, WindowUpdateFrame)
    assert (window.stream_id, window.window_increment) == (0, 300_000 - CREDIT)


async def test_settings_are_acknowledged_and_pings_are_answered() -> None:
    link = Link()
    link.send(frames.settings({frames.MAX_FRAME_SIZE: 20_000}), PingFrame(0, b"12345678").serialize())
    acknowledged, pong = link.answers()
    assert isinstance(acknowledged, SettingsFrame)
    assert "ACK" in acknowledged.flags
    assert isinstance(pong, PingFrame)
    assert "ACK" in pong.flags
    assert pong.opaque_data == b"12345678"


async def test_frames_of_other_kinds_are_ignored() -> None:
    link = Link()
    link.send(frames.frame(0xEE, 0xFF, 5, b"?"), headers(1, end=True))
    assert link.asked[0].whole
    assert not link.answers()


async def test_a_connection_knows_the_address_of_its_client() -> None:
    link = Link()
    link.send(headers(1))
    assert link.connection.address == link.asked[0].stream.address == "192.0.2.7:4711"


# Requests and answers


async def test_a_request_comes_with_its_head_and_its_body() -> None:
    link = Link()
    link.send(headers(1), data(1, b"one "))
    asked = link.asked[0]
    assert (asked.head.path, bytes(asked.body), asked.whole) == (b"/test", b"one ", 0)
    link.send(data(1, b"two", end=True))
    assert (bytes(asked.body), asked.whole, asked.gone) == (b"one two", 1, 0)


async def test_a_body_may_end_with_trailers() -> None:
    link = Link()
    link.send(headers(1), data(1, b"body"), headers(1, [("x-checksum", "1")], end=True))
    assert (bytes(link.asked[0].body), link.asked[0].whole) == (b"body", 1)


async def test_an_answer_is_a_head_a_body_and_trailers() -> None:
    link = Link()
    link.send(headers(1, end=True))
    link.asked[0].answer(b"one ", b"two")
    head, body, trailers = link.answers()
    assert shown([head, body, trailers]) == [
        (HeadersFrame, 1, ANSWER),
        (DataFrame, 1, b"one two"),
        (HeadersFrame, 1, TRAILERS),
    ]
    assert ["END_STREAM" in frame.flags for frame in (head, body, trailers)] == [False, False, True]


async def test_an_answer_without_a_body_is_one_frame() -> None:
    link = Link()
    link.send(headers(1, end=True))
    link.asked[0].answer()
    (head,) = link.answers()
    assert shown([head]) == [(HeadersFrame, 1, ANSWER)]
    assert {"END_STREAM", "END_HEADERS"} <= set(head.flags)


async def test_a_request_may_be_answered_as_it_begins() -> None:
    link = Link()
    link.application.at_once = lambda asked: asked.answer()
    link.send(headers(1, end=True), headers(3), data(3, b"for nothing", end=True))
    first, second = link.asked
    assert (first.whole, second.whole, bytes(second.body)) == (0, 0, b"")
    assert shown(link.answers()) == [
        (HeadersFrame, 1, ANSWER),
        (HeadersFrame, 3, ANSWER),
    ]


async def test_an_answer_before_the_body_has_ended_makes_the_client_stop_sending() -> None:
    link = Link()
    link.send(headers(1), data(1, b"beginning"))
    link.asked[0].answer(b"no")
    assert link.codes(RstStreamFrame) == [(1, frames.NO_ERROR)]
    # What was on its way is no fault, and nobody hears of it.
    link.send(data(1, b"rest"), headers(1, [("x-checksum", "1")], end=True))
    assert bytes(link.asked[0].body) == b"beginning"
    assert not link.asked[0].whole
    assert not link.answers()


async def test_an_answer_while_the_last_bytes_are_taken_is_no_reason_to_reset() -> None:
    link = Link()
    link.send(headers(1))
    asked = link.asked[0]
    asked.on_received = asked.answer
    link.send(data(1, b"all", end=True))
    assert shown(link.answers()) == [(HeadersFrame, 1, ANSWER)]
    assert not asked.whole


async def test_only_the_first_answer_counts() -> None:
    link = Link()
    link.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 2}), headers(1, end=True))
    link.answers()
    link.asked[0].answer(b"first")
    link.asked[0].answer(b"second")
    link.asked[0].answer()
    sent = link.answers()
    link.send(frames.window_update(1, 100))
    link.asked[0].answer(b"third")
    assert shown(sent + link.answers()) == [
        (HeadersFrame, 1, ANSWER),
        (DataFrame, 1, b"fi"),
        (DataFrame, 1, b"rst"),
        (HeadersFrame, 1, TRAILERS),
    ]


async def test_an_answer_to_nobody_is_not_sent() -> None:
    link = Link()
    link.send(headers(1), reset(1))
    link.asked[0].answer(b"late")
    assert not link.answers()


async def test_a_reset_by_the_client_ends_the_exchange_once() -> None:
    link = Link()
    link.send(headers(1), data(1, b"body"), reset(1), reset(1))
    assert (link.asked[0].gone, link.asked[0].whole) == (1, 0)
    assert not link.answers()


async def test_a_reset_takes_back_an_answer_that_waits() -> None:
    link = Link()
    link.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 1}), headers(1, end=True))
    link.asked[0].answer(b"body")
    link.send(reset(1))
    link.answers()
    link.send(frames.window_update(0, 100))
    assert not link.answers()
    assert link.asked[0].gone == 1


async def test_more_requests_at_once_than_allowed_are_refused_alone() -> None:
    link = Link(Http2Limits(streams=2))
    link.send(headers(1), headers(3), headers(5), data(5, b"on its way", end=True))
    assert len(link.asked) == 2
    assert link.codes(RstStreamFrame) == [(5, frames.REFUSED_STREAM)]
    link.asked[0].answer()
    link.answers()
    link.send(headers(7))
    assert len(link.asked) == 3


async def test_a_client_that_knows_how_many_requests_are_allowed_ends_its_connection_by_more() -> None:
    link = Link(Http2Limits(streams=2))
    link.send(frames.SETTINGS_ACK, headers(1), headers(3), headers(5))
    assert link.codes(GoAwayFrame) == [(0, frames.PROTOCOL_ERROR)]
    assert [asked.gone for asked in link.asked] == [1, 1]


async def test_a_lost_connection_loses_every_exchange_once() -> None:
    link = Link()
    link.send(headers(1), headers(3, end=True))
    link.wire.abort()
    await turns()
    assert [asked.gone for asked in link.asked] == [1, 1]
    assert link.losses == 1
    assert link.application.left_by == [link.connection]


async def test_a_connection_is_struck_off_even_if_an_exchange_does_not_bear_its_loss() -> None:
    link = Link()
    link.send(headers(1))

    def fails() -> None:
        raise RuntimeError("lost")

    link.asked[0].lost = fails  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        link.connection.connection_lost(None)
    assert link.losses == 1
    assert link.application.left_by == [link.connection]


async def test_a_client_that_sends_nothing_more_is_disconnected() -> None:
    link = Link(taking=False)
    link.send(headers(1, end=True))
    assert not link.connection.eof_received()
    assert link.wire.is_closing()
    assert link.asked[0].gone == 1


async def test_a_client_that_sends_nothing_more_gets_what_was_answered_before() -> None:
    link = Link()
    link.send(headers(1, end=True))
    link.asked[0].answer(b"answer")
    link.connection.eof_received()
    assert [frame.stream_id for frame in link.answers()] == [1, 1, 1]


# Lengths that were announced


def announcing(length: int) -> list[tuple[str, str]]:
    return [*REQUEST, ("content-length", str(length))]


async def test_a_body_of_the_announced_length_is_taken() -> None:
    link = Link()
    link.send(headers(1, announcing(4)), data(1, b"bo"), data(1, b"dy", end=True))
    link.send(headers(3, announcing(0), end=True))
    assert [asked.whole for asked in link.asked] == [1, 1]


@pytest.mark.parametrize(
    "body",
    [
        [data(1, b"bod", end=True)],
        [data(1, b"bodys", end=True)],
        [data(1, b"bod"), data(1, b"", end=True)],
        [data(1, b"bod"), headers(1, [("a", "b")], end=True)],
    ],
)
async def test_a_body_of_another_length_than_announced_is_refused(body: list[bytes]) -> None:
    link = Link()
    link.send(headers(1, announcing(4)), *body)
    assert link.codes(RstStreamFrame) == [(1, frames.PROTOCOL_ERROR)]
    assert (link.asked[0].whole, link.asked[0].gone) == (0, 1)


async def test_a_request_without_the_body_that_it_announced_is_refused() -> None:
    link = Link()
    link.send(headers(1, announcing(4), end=True))
    assert link.codes(RstStreamFrame) == [(1, frames.PROTOCOL_ERROR)]
    assert not link.asked
    link.send(headers(3, end=True))
    assert link.asked[0].whole


# Faults of a stream


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([headers(1, REQUEST[:2])], frames.PROTOCOL_ERROR),
        ([headers(1), headers(1, [("a", "b")])], frames.PROTOCOL_ERROR),
        ([headers(1), headers(1, [(":path", "/")], end=True)], frames.PROTOCOL_ERROR),
        ([headers(1), headers(1, [("Bad", "b")], end=True)], frames.PROTOCOL_ERROR),
    ],
    ids=[
        "malformed",
        "fields in the middle",
        "pseudo-header field in trailers",
        "malformed trailers",
    ],
)
async def test_a_fault_of_a_stream_ends_it_alone(sent: list[bytes], code: int) -> None:
    link = Link()
    link.send(*sent)
    assert link.codes(RstStreamFrame) == [(1, code)]
    assert all(asked.gone == 1 for asked in link.asked)
    link.send(headers(3, end=True))
    assert link.asked[-1].whole == 1


# Faults of the connection


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([headers(1), data(1, b"x", end=True), data(1, b"x")], frames.STREAM_CLOSED),
        ([headers(1, end=True), headers(1, [("a", "b")], end=True)], frames.STREAM_CLOSED),
        ([headers(1), frames.window_update(1, 0)], frames.PROTOCOL_ERROR),
        ([headers(1), frames.window_update(1, 2**31 - 1)], frames.FLOW_CONTROL_ERROR),
        ([headers(2)], frames.PROTOCOL_ERROR),
        ([headers(0)], frames.PROTOCOL_ERROR),
        ([headers(3, end=True), headers(1)], frames.STREAM_CLOSED),
        ([data(1, b"x")], frames.PROTOCOL_ERROR),
        ([data(0, b"x")], frames.PROTOCOL_ERROR),
        ([headers(3), data(2, b"x")], frames.PROTOCOL_ERROR),
        ([headers(1), frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abc")], frames.PROTOCOL_ERROR),
        ([reset(1)], frames.PROTOCOL_ERROR),
        ([reset(0)], frames.PROTOCOL_ERROR),
        ([headers(1), frames.frame(frames.RST_STREAM, 0, 1, b"\0\0\0")], frames.FRAME_SIZE_ERROR),
        ([frames.frame(frames.SETTINGS, 0, 1, b"")], frames.PROTOCOL_ERROR),
        ([frames.SETTINGS_ACK, frames.SETTINGS_ACK], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.SETTINGS, 0, 0, b"\0" * 5)], frames.FRAME_SIZE_ERROR),
        ([frames.frame(frames.SETTINGS, frames.ACK, 0, b"\0" * 6)], frames.FRAME_SIZE_ERROR),
        ([frames.settings({frames.ENABLE_PUSH: 2})], frames.PROTOCOL_ERROR),
        ([frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31})], frames.FLOW_CONTROL_ERROR),
        ([frames.settings({frames.MAX_FRAME_SIZE: 16_383})], frames.PROTOCOL_ERROR),
        ([frames.settings({frames.MAX_FRAME_SIZE: 2**24})], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2")], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.PING, 0, 1, b"\0" * 8)], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.PING, 0, 0, b"\0" * 7)], frames.FRAME_SIZE_ERROR),
        ([frames.frame(frames.GOAWAY, 0, 1, b"\0" * 8)], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.GOAWAY, 0, 0, b"\0" * 7)], frames.FRAME_SIZE_ERROR),
        ([frames.window_update(0, 0)], frames.PROTOCOL_ERROR),
        ([frames.window_update(0, 2**31 - 1)], frames.FLOW_CONTROL_ERROR),
        ([frames.window_update(1, 1)], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0\0\1")], frames.FRAME_SIZE_ERROR),
        ([frames.frame(frames.PRIORITY, 0, 0, b"\0" * 5)], frames.PROTOCOL_ERROR),
        ([frames.frame(frames.PRIORITY, 0, 1, b"\0" * 4)], frames.FRAME_SIZE_ERROR),
        ([frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff")], frames.COMPRESSION_ERROR),
        ([headers(1), frames.frame(frames.HEADERS, 0x5, 1, b"\xff")], frames.COMPRESSION_ERROR),
    ],
)
async def test_a_fault_of_the_connection_ends_it(sent: list[bytes], code: int) -> None:
    link = Link()
    link.send(*sent)
    link.end_turn()
    link.send(headers(99, end=True))
    assert link.codes(GoAwayFrame) == [(0, code)]
    assert link.wire.is_closing()
    assert all(asked.gone == 1 for asked in link.asked)
    assert b"/test" not in [asked.head.path for asked in link.asked if asked.stream.number == 99]
    await turns()
    assert link.losses == 1


async def test_after_a_fault_nothing_is_taken_and_nothing_is_sent() -> None:
    link = Link(taking=False)
    link.send(headers(1))
    link.send(headers(2))
    link.answers()
    link.send(headers(3, end=True), PingFrame(0).serialize())
    link.asked[0].answer(b"late")
    link.connection.shut_down()
    assert len(link.asked) == 1
    assert not link.answers()


async def test_whoever_does_not_take_the_end_is_broken_off() -> None:
    link = Link(Http2Limits(linger=0.0), taking=False)
    link.send(headers(2))
    link.answers()
    assert not link.wire.is_aborted()
    await turns()
    assert link.wire.is_aborted()
    assert link.losses == 1


async def test_what_a_fault_says_is_nothing_that_the_client_sent() -> None:
    link = Link()
    link.send(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x00\x01a\x7fhunter2"))
    (goaway,) = link.answers()
    assert isinstance(goaway, GoAwayFrame)
    assert b"hunter2" not in goaway.additional_data


# Turns


async def test_what_one_client_sends_at_once_is_taken_in_turns_with_others() -> None:
    link = Link(Http2Limits(frames_per_turn=4))
    taken: list[int] = []
    link.send(*(headers(number, end=True) for number in range(1, 24, 2)))
    assert (len(link.asked), link.wire.is_reading()) == (4, False)
    while len(link.asked) < 12:
        taken.append(len(link.asked))
        await turns(1)
    assert taken == [4, 8]
    assert [asked.stream.number for asked in link.asked] == list(range(1, 24, 2))
    await turns()
    assert link.wire.is_reading()


async def test_a_client_that_takes_no_answers_is_not_read_when_its_turns_are_over() -> None:
    link = Link(Http2Limits(frames_per_turn=4))
    link.send(*(headers(number, end=True) for number in range(1, 14, 2)))
    link.connection.pause_writing()
    await turns()
    assert (len(link.asked), link.wire.is_reading()) == (7, False)
    link.connection.resume_writing()
    assert link.wire.is_reading()


async def test_answers_that_are_taken_again_do_not_end_a_wait_for_the_next_turn() -> None:
    link = Link(Http2Limits(frames_per_turn=4))
    link.send(*(headers(number, end=True) for number in range(1, 14, 2)))
    link.connection.pause_writing()
    link.connection.resume_writing()
    assert not link.wire.is_reading()
    await turns()
    assert (len(link.asked), link.wire.is_reading()) == (7, True)


async def test_what_waits_for_its_turn_goes_with_its_connection() -> None:
    link = Link(Http2Limits(frames_per_turn=4))
    link.send(*(headers(number, end=True) for number in range(1, 14, 2)))
    link.connection.connection_lost(None)
    await turns()
    assert len(link.asked) == 4


async def test_a_fault_in_a_later_turn_ends_the_connection() -> None:
    link = Link(Http2Limits(frames_per_turn=4))
    link.send(*(headers(number, end=True) for number in range(1, 10, 2)), headers(4, end=True))
    await turns()
    assert link.codes(GoAwayFrame) == [(0, frames.PROTOCOL_ERROR)]
