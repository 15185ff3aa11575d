"""Cuts the input of a connection into whole frames, before a session parses them.

A session gets whole frames and whole header blocks only. So what a client makes the server hold of a frame that has
not ended is counted exactly, a stalled frame is noticed, a turn of a connection has a number of frames, and frames
that a session reports no event for are noticed too.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from kiteward.net.http2.session import ErrorCode, Header

_FRAME_HEADER: Final = struct.Struct(">HBBBL")
"""The nine bytes before each payload: its length (16 bits and 8 bits), type, flags and stream (RFC 9113, 4.1)."""

_STREAM_MASK: Final = 2**31 - 1
MAX_FRAME_SIZE: Final = 16_384
"""Bytes of payload that every endpoint takes in one frame; the server asks for no more (RFC 9113, 4.2)."""

DATA: Final = 0x0
HEADERS: Final = 0x1
_PRIORITY: Final = 0x2
_WINDOW_UPDATE: Final = 0x8
_CONTINUATION: Final = 0x9
_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4

_PREFIX: Final = 0x7F
"""The longest text whose length fits into one byte is shorter than this (RFC 7541, 5.1)."""

_MAX_CONTINUATIONS: Final = 8
"""The session refuses more. So an incomplete header block, which is looked at again with each read, has few frames."""


class ConnectionFault(Exception):
    """The client has broken a rule or a limit after which its connection ends (RFC 9113, 5.4.1)."""

    def __init__(self, code: ErrorCode, text: str, *, unread: int = 0) -> None:
        """Create a fault of the connection.

        Args:
            code: the error code that is sent to the client.
            text: what it did, for the client's log.
            unread: the stream of a request whose header block cannot be read; 0 for another fault.
        """
        super().__init__(text)
        self.code = code
        self.unread = unread


class FrameScanner:
    """Finds the frames in the input of one connection, behind its preface.

    Attributes:
        control_frames: control frames in what was taken last, empty DATA frames not among them.
        header_blocks: header blocks in what was taken last.
        data_frames: DATA frames in what was taken last.
        waiting: whether whole frames may wait for the next turn.
    """

    def __init__(self, *, header_block: int) -> None:
        """Create a scanner without input.

        Args:
            header_block: bytes that a header block may have.
        """
        self._limit = header_block
        self._rest = b""
        self._continuations = 0
        self.control_frames = 0
        self.header_blocks = 0
        self.data_frames = 0
        self.waiting = False

    @property
    def pending(self) -> int:
        """Bytes that were received and not taken: of a frame or header block that has not ended, or of a later turn."""
        return len(self._rest)

    def take(self, data: bytes, *, frames: int, control_frames: int) -> bytes | memoryview:
        """Return the bytes of the next whole frames.

        Args:
            data: what was received since.
            frames: the number of frames, or header blocks, at most.
            control_frames: the number of control frames among them, at most; behind one more, nothing is taken.

        Raises:
            ConnectionFault: a header block is too long, or a PRIORITY frame is not as the protocol has it.
        """
        if self._rest:
            data = self._rest + data
        self.control_frames = self.header_blocks = self.data_frames = self._continuations = 0
        end = len(data)
        position = whole = 0
        while frames and self.control_frames <= control_frames and end - position >= _FRAME_HEADER.size:
            upper, lower, kind, flags, stream = _FRAME_HEADER.unpack_from(data, position)
            length = upper << 8 | lower
            if length > MAX_FRAME_SIZE:
                whole = end  # the session refuses it by its header; the rest of it is not waited for
                break
            payload = position + _FRAME_HEADER.size
            position = payload + length
            if position > end:
                break
            if kind == DATA:
                self.data_frames += 1
            elif kind == HEADERS or (kind == _CONTINUATION and self._continuations):
                if not self._completes_block(flags, position - whole, stream & _STREAM_MASK):
                    continue
            elif kind != _WINDOW_UPDATE:
                self.control_frames += 1
                if kind == _PRIORITY:
                    _require_priority(data[payload:position], stream & _STREAM_MASK)
            whole = position
            frames -= 1
        self._rest = data[whole:]
        self.waiting = whole < end and (not frames or self.control_frames > control_frames)
        return data if whole == end else memoryview(data)[:whole]

    def _completes_block(self, flags: int, size: int, stream: int) -> bool:
        """Return whether a HEADERS or CONTINUATION frame ends a header block, or what the session refuses as one."""
        if size > self._limit:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block that is too long", unread=stream)
        if flags & _END_HEADERS:
            self._continuations = 0
            self.header_blocks += 1
            return True
        self._continuations += 1
        return self._continuations > _MAX_CONTINUATIONS


def response_frame(stream: int, fields: Sequence[Header]) -> bytes:
    """Return the frame with a response that is a head alone, for a stream that no session has.

    Its fields are literals that no table is needed for (RFC 7541, 6.2.2), so that the states of both ends stay equal.

    Args:
        stream: the stream of the request.
        fields: the fields, `:status` first; together less than a frame may have.
    """
    block = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields)
    upper, lower = divmod(len(block), 1 << 8)
    return _FRAME_HEADER.pack(upper, lower, HEADERS, _END_HEADERS | _END_STREAM, stream) + block


def _literal(text: bytes) -> bytes:
    """Return a text with its length before it (RFC 7541, 5.1 and 5.2)."""
    size = len(text)
    if size < _PREFIX:
        return bytes((size,)) + text
    size -= _PREFIX
    encoded = bytearray((_PREFIX,))
    while size >= 1 << 7:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*encoded, size)) + text


def frames_in(data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """Return the types, streams and lengths of whole frames."""
    position = 0
    while len(data) - position >= _FRAME_HEADER.size:
        upper, lower, kind, _, stream = _FRAME_HEADER.unpack_from(data, position)
        length = upper << 8 | lower
        position += _FRAME_HEADER.size + length
        yield kind, stream & _STREAM_MASK, length


def _require_priority(payload: bytes, stream: int) -> None:
    """Raise ConnectionFault unless this is a priority that a stream may have; the session ignores them all."""
    if not stream:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a PRIORITY frame of the connection")
    if int.from_bytes(payload[:4], "big") & _STREAM_MASK == stream:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")
