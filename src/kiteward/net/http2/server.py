"""Serves HTTP/2 on connections that a listener accepted, and looks after them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from kiteward.net.budget import Budget
from kiteward.net.http2.connection import ServerConnection
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.session import PREFACE, Header
from kiteward.net.http2.streams import Exchange, Head, Stream


class Http2Server:
    """An application and the connections it is served on. Implements `listener.ConnectionHandler`."""

    def __init__(
        self,
        begin: Callable[[Stream, Head], Exchange],
        limits: Http2Limits | None = None,
        *,
        budget: Budget | None = None,
        unreadable: Sequence[Header] = ((b":status", b"431"),),
    ) -> None:
        """Create a server without connections.

        Args:
            begin: makes of each request an exchange.
            limits: what a client may take.
            budget: what clients may make the server hold together.
            unreadable: the response, a head alone, to a request whose header block is too long to be read.
        """
        self.begin = begin
        self.limits = limits or Http2Limits()
        self.budget = budget or Budget()
        self.unreadable = unreadable
        self._connections: set[ServerConnection] = set()
        self._checks: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def adopt(self, transport: asyncio.Transport, head: bytes, on_lost: Callable[[], None]) -> None:
        """Serve a connection whose first bytes are `head`, the preface; `on_lost` is called once, when it is gone."""
        connection = ServerConnection(self, on_lost)
        self._connections.add(connection)
        self._empty.clear()
        if self._checks is None:
            self._checks = asyncio.get_running_loop().call_later(self.limits.check_interval, self._check_all)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(head.removeprefix(PREFACE))

    def left(self, connection: ServerConnection) -> None:
        """Note that a connection was lost."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def stop(self, grace: float) -> None:
        """Accept no more requests, wait for those in flight for at most `grace` seconds, then abort them."""
        for connection in list(self._connections):
            connection.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        for connection in list(self._connections):
            connection.abort()
        if self._checks is not None:
            self._checks.cancel()
            self._checks = None

    def _check_all(self) -> None:
        loop = asyncio.get_running_loop()
        # First of all, so that a round that fails is not the last.
        self._checks = loop.call_later(self.limits.check_interval, self._check_all) if self._connections else None
        now = loop.time()
        for connection in list(self._connections):
            connection.check(now)
