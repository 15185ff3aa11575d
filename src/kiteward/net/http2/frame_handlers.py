"""What each frame of a client does to its connection and the streams on it (RFC 9113, section 6)."""

import asyncio
import logging
from typing import Final, Protocol

from kiteward.net.budget import Budget
from kiteward.net.http2 import frames
from kiteward.net.http2.fields import FieldDecoder, Head, require_well_formed
from kiteward.net.http2.frames import ConnectionFault, StreamFault
from kiteward.net.http2.holding import Holding
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.noise import NoiseMeter
from kiteward.net.http2.reading import require_priority, unpadded
from kiteward.net.http2.receiving import Receiver
from kiteward.net.http2.sending import Sender
from kiteward.net.http2.streams import NOBODY, Exchange, Stream

_log = logging.getLogger("kiteward.http2")

SHUTDOWN_PING: Final = b"the end?"
"""Payload of the ping behind whose answer no stream is on its way that we have not seen."""

ALIVE_PING: Final = b"alive?\0\0"
"""Payload of the ping that asks whether the client is there."""

_REMEMBERED: Final = 256

_ASKING: Final = frozenset({frames.DATA, frames.HEADERS, frames.WINDOW_UPDATE})
"""Frames that the control-frame limiter does not count: a download takes many WINDOW_UPDATE frames, which are cheap."""


class Application(Protocol):
    """What answers requests.

    Attributes:
        limits: what a client may take.
        budget: what clients may make the server hold together.
    """

    limits: Http2Limits
    budget: Budget

    def begin(self, stream: Stream, head: Head) -> Exchange:
        """Start a request, and return the exchange that gets its events."""
        ...


class FrameHandlers:
    """The streams of one connection, and one method for each kind of frame. Implements `streams.Owner`.

    `Connection` derives from it, and adds the transport, the clock, and how a connection ends.
    """

    address: str
    source: str
    _sender: Sender
    _receiver: Receiver
    _holding: Holding

    def __init__(self, application: Application) -> None:
        """Create the state of a connection whose preface has been detected.

        Args:
            application: what answers its requests.
        """
        self._application = application
        self._limits = application.limits
        self._decoder = FieldDecoder(application.limits.section)
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._dropped: dict[int, None] = {}  # streams that we ended first: what is on its way there is no fault
        self._heard = asyncio.get_running_loop().time()
        self._noise = NoiseMeter(application.limits, self._heard)
        self._ending = self._final = self._closed = False
        self._kinds = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._on_reset,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push_promise,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }

    def _finish(self) -> None:
        """Serve no more than what has begun."""
        raise NotImplementedError

    def _close(self) -> None:
        """Close the connection when what was written has been taken."""
        raise NotImplementedError

    # What streams want

    def answer(self, stream: Stream, section: bytes, body: tuple[bytes, ...], trailers: bytes) -> None:
        """Answer a request, unless its stream has ended or it has been answered."""
        if self._streams.get(stream.number) is not stream or stream.unsent:
            return
        if body:
            self._noise.earn()
        if self._sender.answer(stream, section, body, trailers):
            self._sent(stream)
            return
        self._flush()
        if not self._holding.wait_to_be_taken(stream):
            self._drop(stream, frames.ENHANCE_YOUR_CALM)

    def let_in(self, stream: Stream, size: int) -> None:
        """Take a body of `size` bytes in all."""
        self._receiver.let_in(stream, size)

    def _sent(self, stream: Stream) -> None:
        """Note that a response was sent completely."""
        if stream.receiving:
            # The rest of the request would be read for nothing (RFC 9113, 8.1).
            self._reset(stream.number, frames.NO_ERROR)
        self._forget(stream)

    def _drop(self, stream: Stream, code: int) -> None:
        """End a stream at once: reset it for the client, and report its loss to the exchange."""
        self._reset(stream.number, code)
        self._forget(stream).lost()

    def _reset(self, number: int, code: int) -> None:
        self._remember(number)
        self._sender.write(frames.reset(number, code))

    def _remember(self, number: int) -> None:
        self._dropped[number] = None
        if len(self._dropped) > _REMEMBERED:
            del self._dropped[next(iter(self._dropped))]

    def _forget(self, stream: Stream) -> Exchange:
        """Strike a stream off every list, and return its exchange; the two hold one another no longer."""
        self._streams.pop(stream.number, None)
        self._holding.forget(stream)
        self._sender.forget(stream)
        self._receiver.release(stream)
        stream.receiving = False
        if self._final and not self._streams:
            self._close()
        exchange, stream.exchange = stream.exchange, NOBODY
        return exchange

    # Frames

    def _take(self, kind: int, number: int, flags: int, payload: bytes) -> None:
        if self._closed:
            return
        if kind not in _ASKING:
            self._noise.bear(self._heard)
        take = self._kinds.get(kind)
        if take is None:
            return
        try:
            take(number, flags, payload)
        except StreamFault as fault:
            self._noise.bear(self._heard)
            stream = self._streams.get(number)
            if stream is None:
                self._reset(number, fault.code)
            else:
                self._drop(stream, fault.code)

    def _on_data(self, number: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None or not stream.receiving:
            self._on_unwanted(number, len(payload))
            return
        self._receiver.take(stream, len(payload))
        data = unpadded(flags, payload)
        stream.size += len(data)
        last = flags & frames.END_STREAM
        if last:
            self._complete(stream)
        elif not data:
            self._noise.bear(self._heard)
        if len(data) < len(payload) and not last:
            # What it took of the stream's window for padding: `let_in` counts the body alone.
            self._receiver.allow_more(stream, len(payload) - len(data))
        if data:
            stream.exchange.received(data)
        if last:
            self._ended(stream)

    def _on_unwanted(self, number: int, length: int) -> None:
        """Handle bytes of a body whose stream has ended."""
        self._require_begun(number)
        self._receiver.take(None, length)
        if not length:
            self._noise.bear(self._heard)
        if number not in self._dropped:
            raise StreamFault(frames.STREAM_CLOSED, "a body on a stream that has ended")

    def _on_headers(self, number: int, flags: int, payload: bytes) -> None:
        if not number & 1:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a request on a stream that is not the client's")
        if number <= self._last:
            self._on_trailers(number, flags, payload)
            return
        self._last = number
        head = self._decoder.head(payload)
        last = flags & frames.END_STREAM
        if last and head.length:
            raise StreamFault(frames.PROTOCOL_ERROR, "no body where one is announced")
        if self._final:
            # The client did not know yet that no more are served, and will ask another server.
            self._remember(number)
            return
        if len(self._streams) >= self._limits.streams:
            raise StreamFault(frames.REFUSED_STREAM, "more requests at once than allowed")
        cost = self._holding.begin(head)
        window = self._sender.stream_window
        stream = self._streams[number] = Stream(self, number, since=self._heard, window=window, length=head.length)
        stream.cost = cost
        if last:
            self._complete(stream)
        try:
            stream.exchange = self._application.begin(stream, head)
        except Exception as error:
            _log.exception("starting a request failed")
            raise StreamFault(frames.INTERNAL_ERROR, "the request could not be started") from error
        if last:
            self._ended(stream)

    def _on_trailers(self, number: int, flags: int, payload: bytes) -> None:
        fields = self._decoder.fields(payload)
        stream = self._streams.get(number)
        if stream is None:
            if number not in self._dropped:
                raise ConnectionFault(frames.STREAM_CLOSED, "a request on a stream that has ended")
            self._noise.bear(self._heard)
            return
        if not stream.receiving:
            raise StreamFault(frames.STREAM_CLOSED, "fields on a stream that has ended")
        if not flags & frames.END_STREAM:
            raise StreamFault(frames.PROTOCOL_ERROR, "fields in the middle of a body")
        require_well_formed(fields)
        self._complete(stream)
        self._ended(stream)

    def _complete(self, stream: Stream) -> None:
        """Note that nothing more of a request comes."""
        if stream.length not in (None, stream.size):
            raise StreamFault(frames.PROTOCOL_ERROR, "a body of another length than announced")
        stream.receiving = False

    def _ended(self, stream: Stream) -> None:
        if self._streams.get(stream.number) is stream:  # not answered before
            stream.exchange.ended()

    def _on_priority(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  as every frame is taken
        if not number:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a priority of the connection")
        require_priority(number, payload)

    def _on_reset(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  as every frame is taken
        _require_size(payload, frames.NUMBER.size)
        self._require_begun(number)
        stream = self._streams.get(number)
        if stream is not None:
            self._forget(stream).lost()

    def _on_settings(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "settings of a stream")
        if flags & frames.ACK:
            _require_size(payload, 0)
            return
        _require_size(payload, len(payload) // frames.SETTING.size * frames.SETTING.size)
        windows: list[int] = []
        for name, value in frames.SETTING.iter_unpack(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                windows.append(value)
            elif name == frames.MAX_FRAME_SIZE:
                self._sender.set_frame_limit(value)
            elif name == frames.HEADER_TABLE_SIZE:
                self._sender.forget_table()
            elif name == frames.ENABLE_PUSH and value > 1:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "a setting out of range")
        if windows:
            # It moves the windows of all streams: once in a frame, to where the last one leaves them.
            self._sender.set_stream_window(windows, list(self._streams.values()))
        self._sender.write(frames.SETTINGS_ACK)
        self._flush()

    def _on_push_promise(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  as every frame is taken
        raise ConnectionFault(frames.PROTOCOL_ERROR, "clients do not push")

    def _on_ping(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a ping on a stream")
        _require_size(payload, len(ALIVE_PING))
        if not flags & frames.ACK:
            self._sender.write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == SHUTDOWN_PING and self._ending:
            self._finish()

    def _on_goaway(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  as every frame is taken
        if number:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "the end of a stream is not announced")
        _require_size(payload[: 2 * frames.NUMBER.size], 2 * frames.NUMBER.size)
        self._ending = True
        self._finish()

    def _on_window_update(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  as every frame is taken
        _require_size(payload, frames.NUMBER.size)
        amount = int.from_bytes(payload, "big") & frames.LARGEST_WINDOW
        if number:
            self._require_begun(number)
        if not amount:
            kind = StreamFault if number else ConnectionFault
            raise kind(frames.PROTOCOL_ERROR, "a window that does not grow")
        stream = self._streams.get(number)
        if stream is not None or not number:
            self._sender.allow(amount, stream)
            self._flush()

    def _require_begun(self, number: int) -> None:
        if not 0 < number <= self._last or not number & 1:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame on a stream that has not begun")

    def _flush(self) -> None:
        for stream in self._sender.flush():
            self._sent(stream)

    def _lose_all(self) -> None:
        for stream in list(self._streams.values()):
            self._forget(stream).lost()


def _require_size(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame of the wrong size")
