"""The two ends between which the listener pumps bytes: a client, and the gRPC front."""

import asyncio
from collections.abc import Callable
from typing import Final

BUFFER: Final = 256 * 1024
"""Bytes that may wait for a slow reader before its writer is held up."""

LINGER: Final = 30.0
"""Seconds in which a client must take what was still to be sent when its connection closes."""


class Pump(asyncio.BaseProtocol):
    """Writes what arrives at one end to the far end, no faster than the far end takes it.

    The loop calls the far end's `write` directly: between the ends there is no Python frame and no copy.
    """

    def __init__(self, far: asyncio.Transport, on_lost: Callable[[], object]) -> None:
        self._far = far
        self._on_lost = on_lost
        self.data_received = far.write

    def pause_writing(self) -> None:
        # This end takes no more for now, so nothing more is read at the far end.
        if not self._far.is_closing():
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if not self._far.is_closing():
            self._far.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._on_lost()


class ClientEnd(Pump):
    """The client's end: what it sends goes to the front."""

    def eof_received(self) -> bool:
        """Tell the front that nothing more comes; the connection ends when the front ends it."""
        if not self._far.is_closing():
            self._far.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if exc is None:
            self._far.close()
        else:
            self._far.abort()


class TlsClientEnd(ClientEnd):
    """The client's end where it speaks TLS, in which no direction ends alone."""

    def eof_received(self) -> bool:
        """Close: what was read has been passed on."""
        return False


class FrontEnd(Pump):
    """The front's end: what it sends goes to the client."""

    def __init__(self, far: asyncio.Transport, linger: float) -> None:
        super().__init__(far, _nothing)
        self._linger = linger

    def registered(self, on_lost: Callable[[], object]) -> None:
        """Take what is to be called when the connection is gone."""
        self._on_lost = on_lost

    def eof_received(self) -> bool:
        """Close: gRPC never ends one direction alone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # Also after an error: what the front has said before goes out.
        self._far.close()
        if self._far.get_write_buffer_size():
            # A client that takes nothing any more must not hold its connection for ever.
            asyncio.get_running_loop().call_later(self._linger, self._far.abort)


def _nothing() -> None:
    """Stand in until a connection is registered."""
