"""One HTTP/2 connection of a client: its transport, its times, and its end (RFC 9113).

The application sees streams: the head of a request, the bytes of its body as they come, and a place for its answer.
Everything else of the protocol ends here. What a client may take is bounded by `Http2Limits`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, cast

from kiteward.domain.addresses import address_text, source_of
from kiteward.net.http2 import frames
from kiteward.net.http2.frame_handlers import ALIVE_PING, SHUTDOWN_PING, Application, FrameHandlers
from kiteward.net.http2.frames import ConnectionFault
from kiteward.net.http2.holding import Holding
from kiteward.net.http2.reading import FrameReader
from kiteward.net.http2.receiving import Receiver
from kiteward.net.http2.sending import Sender

_log = logging.getLogger("kiteward.http2")


class Home(Application, Protocol):
    """Who serves connections."""

    def left(self, connection: "Connection") -> None:
        """Note that a connection was lost."""
        ...


class Connection(FrameHandlers, asyncio.Protocol):
    """One connection, from behind its preface to its end.

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
        super().__init__(home)
        self._home = home
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._reader = FrameReader(self._take, block_limit=home.limits.block)
        self._unread = 0
        self._frame_at = self._heard
        self._asked_at: float | None = None
        self._in_turns = False  # more has come than one turn takes: nothing is read meanwhile
        self._lingering: asyncio.TimerHandle | None = None
        self.address = self.source = ""

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sender = Sender(self._transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.address, self.source = address_text(peer[0], peer[1]), source_of(peer[0])
        limits = self._limits
        values = {
            frames.ENABLE_PUSH: 0,
            frames.MAX_CONCURRENT_STREAMS: limits.streams,
            frames.MAX_HEADER_LIST_SIZE: limits.section,
        }
        self._sender.write(frames.settings(values))
        self._holding = Holding(self._home.budget, self.source)
        self._receiver = Receiver(self._sender, limits, self._holding.requests)

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        self._heard = self._loop.time()
        self._asked_at = None
        self._take_turn(data)

    def _take_turn(self, data: bytes) -> None:
        """Take as many frames as a turn has; what is left goes on when others have had theirs."""
        begins = not self._reader.halfway
        try:
            if self._reader.feed(data, most=self._limits.turn) or begins:
                self._frame_at = self._heard
            unread = self._reader.pending + self._decoder.kept
            if unread != self._unread:
                self._unread = unread
                self._holding.unread(unread, known=self._receiver.known)
        except ConnectionFault as fault:
            _log.debug("closing the connection of %s: %s", self.address, fault)
            self._sender.write(frames.goaway(self._last, fault.code, str(fault)))
            self._part()
            self._lose_all()
            return
        if self._reader.waiting and not self._closed:
            self._in_turns = True
            self._transport.pause_reading()
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._in_turns = False
        if self._closed:
            return
        self._take_turn(b"")
        self._read_on()

    def _read_on(self) -> None:
        """Read more, unless frames wait for their turn, or our answers to be taken."""
        if not (self._closed or self._in_turns or self._sender.congested_since is not None):
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._sender.pause()
        if not self._closed:
            # While a client does not read its responses, no more of its requests are read.
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._sender.resume()
        if not self._closed:
            self._read_on()
            self._flush()

    def eof_received(self) -> bool:
        """Close: a client that sends nothing more could not even let us send more."""
        self._close()
        self._lose_all()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._closed = True
        if self._lingering is not None:
            self._lingering.cancel()
        self._home.left(self)
        self._on_lost()
        self._lose_all()
        self._holding.close()

    # What the server wants

    def look(self, now: float) -> None:
        """Check the time limits of the connection at `now`, and ping a client that has been silent."""
        limits = self._limits
        congested_since = self._sender.congested_since
        if (
            (not self._reader.greeted and now - self._frame_at > limits.greeting)
            or (self._reader.halfway and now - self._frame_at > limits.stall)
            or (congested_since is not None and now - congested_since > limits.stall)
            or (self._asked_at is not None and now - self._asked_at > limits.pong)
        ):
            self._transport.abort()
            return
        for stream in list(self._streams.values()):
            if (stream.receiving and now - stream.since > limits.seconds_for(stream.size)) or (
                stream.unsent and now - stream.waits_since > limits.seconds_for(stream.taken)
            ):
                self._drop(stream, frames.CANCEL)
        if self._asked_at is None and now - self._heard > limits.idle:
            self._asked_at = now
            self._sender.write(frames.frame(frames.PING, 0, 0, ALIVE_PING))

    def shut(self) -> None:
        """Accept no more requests, and close when those in flight are answered."""
        if self._closed or self._ending:
            return
        self._ending = True
        # Requests sent before the client received GOAWAY are served too: its answer to the ping follows them.
        ping = frames.frame(frames.PING, 0, 0, SHUTDOWN_PING)
        self._sender.write(frames.goaway(frames.LAST_STREAM, frames.NO_ERROR) + ping)
        self._loop.call_later(self._limits.last_call, self._finish)

    def abort(self) -> None:
        """Break off."""
        self._transport.abort()

    # How it ends

    def _finish(self) -> None:
        """Serve no more than what has begun."""
        if self._final or self._closed:
            return
        self._final = True
        self._sender.write(frames.goaway(self._last, frames.NO_ERROR))
        if not self._streams:
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._sender.close()
            # A client that takes nothing any more must not hold its connection for ever.
            self._lingering = self._loop.call_later(self._limits.linger, self._transport.abort)

    def _part(self) -> None:
        """Close after a fault: further input is read and discarded for `Http2Limits.parting` seconds.

        If the connection were closed with bytes unread, the system could discard the GOAWAY frame before it is sent.
        """
        if not self._transport.can_write_eof():
            self._close()
            return
        self._closed = True
        self._sender.end()
        self._lingering = self._loop.call_later(self._limits.parting, self._transport.abort)
