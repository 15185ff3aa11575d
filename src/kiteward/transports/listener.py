"""The one port: tells gRPC from HTTP/1.1 by how a connection begins, and remembers whose connection it is.

A connection that begins with the preface of HTTP/2 is joined to the gRPC front, which listens on a Unix socket in a
private directory and takes calls only from connections made here (`Listener.address_of`). One that begins with a
request line of HTTP/1.x is handed to the HTTP door as it is. Everything else is closed: at once where the bytes cannot
become either, after a while where they do not come.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import re
import resource
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import unquote

from kiteward.transports.addresses import address_text, host_of
from kiteward.transports.binding import bind, cannot_listen
from kiteward.transports.pump import BUFFER, LINGER, ClientEnd, FrontEnd, TlsClientEnd
from kiteward.transports.pump_process import PumpProcess
from kiteward.transports.tls import ServerTls, TlsAcceptor

_log = logging.getLogger("kiteward.listener")

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every HTTP/2 connection begins with (RFC 9113, 3.4)."""

_REQUEST_LINE: Final = re.compile(rb"[A-Z]{1,24} [!-\xff]+ HTTP/1\.[01]\r?\n")
_BEGINNING_OF_A_LINE: Final = re.compile(rb"[A-Z]{1,24}(?: [!-\xff]*(?: [HTP/1.0]{0,8}\r?)?)?")
_LONGEST_LINE: Final = 8192
_LINE_TOO_LONG: Final = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_BACKLOG: Final = 1024
_FILES_PER_CONNECTION: Final = 3
_FILES_OF_OUR_OWN: Final = 256


class Kind(StrEnum):
    """What a connection has turned out to be."""

    UNDECIDED = "undecided"
    HTTP = "http"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """How much a listener holds, and for how long.

    Attributes:
        connections: open connections of all kinds; further ones are closed as they come.
        undecided: connections that have not yet shown what they are; the oldest makes room for a new one.
        per_address: open connections of one address.
        greeting: seconds in which a connection must show what it is.
        linger: seconds in which a client must take what was still to be sent when its connection closes.
    """

    connections: int = 10_000
    undecided: int = 512
    per_address: int = 2_000
    greeting: float = 10.0
    linger: float = LINGER


class HttpDoor(Protocol):
    """Who serves HTTP/1.x."""

    def adopt(self, transport: asyncio.Transport, head: bytes, on_lost: Callable[[], None]) -> None:
        """Serve a connection from now on.

        Args:
            transport: the connection; the door becomes its protocol.
            head: the bytes that were read from it so far.
            on_lost: to be called once, when the connection is gone.
        """
        ...


def affordable_connections(wanted: int) -> int:
    """Return how many connections the process may open files for, at most `wanted`.

    A gRPC connection takes three files: the client's, and both ends of the one to the front.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (allowed - _FILES_OF_OUR_OWN) // _FILES_PER_CONNECTION))


class Listener:
    """One listening address. Made with its HTTP door, started with the socket of its gRPC front.

    A kind of connection without a door is closed like garbage.
    """

    def __init__(
        self,
        http: HttpDoor | None,
        limits: ListenerLimits | None = None,
        *,
        pump: PumpProcess | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        """Prepare a listener.

        Args:
            http: serves HTTP/1.x.
            limits: how much is held, and for how long.
            pump: pumps the bytes of gRPC connections in a process of its own; started and stopped with the listener.
                Without it, under TLS, and while it has no process, the bytes pass through this one.
            tls: what is shown to clients; without it they speak in the open.
        """
        self.limits = limits or ListenerLimits()
        self._pump = pump
        self._tls = tls
        self._http = http
        self._front: Path | None = None
        self._joined = itertools.count(1)
        self._servers: list[asyncio.Server | TlsAcceptor] = []
        self._accepting = False
        self._open: dict[_Connection, Kind] = {}
        self._undecided: dict[_Connection, None] = {}
        self._by_host: Counter[str] = Counter()
        self._peers: dict[str, str] = {}
        self._joining: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.refused: Counter[str] = Counter()

    async def start(self, host: str, port: int, *, front: Path | None = None) -> int:
        """Listen, and return the port in use.

        Args:
            host: a name or an address; every address it stands for is listened on.
            port: 0 lets the system choose.
            front: the socket of the gRPC front; our ends of its connections are named beside it.

        Raises:
            OSError: an address cannot be bound; the message names it.
        """
        self._front = front
        sockets = await bind(host, port)
        if self._pump is not None:
            await self._pump.start()
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
            seconds=self.limits.greeting,
            at_once=self.limits.undecided,
            failed=lambda: self.refused.update(("handshake",)),
        )

    def address_of(self, peer: str) -> str | None:
        """Return the address of the client behind a connection to the gRPC front, None if it was not made here.

        Args:
            peer: the other end's name as gRPC tells it: percent-encoded where no URI could hold it.
        """
        return self._peers.get(unquote(peer, errors="surrogateescape"))

    def open_connections(self) -> Mapping[str, int]:
        """Return how many connections of each kind are open."""
        counted = Counter(self._open.values())
        return {kind.value: counted[kind] for kind in Kind}

    def stop_accepting(self) -> None:
        """Take no more connections, and close those that have not shown what they are."""
        self._accepting = False
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._undecided):
            connection.abort()

    async def close(self, grace: float) -> None:
        """Wait until every connection is gone, for at most `grace` seconds, then break off the rest."""
        self.stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        if self._pump is not None:
            await self._pump.stop()
        for connection in list(self._open):
            connection.abort()
        for task in list(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        # What was broken off is told so in the loop's next turns.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._empty.wait()

    def admit(self, connection: "_Connection") -> bool:
        """Take a new connection in, unless there are too many."""
        limits = self.limits
        if not self._accepting:
            return self._refuse("stopping")
        if len(self._open) >= limits.connections:
            return self._refuse("connections")
        if self._by_host[connection.host] >= limits.per_address:
            return self._refuse("address")
        if len(self._undecided) >= limits.undecided:
            self._refuse("undecided")
            next(iter(self._undecided)).abort()
        self._by_host[connection.host] += 1
        self._open[connection] = Kind.UNDECIDED
        self._undecided[connection] = None
        self._empty.clear()
        return True

    def decide(self, connection: "_Connection", kind: Kind, head: bytes) -> None:
        """Send a connection to its door; `head` is what was read from it."""
        http, front = self._http, self._front
        if kind is Kind.HTTP and http is not None:
            self._note(connection, kind)
            http.adopt(connection.transport, head, lambda: self.forget(connection))
        elif kind is Kind.GRPC and front is not None:
            self._note(connection, kind)
            connection.transport.pause_reading()
            task = asyncio.get_running_loop().create_task(self._join(connection, head, front))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)
        else:
            self.give_up(connection, "garbage")

    def give_up(self, connection: "_Connection", reason: str) -> None:
        """Close a connection that is of no kind we serve."""
        self._refuse(reason)
        connection.abort()

    def forget(self, connection: "_Connection") -> None:
        """Strike a connection that is gone off every list."""
        self._undecided.pop(connection, None)
        if self._open.pop(connection, None) is None:
            return
        self._by_host[connection.host] -= 1
        if not self._by_host[connection.host]:
            del self._by_host[connection.host]
        if not self._open:
            self._empty.set()

    def _note(self, connection: "_Connection", kind: Kind) -> None:
        self._undecided.pop(connection, None)
        self._open[connection] = kind

    def _refuse(self, reason: str) -> bool:
        self.refused[reason] += 1
        return False

    async def _join(self, connection: "_Connection", head: bytes, front: Path) -> None:
        """Connect a client to the gRPC front, and let bytes flow both ways."""
        # The name of our end is how the front tells one client from another.
        name = front.parent / str(next(self._joined))
        try:
            async with asyncio.timeout(self.limits.greeting):
                ours = await _connect(front, name)
        except (OSError, TimeoutError):
            _log.exception("a gRPC connection could not be joined to its front")
            connection.abort()
            return
        if connection not in self._open:
            ours.close()
            return
        # INVARIANT: the front learns of no byte before its peer is registered, and no name is used twice.
        peer = f"unix:{name}"
        self._peers[peer] = connection.address
        try:
            # The front reads while we write: it ends what it does not like, and a long head ends with the greeting.
            async with asyncio.timeout(self.limits.greeting):
                await asyncio.get_running_loop().sock_sendall(ours, head)
            if not self._hand_over(connection, ours, peer):
                await self._pump_here(connection, ours, peer)
        except (OSError, TimeoutError):
            self._peers.pop(peer, None)
            ours.close()
            connection.abort()

    def _hand_over(self, connection: "_Connection", ours: socket.socket, peer: str) -> bool:
        """Let the pump's process have a connection and its end at the front; False where it cannot."""

        def lost() -> None:
            self._peers.pop(peer, None)
            self.forget(connection)

        client = connection.transport
        plain = client.get_extra_info("socket") if client.get_extra_info("ssl_object") is None else None
        if self._pump is None or plain is None or connection not in self._open:
            return False
        if not self._pump.take(plain.fileno(), ours.fileno(), lost):
            return False
        ours.close()
        client.set_protocol(asyncio.Protocol())  # what ends here is our copy, not the connection
        client.abort()
        return True

    async def _pump_here(self, connection: "_Connection", ours: socket.socket, peer: str) -> None:
        client = connection.transport
        front_end = FrontEnd(client, self.limits.linger)
        front_end.registered(lambda: self._peers.pop(peer, None))
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: front_end, sock=ours)
        if connection not in self._open:
            transport.abort()
            return
        kind = ClientEnd if client.get_extra_info("ssl_object") is None else TlsClientEnd
        client_end = kind(transport, lambda: self.forget(connection))
        for end in (client, transport):
            end.set_write_buffer_limits(high=BUFFER)
        client.set_protocol(cast("asyncio.Protocol", client_end))
        client.resume_reading()


async def _connect(front: Path, name: Path) -> socket.socket:
    """Connect to the gRPC front from a socket of a name, which leaves the directory again at once.

    Raises:
        OSError: the front cannot be reached.
    """
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        ours.setblocking(False)
        ours.bind(str(name))
        await asyncio.get_running_loop().sock_connect(ours, str(front))
    except BaseException:
        ours.close()
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108  a directory entry in memory: nothing to wait for
    return ours


class _Connection(asyncio.Protocol):
    """A connection from its first byte until it has shown what it is."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._head = b""
        self._deadline: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport
        self.host = ""
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.host, self.address = host_of(peer[0]), address_text(peer[0], peer[1])
        # Without a name it is gone already.
        if not peer or not self._listener.admit(self):
            self.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._listener.limits.greeting, self._listener.give_up, self, "silent")

    def data_received(self, data: bytes) -> None:
        self._head = head = self._head + data
        if head.startswith(PREFACE):
            self._decide(Kind.GRPC)
        elif PREFACE.startswith(head):
            return
        elif _REQUEST_LINE.match(head):
            self._decide(Kind.HTTP)
        elif len(head) > _LONGEST_LINE and _BEGINNING_OF_A_LINE.fullmatch(head):
            self.transport.write(_LINE_TOO_LONG)
            self.transport.close()
        elif not _BEGINNING_OF_A_LINE.fullmatch(head):
            self._listener.give_up(self, "garbage")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._settle()
        self._listener.forget(self)

    def abort(self) -> None:
        """Break the connection off, whatever it has become."""
        self._settle()
        self.transport.abort()
        self._listener.forget(self)

    def _decide(self, kind: Kind) -> None:
        self._settle()
        head, self._head = self._head, b""
        self._listener.decide(self, kind, head)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
