"""Flow control of an HTTP/1.x connection: uvicorn's, adapted to a protocol that buffers pipelined requests."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class Http1FlowControl(FlowControl):
    """Reads from a connection only after everything read before has been parsed.

    uvicorn pauses a connection for one reason and resumes it for another. While a request waited for its caller to
    disconnect, it would read any number of further requests.
    """

    def __init__(self, transport: asyncio.Transport, parse: Callable[[], None]) -> None:
        """Attach to a connection, which is being read.

        Args:
            transport: the connection.
            parse: parses what is buffered, as far as it may be parsed; called when uvicorn resumes reading.
        """
        super().__init__(transport)
        self._parse = parse
        self.stopped = False

    def pause_reading(self) -> None:
        """Pause parsing of a body."""
        self.read_paused = True

    def resume_reading(self) -> None:
        """Resume parsing of a body."""
        if self.read_paused:
            self.read_paused = False
            self._parse()

    def read(self, *, on: bool) -> None:
        """Resume reading from the connection if `on`, else pause it."""
        if on is not self.stopped or self._transport.is_closing():
            return
        self.stopped = not on
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
