"""HTTP/2 for clients: one connection, from the first byte to the last."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, cast

from kiteward.net.http2.client_settings import ClientLimits
from kiteward.net.http2.client_stream import ClientStream, ConnectionOwner
from kiteward.net.http2.dialing import cause_of_end, foreign_protocol
from kiteward.net.http2.keepalive import Keepalive
from kiteward.net.http2.late_flush import LateFlush
from kiteward.net.http2.session import (
    Configuration,
    Connection,
    ConnectionClosed,
    DataReceived,
    Event,
    GoAwayReceived,
    ResponseReceived,
    Role,
    SessionError,
    Setting,
    SettingsReceived,
    StreamClosed,
    TrailersReceived,
)

_CANCEL: Final = 0x08
_ENHANCE_YOUR_CALM: Final = 0x0B

_PIECE: Final = 256 * 1024
"""Bytes that a session gets of a body at once, and that are taken from it at once."""

_TURN: Final = 4 * _PIECE
"""Bytes that are written in one turn of the event loop."""

_HIGH_WATER: Final = 2 * _PIECE
"""Bytes in the transport above which nothing more is handed to it."""

_FRAME: Final = 16 * 1024
"""Most bytes in a frame that is received, the default of RFC 9113."""

_LAST_STREAM: Final = 2**31 - 2**16
"""A connection gets no requests after this number: the numbers of streams come to an end."""

TOO_MANY_PINGS: Final = "ended the connection because of too many PINGs"
"""The cause of an end that more patience with a silent peer would have avoided."""

_VIOLATION: Final = "violates HTTP/2"
_UNLIMITED: Final = 2**32
_PING: Final = b"kiteward"


class ClientConnection(asyncio.Protocol):
    """One connection as a client.

    What a turn of the event loop produces is written at once at the end of it. Requests wait here, unsent, while the
    peer accepts no further stream or takes no bytes.
    """

    def __init__(self, owner: ConnectionOwner, limits: ClientLimits) -> None:
        """Set up a connection that is to be made.

        Args:
            owner: is notified of its states.
            limits: its bounds.
        """
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._limits = limits
        self._session = _session(limits)
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, ClientStream] = {}
        self._queue: OrderedDict[ClientStream, None] = OrderedDict()
        self._sending: dict[int, ClientStream] = {}
        self._most_streams = _UNLIMITED
        self._ready = False
        self._retired = False
        self._scheduled = False
        self._late_flush = LateFlush(self._loop, self._flush)
        self._paused = False
        self._resets = 0
        self._cause = ""
        self._over = False
        self._hint = "requires TLS"
        self._keepalive: Keepalive | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._handlers: dict[type[Event], Callable[..., None]] = {
            ResponseReceived: self._response,
            DataReceived: self._data,
            TrailersReceived: self._trailers,
            StreamClosed: self._stream_closed,
            SettingsReceived: self._settings,
            GoAwayReceived: self._go_away,
            ConnectionClosed: self._session_closed,
        }

    @property
    def load(self) -> int:
        """The number of requests that are here, sent or not."""
        return len(self._streams) + len(self._queue)

    def send(self, stream: ClientStream) -> None:
        """Send a request, as soon as the peer accepts it."""
        stream.connection = self
        self._queue[stream] = None
        self._schedule()

    def cancel(self, stream: ClientStream) -> None:
        """End a request whose owner needs no response any more."""
        stream.finished = True
        stream.start = stream.rest = b""
        self._queue.pop(stream, None)
        number = stream.stream_id
        if number in self._streams and self._usable():
            self._acknowledge(stream)
            self._sending.pop(number, None)
            self._session.reset_stream(number, _CANCEL)
            self._schedule()
            # ngh2 loses what came of a DATA frame that a reset cuts short, and with it that part of the window.
            self._resets += 1
            if self._resets * _FRAME > self._limits.connection_window // 4:
                self._retire()

    def acknowledge(self, stream: ClientStream, window: int) -> None:
        """Let the peer continue a response that was held back.

        Args:
            stream: the request.
            window: bytes that it may send without another acknowledgement.
        """
        if stream.stream_id in self._streams and self._usable():
            with suppress(SessionError):  # where the stream has ended, which its next event says
                self._session.set_local_window_size(window, stream_id=stream.stream_id)
            self._acknowledge(stream)
            self._schedule()

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if self._usable():
            self._session.ping(_PING)
            self._schedule()

    def close(self, cause: str) -> None:
        """End the connection; requests end with the cause."""
        if self.closed.done():
            return
        self._cause = self._cause or cause
        if self._transport is None:
            return
        if self._usable():
            self._session.terminate_connection()
            self._over = True
            self._transport.write(self._session.data_to_send())
        self._transport.close()

    def abort(self, cause: str) -> None:
        """End the connection without waiting for what is still to be written."""
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the preface and our settings."""
        self._transport = transport = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._hint = "requires a client certificate, or another one"
            if tls.selected_alpn_protocol() != "h2":
                self.abort("does not offer HTTP/2 over TLS")
                return
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._session.initiate_connection(
            {
                Setting.ENABLE_PUSH: 0,
                Setting.INITIAL_WINDOW_SIZE: self._limits.window,
                Setting.MAX_HEADER_LIST_SIZE: self._limits.field_section,
            }
        )
        self._session.set_local_window_size(self._limits.connection_window)
        transport.write(self._session.data_to_send())
        self._keepalive = Keepalive(self, silence=self._limits.silence, answer=self._limits.answer_to_ping)

    def data_received(self, data: bytes) -> None:
        """Take what the peer has sent."""
        if self._keepalive is not None:
            self._keepalive.heard = True
        if not self._ready and (cause := foreign_protocol(data)):
            self.abort(cause)
            return
        session = self._session
        try:
            session.receive_data(data)
        except SessionError:
            self._over = True
            self._dispatch(session.events())
            self.abort(_VIOLATION)
            return
        self._dispatch(session.events())
        if not self._over and session.want_write:
            if self._sending or session.queued_body_size() or len(data) >= _FRAME:
                self._schedule()
            elif not self._scheduled:
                self._late_flush.schedule()  # acknowledgements, and a window of which enough is left

    def pause_writing(self) -> None:
        """Hand nothing more to the transport."""
        self._paused = True

    def resume_writing(self) -> None:
        """Continue."""
        self._paused = False
        self._schedule()

    def connection_lost(self, error: Exception | None) -> None:
        """End all requests that were sent, and give the others back."""
        if self._keepalive is not None:
            self._keepalive.stop()
        self._over = True
        self._cause = self._cause or cause_of_end(error, self._hint)
        self._retire()
        streams, self._streams = self._streams, {}
        self._sending.clear()
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(None)
        self._owner.lost(self, self._cause)
        for stream in streams.values():
            if not stream.finished:
                stream.lose(self._cause)

    # Sending ----------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what there is, up to what one turn of the loop and the transport may take."""
        self._scheduled = False
        transport = self._transport
        if transport is None or self._paused or not self._usable():
            return
        session = self._session
        if self._queue and self._ready:
            self._submit()
        left = _TURN
        while left > 0 and not self._paused:
            data = session.data_to_send(_PIECE)
            if data:
                transport.write(data)
                left -= len(data)
            refilled = bool(self._sending) and self._refill()
            if len(data) < _PIECE and not refilled:
                break
        else:
            self._schedule()  # without effect while the transport is full
        self._dispatch(session.events())

    def _submit(self) -> None:
        """Hand requests to the session, as many as the peer accepts at once."""
        queue, streams, session = self._queue, self._streams, self._session
        while queue and len(streams) < self._most_streams:
            stream, _ = queue.popitem(last=False)
            try:
                number = session.send_request(stream.head)
            except SessionError:
                queue[stream] = None
                queue.move_to_end(stream, last=False)
                self._retire()
                return
            stream.stream_id = number
            streams[number] = stream
            if stream.rest:
                session.send_data(number, stream.start)
                self._sending[number] = stream
            else:
                session.send_data(number, stream.start, end_stream=True)
            if number >= _LAST_STREAM:
                self._retire()
                return

    def _refill(self) -> bool:
        """Hand the session further pieces of long bodies, and return whether there were any."""
        refilled = False
        for number, stream in list(self._sending.items()):
            if self._session.queued_body_size(number) >= _PIECE:
                continue
            piece = stream.rest[stream.sent : stream.sent + _PIECE]
            stream.sent += len(piece)
            ended = stream.sent == len(stream.rest)
            self._session.send_data(number, piece, end_stream=ended)
            refilled = True
            if ended:
                del self._sending[number]
                stream.rest = b""
        return refilled

    # Receiving --------------------------------------------------------------------------------------------------------

    def _dispatch(self, events: list[Event]) -> None:
        if not events:
            return
        if type(events[-1]) is ConnectionClosed:
            self._over = True
        handlers = self._handlers
        for event in events:
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    def _response(self, event: ResponseReceived) -> None:
        stream = self._streams[event.stream_id]
        if not stream.finished:
            stream.respond(event.headers)
        if event.end_stream:
            self._end(stream, event.headers)

    def _data(self, event: DataReceived) -> None:
        stream, data = self._streams[event.stream_id], event.data
        if data:
            stream.unacknowledged += len(data)
            if stream.finished or stream.receive(data):
                self._acknowledge(stream)
        if event.end_stream:
            self._end(stream, ())

    def _trailers(self, event: TrailersReceived) -> None:
        self._end(self._streams[event.stream_id], event.headers)

    def _end(self, stream: ClientStream, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        if not stream.finished:
            stream.end(trailers)
        number = stream.stream_id
        unsent = self._sending.pop(number, None) is not None or self._session.queued_body_size(number)
        if unsent and not self._over:
            # The response came before all of the request was sent, so the rest is not wanted.
            self._session.reset_stream(number, _CANCEL)

    def _acknowledge(self, stream: ClientStream) -> None:
        if stream.unacknowledged and not self._over:
            self._session.acknowledge_received_data(stream.unacknowledged, stream.stream_id)
            stream.unacknowledged = 0

    def _stream_closed(self, event: StreamClosed) -> None:
        number = event.stream_id
        stream = self._streams.pop(number)
        self._sending.pop(number, None)
        if stream.unacknowledged:
            self._acknowledge(stream)
        if not stream.finished:
            stream.reset(event.error_code)
        if self._queue:
            self._schedule()
        elif self._retired and not self._streams:
            self.close("")

    def _settings(self, event: SettingsReceived) -> None:
        most = event.settings.get(Setting.MAX_CONCURRENT_STREAMS)
        if most is not None:
            self._most_streams = most
        if not self._ready:
            self._ready, self._hint = True, ""
            self._owner.connected(self)
        self._schedule()

    def _go_away(self, event: GoAwayReceived) -> None:
        cause = "ended the connection"
        if event.error_code == _ENHANCE_YOUR_CALM and event.debug_data == b"too_many_pings":
            cause = TOO_MANY_PINGS
        self._cause = self._cause or cause
        self._retire()

    def _session_closed(self, _: ConnectionClosed) -> None:
        self._cause = self._cause or (_VIOLATION if self._ready else "does not speak HTTP/2")
        if self._transport is not None:
            self._transport.close()

    def _retire(self) -> None:
        """Take no more requests; the connection ends with those that were sent."""
        if not self._retired:
            self._retired = True
            unsent = list(self._queue)
            self._queue.clear()
            self._owner.retired(self, unsent, self._cause)

    def _usable(self) -> bool:
        """Return whether the session still takes requests and changes."""
        return not self._over and self._transport is not None and not self._transport.is_closing()


def _session(limits: ClientLimits) -> Connection:
    configuration = Configuration(
        auto_window_update=False, max_reserved_remote_streams=0, max_inbound_header_list_size=limits.field_section
    )
    return Connection(Role.CLIENT, configuration)
