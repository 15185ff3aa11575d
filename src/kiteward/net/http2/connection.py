"""One HTTP/2 connection of a client: its transport, its times, and its end (RFC 9113).

The application sees streams: the head of a request, the bytes of its body as they come, and a place for its response.
The protocol itself is the session's. What a client may take is bounded by `Http2Limits`.
"""

import asyncio
import contextlib
import logging
import struct
from collections.abc import Callable
from typing import Final, Protocol, cast

from kiteward.domain.addresses import address_text, source_of
from kiteward.net.closing import close_and_discard, is_received
from kiteward.net.http2.events import KEEPALIVE_PING, SHUTDOWN_PING, Application, EventHandlers
from kiteward.net.http2.framing import ConnectionFault, FrameScanner, response_frame
from kiteward.net.http2.inbound import InboundFlowControl
from kiteward.net.http2.late_flush import LateFlush
from kiteward.net.http2.reservations import Reservations
from kiteward.net.http2.session import (
    PREFACE,
    Configuration,
    DenialOfServiceError,
    ErrorCode,
    Role,
    SessionError,
    Setting,
)
from kiteward.net.http2.session import Connection as Session

_log = logging.getLogger("kiteward.http2")

_FAR_TOO_LARGE: Final = 2
"""A header list of more than this many times the limit ends the connection; a smaller one above it is reported."""

_UNLIMITED: Final = (2**32, 2**32)
"""Of the resets that a session accepts: the control-frame limiter counts them."""

_SEND_BUFFER: Final = 256 * 1024
"""Bytes that may wait for a slow reader before its responses do."""

_WRITE_SIZE: Final = 64 * 1024
"""Bytes that are written at once: whether the client reads them decides whether more is written."""

_GOAWAY: Final = struct.Struct(">HBBBLLL")
"""A GOAWAY frame without debug data (RFC 9113, 6.8): for a session that has failed and sends nothing any more."""


class Home(Application, Protocol):
    """Who serves connections."""

    def left(self, connection: "ServerConnection") -> None:
        """Note that a connection was lost."""
        ...


class ServerConnection(EventHandlers, asyncio.Protocol):
    """One connection, from its preface to its end.

    Attributes:
        address: the client's address.
        source: what it counts as.
    """

    def __init__(self, home: Home, on_lost: Callable[[], None]) -> None:
        """Create a connection whose preface has been detected.

        Args:
            home: who serves it.
            on_lost: called once, when it is gone.
        """
        super().__init__(home, _session(home))
        self._home = home
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._scanner = FrameScanner(header_block=home.limits.header_block)
        self._greeted = False
        self._frame_at = self._heard
        self._pinged_at: float | None = None
        self._in_turns = False  # more has come than one turn takes: nothing is read meanwhile
        self._closing: asyncio.TimerHandle | None = None
        self._received_since: float | None = None  # by the client's system: all that the closed connection sent
        self._late_flush = LateFlush(self.loop, self._flush)
        self.address = self.source = ""

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_SEND_BUFFER)
        peer = transport.get_extra_info("peername")
        if peer:
            self.address, self.source = address_text(peer[0], peer[1]), source_of(peer[0])
        self._reservations = Reservations(self._home.budget, self.source)
        self._inbound = InboundFlowControl(self._session, self._limits, self._reservations.requests)
        self._session.receive_data(PREFACE)
        self._schedule_flush()

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        if self._closed:
            return
        self._pinged_at = None
        self._take_turn(data)

    def _take_turn(self, data: bytes) -> None:
        """Take as many frames as a turn has; what is left goes on when others have had theirs."""
        scanner = self._scanner
        begins = not scanner.pending
        try:
            allowance = self._limiter.allowance(self._heard)
            frames = scanner.take(data, frames=self._limits.frames_per_turn, control_frames=allowance)
            if frames:
                self._parse(frames)
            if frames or begins:
                self._frame_at = self._heard
            self._reservations.input(scanner.pending, authenticated=self._inbound.authenticated)
        except ConnectionFault as fault:
            self._break_off(fault)
            return
        except SessionError as error:
            self._fail(error)
            return
        if self._session.want_write and not self._flush_scheduled:
            if self._streams and not self._session.queued_body_size():
                self._late_flush.schedule()  # acknowledgements: a response to write is to come
            else:
                self._schedule_flush()
        if scanner.waiting and not self._closed and not self._in_turns:
            self._in_turns = True
            self._transport.pause_reading()
            self.loop.call_soon(self._next_turn)

    def _parse(self, frames: bytes | memoryview) -> None:
        """Let the session parse frames, and handle what they say."""
        scanner, limiter, last = self._scanner, self._limiter, self._last
        self._greeted = True
        self._unreported_blocks, self._unreported_data = scanner.header_blocks, scanner.data_frames
        limiter.count(scanner.control_frames)
        self._session.receive_data(frames)
        events = self._session.events()
        self._handle(events)
        if (self._unreported_blocks or self._unreported_data) and not self._closed:
            self._check_ignored(frames, events, last)
        if limiter.exceeded:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames")

    def _next_turn(self) -> None:
        self._in_turns = False
        if self._closed:
            return
        self._take_turn(b"")
        self._read_on()

    def _read_on(self) -> None:
        """Read more, unless frames wait for their turn, or responses to be read."""
        if not (self._closed or self._in_turns or self._congested_since is not None):
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._congested_since = self.loop.time()
        if not self._closed:
            # While a client does not read its responses, no more of its requests are read.
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._congested_since = None
        if not self._closed:
            self._read_on()
            self._flush()

    def eof_received(self) -> bool:
        """Close: a client that sends nothing more could not even let us send more."""
        if not self._closed:
            self._write_out()
            self._close()
        self._lose_all()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._closed = True
        if self._closing is not None:
            self._closing.cancel()
        self._home.left(self)
        self._on_lost()
        self._lose_all()
        self._reservations.close()

    # What the server wants

    def check(self, now: float) -> None:
        """Check the time limits of the connection at `now`, and ping a client that has been silent."""
        limits = self._limits
        congested_since = self._congested_since
        if (
            (not self._greeted and now - self._frame_at > limits.settings_timeout)
            or (self._scanner.pending and now - self._frame_at > limits.stall)
            or (congested_since is not None and now - congested_since > limits.stall)
            or (self._pinged_at is not None and now - self._pinged_at > limits.ping_timeout)
        ):
            self._transport.abort()
            return
        if self._closed:
            self._check_closed(now)
            return
        for stream in list(self._streams.values()):
            self._check_stream(stream, now)
        if self._pinged_at is None and now - self._heard > limits.idle:
            self._pinged_at = now
            self._ping(KEEPALIVE_PING)

    def _check_closed(self, now: float) -> None:
        """Break off a client that does not close its side, also one that goes on sending, once it has all it gets."""
        if not is_received(self._transport):
            self._received_since = None
        elif self._received_since is None:
            self._received_since = now
        elif now - self._received_since > self._limits.linger:
            self._transport.abort()

    def shut_down(self) -> None:
        """Accept no more requests, and close when those in flight are answered."""
        if self._closed or self._ending:
            return
        self._ending = True
        self._session.send_shutdown_notice()
        self._flush()
        # Requests sent before the client received GOAWAY are served too: its answer to the ping follows them. The
        # session sends a PING before all other frames, so that GOAWAY has to have left it already.
        self._ping(SHUTDOWN_PING)
        self.loop.call_later(self._limits.goaway_grace, self._finish)

    def abort(self) -> None:
        """Break off."""
        self._transport.abort()

    # Writing

    def _ping(self, payload: bytes) -> None:
        with contextlib.suppress(SessionError):  # where the session has ended, which its next event says
            self._session.ping(payload)
        self._schedule_flush()

    def _write_out(self) -> None:
        """Write what the session has to send, as long as the client reads it."""
        session, transport = self._session, self._transport
        while self._congested_since is None:
            data = session.data_to_send(_WRITE_SIZE)
            if data:
                transport.write(data)
            if len(data) < _WRITE_SIZE:
                return

    # How it ends

    def _break_off(self, fault: ConnectionFault) -> None:
        """End a connection whose client has broken a rule or a limit."""
        _log.debug("closing the connection of %s: %s", self.address, fault)
        try:
            if fault.unread:
                self._write_out()
                # With an error, some clients would report that instead of the answer.
                end = _GOAWAY.pack(0, 8, 7, 0, 0, fault.unread, ErrorCode.NO_ERROR)
                self._transport.write(response_frame(fault.unread, self._home.unreadable) + end)
            else:
                self._session.send_goaway(fault.code, debug_data=str(fault).encode())
                self._transport.write(self._session.data_to_send(_WRITE_SIZE))
        except SessionError as error:
            self._fail(error)
            return
        self._linger()
        self._lose_all()

    def _fail(self, error: SessionError) -> None:
        """End a connection whose session has failed."""
        _log.debug("closing the connection of %s: %s", self.address, error)
        code = ErrorCode.ENHANCE_YOUR_CALM if isinstance(error, DenialOfServiceError) else ErrorCode.PROTOCOL_ERROR
        self._transport.write(_GOAWAY.pack(0, 8, 7, 0, 0, self._last, code))
        self._linger()
        self._lose_all()

    def _on_closed(self, code: int) -> None:
        if code:
            self._linger()
            self._lose_all()
        else:
            self._close()

    def _close(self) -> None:
        """Close. A client that reads nothing any more must not hold its connection for ever."""
        self._close_within(self._limits.close_timeout)

    def _linger(self) -> None:
        """Close after an error, which the client has a moment to read."""
        self._close_within(self._limits.linger)

    def _close_within(self, seconds: float) -> None:
        if not self._closed:
            self._closed = True
            self._closing = close_and_discard(self._transport, seconds)


def _session(home: Home) -> Session:
    """Return the session of a new connection, which has its settings to send."""
    limits = home.limits
    session = Session(
        Role.SERVER,
        Configuration(
            auto_window_update=False,
            max_inbound_header_list_size=_FAR_TOO_LARGE * limits.header_list,
            stream_reset_rate_limit=_UNLIMITED,
        ),
    )
    session.initiate_connection(
        {
            Setting.ENABLE_PUSH: 0,
            Setting.MAX_CONCURRENT_STREAMS: limits.streams,
            Setting.NO_RFC7540_PRIORITIES: 1,
        }
    )
    return session
