"""HTTP/2 for clients: a few connections to one server, kept up, and the requests on them."""

import asyncio
from dataclasses import dataclass
from typing import Final

from kiteward.net.http2.client_connection import ClientConnection
from kiteward.net.http2.client_link import ClientLink
from kiteward.net.http2.client_settings import ClientSettings
from kiteward.net.http2.client_stream import ClientStream
from kiteward.net.http2.dialing import Address

_DISCONNECTED: Final = "was disconnected"


@dataclass(frozen=True, slots=True)
class ClientState:
    """Whether requests would reach the server.

    Attributes:
        ready: whether there is a connection.
        reason: a sentence for operators that says why not, with the address.
    """

    ready: bool
    reason: str = ""


class Http2Client:
    """Sends requests to one server.

    While there is no connection and one is being made, requests wait for it. Between attempts they end at once, with
    the cause of the last failure. A request that was sent is never sent again.

    Attributes:
        generation: how many connections were made.
        reconnections: how many of them replaced one that had ended.
    """

    def __init__(self, address: Address, settings: ClientSettings) -> None:
        """Set up a client without a connection: the first request makes one, or `connect`."""
        self._settings = settings
        self._links = [ClientLink(self, address, settings) for _ in range(settings.connections)]
        self._waiting: dict[ClientStream, None] = {}
        self._address = address
        self._cause = "has not been connected to yet"
        self._closed = False
        self.generation = 0
        self.reconnections = 0

    def connect(self) -> None:
        """Begin to make a connection, without waiting for it; one that ends is made again."""
        if self._links[0].idle:
            self._links[0].connect()

    def state(self) -> ClientState:
        """Return whether requests would reach the server."""
        if any(link.current is not None for link in self._links):
            return ClientState(ready=True)
        return ClientState(ready=False, reason=f"{self._address} {self._cause}")

    def send(self, stream: ClientStream) -> None:
        """Send a request as soon as possible, or end it with the cause why that is not possible."""
        connection = self._least_loaded()
        if connection is not None:
            connection.send(stream)
        elif self._closed:
            stream.lose(self._cause)
        elif any(link.connecting for link in self._links):
            self._waiting[stream] = None
        elif self._links[0].idle:
            self._links[0].connect()
            self._waiting[stream] = None
        else:
            stream.lose(self._cause)

    def cancel(self, stream: ClientStream) -> None:
        """End a request whose owner needs no response any more."""
        if stream.connection is not None:
            stream.connection.cancel(stream)
        else:
            stream.finished = True
            self._waiting.pop(stream, None)

    async def close(self) -> None:
        """End all connections and requests."""
        self._closed = True
        self.unavailable(_DISCONNECTED)
        await asyncio.gather(*(link.close(self._cause) for link in self._links))

    def _least_loaded(self) -> ClientConnection | None:
        links = self._links
        if len(links) == 1:
            return links[0].current
        found = [link.current for link in links if link.current is not None]
        if not found:
            return None
        best = min(found, key=_load)
        if best.load >= self._settings.requests:
            for link in links:
                if link.idle:
                    link.connect()
                    break
        return best

    # What links report ------------------------------------------------------------------------------------------------

    def available(self, *, again: bool) -> None:
        """Send what has waited."""
        self.generation += 1
        self.reconnections += again
        waiting, self._waiting = self._waiting, {}
        for stream in waiting:
            self.send(stream)

    def unavailable(self, cause: str) -> None:
        """End what waits, unless another connection is there or is being made."""
        if not self._closed or cause == _DISCONNECTED:
            self._cause = cause
        if any(link.current is not None or link.connecting for link in self._links) and not self._closed:
            return
        waiting, self._waiting = self._waiting, {}
        for stream in waiting:
            stream.lose(cause)

    def resend(self, unsent: list[ClientStream]) -> None:
        """Send elsewhere what a connection has not sent."""
        for stream in unsent:
            stream.connection = None
            self.send(stream)


def _load(connection: ClientConnection) -> int:
    return connection.load
