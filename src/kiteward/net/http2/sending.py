"""What goes to a client: as much as it allows (RFC 9113, 5.2), and no more than it takes."""

import asyncio
from collections import OrderedDict
from typing import Final

from kiteward.net.http2 import frames
from kiteward.net.http2.fields import FORGET_TABLE
from kiteward.net.http2.frames import ConnectionFault, StreamFault
from kiteward.net.http2.streams import Stream

_BUFFER: Final = 256 * 1024
"""Bytes that may wait for a slow reader before its answers do."""

_LARGEST_FRAME: Final = 64 * 1024
"""Bytes that are sent in one frame, whatever the client takes: others want their turn."""

_GATHERED: Final = 64 * 1024
"""Bytes that are gathered before they are written at once, in the middle of a turn of the loop."""


class Sender:
    """Writes to one connection, once for all frames of a turn of the loop: each write is a call of the system.

    INVARIANT: a waiting stream whose own window is open is in `_turns`. A stream that is not in it costs nothing when
    the client opens the connection's window, so that no client makes the server search all streams repeatedly.

    Attributes:
        congested_since: when the client stopped taking what was sent, on the loop's clock; None while it takes it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Attach to the transport of a connection."""
        transport.set_write_buffer_limits(high=_BUFFER)
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._frame_limit = frames.FRAME_LIMIT
        self._forget = False
        self._waiting: set[Stream] = set()
        self._turns: OrderedDict[Stream, None] = OrderedDict()  # whose turn is next, first
        self._closed = False
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self.congested_since: float | None = None

    @property
    def stream_window(self) -> int:
        """Bytes of a body that the client takes on a new stream."""
        return self._stream_window

    def write(self, data: bytes) -> None:
        """Send frames at the end of this turn of the loop, or before if there are many."""
        if self._closed:
            return
        if not self._gathered:
            self._loop.call_soon(self.write_out)
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size >= _GATHERED:
            # Whether the client takes it decides whether more is sent.
            self.write_out()

    def write_out(self) -> None:
        """Hand over what was gathered, without waiting for the end of the turn."""
        gathered = self._gathered
        if gathered:
            self._gathered, self._gathered_size = [], 0
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def answer(self, stream: Stream, section: bytes, body: tuple[bytes, ...], trailers: bytes) -> bool:
        """Send an answer, and return whether it has gone; otherwise `flush` sends what is left."""
        if not body:
            self.write(self._section(stream, frames.END_STREAM, section))
            return True
        start = self._section(stream, 0, section)
        size = sum(map(len, body))
        if not size or size <= self._room(stream):
            self._spend(stream, size)
            end = self._section(stream, frames.END_STREAM, trailers)
            self.write(b"".join((start, frames.head(size, frames.DATA, 0, stream.number), *body, end)))
            return True
        self.write(start)
        stream.unsent = [memoryview(part) for part in body]
        stream.trailers = trailers
        stream.waits_since = self._loop.time()
        self._waiting.add(stream)
        self._queue(stream)
        return False

    def flush(self) -> list[Stream]:
        """Send what waits, a frame of each stream in turn, and return the streams whose answers are complete."""
        done: list[Stream] = []
        while self._turns and self._window > 0 and self.congested_since is None and not self._closed:
            stream, _ = self._turns.popitem(last=False)
            if stream.window <= 0:  # it has shrunk
                continue
            if self._send_more(stream):
                self._waiting.discard(stream)
                done.append(stream)
            else:
                self._queue(stream)
        return done

    def forget(self, stream: Stream) -> None:
        """Send no more on a stream."""
        self._waiting.discard(stream)
        self._turns.pop(stream, None)
        stream.unsent.clear()

    def pause(self) -> None:
        """Note that the client has stopped reading."""
        self.congested_since = self._loop.time()

    def resume(self) -> None:
        """Note that the client reads again."""
        self.congested_since = None

    def close(self) -> None:
        """Send no more, and close when what was sent has gone."""
        self.write_out()
        self._closed = True
        self._transport.close()

    def end(self) -> None:
        """Send no more, and say so when what was sent has gone."""
        self.write_out()
        self._closed = True
        self._transport.write_eof()

    # What the client allows

    def allow(self, amount: int, stream: Stream | None = None) -> None:
        """Send so many bytes more, on a stream or on the connection as a whole (RFC 9113, 6.9).

        Raises:
            StreamFault, ConnectionFault: that is more than there can be.
        """
        if stream is not None:
            stream.window += amount
            if stream.window > frames.LARGEST_WINDOW:
                raise StreamFault(frames.FLOW_CONTROL_ERROR, "a window out of range")
            self._queue(stream)
            return
        self._window += amount
        if self._window > frames.LARGEST_WINDOW:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window out of range")

    def set_stream_window(self, sizes: list[int], streams: list[Stream]) -> None:
        """Send so many bytes on each stream before the client allows more (RFC 9113, 6.9.2): the last of some sizes.

        Raises:
            ConnectionFault: that is more than there can be.
        """
        size = sizes[-1]
        for stream in streams:
            stream.window += size - self._stream_window
            self._queue(stream)
        if max([*sizes, *(stream.window for stream in streams)]) > frames.LARGEST_WINDOW:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window out of range")
        self._stream_window = size

    def set_frame_limit(self, size: int) -> None:
        """Send frames of so many bytes.

        Raises:
            ConnectionFault: the protocol has no frames of that size.
        """
        if not frames.FRAME_LIMIT <= size <= frames.LARGEST_FRAME:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame size out of range")
        self._frame_limit = min(size, _LARGEST_FRAME)

    def forget_table(self) -> None:
        """Begin the next field section with a table size of zero: the client has set a size, and we use no table."""
        self._forget = True

    def _queue(self, stream: Stream) -> None:
        """Give a stream its turn after all others, unless it has one or has nothing that it may send."""
        if stream.window > 0 and stream in self._waiting:
            self._turns.setdefault(stream)

    def _room(self, stream: Stream) -> int:
        if self._closed or self.congested_since is not None:
            return 0
        return min(self._window, stream.window, self._frame_limit)

    def _spend(self, stream: Stream, size: int) -> None:
        self._window -= size
        stream.window -= size

    def _section(self, stream: Stream, flags: int, section: bytes) -> bytes:
        if self._forget:
            self._forget = False
            section = FORGET_TABLE + section
        if len(section) <= frames.FRAME_LIMIT:
            return frames.frame(frames.HEADERS, flags | frames.END_HEADERS, stream.number, section)
        first, *others = (
            section[start : start + frames.FRAME_LIMIT] for start in range(0, len(section), frames.FRAME_LIMIT)
        )
        last = others.pop()
        return b"".join(
            (
                frames.frame(frames.HEADERS, flags, stream.number, first),
                *(frames.frame(frames.CONTINUATION, 0, stream.number, piece) for piece in others),
                frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream.number, last),
            )
        )

    def _send_more(self, stream: Stream) -> bool:
        """Send a frame of the body that waits, and the trailers if that was the last; return whether it was."""
        room = self._room(stream)
        parts = []
        while stream.unsent and room:
            part = stream.unsent[0][:room]
            room -= len(part)
            parts.append(part)
            if len(part) == len(stream.unsent[0]):
                del stream.unsent[0]
            else:
                stream.unsent[0] = stream.unsent[0][len(part) :]
        size = sum(map(len, parts))
        self._spend(stream, size)
        stream.taken += size
        last = not stream.unsent
        end = self._section(stream, frames.END_STREAM, stream.trailers) if last else b""
        self.write(b"".join((frames.head(size, frames.DATA, 0, stream.number), *parts, end)))
        return last
