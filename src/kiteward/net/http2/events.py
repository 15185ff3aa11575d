"""What each event of a session does to the streams of its connection."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from kiteward.net.budget import Budget
from kiteward.net.http2.control_frames import ControlFrameLimiter
from kiteward.net.http2.framing import DATA, HEADERS, ConnectionFault, frames_in
from kiteward.net.http2.inbound import InboundFlowControl
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.reservations import Reservations
from kiteward.net.http2.session import (
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    GoAwayReceived,
    Header,
    PingAcknowledged,
    Priority,
    RequestReceived,
    SessionError,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)
from kiteward.net.http2.streams import IGNORED, Exchange, Head, Stream

_log = logging.getLogger("kiteward.http2")

SHUTDOWN_PING: Final = b"shutdown"
"""Payload of the ping behind whose acknowledgement no request is on its way that the server has not seen."""

KEEPALIVE_PING: Final = b"alive?\0\0"
"""Payload of the ping that asks whether the client is there."""

_WRITE_AT_ONCE: Final = 64 * 1024
"""Bytes of responses that wait for the end of a turn of the loop at most."""

_ONE_FRAME: Final = 16 * 1024
"""Bytes of a response above which other responses have their turn between its frames."""

_REMEMBERED: Final = 256
"""Streams that were reset here, of which frames may be on their way."""

_IN_TURNS: Final = Priority(incremental=True)


class Application(Protocol):
    """What answers requests.

    Attributes:
        limits: what a client may take.
        budget: what clients may make the server hold together.
        unreadable: the response, a head alone, to a request whose header block is too long to be read.
    """

    limits: Http2Limits
    budget: Budget
    unreadable: Sequence[Header]

    def begin(self, stream: Stream, head: Head) -> Exchange:
        """Start a request, and return the exchange that gets its events."""
        ...


class EventHandlers:
    """The streams of one connection, and what the events of its session do to them. Implements `streams.Owner`.

    `ServerConnection` derives from it, and adds the transport, the clock, and how a connection ends.
    """

    address: str
    source: str
    _inbound: InboundFlowControl
    _reservations: Reservations

    def __init__(self, application: Application, session: Connection) -> None:
        """Create the state of a connection whose preface has been detected.

        Args:
            application: what answers its requests.
            session: its session.
        """
        self._application = application
        self._session = session
        self._limits = application.limits
        self.loop = asyncio.get_running_loop()
        self._streams: dict[int, Stream] = {}
        self._last = 0  # the highest identifier of a stream
        self._unreported_blocks = self._unreported_data = 0  # of what the session got last
        self._headers: tuple[Header, ...] = ()
        self._head: Head | None = None  # of the last request since a caller was authenticated
        self._responded: list[Stream] = []  # since the last flush
        self._heard = self.loop.time()
        self._limiter = ControlFrameLimiter(application.limits, self._heard)
        self._closed_here: dict[int, None] = {}  # streams that were reset here: more of them may be on its way
        self._congested_since: float | None = None
        self._flush_scheduled = False
        self._handling = False  # of events, some of which may be yet to come
        self._ending = self._final = self._closed = False

    def _write_out(self) -> None:
        """Write what the session has to send."""
        raise NotImplementedError

    def _on_closed(self, code: int) -> None:
        """Close the connection: its session has sent all that it will."""
        raise NotImplementedError

    # What streams want

    def respond(
        self, stream: Stream, head: Sequence[Header], body: tuple[bytes, ...], trailers: Sequence[Header]
    ) -> None:
        """Answer a request, unless its stream has ended or it has been answered."""
        if stream.responded or self._streams.get(stream.number) is not stream:
            return
        stream.responded = True
        if not self._flush_scheduled:
            self._schedule_flush()
        try:
            self._send(stream, head, body, trailers)
        except SessionError:
            return  # the stream has ended, which its next event says
        self._responded.append(stream)
        if not self._handling and self._session.queued_body_size() >= _WRITE_AT_ONCE:
            # Whether the client reads it decides whether more is written.
            self._flush()

    def _send(
        self, stream: Stream, head: Sequence[Header], body: tuple[bytes, ...], trailers: Sequence[Header]
    ) -> None:
        session, number = self._session, stream.number
        session.send_response(number, head, end_stream=not body)
        if not body:
            return
        self._limiter.count_response()
        size = 0
        for part in body:
            session.send_data(number, part)
            size += len(part)
        session.send_trailers(number, trailers)
        stream.response_size = size
        if size > _ONE_FRAME:
            session.set_stream_priority(number, _IN_TURNS, ignore_client_signal=True)

    def admit(self, stream: Stream, size: int) -> None:
        """Take a body of `size` bytes in all."""
        if not self._closed:
            self._inbound.admit(stream, size)
            if not self._flush_scheduled:
                self._schedule_flush()

    def _drop(self, stream: Stream, code: ErrorCode) -> None:
        """End a stream at once: reset it for the client, and report its loss to the exchange."""
        self._reset(stream.number, code)
        self._forget(stream).lost()

    def _reset(self, number: int, code: ErrorCode) -> None:
        with contextlib.suppress(SessionError):  # where the session has ended, which its next event says
            self._session.reset_stream(number, code)
        self._schedule_flush()
        self._remember(number)

    def _remember(self, number: int) -> None:
        """Note that a stream was reset here, so that frames that are on their way are no fault."""
        self._closed_here[number] = None
        if len(self._closed_here) > _REMEMBERED:
            del self._closed_here[next(iter(self._closed_here))]

    def _forget(self, stream: Stream) -> Exchange:
        """Strike a stream off every list, and return its exchange; the two hold one another no longer."""
        self._streams.pop(stream.number, None)
        self._reservations.release(stream)
        if stream.held and not self._closed:
            self._inbound.release(stream)
        stream.receiving = False
        exchange, stream.exchange = stream.exchange, IGNORED
        return exchange

    def _lose_all(self) -> None:
        for stream in list(self._streams.values()):
            self._forget(stream).lost()

    # Flushing

    def _schedule_flush(self) -> None:
        """Write at the end of this turn of the loop."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what the session has to send, and handle what that has ended."""
        self._flush_scheduled = False
        if self._closed:
            return
        self._write_out()
        events = self._session.events()
        if events:
            self._handle(events)
        if self._responded:
            responded, self._responded = self._responded, []
            for stream in responded:
                if self._streams.get(stream.number) is stream:
                    self._account(stream)
        if self._session.want_write and not self._closed:
            self._write_out()  # what became of the events: resets, and updates of windows

    def _account(self, stream: Stream) -> None:
        """Reserve what is left of a response that could not be written at once."""
        left = self._session.queued_body_size(stream.number)
        if left or self._congested_since is not None:
            stream.waits_since = self.loop.time()
            if left and not self._reservations.response(stream, left):
                self._drop(stream, ErrorCode.ENHANCE_YOUR_CALM)
        else:
            self._stop_request(stream)

    def _stop_request(self, stream: Stream) -> None:
        """End a request whose response was sent: the rest of it would be read for nothing (RFC 9113, 8.1)."""
        if stream.receiving:
            self._reset(stream.number, ErrorCode.NO_ERROR)
            self._forget(stream)

    def _check_stream(self, stream: Stream, now: float) -> None:
        """Drop a stream that is too slow at `now`."""
        limits = self._limits
        if stream.waits_since is not None:
            left = self._session.queued_body_size(stream.number)
            if not left and self._congested_since is None:
                self._stop_request(stream)
            elif now - stream.waits_since > limits.seconds_for(stream.response_size - left):
                self._drop(stream, ErrorCode.CANCEL)
        elif stream.receiving and now - stream.since > limits.seconds_for(stream.size):
            self._drop(stream, ErrorCode.CANCEL)

    # Events

    def _handle(self, events: Iterable[object]) -> None:
        self._handling = True
        try:
            for event in events:
                if type(event) is DataReceived:
                    self._on_data(event)
                elif type(event) is RequestReceived:
                    self._on_request(event)
                elif type(event) is StreamClosed:
                    self._on_stream_closed(event)
                else:
                    self._on_other(event)
        finally:
            self._handling = False

    def _on_other(self, event: object) -> None:
        match event:
            case StreamReset():
                self._on_stream_reset(event)
            case TrailersReceived():
                self._on_trailers(event)
            case PingAcknowledged() if self._ending and event.opaque_data == SHUTDOWN_PING:
                self._finish()
            case GoAwayReceived():
                self._ending = True
                self._finish()
            case ConnectionClosed(code):
                self._on_closed(code)

    def _check_ignored(self, frames: bytes | memoryview, events: Iterable[object], last: int) -> None:
        """Look for the frames that a session reported no event for.

        It ignores those on closed streams, as RFC 9113, 5.1 allows and RFC 7540, 5.1 does not, and it refuses malformed
        requests and those beyond its limits by itself.

        Args:
            frames: what it got.
            events: what it reported.
            last: the highest identifier of a stream before.

        Raises:
            ConnectionFault: the client sends on a stream that it has closed.
        """
        blocks = Counter(event.stream_id for event in events if isinstance(event, RequestReceived | TrailersReceived))
        bodies = Counter(event.stream_id for event in events if isinstance(event, DataReceived))
        for kind, number, length in frames_in(frames):
            if kind not in (DATA, HEADERS):
                continue
            reported = blocks if kind == HEADERS else bodies
            if reported[number]:
                reported[number] -= 1
                last = max(last, number)
            elif kind == HEADERS and number > last:
                last = number
                self._remember(number)
                self._limiter.count(1)
            elif number in self._closed_here:
                self._limiter.count(kind == HEADERS or not length)
            elif number not in self._streams:
                raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame on a stream that has ended")
        self._last = last

    def _on_request(self, event: RequestReceived) -> None:
        self._unreported_blocks -= 1
        number = self._last = event.stream_id
        head = self._head_of(event.headers)
        cost = self._reservations.request(head.size)
        if not cost:
            self._limiter.count(1)
            self._reset(number, ErrorCode.REFUSED_STREAM)
            return
        stream = self._streams[number] = Stream(self, number, since=self._heard, cost=cost)
        if event.end_stream:
            stream.receiving = False
        try:
            stream.exchange = self._application.begin(stream, head)
            head.before = None
        except Exception:  # noqa: BLE001  one request fails, not its connection
            _log.exception("starting a request failed")
            self._limiter.count(1)
            self._drop(stream, ErrorCode.INTERNAL_ERROR)
            return
        if event.end_stream and not stream.responded:
            stream.exchange.ended()

    def _head_of(self, headers: tuple[Header, ...]) -> Head:
        """Return the head of a request: that of the request before if it is the same, as it is for most clients."""
        last = self._head
        if last is None:
            head = Head(headers, self._limits.header_list)
        elif headers == self._headers:
            return last
        else:
            head = Head(headers, self._limits.header_list, before=last.kept)
        if self._inbound.authenticated and not head.too_large and self._reservations.head(head.size):
            self._headers, self._head = headers, head
        return head

    def _on_data(self, event: DataReceived) -> None:
        self._unreported_data -= 1
        data, ended = event.data, event.end_stream
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.responded:
            self._inbound.discard(event.stream_id, len(data))
            if stream is not None and ended:
                stream.receiving = False
            return
        if ended:
            stream.receiving = False
        if data:
            if not self._inbound.receive(stream, len(data)):
                self._limiter.count(1)
                self._drop(stream, ErrorCode.ENHANCE_YOUR_CALM)
                return
            stream.exchange.received(data)
        elif not ended:
            self._limiter.count(1)
        if ended and not stream.responded:
            stream.exchange.ended()

    def _on_trailers(self, event: TrailersReceived) -> None:
        self._unreported_blocks -= 1
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receiving = False
            if not stream.responded:
                stream.exchange.ended()

    def _on_stream_reset(self, event: StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receiving = False

    def _on_stream_closed(self, event: StreamClosed) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if stream.receiving:
            self._remember(event.stream_id)
        exchange = self._forget(stream)
        if event.error_code or not stream.responded:
            exchange.lost()

    def _finish(self) -> None:
        """Serve no more than what has begun."""
        if self._final or self._closed:
            return
        self._final = True
        with contextlib.suppress(SessionError):  # where the session has ended, which its next event says
            self._session.send_goaway(ErrorCode.NO_ERROR)
        self._schedule_flush()
