"""A server for tests of clients: it speaks HTTP/2 and answers only what the test makes it answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from kiteward.net.http2.session import (
    Configuration,
    Connection,
    DataReceived,
    Event,
    PingReceived,
    RequestReceived,
    Role,
    Setting,
    StreamReset,
)

RESPONSE = ((b":status", b"200"), (b"content-type", b"application/grpc"))


def framed(message: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """Return a message with gRPC's prefix."""
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4, "big") + message


class Peer(asyncio.Protocol):
    """One connection that was accepted.

    Attributes:
        fields: the fields of each request, by the number of its stream.
        requests: the same by their names.
        bodies: what has come of each body.
        resets: streams that the client has reset, with the code.
        pings: how many PINGs have come.
    """

    def __init__(self, peers: "Peers") -> None:
        self.session = Connection(
            Role.SERVER,
            Configuration(
                auto_window_update=False,
                stream_reset_rate_limit=(10**6, 10**6),
                max_send_header_block_length=2**20,
            ),
        )
        self.peers = peers
        self.fields: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
        self.requests: dict[int, dict[bytes, bytes]] = {}
        self.bodies: dict[int, bytearray] = {}
        self.resets: dict[int, int] = {}
        self.unread: list[tuple[int, int]] = []
        self.pings = 0
        self.mute = False
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.session.initiate_connection(self.peers.settings)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self.mute:
            return
        self.session.receive_data(data)
        for event in self.session.events():
            self.take(event)
        self.flush()

    def take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=number, headers=fields):
                self.fields[number] = fields
                self.requests[number] = dict(fields)
                self.bodies[number] = bytearray()
                if self.peers.on_request is not None:
                    self.peers.on_request(self, number)
            case DataReceived(stream_id=number, data=data):
                self.bodies[number] += data
                self.unread.append((len(data), number))
                if not self.peers.manual:
                    self.consume()
            case StreamReset(stream_id=number, error_code=code):
                self.resets[number] = code
            case PingReceived():
                self.pings += 1

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()

    def flush(self) -> None:
        self.transport.write(self.session.data_to_send())

    def consume(self) -> None:
        """Let the client send as much again as has come."""
        self.peers.manual = False
        for size, number in self.unread:
            self.session.acknowledge_received_data(size, number)
        self.unread.clear()
        self.flush()

    def answer(self, number: int, message: bytes = b"answer", *, status: bytes = b"0") -> None:
        """Answer a call as gRPC does."""
        self.session.send_response(number, RESPONSE)
        self.session.send_data(number, framed(message))
        self.session.send_trailers(number, [(b"grpc-status", status)])
        self.flush()


class Peers:
    """All connections that a server has accepted.

    Attributes:
        all: the connections, in their order.
        settings: what each begins with.
        manual: whether bodies are left unread until `consume`.
        on_request: called with the connection and the number of each stream that begins.
    """

    def __init__(self) -> None:
        self.all: list[Peer] = []
        self.port = 0
        self.manual = False
        self.settings: dict[int, int] = {Setting.MAX_CONCURRENT_STREAMS: 100}
        self.on_request: Callable[[Peer, int], None] | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def last(self) -> Peer:
        return self.all[-1]

    def accept(self) -> Peer:
        peer = Peer(self)
        self.all.append(peer)
        return peer


@asynccontextmanager
async def listening(*, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Peers]:
    """Accept connections as a server that answers by hand."""
    peers = Peers()
    server = await asyncio.get_running_loop().create_server(peers.accept, "127.0.0.1", port, ssl=tls)
    peers.port = server.sockets[0].getsockname()[1]
    try:
        yield peers
    finally:
        server.close()
        for peer in peers.all:
            if hasattr(peer, "transport"):
                peer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def saying(first: bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Accept connections and send the same bytes on each; empty closes it. Yields the port."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        if first:
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
