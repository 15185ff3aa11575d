"""A connection without a network: replacements for the transport, the application and the client."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import hpack
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import Frame, HeadersFrame
from tests.support import http2_frames as frames
from tests.support.http2_frames import PREFACE, encoded

from kiteward.net.budget import Budget
from kiteward.net.http2.connection import ServerConnection
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.session import Header
from kiteward.net.http2.streams import Head, Stream

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/test"), (":authority", "kiteward")]
"""The head of a request."""

ANSWER = ((b":status", b"200"), (b"content-type", b"test"))
"""The head of a response."""

TRAILERS = ((b"status", b"0"),)


class Wire(asyncio.Transport):
    """Keeps what is written; what its reader has not taken makes the protocol pause, as asyncio's transports do.

    Attributes:
        sent: what was written and not yet looked at, what waits for the end of the loop's turn included.
        writes: how often something was written.
        halves: whether one direction may end alone, as it may without TLS.
    """

    def __init__(self, *, taking: bool = True) -> None:
        """Set up the client.

        Args:
            taking: whether the reader takes what is written.
        """
        super().__init__({"peername": ("192.0.2.7", 4711)})
        self._taking = taking
        self._untaken = 0
        self._high = 64 * 1024
        self._full = self._closing = self._lost = self._aborted = False
        self._reading = True
        self._protocol = asyncio.Protocol()
        self._sent = bytearray()
        self.end_turn: Callable[[], None] = lambda: None
        self.halves = False
        self.writes = 0

    @property
    def sent(self) -> bytearray:
        self.end_turn()
        return self._sent

    @sent.setter
    def sent(self, sent: bytearray) -> None:
        self._sent = sent

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert low is None
        self._high = high or self._high

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self._closing:
            return
        self._sent += data
        self.writes += 1
        if not self._taking:
            self._untaken += len(data)
            if self._untaken > self._high and not self._full:
                self._full = True
                self._protocol.pause_writing()

    def take(self, *, taking: bool = False) -> None:
        """Take what was written, and go on so if `taking`."""
        self._taking = taking
        self._untaken = 0
        if self._full:
            self._full = False
            self._protocol.resume_writing()
        if self._closing:
            self._lose()

    def stop_taking(self) -> None:
        """Take nothing more."""
        self._taking = False

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def is_aborted(self) -> bool:
        """Return whether it was broken off."""
        return self._aborted

    def can_write_eof(self) -> bool:
        return self.halves

    def write_eof(self) -> None:
        assert self.halves
        self._closing = True

    def close(self) -> None:
        self._closing = True
        if not self._untaken:
            self._lose()

    def abort(self) -> None:
        self._closing = self._aborted = True
        self._lose()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class Asked:
    """A request as the application saw it. Implements `streams.Exchange`.

    Attributes:
        body: what has come of its body.
        whole: how often it was notified that the body is complete.
        gone: how often it was notified that nobody waits any more.
    """

    def __init__(self, stream: Stream, head: Head) -> None:
        self.stream = stream
        self.head = head
        self.body = bytearray()
        self.whole = 0
        self.gone = 0
        self.on_received: Callable[[], None] = lambda: None

    def received(self, data: bytes) -> None:
        assert data
        assert not self.whole
        assert not self.gone
        self.body += data
        self.on_received()

    def ended(self) -> None:
        assert not self.gone
        self.whole += 1

    def lost(self) -> None:
        self.gone += 1

    def answer(self, *body: bytes, trailers: tuple[Header, ...] = TRAILERS) -> None:
        """Answer: without a body, by a head alone."""
        self.stream.respond(ANSWER, body, trailers)


class Application:
    """Remembers what it was asked. Implements `connection.Home`.

    Attributes:
        asked: the requests, in their order.
        at_once: called with each as it begins.
        left_by: the connections that are gone.
    """

    def __init__(self, limits: Http2Limits | None = None, budget: Budget | None = None) -> None:
        self.limits = limits or Http2Limits()
        self.budget = budget or Budget()
        self.unreadable: Sequence[Header] = ((b":status", b"431"), (b"note", b"x" * 300))
        self.asked: list[Asked] = []
        self.left_by: list[ServerConnection] = []
        self.at_once: Callable[[Asked], None] = lambda _: None

    def begin(self, stream: Stream, head: Head) -> Asked:
        asked = Asked(stream, head)
        self.asked.append(asked)
        self.at_once(asked)
        return asked

    def left(self, connection: ServerConnection) -> None:
        self.left_by.append(connection)


class Link:
    """A connection, its application and its transport. What a client sends is given to it as bytes."""

    def __init__(
        self,
        limits: Http2Limits | None = None,
        *,
        taking: bool = True,
        greeted: bool = True,
        budget: Budget | None = None,
    ) -> None:
        """Connect.

        Args:
            limits: what the client may take.
            taking: whether it takes what is sent.
            greeted: whether it has sent its settings.
            budget: what clients may make the server hold together.
        """
        self.application = Application(limits, budget)
        self._rest = b""  # of a frame that was not sent to its end
        self.losses = 0
        self.connection = ServerConnection(self.application, self._lost)
        self.wire = Wire(taking=taking)
        self.wire.set_protocol(self.connection)
        self.connection.connection_made(self.wire)
        self.wire.end_turn = self.end_turn
        if greeted:
            self.send(frames.settings({}))
            self.answers()

    def end_turn(self) -> None:
        """Let the connection write, as it does at the end of a turn of the loop."""
        self.connection._flush()

    @property
    def asked(self) -> list[Asked]:
        """The requests that the application was asked."""
        return self.application.asked

    def send(self, *data: bytes) -> None:
        """Send bytes as the client."""
        self.connection.data_received(b"".join(data))

    def answers(self) -> list[Frame]:
        """Return the frames that the client was sent since this was asked last."""
        sent = self._rest + bytes(self.wire.sent)
        self.wire.sent = bytearray()
        whole = whole_frames(sent)
        self._rest = sent[whole:]
        return list(parsed(sent[:whole]))

    def codes(self, kind: type[Frame]) -> list[tuple[int, int]]:
        """Return stream and error code of the frames of one kind that the client was sent since it was asked last."""
        return [
            (frame.stream_id, getattr(frame, "error_code", -1)) for frame in self.answers() if isinstance(frame, kind)
        ]

    def _lost(self) -> None:
        self.losses += 1


def whole_frames(data: bytes) -> int:
    """Return how many bytes are whole frames."""
    position = 0
    while len(data) - position >= frames.HEAD.size:
        upper, lower, *_ = frames.HEAD.unpack_from(data, position)
        end = position + frames.HEAD.size + (upper << 8 | lower)
        if end > len(data):
            break
        position = end
    return position


def parsed(data: bytes) -> Iterable[Frame]:
    """Return the frames in some bytes."""
    rest = memoryview(data)
    while rest:
        frame, length = Frame.parse_frame_header(rest[:9])
        frame.parse_body(rest[9 : 9 + length])
        yield frame
        rest = rest[9 + length :]


def decoded(decoder: hpack.Decoder, frame: Frame) -> tuple[Header, ...]:
    """Return the fields of a HEADERS frame, the next of its connection."""
    assert isinstance(frame, HeadersFrame)
    return tuple((bytes(name), bytes(value)) for name, value in decoder.decode(frame.data, raw=True))


def headers(stream: int, fields: Iterable[tuple[str, str]] = REQUEST, *, end: bool = False) -> bytes:
    """Return a frame that begins a request, or trailers, and ends it too if `end`."""
    flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
    return frames.frame(frames.HEADERS, flags, stream, encoded(list(fields)))


def data(stream: int, body: bytes, *, end: bool = False) -> bytes:
    """Return a frame of a request's body, the last if `end`."""
    return frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream, body)


def client() -> H2Connection:
    """Return a client of the h2 library that has begun, and whose preface nobody needs any more."""
    made = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    made.initiate_connection()
    return made


def without_preface(sent: bytes) -> bytes:
    """Return what a client sent, without what every connection begins with."""
    return sent.removeprefix(PREFACE)


async def turns(number: int = 3) -> None:
    """Run the callbacks that the event loop has queued."""
    for _ in range(number):
        await asyncio.sleep(0)


class Clock:
    """Time that passes when a test says so, for everything that asks the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stop the running loop's clock."""
        self.now = 1_000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    def forward(self, seconds: float, link: Link) -> None:
        """Advance the time, and run the periodic check of a connection."""
        link.end_turn()
        self.now += seconds
        link.connection.check(self.now)
