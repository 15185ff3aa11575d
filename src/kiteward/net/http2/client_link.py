"""One of a client's connections: made, and made again when it ends."""

import asyncio
import logging
import random
from dataclasses import replace
from typing import Final, Protocol

from kiteward.net.http2.client_connection import TOO_MANY_PINGS, ClientConnection
from kiteward.net.http2.client_settings import ClientSettings
from kiteward.net.http2.client_stream import ClientStream
from kiteward.net.http2.dialing import Address, DialError, dial

_log = logging.getLogger("kiteward.net")

_GROWTH: Final = 2.0
_JITTER: Final = 0.2

_PROVEN: Final = 1.0
"""Seconds that a connection has to last for pauses to begin from the first when it ends."""

_FAREWELL: Final = 1.0
"""Seconds that a closed connection has for writing what is left."""


class LinkOwner(Protocol):
    """The user of a link, which is notified of its states."""

    def available(self, *, again: bool) -> None:
        """Take that there is a connection, in place of one that has ended if it is there `again`."""

    def unavailable(self, cause: str) -> None:
        """Take that there is none, because of what the server does."""

    def resend(self, unsent: list[ClientStream]) -> None:
        """Take back requests that were not sent."""


class ClientLink:
    """A connection that is made again: at once the first time, then after growing pauses with jitter."""

    def __init__(self, owner: LinkOwner, address: Address, settings: ClientSettings) -> None:
        """Set up a link without a connection.

        Args:
            owner: is notified of its states.
            address: where the server is.
            settings: how the connection is kept.
        """
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._address = address
        self._settings = settings
        self._limits = settings.limits
        self._attempt: asyncio.Task[None] | None = None
        self._making: ClientConnection | None = None
        self._ready: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pause = 0.0
        self._since = 0.0
        self._open: set[ClientConnection] = set()
        self._closed = False
        self._logged = ""
        self.current: ClientConnection | None = None

    @property
    def connecting(self) -> bool:
        """Whether a connection is being made."""
        return self._attempt is not None

    @property
    def idle(self) -> bool:
        """Whether there is no connection, and none will be made without `connect`."""
        return self.current is None and self._attempt is None and self._timer is None

    def connect(self) -> None:
        """Begin to make a connection."""
        self._timer = None
        self._attempt = self._loop.create_task(self._connect(), name="http2-connect")

    async def close(self, cause: str) -> None:
        """End all connections; what is in flight on them ends with the cause."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        connections = list(self._open)
        if not connections:
            return
        for connection in connections:
            connection.close(cause)
        _, pending = await asyncio.wait([each.closed for each in connections], timeout=_FAREWELL)
        if pending:
            for connection in connections:
                connection.abort(cause)
            await asyncio.wait(pending)

    async def _connect(self) -> None:
        settings, address = self._settings, self._address
        connection = ClientConnection(self, self._limits)
        self._making, self._ready = connection, self._loop.create_future()
        cause = ""
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await dial(address, lambda: connection, timeout=settings.connect_timeout)
                self._open.add(connection)
                await self._ready
        except TimeoutError:
            cause = "accepts connections and does not answer on them" if connection in self._open else "does not answer"
        except DialError as error:
            cause = str(error)
        finally:
            self._making = self._ready = self._attempt = None
            if self.current is not connection:
                connection.abort(cause)
        if cause:
            self._wait(cause)

    def _wait(self, cause: str) -> None:
        """Make the next attempt later."""
        settings = self._settings
        if cause != self._logged and not self._closed:
            self._logged = cause
            _log.warning("%s %s; connecting again", self._address, cause)
        self._pause = min(max(self._pause * _GROWTH, settings.first_pause), settings.longest_pause)
        if not self._closed:
            seconds = self._pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - it spreads attempts
            self._timer = self._loop.call_later(seconds, self.connect)
        self._owner.unavailable(cause)

    # What connections report ------------------------------------------------------------------------------------------

    def connected(self, connection: ClientConnection) -> None:
        """Use a connection from now on."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
            self.current = connection
            again, self._since = self._since > 0, self._loop.time()
            if self._logged:
                self._logged = ""
                _log.info("connected to %s", self._address)
            self._owner.available(again=again)

    def retired(self, connection: ClientConnection, unsent: list[ClientStream], cause: str) -> None:
        """Replace a connection that takes no more requests."""
        if self.current is not connection:
            return
        self.current = None
        if cause == TOO_MANY_PINGS:
            self._limits = replace(self._limits, silence=2 * self._limits.silence)
        if self._loop.time() - self._since >= _PROVEN:
            self._pause = 0.0
        if self._closed:
            pass
        elif self._pause and cause:
            self._wait(cause)
        else:
            self._pause = self._settings.first_pause / _GROWTH
            self.connect()
        self._owner.resend(unsent)

    def lost(self, connection: ClientConnection, cause: str) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        if connection is self._making and self._ready is not None and not self._ready.done():
            self._ready.set_exception(DialError(cause))
