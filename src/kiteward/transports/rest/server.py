"""Serves HTTP/1.x on connections that a listener accepted: uvicorn's protocol, with bounds where it has none.

uvicorn limits neither how long a request may take to arrive nor how large its head or trailers grow, and waits for ever
for a client that does not read. Each of these is bounded here, by one look a second at every connection.

Offers to switch to another protocol are not taken. uvicorn's parser would skip the body of a request that carries one
(Java's own client does, on every first request) and take it for the next request.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum, auto
from typing import Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kiteward.transports.asgi import Application

_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_END_OF_HEAD: Final = b"\r\n\r\n"
_OFFER: Final = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*(?=\r\n)", re.IGNORECASE)

_ROUND: Final = 1.0
"""Seconds between two looks at a connection."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a client may take, in seconds and bytes.

    Attributes:
        head: seconds from the first byte of a request to the end of its head.
        head_bytes: size of a request's head; its trailers and chunk sizes together may be as large.
        idle: seconds between an answer and the next request.
        stall: seconds that a body, or the taking of an answer, may fall behind `rate`.
        rate: bytes a second that a client must send of its body, and take of its answer.
        leftover: seconds in which a body must end that nobody waits for any more.
    """

    head: float = 10.0
    head_bytes: int = 64 * 1024
    idle: int = 30
    stall: float = 20.0
    rate: int = 512
    leftover: float = 5.0


class HttpServer:
    """An application and the connections it is served on. Implements `listener.HttpDoor`."""

    def __init__(self, application: Application, limits: HttpLimits | None = None) -> None:
        self.limits = limits or HttpLimits()
        self.config = Config(
            application,
            http=_Http1,
            ws="none",
            lifespan="off",
            interface="asgi3",
            loop="none",
            log_config=None,
            log_level="error",
            access_log=False,
            # A header must never say who the client is: on loopback anyone could write it.
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
        """Serve a connection whose first bytes are `head`; `on_lost` is called once, when it is gone."""
        protocol = _Http1(self, on_lost)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)

    async def stop(self, grace: float) -> None:
        """Take no more requests, let those in flight finish for at most `grace` seconds, then break them off."""
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

    def entered(self, connection: "_Http1") -> None:
        """Begin to look after a connection."""
        self._empty.clear()
        if self._rounds is None:
            self._rounds = connection.loop.call_later(_ROUND, self._go_round)

    def left(self) -> None:
        """Notice that a connection is gone."""
        if not self.state.connections:
            self._empty.set()

    def began(self) -> None:
        """Notice that a request begins to arrive: its answer will carry the time."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.state.default_headers = [(b"date", formatdate(second, usegmt=True).encode())]

    def _connections(self) -> list["_Http1"]:
        return [each for each in self.state.connections if isinstance(each, _Http1)]

    def _go_round(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in self._connections():
            if connection.overdue(now):
                connection.transport.abort()
        self._rounds = loop.call_later(_ROUND, self._go_round) if self.state.connections else None


class _Phase(Enum):
    """What a connection is in the middle of receiving."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _Http1(HttpToolsProtocol):
    """uvicorn's protocol of one connection, that knows what it waits for and since when."""

    def __init__(self, server: HttpServer, on_lost: Callable[[], None]) -> None:
        super().__init__(server.config, server.state, app_state={})
        self._bounds = server.limits
        self._home = server
        self._on_lost = on_lost
        self._phase = _Phase.HEAD
        self._since = self.loop.time()
        self._received = 0
        self._body = 0
        self._fields = 0
        self._head = bytearray()
        self._last = False
        self._unread: tuple[float, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._home.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._home.left()
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        if self._phase is _Phase.NOTHING:
            self._enter(_Phase.HEAD)
        if self._phase is _Phase.HEAD:
            data = self._whole_head(data)
        self._received += len(data)
        if data:
            super().data_received(data)
        # A chunk of one byte comes with five bytes around it; trailers belong to no body at all.
        if self._phase is _Phase.BODY and self._received - 16 * self._body > self._bounds.head_bytes:
            self._refuse_head()

    def _whole_head(self, data: bytes) -> bytes:
        """Collect a head until it is whole, and return it without its offers to switch protocols, with what follows."""
        self._unset_keepalive_if_required()
        searched = max(0, len(self._head) - len(_END_OF_HEAD) + 1)
        self._head += data
        end = self._head.find(_END_OF_HEAD, searched)
        if (end if end >= 0 else len(self._head)) > self._bounds.head_bytes:
            self._refuse_head()
            return b""
        if end < 0:
            return b""
        head, rest = bytes(self._head[: end + 2]), bytes(self._head[end + 2 :])
        self._head.clear()
        return _OFFER.sub(b"", head) + rest

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fields = 0
        self._enter(_Phase.HEAD)
        self._home.began()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value)
        if self._fields > self._bounds.head_bytes:
            raise ValueError("too many bytes of header fields")  # uvicorn answers 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._enter(_Phase.BODY)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # An offer in a head that came right behind a body: what follows belongs to it, and is no request.
            self._last = True
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._enter(_Phase.NOTHING)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase is _Phase.BODY:
            # Nobody waits for the rest of this body: it ends soon, or the connection does.
            self._since = self.loop.time()

    def overdue(self, now: float) -> bool:
        """Return whether the client has kept this connection waiting for too long."""
        return self._stuck(now) or (self._late(now) and not self.transport.is_closing())

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _refuse_head(self) -> None:
        self._last = True
        if self._answering():
            # No second answer may stand in the middle of the first.
            self.transport.abort()
        else:
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()
        self._received = self._body = 0

    def _late(self, now: float) -> bool:
        """Return whether what is being received should have arrived by now."""
        if self.flow.read_paused:
            # It is us who do not read: time passes for nobody.
            self._since += _ROUND
            return False
        waited = now - self._since
        match self._phase:
            case _Phase.HEAD:
                return waited > self._bounds.head
            case _Phase.BODY if not self._answering():
                return waited > self._bounds.leftover
            case _Phase.BODY:
                return waited > self._bounds.stall + self._received / self._bounds.rate
            case _:
                return False

    def _stuck(self, now: float) -> bool:
        """Return whether an answer, or what is left of it, is not being taken."""
        waiting = self.transport.get_write_buffer_size()
        if not waiting or (self._answering() and not self.flow.write_paused):
            self._unread = None
            return False
        since, before = self._unread or (now, waiting)
        if now - since > self._bounds.stall:
            if before - waiting < self._bounds.rate * self._bounds.stall:
                return True
            since, before = now, waiting
        self._unread = (since, before)
        return False
