"""What one end of the connection between server and engine sends: one write for each turn of the loop."""

import asyncio
from collections import OrderedDict
from typing import Final

_BATCH_BYTES: Final = 256 * 1024
"""A write of fewer bytes is copied into one block; a longer one is passed on in the blocks it came in."""


class OutgoingFrames:
    """Frames in the order they came. While the other end does not read, they wait here and can be withdrawn."""

    def __init__(self, transport: asyncio.WriteTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Send by a transport, whose protocol calls `pause` and `resume` for it."""
        self._transport = transport
        self._loop = loop
        self._waiting: OrderedDict[int, tuple[bytes, ...]] = OrderedDict()
        self._scheduled = False
        self._paused = False

    def put(self, call: int, frame: tuple[bytes, ...]) -> None:
        """Send a frame of a call.

        Args:
            call: its number. No other frame of it may be waiting.
            frame: the frame's bytes, in blocks.
        """
        self._waiting[call] = frame
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def withdraw(self, call: int) -> bool:
        """Forget the frame of a call, and return true, if it still waits."""
        return self._waiting.pop(call, None) is not None

    def pause(self) -> None:
        """Stop to write, until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Write what waits, and go on writing."""
        self._paused = False
        self.flush()

    def hand_over(self) -> None:
        """Give the transport all that waits, also if it has enough; for the end, because it may hold much then."""
        while self._waiting:
            self._transport.writelines(self._waiting.popitem(last=False)[1])

    def close(self) -> None:
        """Forget what waits; nothing is written any more."""
        self._paused = True
        self._waiting.clear()

    def flush(self) -> None:
        """Write what waits, until the transport has enough."""
        self._scheduled = False
        while self._waiting and not self._paused:
            blocks: list[bytes] = []
            size = 0
            while self._waiting and size < _BATCH_BYTES:
                frame = self._waiting.popitem(last=False)[1]
                blocks += frame
                size += sum(map(len, frame))
            if size < _BATCH_BYTES:
                self._transport.write(b"".join(blocks))
            else:
                self._transport.writelines(blocks)
