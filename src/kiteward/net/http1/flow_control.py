"""When a connection of HTTP/1.x is read: uvicorn's flow control, for a protocol that keeps what came too early."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class Http1FlowControl(FlowControl):
    """Reads on only when what was read before has been parsed.

    uvicorn pauses a connection for one reason and resumes it for another: a request that waits for its caller to hang
    up would let any number of further requests in.
    """

    def __init__(self, transport: asyncio.Transport, parse: Callable[[], None]) -> None:
        """Begin.

        Args:
            transport: the connection.
            parse: parses what came too early, if it is its time now; called when uvicorn wants to read on.
        """
        super().__init__(transport)
        self._parse = parse
        self.stopped = False

    def pause_reading(self) -> None:
        """Let nothing more of a body be parsed."""
        self.read_paused = True

    def resume_reading(self) -> None:
        """Let a body be parsed on."""
        if self.read_paused:
            self.read_paused = False
            self._parse()

    def read(self, *, on: bool) -> None:
        """Read on from the connection, or do not."""
        if on is not self.stopped or self._transport.is_closing():
            return
        self.stopped = not on
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
