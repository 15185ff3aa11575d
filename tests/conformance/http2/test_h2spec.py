"""Our HTTP/2 keeps every rule that h2spec, the public suite for servers, knows, without TLS and over TLS.

What h2spec itself asks for is in `go.mod`; how it is built, in `tests/support/toolchains.py`.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from tests.support import toolchains

from kiteward.net.http2.server import Http2Server
from kiteward.net.http2.streams import Exchange, Head, Stream
from kiteward.net.listener import Listener
from kiteward.net.tls import ServerTls, TlsSettings

CASES: Final = 146
"""Cases in the suite: one that was not run has proved nothing."""

STRICTER: Final = "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream"
"""The one case that fails: libnghttp2 ends the connection where the suite wants the stream alone reset.

RFC 9113, 5.4 allows it: "an endpoint MAY choose to treat a stream error as a connection error".
"""

PATIENCE: Final = 6
"""Seconds after which h2spec takes it that nothing more comes: it waits so long in cases that end in silence."""

WITHIN: Final = 200
"""How long the whole suite may take, in seconds."""

ANSWER_AFTER: Final = 0.05
"""Seconds until a request is answered: some cases send more on its stream, which must still be there then."""

HOST: Final = "127.0.0.1"

HEAD: Final = ((b":status", b"200"), (b"content-type", b"text/plain"))
TRAILERS: Final = ((b"outcome", b"greeted"),)

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)


class Greeting:
    """Answers a request soon after its end. Implements `http2.streams.Exchange`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def received(self, data: bytes) -> None:
        """Do nothing."""

    def ended(self) -> None:
        asyncio.get_running_loop().call_later(ANSWER_AFTER, self._stream.respond, HEAD, (b"hello world",), TRAILERS)

    def lost(self) -> None:
        """Do nothing: the response is not sent."""


def greet(stream: Stream, _head: Head) -> Exchange:
    return Greeting(stream)


def server_tls(directory: Path) -> ServerTls:
    leaf = trustme.CA().issue_cert(HOST)
    certificate, key = directory / "cert.pem", directory / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    return ServerTls(TlsSettings(certificate, key))


@pytest.fixture(params=["without TLS", "over TLS"])
async def way_in(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[str]]:
    """A server that greets, and the options with which h2spec finds it."""
    secured = request.param == "over TLS"
    server = Http2Server(greet)
    listener = Listener(grpc=server, tls=server_tls(tmp_path) if secured else None)
    port = await listener.start(HOST, 0)
    yield ["--host", HOST, "--port", str(port), *(["--tls", "--insecure"] if secured else [])]
    listener.stop_accepting()
    await server.stop(0)
    await listener.close(5)
    assert not any(listener.open_connections().values())


async def test_every_rule_that_h2spec_knows_is_kept(way_in: list[str]) -> None:
    # It is built once; that must not keep the server's loop waiting.
    command = await asyncio.to_thread(toolchains.h2spec)
    process = await asyncio.create_subprocess_exec(
        *(*command, *way_in, "--strict", "--timeout", str(PATIENCE)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WITHIN):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    passed, _, failures = said.decode().partition("Failures:")
    assert re.findall(r"\N{MULTIPLICATION SIGN} \d+: (.*)", failures) == [STRICTER], failures or passed
    assert f"{CASES} tests, {CASES - 1} passed, 0 skipped, 1 failed" in failures
