"""Cuts what a client sends into frames (RFC 9113, 4 and 6.10)."""

import sys
from collections.abc import Callable
from typing import Final

from kiteward.net.http2 import frames
from kiteward.net.http2.frames import ConnectionFault

Take = Callable[[int, int, int, bytes], None]
"""Takes a frame: type, stream, flags, payload. A field section is always whole, without padding and priority."""

_PRIORITY_SIZE: Final = 5


class FrameReader:
    """Reads one connection, from behind its preface.

    Attributes:
        greeted: whether the first frame has come.
        pending: bytes that have come and are not taken: of a frame or field section that has not ended, or of frames
            that wait for the next turn.
        waiting: whether frames wait for the next turn.
    """

    def __init__(self, take: Take, *, block_limit: int) -> None:
        """Create a reader of a connection whose preface has been read.

        Args:
            take: called with each frame, in their order.
            block_limit: bytes of a field section.
        """
        self._take = take
        self._block_limit = block_limit
        self._rest = b""
        self._section: tuple[int, int, bytearray] | None = None  # not yet whole: its stream, flags and bytes
        self.greeted = False
        self.pending = 0
        self.waiting = False

    @property
    def halfway(self) -> bool:
        """Whether a frame or a field section has begun and not ended."""
        return bool(self._rest) or self._section is not None

    def feed(self, data: bytes, *, most: int = sys.maxsize) -> bool:
        """Take bytes, and return whether a frame has ended in them.

        Args:
            data: what has come.
            most: how many frames to take; `waiting` tells whether there is more, which an empty `feed` goes on with.

        Raises:
            ConnectionFault: they are not as the protocol has it.
        """
        if self._rest:
            data = self._rest + data
        position, end, left = 0, len(data), most
        while left and end - position >= frames.HEAD.size:
            left -= 1
            upper, lower, kind, flags, stream = frames.HEAD.unpack_from(data, position)
            length = upper << 8 | lower
            if length > frames.FRAME_LIMIT:
                raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame larger than allowed")
            start = position + frames.HEAD.size
            if end - start < length:
                break
            position = start + length
            self._frame(kind, stream & frames.LAST_STREAM, flags, data[start:position])
        self._rest = data[position:]
        self.waiting = not left and bool(self._rest)
        self.pending = end - position + (0 if self._section is None else len(self._section[2]))
        return position > 0

    def _frame(self, kind: int, stream: int, flags: int, payload: bytes) -> None:
        if not self.greeted:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "the first frame must be SETTINGS")
            self.greeted = True
        if self._section is not None or kind == frames.CONTINUATION:
            self._continue(kind, stream, flags, payload)
            return
        if kind != frames.HEADERS:
            self._take(kind, stream, flags, payload)
        elif flags & frames.END_HEADERS:
            self._take(kind, stream, flags, _section(stream, flags, payload))
        else:
            self._section = (stream, flags, bytearray(_section(stream, flags, payload)))

    def _continue(self, kind: int, stream: int, flags: int, payload: bytes) -> None:
        """Take the next piece of a field section; nothing else may come before its end."""
        section = self._section
        if section is None or kind != frames.CONTINUATION or stream != section[0]:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a field section that is interrupted, or has not begun")
        _, first_flags, block = section
        block += payload
        if len(block) > self._block_limit or not (payload or flags & frames.END_HEADERS):
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "a field section without end")
        if flags & frames.END_HEADERS:
            self._section = None
            self._take(frames.HEADERS, stream, first_flags, bytes(block))


def _section(stream: int, flags: int, payload: bytes) -> bytes:
    """Return the piece of a field section in a HEADERS frame (RFC 9113, 6.2)."""
    block = unpadded(flags, payload)
    if not flags & frames.WITH_PRIORITY:
        return block
    require_priority(stream, block[:_PRIORITY_SIZE])
    return block[_PRIORITY_SIZE:]


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return a payload without its padding (RFC 9113, 6.1).

    Raises:
        ConnectionFault: there is more padding than payload.
    """
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(frames.PROTOCOL_ERROR, "more padding than there is room for")
    return payload[1 : len(payload) - payload[0]]


def require_priority(stream: int, priority: bytes) -> None:
    """Raise ConnectionFault unless this is a priority that a stream may have (RFC 9113, 5.3.2); nobody heeds it."""
    if len(priority) != _PRIORITY_SIZE:
        raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a priority of the wrong size")
    if int.from_bytes(priority[:4], "big") & frames.LAST_STREAM == stream:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "a stream that depends on itself")
