"""TLS between an engine and its channel, and how its failures read."""

import asyncio
import datetime
import random
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from tests.support.http2_peer import Peers, listening, saying
from tests.unit.engine.samples import until

from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.channel import EngineChannel
from kiteward.net.http2 import ClientSettings

QUICK = ClientSettings(connect_timeout=20, first_pause=0.05)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, *names: str, expires: datetime.datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=expires).configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
async def peers(authority: trustme.CA) -> AsyncIterator[Peers]:
    async with listening(tls=serving(authority, "milvus.example", "127.0.0.1")) as accepted:
        accepted.on_request = lambda peer, number: peer.answer(number)
        yield accepted


async def ask(channel: EngineChannel) -> bytes:
    try:
        return await channel.call("Search", b"question", metadata={}, timeout=30)
    finally:
        await channel.close()


async def refusal(channel: EngineChannel) -> str:
    with pytest.raises(EngineUnavailable) as raised:
        await ask(channel)
    said = str(raised.value)
    assert said.startswith("the engine cannot be reached: it ")
    return said.removeprefix("the engine cannot be reached: it ")


async def test_call_passes_through_tls(peers: Peers, authority: trustme.CA) -> None:
    assert await ask(EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)) == b"answer"
    assert peers.last.requests[1][b":scheme"] == b"https"
    assert peers.last.requests[1][b":authority"] == peers.target.encode()


async def test_long_messages_pass_through_tls(peers: Peers, authority: trustme.CA) -> None:
    long = random.Random(1).randbytes(3_000_000)
    peers.on_request = None
    channel = EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)
    calling = asyncio.create_task(channel.call("Insert", long, metadata={}, timeout=30))
    await until(lambda: bool(peers.all) and len(peers.last.bodies.get(1, b"")) == len(long) + 5)
    assert peers.last.bodies[1][5:] == long
    peers.last.answer(1, long)
    assert await calling == long
    await channel.close()


async def test_server_name_stands_for_the_host(peers: Peers, authority: trustme.CA) -> None:
    channel = EngineChannel(peers.target, tls=trusting(authority), server_name="milvus.example", settings=QUICK)
    assert await ask(channel) == b"answer"
    assert peers.last.requests[1][b":authority"] == b"milvus.example"


async def test_certificate_of_another_name_is_refused(peers: Peers, authority: trustme.CA) -> None:
    channel = EngineChannel(peers.target, tls=trusting(authority), server_name="other.example", settings=QUICK)
    assert await refusal(channel) == "presents a certificate for another name"


async def test_certificate_of_another_address_is_refused(authority: trustme.CA) -> None:
    async with listening(tls=serving(authority, "milvus.example")) as peers:
        channel = EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) == "presents a certificate for another address"


async def test_unknown_authority_is_refused(peers: Peers) -> None:
    channel = EngineChannel(peers.target, tls=trusting(trustme.CA()), settings=QUICK)
    assert await refusal(channel) == "presents a certificate whose authority is not trusted"


async def test_expired_certificate_is_refused(authority: trustme.CA) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    async with listening(tls=serving(authority, "127.0.0.1", expires=yesterday)) as peers:
        channel = EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) == "presents a certificate that has expired"


async def test_tls_towards_a_server_without_it_is_described(authority: trustme.CA) -> None:
    async with listening() as peers:
        channel = EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) == "does not speak TLS"
    async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        channel = EngineChannel(f"127.0.0.1:{port}", tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) == "does not speak TLS"


async def test_no_tls_towards_a_server_with_it_is_described(peers: Peers) -> None:
    assert "requires TLS" in await refusal(EngineChannel(peers.target, settings=QUICK))


async def test_tls_server_without_http2_is_described(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", tls=context) as port:
        channel = EngineChannel(f"127.0.0.1:{port}", tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) == "does not offer HTTP/2 over TLS"


REFUSED = {
    "refuses our certificate, or requires one",
    "closed the connection at once: perhaps it requires a client certificate, or another one",
}
"""With TLS 1.3 a server refuses after the handshake, and its reason may be lost with the connection."""


async def test_missing_client_certificate_is_described(authority: trustme.CA) -> None:
    context = serving(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    async with listening(tls=context) as peers:
        peers.on_request = lambda peer, number: peer.answer(number)
        channel = EngineChannel(peers.target, tls=trusting(authority), settings=QUICK)
        assert await refusal(channel) in REFUSED
        stranger = trusting(authority)
        trustme.CA().issue_cert("client.example").configure_cert(stranger)
        channel = EngineChannel(peers.target, tls=stranger, settings=QUICK)
        assert await refusal(channel) in REFUSED
        known = trusting(authority)
        authority.issue_cert("client.example").configure_cert(known)
        assert await ask(EngineChannel(peers.target, tls=known, settings=QUICK)) == b"answer"
