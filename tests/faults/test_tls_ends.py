"""Clients under TLS that do not close their connection when the server does: they are not waited for."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from tests.support import http2_frames as frames
from tests.support.http2_abuse import Application
from tests.support.listeners import LOOPBACK, Echo, slow_reader, until

from kiteward.net.http1.server import HttpServer
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.server import Http2Server
from kiteward.net.listener import Listener
from kiteward.net.tls import ServerTls, TlsSettings

LARGE = 2_000_000
"""Bytes of a response that is more than a client's system takes before the client reads."""


class Secured:
    """A listener for both protocols, and its clients."""

    def __init__(self, tls: ServerTls, trust: ssl.SSLContext) -> None:
        self.echo = Echo()
        self.application = Application()
        self.http = HttpServer(self.echo)
        limits = Http2Limits(linger=0.2, check_interval=0.1, goaway_grace=0.0)
        self.grpc = Http2Server(self.application.begin, limits)
        self.listener = Listener(http=self.http, grpc=self.grpc, tls=tls)
        self.trust = trust
        self.port = 0

    async def connect(self, offer: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect with a client whose system takes little before the client reads it."""
        self.trust.set_alpn_protocols([offer])
        client = slow_reader(self.port)
        return await asyncio.open_connection(sock=client, ssl=self.trust, server_hostname=LOOPBACK, limit=1024)

    def nothing_left(self) -> bool:
        return not any(self.listener.open_connections().values())


@contextlib.asynccontextmanager
async def secured(directory: Path) -> AsyncIterator[Secured]:
    authority = trustme.CA()
    leaf = authority.issue_cert(LOOPBACK)
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    leaf.private_key_pem.write_to_path(key)
    leaf.cert_chain_pems[0].write_to_path(certificate)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    served = Secured(ServerTls(TlsSettings(certificate, key)), trust)
    served.port = await served.listener.start(LOOPBACK, 0)
    try:
        yield served
    finally:
        served.listener.stop_accepting()
        await asyncio.gather(served.http.stop(0), served.grpc.stop(0))
        await served.listener.close(1)


def deaf(writer: asyncio.StreamWriter) -> None:
    """Read nothing any more, not even that the server closes."""
    transport = writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    plain = transport._ssl_protocol._transport  # type: ignore[attr-defined]
    plain.pause_reading()


@pytest.mark.parametrize("offer", ["http/1.1", "h2"])
async def test_a_stop_does_not_wait_for_an_idle_client_that_does_not_close(offer: str, tmp_path: Path) -> None:
    async with secured(tmp_path) as served:
        reader, writer = await served.connect(offer)
        if offer == "h2":
            writer.write(frames.PREFACE + frames.settings({}))
            await reader.readexactly(9)
        else:
            writer.write(b"GET / HTTP/1.1\r\nhost: kiteward\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        deaf(writer)
        async with asyncio.timeout(15):
            await asyncio.gather(served.http.stop(60), served.grpc.stop(60))
            await until(served.nothing_left)
        writer.transport.abort()


async def test_a_stop_waits_for_a_client_that_still_reads(tmp_path: Path) -> None:
    async with secured(tmp_path) as served:
        served.echo.answer = bytes(LARGE)
        reader, writer = await served.connect("http/1.1")
        writer.write(b"GET / HTTP/1.1\r\nhost: kiteward\r\n\r\n")
        await until(lambda: served.echo.requests and served.http.state.total_requests)
        (connection,) = served.http._connections()
        stopping = asyncio.ensure_future(served.http.stop(60))
        await until(connection.transport.is_closing)
        assert not any(connection.overdue(connection.loop.time()) for _ in range(3))
        assert (await reader.read(-1)).endswith(bytes(LARGE))
        writer.transport.abort()
        await stopping
