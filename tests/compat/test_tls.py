"""TLS on the one port, with real handshakes: who gets which protocol, what is refused, and certificates that change."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme
from pymilvus import MilvusClient
from tests.support import raw_grpc
from tests.support.engine import FakeEngine
from tests.support.listeners import until
from tests.support.server import ROOT_TOKEN

from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.net.tls import ServerTls, TlsSettings

HELLO = b"POST /v2/vectordb/users/list HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n"
METADATA = (("authorization", raw_grpc.authorization(ROOT_TOKEN)),)


@dataclass
class Secured:
    """A server under TLS, and who signed for it."""

    server: Server
    authority: trustme.CA
    files: TlsSettings

    @property
    def port(self) -> int:
        return self.server.port

    def client(self, *, offer: tuple[str, ...] = (), own: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """Return what a client trusts, offers by ALPN, and shows."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if offer:
            context.set_alpn_protocols(offer)
        if own is not None:
            own.configure_cert(context)
        return context

    def issue(self, authority: trustme.CA | None = None) -> None:
        """Put a new certificate in place, as an operator's tool does: each file whole."""
        leaf = (authority or self.authority).issue_cert("localhost", "127.0.0.1")
        for path, blob in ((self.files.key, leaf.private_key_pem), (self.files.certificate, leaf.cert_chain_pems[0])):
            new = path.with_suffix(".new")
            blob.write_to_path(str(new))
            new.replace(path)


@contextlib.asynccontextmanager
async def secured(tmp_path: Path, *, mutual: bool = False) -> AsyncIterator[Secured]:
    authority = trustme.CA()
    files = TlsSettings(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem" if mutual else None)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = Secured(None, authority, files)  # type: ignore[arg-type]  # there in a moment
    made.issue()

    async def start_engine(_: object) -> FakeEngine:
        return FakeEngine()

    settings = Settings(data_dir=tmp_path / "data", port=0, tls=files)
    made.server = await Server.start(settings, hashing=TESTING, start_engine=start_engine)
    try:
        yield made
    finally:
        await made.server.stop()


async def asked(secured: Secured, context: ssl.SSLContext) -> tuple[str | None, bytes]:
    """Connect, ask over HTTP/1.1, and return the protocol that was agreed on and the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", secured.port, ssl=context, server_hostname="localhost")
    agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    token = raw_grpc.authorization(ROOT_TOKEN).encode()
    writer.write(HELLO + b"authorization: Basic " + token + b"\r\n\r\n{}")
    answer = await reader.read()
    writer.close()
    return agreed, answer


def channel(secured: Secured, *, root: bytes | None = None, own: trustme.LeafCert | None = None) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        root or secured.authority.cert_pem.bytes(),
        own.private_key_pem.bytes() if own else None,
        own.cert_chain_pems[0].bytes() if own else None,
    )
    return grpc.aio.secure_channel(f"localhost:{secured.port}", credentials)


async def version(opened: grpc.aio.Channel) -> bytes:
    method = opened.unary_unary("/milvus.proto.milvus.MilvusService/GetVersion")
    answer: bytes = await method(b"", metadata=METADATA, timeout=20)
    return answer


@pytest.mark.parametrize("offer", [("h2", "http/1.1"), ("http/1.1",), ()])
async def test_browsers_and_curl_get_rest_with_hsts(tmp_path: Path, offer: tuple[str, ...]) -> None:
    async with secured(tmp_path) as server:
        agreed, answer = await asked(server, server.client(offer=offer))
        assert agreed == ("http/1.1" if offer else None)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert json.loads(body)["data"] == ["root"]
        assert b"strict-transport-security: max-age=" in head.lower()


async def test_grpc_clients_offer_h2_alone_and_get_grpc(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, channel(server) as opened:
        assert await version(opened)


async def test_large_messages_pass_both_ways_under_tls(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, channel(server) as opened:
        method = opened.unary_unary("/milvus.proto.milvus.MilvusService/CreateRole")
        # Refused as it should be, after all of it has been read: it is too long to be recorded.
        name = b"n" * 3_000_000
        entity = b"\x0a" + _varint(len(name)) + name
        answer = await method(b"\x12" + _varint(len(entity)) + entity, metadata=METADATA, timeout=30)
        assert b"CreateRole holds more than" in answer


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_with_its_own_offer_gets_rest(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            *("curl", "--silent", "--cacert", str(tmp_path / "ca.pem"), "--user", ROOT_TOKEN, "-d", "{}"),
            f"https://localhost:{server.port}/v2/vectordb/users/list",
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert json.loads(output)["data"] == ["root"]


async def test_the_sdk_connects_with_the_servers_certificate(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:

        def names() -> list[str]:
            client = MilvusClient(
                uri=f"https://localhost:{server.port}",
                token=ROOT_TOKEN,
                server_pem_path=str(tmp_path / "ca.pem"),
                server_name="localhost",
                dedicated=True,
            )
            try:
                return list(client.list_users())
            finally:
                client.close()

        assert await asyncio.to_thread(names) == ["root"]


@pytest.mark.parametrize(
    ("most", "least", "accepted"),
    [
        (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1, False),
    ],
)
async def test_versions_before_1_2_are_refused(
    tmp_path: Path, most: ssl.TLSVersion, least: ssl.TLSVersion, accepted: bool
) -> None:
    async with secured(tmp_path) as server:
        context = server.client()
        with contextlib.nullcontext() if accepted else pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            context.minimum_version, context.maximum_version = least, most
        context.set_ciphers("ALL:@SECLEVEL=0")
        if accepted:
            assert b"200 OK" in (await asked(server, context))[1]
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asked(server, context)
            await until(lambda: server.server._doors.listener.refused["handshake"])


async def test_http_on_a_tls_port_is_told_to_use_https(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HELLO + b"\r\n{}")
        async with asyncio.timeout(30):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"https://" in answer
        assert b"{" not in answer
        writer.close()


async def test_clients_must_show_a_certificate_where_that_is_asked_for(tmp_path: Path) -> None:
    async with secured(tmp_path, mutual=True) as server:
        known = server.authority.issue_cert("client")
        assert b"200 OK" in (await asked(server, server.client(own=known)))[1]
        async with channel(server, own=known) as opened:
            assert await version(opened)
        for own in (None, trustme.CA().issue_cert("stranger")):
            # With TLS 1.3 a client learns of its refusal after its own handshake, by an error or by the end.
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert (await asked(server, server.client(own=own)))[1] == b""
        async with channel(server) as opened:
            with pytest.raises(grpc.aio.AioRpcError):
                await version(opened)


async def test_a_new_certificate_is_shown_to_new_connections_and_no_call_is_dropped(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        other = trustme.CA()
        failures: list[BaseException] = []
        stopped = asyncio.Event()

        async def keep_calling() -> None:
            async with channel(server) as opened:
                while not stopped.is_set():
                    try:
                        await version(opened)
                    except grpc.aio.AioRpcError as error:
                        failures.append(error)

        calling = [asyncio.ensure_future(keep_calling()) for _ in range(4)]
        server.issue(other)

        async def renewed() -> bool:
            async with channel(server, root=other.cert_pem.bytes()) as opened:
                try:
                    return bool(await version(opened))
                except grpc.aio.AioRpcError:
                    return False

        async with asyncio.timeout(30):
            while not await renewed():
                await asyncio.sleep(0.1)
        stopped.set()
        await asyncio.gather(*calling)
        assert failures == []


@pytest.mark.parametrize("spoil", ["certificate", "key", "other key", "gone"])
async def test_files_that_cannot_be_used_leave_the_certificate_in_place_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: str
) -> None:
    caplog.set_level("INFO")
    async with secured(tmp_path) as server:
        match spoil:
            case "certificate":
                server.files.certificate.write_text("no certificate")
            case "key":
                server.files.key.write_text(
                    "-----BEGIN PRIVATE KEY-----\nSECRET-KEY-BYTES\n-----END PRIVATE KEY-----\n"
                )
            case "other key":
                trustme.CA().issue_cert("x").private_key_pem.write_to_path(str(server.files.key))
            case _:
                server.files.certificate.unlink()
        await until(lambda: "keeping the certificate in use" in caplog.text)
        assert "SECRET-KEY-BYTES" not in caplog.text
        assert b"200 OK" in (await asked(server, server.client()))[1]
        server.issue()
        await until(lambda: "new connections use the certificate" in caplog.text)
        assert b"200 OK" in (await asked(server, server.client()))[1]


async def test_slow_handshakes_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(tmp_path) as server:
        listener = server.server._doors.listener
        acceptor = listener._servers[0]
        monkeypatch.setattr(acceptor, "_at_once", 3)
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        await until(lambda: listener.refused["handshake"] >= 2)
        assert b"200 OK" in (await asked(server, server.client()))[1]
        for each in silent:
            each.close()


@pytest.mark.parametrize("spoil", ["certificate", "key", "encrypted"])
def test_a_server_does_not_start_with_files_it_cannot_use(tmp_path: Path, spoil: str) -> None:
    leaf = trustme.CA().issue_cert("localhost")
    files = TlsSettings(tmp_path / "server.pem", tmp_path / "server.key")
    leaf.cert_chain_pems[0].write_to_path(str(files.certificate))
    leaf.private_key_pem.write_to_path(str(files.key))
    ServerTls(files)
    if spoil == "encrypted":
        text = files.key.read_text().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
        files.key.write_text(text)
    else:
        getattr(files, spoil).write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"tls\.serverPemPath"):
        ServerTls(files)
