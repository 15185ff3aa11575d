"""What a client may take of a connection: time, frames that ask for nothing, and places."""

import hpack
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from tests.support import http2_frames as frames
from tests.support.http2 import REQUEST, Clock, Link, data, headers, turns

from kiteward.net.http2.limits import Http2Limits

LIMITS = Http2Limits(
    settings_timeout=10.0,
    idle=100.0,
    ping_timeout=20.0,
    stall=30.0,
    rate=1_000,
    control_frames=10,
    control_frame_rate=2,
)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def pings(sent: list[Frame]) -> list[bytes]:
    return [frame.opaque_data for frame in sent if isinstance(frame, PingFrame) and "ACK" not in frame.flags]


# Time


async def test_a_client_must_greet_in_time(clock: Clock) -> None:
    link = Link(LIMITS, greeted=False)
    clock.forward(9.9, link)
    assert not link.wire.is_aborted()
    clock.forward(0.2, link)
    assert link.wire.is_aborted()


async def test_half_a_greeting_is_none(clock: Clock) -> None:
    link = Link(LIMITS, greeted=False)
    link.send(frames.settings({1: 1})[:-1])
    clock.forward(10.1, link)
    assert link.wire.is_aborted()


async def test_half_a_frame_must_go_on(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(headers(1)[:5])
    clock.forward(29.9, link)
    assert not link.wire.is_aborted()
    link.send(headers(1)[5:8])  # a trickle does not count
    clock.forward(0.2, link)
    assert link.wire.is_aborted()
    await turns()
    assert link.losses == 1


async def test_half_a_frame_after_a_long_silence_has_its_time_too(clock: Clock) -> None:
    link = Link(LIMITS)
    clock.forward(90.0, link)
    link.send(headers(1, end=True)[:5])
    clock.forward(29.9, link)
    assert not link.wire.is_aborted()
    link.send(headers(1, end=True)[5:])
    clock.forward(29.9, link)
    assert not link.wire.is_aborted()
    assert link.asked[0].whole == 1


async def test_a_field_section_must_go_on(clock: Clock) -> None:
    link = Link(LIMITS)
    clock.forward(90.0, link)
    link.send(HeadersFrame(1, data=b"x").serialize())
    clock.forward(29.9, link)
    assert not link.wire.is_aborted()
    clock.forward(0.2, link)
    assert link.wire.is_aborted()


async def test_a_silent_client_is_asked_whether_it_is_there(clock: Clock) -> None:
    link = Link(LIMITS)
    clock.forward(99.9, link)
    assert not pings(link.answers())
    clock.forward(0.2, link)
    (question,) = pings(link.answers())
    clock.forward(19.9, link)
    assert not pings(link.answers())
    assert not link.wire.is_aborted()
    link.send(frames.frame(frames.PING, frames.ACK, 0, question))
    clock.forward(99.9, link)
    assert not link.wire.is_aborted()
    clock.forward(0.2, link)
    assert pings(link.answers())
    clock.forward(20.1, link)
    assert link.wire.is_aborted()


async def test_whatever_a_client_sends_shows_that_it_is_there(clock: Clock) -> None:
    link = Link(LIMITS)
    clock.forward(100.1, link)
    link.send(headers(1, end=True))
    clock.forward(99.9, link)
    assert not link.wire.is_aborted()


async def test_a_body_that_does_not_come_is_cancelled_alone(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(headers(1), headers(3, end=True), headers(5), data(5, b"x", end=True))
    clock.forward(29.9, link)
    assert not link.answers()
    clock.forward(0.2, link)
    assert link.codes(RstStreamFrame) == [(1, frames.CANCEL)]
    assert [asked.gone for asked in link.asked] == [1, 0, 0]
    assert not link.wire.is_aborted()


async def test_a_body_may_take_as_long_as_its_size_allows(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(headers(1), data(1, b"x" * 10_000))
    clock.forward(39.9, link)
    assert not link.answers()
    clock.forward(0.2, link)
    assert link.codes(RstStreamFrame) == [(1, frames.CANCEL)]


async def test_an_answer_may_be_thought_about(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(headers(1, end=True))
    for _ in range(10):
        clock.forward(90.0, link)
        link.send(PingFrame(0).serialize())
    link.asked[0].answer(b"at last")
    assert not link.wire.is_aborted()


async def test_an_answer_that_is_not_taken_at_the_rate_is_given_up(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 5}), headers(1, end=True), headers(3, end=True))
    clock.forward(50.0, link)
    link.asked[0].answer(b"x" * 5 * LIMITS.rate)
    link.asked[1].answer(b"another")
    clock.forward(29.9, link)
    link.send(frames.window_update(1, 2 * LIMITS.rate - 5), frames.window_update(3, 1))
    assert not link.asked[1].gone
    clock.forward(0.2, link)
    assert link.codes(RstStreamFrame) == [(3, frames.CANCEL)]
    clock.forward(1.8, link)
    assert not link.asked[0].gone
    link.send(PingFrame(0).serialize())  # being there is not enough
    clock.forward(0.2, link)
    assert link.codes(RstStreamFrame) == [(1, frames.CANCEL)]
    assert [asked.gone for asked in link.asked] == [1, 1]
    assert not link.wire.is_aborted()


async def test_whoever_does_not_take_what_was_sent_is_broken_off(clock: Clock) -> None:
    link = Link(LIMITS, taking=False)
    link.send(frames.window_update(0, 2**30), frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    link.send(headers(1, end=True))
    clock.forward(50.0, link)
    link.asked[0].answer(b"x" * 1_000_000)
    clock.forward(29.9, link)
    assert not link.wire.is_aborted()
    clock.forward(0.2, link)
    assert link.wire.is_aborted()


async def test_whoever_takes_what_was_sent_has_time_to_allow_more(clock: Clock) -> None:
    link = Link(LIMITS, taking=False)
    link.send(frames.window_update(0, 2**30), frames.settings({frames.INITIAL_WINDOW_SIZE: 16 * 16_384}))
    link.send(headers(1, end=True))
    link.asked[0].answer(b"x" * 1_000_000)
    assert not link.wire.is_reading()
    clock.forward(29.0, link)
    link.wire.take()  # all that its window had
    clock.forward(29.0, link)
    assert not link.asked[0].gone
    assert not link.wire.is_aborted()


# Reading and writing


async def test_whoever_does_not_take_answers_is_not_read_either(clock: Clock) -> None:
    link = Link(LIMITS, taking=False)
    link.send(frames.window_update(0, 2**30), frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    link.send(headers(1, end=True))
    link.asked[0].answer(b"x" * 1_000_000)
    link.send(frames.window_update(1, 1))
    assert not link.wire.is_reading()
    assert len(link.wire.sent) < 300_000
    reading = []
    received = 0
    while "END_STREAM" not in (sent := link.answers())[-1].flags:
        received += sum(len(frame.data) for frame in sent if isinstance(frame, DataFrame))
        reading.append(link.wire.is_reading())
        link.wire.take()
    received += sum(len(frame.data) for frame in sent if isinstance(frame, DataFrame))
    assert received == 1_000_000
    assert not any(reading)
    link.wire.take()
    assert link.wire.is_reading()


# Frames that ask for nothing


def _noises() -> dict[str, bytes]:
    """Return frames that ask for nothing, on a connection with a stream that goes on, one answered and one dropped."""
    return {
        "a ping": PingFrame(0).serialize(),
        "an answer to a ping that nobody sent": frames.frame(frames.PING, frames.ACK, 0, b"whatever"),
        "settings": frames.settings({}),
        "a priority": frames.frame(frames.PRIORITY, 0, 1, b"\0" * 5),
        "a reset of a stream that has ended": frames.reset(3, frames.CANCEL),
        "a frame of a kind that nobody knows": frames.frame(0xEE, 0, 0, b""),
        "no byte of a body": data(1, b""),
        "nothing but padding": DataFrame(1, pad_length=9, flags=["PADDED"]).serialize(),
        "no byte of a body that nobody wants": data(5, b""),
        "the end of a body that nobody wants": data(5, b"", end=True),
        "trailers of a body that nobody wants": headers(5, [("a", "b")], end=True),
        "a goaway": frames.goaway(0, frames.NO_ERROR),
    }


async def link_with_streams(limits: Http2Limits = LIMITS) -> Link:
    """Return a connection with a stream that goes on, 1, an answered one, 3, and one of which we want no more, 5."""
    link = Link(limits)
    link.send(headers(1), headers(3, end=True), headers(5))
    link.asked[1].answer()
    link.asked[2].answer()
    link.answers()
    return link


@pytest.mark.parametrize("noise", _noises().values(), ids=_noises().keys())
async def test_frames_that_ask_for_nothing_are_borne_for_a_while(clock: Clock, noise: bytes) -> None:
    link = await link_with_streams()
    # The first settings count as a control frame too, and two answers allow some more.
    link.send(noise * 8)
    assert (0, frames.ENHANCE_YOUR_CALM) not in link.codes(GoAwayFrame)
    assert not link.wire.is_closing()
    link.send(noise * 20)
    assert (0, frames.ENHANCE_YOUR_CALM) in link.codes(GoAwayFrame)
    assert link.wire.is_closing()
    assert link.asked[0].gone == 1


async def test_a_rapid_reset_of_requests_counts_as_control_frames(clock: Clock) -> None:
    link = Link(LIMITS)
    for stream in range(1, 99, 2):
        link.send(headers(stream, end=True), frames.reset(stream, frames.CANCEL))
    assert link.codes(GoAwayFrame) == [(0, frames.ENHANCE_YOUR_CALM)]
    assert len(link.asked) <= LIMITS.control_frames


async def test_a_client_that_cancels_many_calls_of_very_many_is_no_attacker(clock: Clock) -> None:
    link = Link(LIMITS)
    for stream in range(1, 9_999, 4):
        link.send(headers(stream, end=True), headers(stream + 2, end=True), frames.reset(stream, frames.CANCEL))
        link.asked[-1].answer(b"answer")
        link.end_turn()
    assert not link.wire.is_closing()


@pytest.mark.parametrize("fault", [[("a", " b")], [("content-length", "5")]], ids=["malformed", "of another length"])
async def test_requests_that_the_session_resets_count_as_control_frames(
    clock: Clock, fault: list[tuple[str, str]]
) -> None:
    link = Link(LIMITS)
    for stream in range(1, 99, 2):
        link.send(headers(stream, [*REQUEST, *fault], end=True))
    assert (0, frames.ENHANCE_YOUR_CALM) in link.codes(GoAwayFrame)
    assert not link.asked


async def test_a_client_may_set_whatever_there_is_to_set(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(frames.settings({1: 0, 2: 0, 3: 1, 4: 70_000, 5: 20_000, 6: 9_000, 8: 0}))
    (acknowledged,) = link.answers()
    assert isinstance(acknowledged, SettingsFrame)


async def test_control_frames_are_forgotten_in_time(clock: Clock) -> None:
    link = Link(LIMITS)
    for _ in range(50):
        link.send(PingFrame(0).serialize() * 2)
        clock.forward(1.0, link)
    assert not link.wire.is_closing()
    clock.forward(90.0, link)
    link.send(PingFrame(0).serialize() * LIMITS.control_frames)
    assert not link.wire.is_closing()
    link.send(PingFrame(0).serialize())
    assert link.codes(GoAwayFrame) == [(0, frames.ENHANCE_YOUR_CALM)]


async def test_requests_that_are_answered_allow_more_control_frames(clock: Clock) -> None:
    link = Link(LIMITS)
    link.application.at_once = lambda asked: asked.answer(b"answer")
    for stream in range(1, 201, 2):
        link.send(headers(stream, end=True), PingFrame(0).serialize() * 3)
    assert len(link.asked) == 100
    assert not link.wire.is_closing()


async def test_requests_bodies_and_windows_are_no_control_frames(clock: Clock) -> None:
    link = Link(LIMITS)
    for stream in range(1, 201, 2):
        link.send(headers(stream), data(stream, b"x" * 100), data(stream, b"y", end=True))
        link.send(frames.window_update(0, 5), frames.window_update(stream, 5))
        link.asked[-1].answer(b"answer")
    assert not link.wire.is_closing()
    assert all(asked.whole for asked in link.asked)


async def test_a_body_that_nobody_wants_any_more_may_be_on_its_way(clock: Clock) -> None:
    link = await link_with_streams()
    for _ in range(100):
        link.send(data(5, b"x" * 16_384))
    assert not link.wire.is_closing()


async def test_a_field_section_without_end_is_refused(clock: Clock) -> None:
    link = Link(LIMITS)
    link.send(HeadersFrame(1, data=b"x").serialize())
    with_pieces = ContinuationFrame(1, data=b"x" * 16_384).serialize()
    for _ in range(LIMITS.header_block // 16_384):
        link.send(with_pieces)
    assert not link.wire.is_closing()
    link.send(with_pieces)
    # The request is answered all the same, so that its client does not take it for one that may be repeated.
    *_, answer, ended = link.answers()
    assert isinstance(answer, HeadersFrame)
    assert isinstance(ended, GoAwayFrame)
    assert (answer.stream_id, set(answer.flags)) == (1, {"END_STREAM", "END_HEADERS"})
    fields = {str(name): str(value) for name, value in hpack.Decoder().decode(answer.data)}
    assert fields == {":status": "431", "note": "x" * 300}
    assert (ended.last_stream_id, ended.error_code) == (1, frames.NO_ERROR)


async def test_a_request_with_more_fields_than_allowed_is_said_to_be_too_large(clock: Clock) -> None:
    link = Link(Http2Limits(header_list=1_000))
    link.send(headers(1, [*REQUEST, ("a", "b" * 1_500)], end=True))
    assert link.asked[0].head.too_large
    assert link.asked[0].whole == 1
