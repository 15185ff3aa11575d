"""Answers go out as the client allows: no faster, in turns, and whole."""

import asyncio
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from h2.events import ResponseReceived, StreamEnded, TrailersReceived
from hyperframe.frame import DataFrame, HeadersFrame
from hypothesis import given
from hypothesis import strategies as st
from tests.support.http2 import ANSWER, REQUEST, TRAILERS, Wire, parsed, turns
from tests.support.http2 import client as h2_client

from kiteward.net.http2 import frames
from kiteward.net.http2.fields import FORGET_TABLE, encoded
from kiteward.net.http2.frames import ConnectionFault, StreamFault
from kiteward.net.http2.sending import Sender
from kiteward.net.http2.streams import Stream

CREDIT = 65_535
SETTINGS = frames.settings({})


class Nobody:
    """An owner that is never asked. Implements `streams.Owner`."""

    address = source = ""

    def answer(self, stream: Stream, section: bytes, body: tuple[bytes, ...], trailers: bytes) -> None:
        raise AssertionError(stream, section, body, trailers)

    def let_in(self, stream: Stream, size: int) -> None:
        raise AssertionError(stream, size)


class Congested(asyncio.Protocol):
    """Lets a sender learn that its client takes nothing."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def pause_writing(self) -> None:
        self._sender.pause()


class Client:
    """Holds a sender to what it allows: counts every window down as the frames come.

    Attributes:
        bodies: what has come on each stream.
        ended: how often each stream has ended.
        order: the streams of the frames of bodies, as they came.
        sections: the payloads of all field sections, as they came.
    """

    def __init__(self) -> None:
        self.wire = Wire()
        self.sender = Sender(self.wire)
        self.wire.end_turn = self.sender.write_out
        self.streams: dict[int, Stream] = {}
        self.window = CREDIT
        self.windows: dict[int, int] = {}
        self.stream_window = CREDIT
        self.frame_limit = frames.FRAME_LIMIT
        self.bodies: dict[int, bytearray] = {}
        self.ended: Counter[int] = Counter()
        self.done: list[int] = []
        self.order: list[int] = []
        self.sections: list[bytes] = []

    def ask(self) -> Stream:
        number = 2 * len(self.streams) + 1
        stream = Stream(Nobody(), number, since=0.0, window=self.sender.stream_window, length=None)
        self.streams[number] = stream
        self.windows[number] = self.stream_window
        self.bodies[number] = bytearray()
        return stream

    def answer(self, *body: bytes, trailers: bytes = TRAILERS) -> Stream:
        """Ask for something, and have it answered."""
        stream = self.ask()
        if self.sender.answer(stream, ANSWER, body, trailers):
            self.done.append(stream.number)
        self.flush()
        return stream

    def allow(self, amount: int, stream: Stream | None = None) -> None:
        self.sender.allow(amount, stream)
        if stream is None:
            self.window += amount
        else:
            self.windows[stream.number] += amount
        self.flush()

    def set_stream_window(self, size: int) -> None:
        self.sender.set_stream_window([size], list(self.streams.values()))
        for number in self.windows:
            self.windows[number] += size - self.stream_window
        self.stream_window = size
        self.flush()

    def set_frame_limit(self, size: int) -> None:
        self.sender.set_frame_limit(size)
        self.frame_limit = size

    def flush(self) -> None:
        self.done += [stream.number for stream in self.sender.flush()]
        self.look()

    def look(self) -> None:
        """Look at what has come."""
        sent, self.wire.sent = bytes(self.wire.sent), bytearray()
        for frame in parsed(sent):
            number = frame.stream_id
            assert not self.ended[number]
            if isinstance(frame, DataFrame):
                assert len(frame.data) <= self.frame_limit
                self.window -= len(frame.data)
                self.windows[number] -= len(frame.data)
                if frame.data:
                    assert self.window >= 0
                    assert self.windows[number] >= 0
                self.bodies[number] += frame.data
                self.order.append(number)
            else:
                assert isinstance(frame, HeadersFrame)
                assert "END_HEADERS" in frame.flags
                self.sections.append(frame.data)
            self.ended[number] += "END_STREAM" in frame.flags


@pytest.fixture
async def client() -> Client:
    return Client()


# Writes


async def test_answers_of_one_turn_are_written_together_at_its_end(client: Client) -> None:
    for _ in range(20):
        client.sender.answer(client.ask(), ANSWER, (b"one",), TRAILERS)
    assert client.wire.writes == 0
    await turns()
    assert client.wire.writes == 1
    client.look()
    assert client.order == list(range(1, 41, 2))


async def test_large_answers_are_written_at_once_so_that_a_client_that_takes_none_is_noticed(client: Client) -> None:
    client.wire.stop_taking()
    client.set_stream_window(2**31 - 1)
    client.allow(100_000_000)
    client.set_frame_limit(2**24 - 1)
    congested_at = 0
    client.wire.set_protocol(Congested(client.sender))
    for number in range(100):
        if not client.sender.answer(client.ask(), ANSWER, (b"x" * 60_000,), TRAILERS):
            congested_at = number
            break
    assert 4 <= congested_at <= 6


async def test_what_was_sent_before_the_end_goes_out_before_it(client: Client) -> None:
    client.sender.write(frames.SETTINGS_ACK)
    client.sender.close()
    client.sender.write(frames.SETTINGS_ACK)
    await turns()
    assert bytes(client.wire.sent) == frames.SETTINGS_ACK


# Windows


def test_no_more_is_sent_than_the_stream_allows(client: Client) -> None:
    client.set_stream_window(10)
    stream = client.answer(b"a longer answer")
    assert bytes(client.bodies[1]) == b"a longer a"
    assert not client.done
    client.allow(2, stream)
    assert bytes(client.bodies[1]) == b"a longer ans"
    client.allow(100, stream)
    assert bytes(client.bodies[1]) == b"a longer answer"
    assert client.done == [1]
    assert client.ended[1] == 1


def test_no_more_is_sent_than_the_connection_allows(client: Client) -> None:
    client.set_stream_window(2**31 - 1)
    client.answer(b"x" * CREDIT)
    client.answer(b"y")
    assert client.done == [1]
    client.allow(1)
    assert client.done == [1, 3]


def test_answers_without_a_body_wait_for_no_window(client: Client) -> None:
    client.set_stream_window(0)
    client.answer(b"waits")
    client.answer()
    client.answer(b"")
    assert client.done == [3, 5]
    assert client.ended[3] == client.ended[5] == 1


def test_frames_are_no_larger_than_the_client_takes(client: Client) -> None:
    client.answer(b"x" * 40_000)
    client.set_frame_limit(20_000)
    client.allow(100_000)
    client.answer(b"x" * 40_000)
    assert client.order == [1, 1, 1, 3, 3]


def test_an_answer_that_fits_is_one_write_of_three_frames(client: Client) -> None:
    client.answer(b"one", b"", b"two")
    assert client.order == [1]
    assert bytes(client.bodies[1]) == b"onetwo"
    assert client.sections == [ANSWER, TRAILERS]


def test_a_smaller_window_is_heeded_even_below_zero(client: Client) -> None:
    stream = client.answer(b"x" * 70_000)
    client.allow(1_000_000)
    assert len(client.bodies[1]) == CREDIT
    client.set_stream_window(100)
    assert client.windows[1] == 100 - CREDIT
    client.allow(CREDIT - 100, stream)  # back to nothing
    assert len(client.bodies[1]) == CREDIT
    client.allow(5, stream)
    assert len(client.bodies[1]) == CREDIT + 5
    client.set_stream_window(CREDIT)
    assert client.done == [1]
    client.answer(b"y" * CREDIT)
    assert client.done == [1, 3]


def test_a_window_that_shrinks_while_the_connection_has_none_is_heeded(client: Client) -> None:
    client.answer(b"x" * CREDIT)
    stream = client.answer(b"y" * 10)
    client.set_stream_window(0)
    client.allow(100)
    assert not client.bodies[3]
    client.allow(10, stream)
    assert client.done == [1, 3]


@pytest.mark.parametrize("size", [2**31, 2**32 - 1])
def test_a_window_beyond_what_there_is_is_a_fault(client: Client, size: int) -> None:
    with pytest.raises(ConnectionFault) as refused:
        client.set_stream_window(size)
    assert refused.value.code == frames.FLOW_CONTROL_ERROR


def test_windows_may_not_grow_out_of_range(client: Client) -> None:
    stream = client.ask()
    client.allow(2**31 - 1 - CREDIT, stream)
    client.allow(2**31 - 1 - CREDIT)
    with pytest.raises(StreamFault) as of_the_stream:
        client.sender.allow(1, stream)
    with pytest.raises(ConnectionFault) as of_the_connection:
        client.sender.allow(1)
    assert of_the_stream.value.code == of_the_connection.value.code == frames.FLOW_CONTROL_ERROR


def test_a_stream_window_may_not_be_set_out_of_range_for_one_that_was_allowed_more(client: Client) -> None:
    client.allow(2**31 - 1 - CREDIT, client.ask())
    with pytest.raises(ConnectionFault) as refused:
        client.set_stream_window(CREDIT + 1)
    assert refused.value.code == frames.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("size", [0, 16_383, 2**24])
def test_a_frame_limit_that_the_protocol_does_not_have_is_a_fault(client: Client, size: int) -> None:
    with pytest.raises(ConnectionFault) as refused:
        client.sender.set_frame_limit(size)
    assert refused.value.code == frames.PROTOCOL_ERROR


# Turns


def test_streams_that_wait_take_turns(client: Client) -> None:
    client.answer(b"x" * CREDIT)
    for _ in range(3):
        client.answer(b"y" * 40_000)
    client.order.clear()
    client.allow(200_000)
    assert client.order == [3, 5, 7] * 3


def test_a_turn_is_not_lost_between_windows(client: Client) -> None:
    client.answer(b"x" * CREDIT)
    for _ in range(3):
        client.answer(b"y" * 40_000)
    client.order.clear()
    for _ in range(6):
        client.allow(100)
    assert client.order == [3, 5, 7] * 2


def test_a_stream_that_may_not_send_delays_no_other(client: Client) -> None:
    client.set_stream_window(0)
    held = client.answer(b"x" * 1_000)
    client.set_stream_window(100)
    for _ in range(3):
        client.answer(b"y" * 100)
    assert client.done == [3, 5, 7]
    client.sender.forget(held)
    assert not client.sender._waiting


def test_what_is_forgotten_is_sent_no_more(client: Client) -> None:
    client.set_stream_window(1)
    stream = client.answer(b"abc")
    client.sender.forget(stream)
    client.allow(10, stream)
    client.set_stream_window(100)
    assert bytes(client.bodies[1]) == b"a"
    assert not client.sender._waiting


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


@pytest.mark.parametrize("of", ["the connection", "a stream that waits", "a stream that does not"])
async def test_a_window_costs_the_same_however_many_streams_wait(of: str) -> None:
    """Otherwise thirteen bytes of a client were work for a thousand streams."""

    def updates(waiting: int) -> int:
        client = Client()
        client.set_stream_window(0)
        for _ in range(waiting):
            client.answer(b"x" * 100)
        stream = {"the connection": None, "a stream that waits": client.answer(b"x" * 1_000)}.get(of, client.ask())

        def allow() -> None:
            for _ in range(20):
                client.sender.allow(1, stream)
                client.sender.flush()

        return _calls(allow)

    few = updates(1)
    assert few > 20
    assert updates(1_000) < 2 * few


# Field sections


@pytest.mark.parametrize("size", [16_384, 16_385, 32_768, 32_769, 60_000])
def test_a_section_larger_than_a_frame_goes_in_several(client: Client, size: int) -> None:
    h2 = h2_client()
    h2.remote_settings.max_concurrent_streams = 9
    for stream in (1, 3):
        h2.send_headers(stream, REQUEST, end_stream=True)
    section = encoded([(":status", "200"), ("a", "b" * (size - 14 - 3 - 5))])
    assert abs(len(section) - size) < 9
    client.sender.forget_table()
    client.sender.answer(client.ask(), section, (), b"")
    client.sender.answer(client.ask(), ANSWER, (b"body",), encoded([("c", "d" * size)]))
    frames_sent = list(parsed(bytes(client.wire.sent)))
    assert max(frame.body_len for frame in frames_sent) <= frames.FRAME_LIMIT
    events = h2.receive_data(SETTINGS + bytes(client.wire.sent))
    sections = [event.headers for event in events if isinstance(event, (ResponseReceived, TrailersReceived))]
    assert [len(fields[-1][1]) for fields in sections] == [size - 22, 4, size]
    assert sum(isinstance(event, StreamEnded) for event in events) == 2


# A client that takes nothing


def test_a_client_that_does_not_take_is_sent_no_more_bodies(client: Client) -> None:
    client.sender.pause()
    client.answer(b"abc")
    client.answer()
    assert not client.bodies[1]
    assert client.done == [3]
    assert client.sender._waiting
    client.sender.resume()
    client.flush()
    assert client.done == [3, 1]
    assert not client.sender._waiting


async def test_nothing_is_sent_behind_the_end(client: Client) -> None:
    client.set_stream_window(1)
    stream = client.answer(b"abc")
    client.sender.close()
    client.allow(10, stream)
    client.sender.write(frames.SETTINGS_ACK)
    client.look()
    assert bytes(client.bodies[1]) == b"a"
    assert client.wire.is_closing()


# The table


def test_a_table_of_the_client_is_refused_once_with_the_next_section(client: Client) -> None:
    client.answer(b"before")
    client.sender.forget_table()
    client.sender.forget_table()
    client.answer(b"after")
    client.answer()
    assert client.sections == [ANSWER, TRAILERS, FORGET_TABLE + ANSWER, TRAILERS, ANSWER]


def test_the_next_section_may_be_trailers_that_waited(client: Client) -> None:
    client.set_stream_window(1)
    stream = client.answer(b"abc")
    client.sender.forget_table()
    client.allow(10, stream)
    client.answer()
    assert client.sections == [ANSWER, FORGET_TABLE + TRAILERS, ANSWER]


def test_trailers_that_wait_do_not_take_the_refusal_from_a_section_before_them(client: Client) -> None:
    client.set_stream_window(1)
    client.sender.forget_table()
    stream = client.answer(b"abc")
    client.sender.forget_table()
    client.answer()
    client.allow(10, stream)
    assert client.sections == [FORGET_TABLE + ANSWER, FORGET_TABLE + ANSWER, TRAILERS]


# All of it

steps = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.lists(st.integers(0, 40_000), max_size=3)),
        st.tuples(st.just("allow connection"), st.integers(1, 60_000)),
        st.tuples(st.just("allow stream"), st.integers(0, 30), st.integers(1, 60_000)),
        st.tuples(st.just("stream window"), st.integers(0, 70_000)),
        st.tuples(st.just("frame limit"), st.integers(frames.FRAME_LIMIT, 40_000)),
        st.tuples(st.just("table"), st.none()),
        st.tuples(st.just("pause"), st.none()),
        st.tuples(st.just("resume"), st.none()),
        st.tuples(st.just("forget"), st.integers(0, 30)),
    ),
    max_size=40,
)


def _take(client: Client, number: int, step: Any, bodies: dict[int, bytes], forgotten: set[int]) -> None:
    """Take one step."""
    streams = list(client.streams.values())
    match step:
        case "answer", sizes:
            parts = [bytes((number % 251,)) * size for size in sizes]
            bodies[client.answer(*parts).number] = b"".join(parts)
        case "allow connection", amount:
            client.allow(amount)
        case "allow stream", index, amount if streams:
            client.allow(amount, streams[index % len(streams)])
        case "stream window", size:
            client.set_stream_window(size)
        case "frame limit", size:
            client.set_frame_limit(size)
        case "table", _:
            client.sender.forget_table()
        case "pause", _:
            client.sender.pause()
        case "resume", _:
            client.sender.resume()
            client.flush()
        case "forget", index if streams:
            client.sender.forget(streams[index % len(streams)])
            forgotten.add(streams[index % len(streams)].number)


@given(steps)
async def test_every_answer_arrives_whole_whatever_the_windows(taken: list[Any]) -> None:
    client = Client()
    bodies: dict[int, bytes] = {}
    forgotten: set[int] = set()
    for number, step in enumerate(taken):
        _take(client, number, step, bodies, forgotten)
    client.sender.resume()
    for _ in range(40):
        client.allow(1_000_000)
    for stream in client.streams.values():
        client.allow(1_000_000, stream)
    for number in bodies.keys() - forgotten:
        assert bytes(client.bodies[number]) == bodies[number]
        assert client.ended[number] == 1
        assert client.done.count(number) == 1
    for number in bodies.keys() & forgotten:
        assert bodies[number].startswith(client.bodies[number])
    assert not client.sender._waiting
    refusals = sum(section.startswith(FORGET_TABLE) for section in client.sections)
    assert refusals <= sum(step[0] == "table" for step in taken)
    assert {section.removeprefix(FORGET_TABLE) for section in client.sections} <= {ANSWER, TRAILERS}
