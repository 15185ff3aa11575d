"""Cuts the input of a connection into whole frames, before a session parses them.

A session gets whole frames and whole header blocks only. So what a client makes the server hold of a frame that has
not ended is counted exactly, a stalled frame is noticed, a turn of a connection has a number of frames, and control
frames that a session reports no event for are counted too.
"""

import struct
from typing import Final

_FRAME_HEADER: Final = struct.Struct(">HBBB")
"""The first five bytes of a frame: its length (16 bits and 8 bits), type and flags (RFC 9113, 4.1)."""

_FRAME_HEADER_SIZE: Final = 9
MAX_FRAME_SIZE: Final = 16_384
"""Bytes of payload that every endpoint takes in one frame; the server asks for no more (RFC 9113, 4.2)."""

_DATA: Final = 0x0
_HEADERS: Final = 0x1
_WINDOW_UPDATE: Final = 0x8
_CONTINUATION: Final = 0x9
_END_HEADERS: Final = 0x4

_MAX_CONTINUATIONS: Final = 8
"""The session refuses more. So an incomplete header block, which is looked at again with each read, has few frames."""


class LimitExceeded(Exception):
    """The client has exceeded a limit of the connection, which ends it with ENHANCE_YOUR_CALM."""


class FrameScanner:
    """Finds the frames in the input of one connection, behind its preface.

    Attributes:
        control_frames: control frames in what was taken last, empty DATA frames among them.
        header_blocks: complete header blocks in what was taken last.
        waiting: whether whole frames may wait for the next turn.
    """

    def __init__(self, *, header_block: int) -> None:
        """Create a scanner without input.

        Args:
            header_block: bytes that a header block may have.
        """
        self._header_block = header_block
        self._rest = b""
        self.control_frames = 0
        self.header_blocks = 0
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
            control_frames: the number of control frames among them, at most: behind one more, nothing is taken.

        Raises:
            LimitExceeded: a header block is too long.
        """
        if self._rest:
            data = self._rest + data
        position = whole = blocks = control = continuations = 0
        end = len(data)
        in_block = False
        while frames and end - position >= _FRAME_HEADER_SIZE:
            upper, lower, kind, flags = _FRAME_HEADER.unpack_from(data, position)
            length = upper << 8 | lower
            position += _FRAME_HEADER_SIZE + length
            if length > MAX_FRAME_SIZE:
                # The session refuses it by its header; the rest of it is not waited for.
                position = whole = end
                break
            if position > end:
                break
            if kind == _HEADERS or (in_block and kind == _CONTINUATION):
                if not flags & _END_HEADERS:
                    continuations += in_block
                    in_block = continuations < _MAX_CONTINUATIONS
                    if position - whole > self._header_block:
                        raise LimitExceeded("a header block that is too long")
                    if in_block:
                        continue
                else:
                    blocks += 1
                    in_block = False
            elif (kind > _HEADERS and kind != _WINDOW_UPDATE) or (kind == _DATA and not length):
                control += 1
            whole = position
            frames -= 1
            if control > control_frames:
                break
        self.control_frames = control
        self.header_blocks = blocks
        self._rest = data[whole:]
        self.waiting = not frames and whole < end
        return data if whole == end else memoryview(data)[:whole]
