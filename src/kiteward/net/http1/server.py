"""Serves HTTP/1.x on connections that a listener accepted.

uvicorn limits neither the time in which a request arrives nor the size of its head and trailers, and waits forever for
a client that does not read. Each of these is limited here; every connection is checked once a second.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from email.utils import formatdate

from uvicorn.config import Config
from uvicorn.server import ServerState

from kiteward.net.asgi import Application
from kiteward.net.budget import Budget
from kiteward.net.http1.connection import LOOK_SECONDS, Http1Connection
from kiteward.net.http1.limits import HttpLimits


class HttpServer:
    """Serves an application on accepted connections. Implements `listener.ConnectionHandler`."""

    def __init__(
        self, application: Application, limits: HttpLimits | None = None, *, budget: Budget | None = None
    ) -> None:
        """Create a server without connections.

        Args:
            application: what it serves.
            limits: the limits of a client; None takes the defaults.
            budget: the memory budget; None creates one of its own.
        """
        self.limits = limits or HttpLimits()
        self.budget = budget or Budget()
        self.config = Config(
            application,
            http=Http1Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            loop="none",
            log_config=None,
            log_level="error",
            access_log=False,
            # The client's address must never come from a header: on loopback anyone could forge it.
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=self.limits.idle,
        )
        self.config.load()
        self.state = ServerState()
        self._rounds: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._second = 0

    def adopt(self, transport: asyncio.Transport, head: bytes, on_lost: Callable[[], None]) -> None:
        """Serve a connection whose first bytes are `head`; `on_lost` is called once, when it is lost."""
        protocol = Http1Connection(self, on_lost)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)

    async def stop(self, grace: float) -> None:
        """Accept no more requests, wait for those in flight for at most `grace` seconds, then abort them."""
        for connection in self._connections():
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        for task in list(self.state.tasks):
            task.cancel()
        for connection in self._connections():
            connection.transport.abort()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks, timeout=1)
        if self._rounds is not None:
            self._rounds.cancel()
            self._rounds = None

    def entered(self, connection: Http1Connection) -> None:
        """Register a new connection for the periodic checks."""
        self._empty.clear()
        if self._rounds is None:
            self._rounds = connection.loop.call_later(LOOK_SECONDS, self._go_round)

    def left(self) -> None:
        """Note that a connection was lost."""
        if not self.state.connections:
            self._empty.set()

    def began(self) -> None:
        """Note that a request begins to arrive, and update the date that its response carries."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.state.default_headers = [(b"date", formatdate(second, usegmt=True).encode())]

    def _connections(self) -> list[Http1Connection]:
        return [each for each in self.state.connections if isinstance(each, Http1Connection)]

    def _go_round(self) -> None:
        loop = asyncio.get_running_loop()
        # First of all, so that a round that fails is not the last.
        self._rounds = loop.call_later(LOOK_SECONDS, self._go_round) if self.state.connections else None
        now = loop.time()
        for connection in self._connections():
            if connection.overdue(now):
                connection.transport.abort()
