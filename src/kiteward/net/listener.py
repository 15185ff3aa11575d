"""The listener of the main port: detects the protocol of each connection and limits the number of connections.

A connection that begins with the preface of HTTP/2 is handed to the handler for gRPC, one that begins with a request
line of HTTP/1.x to the handler for HTTP. All others are closed: at once when their bytes match neither, or after
`ListenerLimits.preface_timeout`.
"""

import asyncio
import contextlib
import math
import re
import resource
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol, Self, cast

from kiteward.domain.addresses import address_text, source_of
from kiteward.net.closing import close_and_discard
from kiteward.net.http2 import PREFACE
from kiteward.net.sockets import bind, cannot_listen
from kiteward.net.tls import ServerTls, TlsAcceptor

_REQUEST_LINE: Final = re.compile(rb"[A-Z]{1,24} [!-\xff]+ HTTP/1\.[01]\r?\n")
_BEGINNING_OF_A_LINE: Final = re.compile(rb"[A-Z]{1,24}(?: [!-\xff]*(?: [HTP/1.0]{0,8}\r?)?)?")
_LONGEST_LINE: Final = 8192
_LINE_TOO_LONG: Final = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_BACKLOG: Final = 1024
_FILES_OF_OUR_OWN: Final = 256


class Kind(StrEnum):
    """The protocol of a connection, as far as it is detected."""

    UNDECIDED = "undecided"
    HTTP = "http"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """The limits of a listener.

    Attributes:
        connections: open connections of all kinds; further ones are closed when they are accepted.
        undecided: connections whose protocol is not detected yet; a new one closes the oldest.
        per_address: open connections of one source: an IPv4 address or an IPv6 /64 network.
        preface_timeout: seconds in which a connection must send enough to detect its protocol.
    """

    connections: int = 10_000
    undecided: int = 512
    per_address: int = 2_000
    preface_timeout: float = 10.0

    def share(self, processes: int) -> Self:
        """Return the limits of one of several processes that serve the same port."""
        return replace(
            self,
            connections=math.ceil(self.connections / processes),
            undecided=math.ceil(self.undecided / processes),
            per_address=math.ceil(self.per_address / processes),
        )


class ConnectionHandler(Protocol):
    """Serves connections of one kind."""

    def adopt(self, transport: asyncio.Transport, head: bytes, on_lost: Callable[[], None]) -> None:
        """Take over a connection.

        Args:
            transport: the connection; the handler sets its protocol.
            head: the bytes that were read from it so far.
            on_lost: must be called once, when the connection is lost.
        """
        ...


def affordable_connections(wanted: int) -> int:
    """Return how many connections the limit of open files allows, at most `wanted`."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, allowed - _FILES_OF_OUR_OWN))


class Listener:
    """Listens on one host and port. Connections of a kind that has no handler are closed."""

    def __init__(
        self,
        *,
        http: ConnectionHandler | None = None,
        grpc: ConnectionHandler | None = None,
        limits: ListenerLimits | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        """Create a listener that does not listen yet.

        Args:
            http: serves HTTP/1.x.
            grpc: serves HTTP/2.
            limits: its limits; None takes the defaults.
            tls: the certificate to present; None serves without TLS.
        """
        self.limits = limits or ListenerLimits()
        self._tls = tls
        self._handlers = {Kind.HTTP: http, Kind.GRPC: grpc}
        self._servers: list[asyncio.Server | TlsAcceptor] = []
        self._accepting = False
        self._open: dict[_Connection, Kind] = {}
        self._undecided: dict[_Connection, None] = {}
        self._by_source: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self.refused: Counter[str] = Counter()

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Start listening and return the port in use.

        Args:
            host: a name or an address; the listener binds every address that it resolves to.
            port: the port; 0 lets the system choose.
            shared: whether other processes of this server listen on the port too, as of `kiteward.net.sockets.bind`.

        Raises:
            OSError: an address cannot be bound; the message names it.
        """
        sockets = await bind(host, port, shared=shared)
        chosen = int(sockets[0].getsockname()[1])
        self._accepting = True
        try:
            for bound in sockets:
                self._servers.append(await self._serve(bound))
        except OSError as error:
            self.stop_accepting()
            for bound in sockets:
                bound.close()
            raise cannot_listen(host, port, error) from error
        return chosen

    async def _serve(self, bound: socket.socket) -> "asyncio.Server | TlsAcceptor":
        if self._tls is None:
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: _Connection(self), sock=bound, backlog=_BACKLOG)
        bound.listen(_BACKLOG)
        return TlsAcceptor(
            bound,
            self._tls,
            lambda: _Connection(self),
            seconds=self.limits.preface_timeout,
            at_once=self.limits.undecided,
            failed=lambda: self.refused.update(("handshake",)),
        )

    def open_connections(self) -> Mapping[str, int]:
        """Return how many connections of each kind are open."""
        counted = Counter(self._open.values())
        return {kind.value: counted[kind] for kind in Kind}

    def stop_accepting(self) -> None:
        """Accept no more connections, and close those whose protocol is not detected yet."""
        self._accepting = False
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._undecided):
            connection.abort()

    async def close(self, grace: float) -> None:
        """Wait for at most `grace` seconds until all connections are closed, then abort the others."""
        self.stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        for connection in list(self._open):
            connection.abort()
        # Aborted connections are reported as lost in the next iterations of the event loop.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._empty.wait()

    def admit(self, connection: "_Connection") -> bool:
        """Register a new connection and return whether the limits allow it."""
        limits = self.limits
        if not self._accepting:
            return self._refuse("stopping")
        if len(self._open) >= limits.connections:
            return self._refuse("connections")
        if self._by_source[connection.source] >= limits.per_address:
            return self._refuse("address")
        if len(self._undecided) >= limits.undecided:
            self._refuse("undecided")
            next(iter(self._undecided)).abort()
        self._by_source[connection.source] += 1
        self._open[connection] = Kind.UNDECIDED
        self._undecided[connection] = None
        self._empty.clear()
        return True

    def decide(self, connection: "_Connection", kind: Kind, head: bytes) -> None:
        """Hand a connection to the handler of its kind; `head` is what was read from it."""
        handler = self._handlers.get(kind)
        if handler is None:
            self.give_up(connection, "garbage")
            return
        self._undecided.pop(connection, None)
        self._open[connection] = kind
        handler.adopt(connection.transport, head, lambda: self.forget(connection))

    def give_up(self, connection: "_Connection", reason: str) -> None:
        """Abort a connection, and count it under `reason`."""
        self._refuse(reason)
        connection.abort()

    def forget(self, connection: "_Connection") -> None:
        """Unregister a lost connection."""
        self._undecided.pop(connection, None)
        if self._open.pop(connection, None) is None:
            return
        self._by_source[connection.source] -= 1
        if not self._by_source[connection.source]:
            del self._by_source[connection.source]
        if not self._open:
            self._empty.set()

    def _refuse(self, reason: str) -> bool:
        self.refused[reason] += 1
        return False


class _Connection(asyncio.Protocol):
    """A connection until its protocol is detected."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._head = b""
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport
        self.source = ""
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.source, self.address = source_of(peer[0]), address_text(peer[0], peer[1])
        # Without a peer name it is already closed.
        if not peer or not self._listener.admit(self):
            self.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._listener.limits.preface_timeout, self._listener.give_up, self, "silent")

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._head = head = self._head + data
        if head.startswith(PREFACE):
            self._decide(Kind.GRPC)
        elif PREFACE.startswith(head):
            return
        elif _REQUEST_LINE.match(head):
            self._decide(Kind.HTTP)
        elif len(head) > _LONGEST_LINE and _BEGINNING_OF_A_LINE.fullmatch(head):
            self._refused = True
            self._stop_deadline()
            self.transport.write(_LINE_TOO_LONG)
            self._deadline = close_and_discard(self.transport, self._listener.limits.preface_timeout)
        elif not _BEGINNING_OF_A_LINE.fullmatch(head):
            self._listener.give_up(self, "garbage")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._stop_deadline()
        self._listener.forget(self)

    def abort(self) -> None:
        """Abort the connection, whichever handler serves it."""
        self._stop_deadline()
        self.transport.abort()
        self._listener.forget(self)

    def _decide(self, kind: Kind) -> None:
        self._stop_deadline()
        head, self._head = self._head, b""
        self._listener.decide(self, kind, head)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
