"""What is said of each way in which a remote engine cannot be reached. No sentence contains the address."""

import datetime
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from benchmarks.peers import free_port
from tests.support import fake_upstream
from tests.support.fake_upstream import Certificates, FakeMilvus, Serve, listening, serving

from kiteward.domain.errors import ConfigurationError
from kiteward.engine import reachability
from kiteward.engine.upstream import Address, UpstreamTls

PLAIN = UpstreamTls()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path, trustme.CA())


async def said(address: Address, tls: UpstreamTls = PLAIN, *, timeout: float = 5) -> str:
    found = await reachability.fault(address, tls, timeout=timeout)
    assert str(address.port) not in found
    assert address.host not in found
    return found


def with_tls(address: Address) -> Address:
    return Address("localhost", address.port, tls=True)


async def test_nothing_is_wrong_with_a_server_of_grpc() -> None:
    async with serving(FakeMilvus()) as address:
        assert await said(address) == ""


async def test_nothing_is_wrong_with_a_server_of_grpc_with_tls(certificates: Certificates) -> None:
    async with serving(FakeMilvus(), credentials=certificates.credentials("localhost")) as address:
        assert await said(with_tls(address), UpstreamTls(certificates.ca)) == ""


@pytest.mark.parametrize(
    ("serve", "sentence"),
    [
        (fake_upstream.http1, reachability.HTTP1),
        (fake_upstream.silence, reachability.SILENT),
        (fake_upstream.hang_up, reachability.CLOSING),
        (fake_upstream.another_protocol, reachability.NOT_HTTP2),
    ],
)
async def test_what_is_no_server_of_grpc_is_named(serve: Serve, sentence: str) -> None:
    async with listening(serve) as address:
        assert await said(address, timeout=0.5) == sentence


async def test_nobody_there_is_a_refused_connection() -> None:
    assert await said(Address("127.0.0.1", free_port())) == reachability.REFUSED


async def test_name_that_does_not_resolve_is_said() -> None:
    assert await said(Address("milvus.invalid")) == reachability.UNRESOLVED


async def test_address_that_nobody_answers_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(address: tuple[str, int], timeout: float) -> None:
        raise TimeoutError(f"{address} within {timeout}")

    monkeypatch.setattr(socket, "create_connection", connect)
    assert await said(Address("192.0.2.1"), timeout=0.1) == reachability.UNREACHABLE


async def test_tls_is_required_where_none_is_spoken(certificates: Certificates) -> None:
    async with serving(FakeMilvus(), credentials=certificates.credentials("localhost")) as address:
        assert await said(Address("localhost", address.port)) == reachability.NEEDS_TLS


@pytest.mark.parametrize("serve", [fake_upstream.http1, fake_upstream.another_protocol])
async def test_tls_is_spoken_where_there_is_none(serve: Serve) -> None:
    async with listening(serve) as address:
        assert await said(with_tls(address)) == reachability.NO_TLS


async def test_tls_is_spoken_to_a_server_of_grpc_without() -> None:
    async with serving(FakeMilvus()) as address:
        assert await said(with_tls(address)) == reachability.NO_TLS


async def test_certificate_of_another_name_is_said_until_that_name_is_expected(certificates: Certificates) -> None:
    async with listening(fake_upstream.silence, tls=certificates.context("milvus.example")) as address:
        assert await said(with_tls(address), UpstreamTls(certificates.ca)) == reachability.WRONG_NAME
        named = UpstreamTls(certificates.ca, server_name="milvus.example")
        assert await said(with_tls(address), named, timeout=0.5) == reachability.SILENT


async def test_certificate_of_an_unknown_authority_is_said(certificates: Certificates) -> None:
    async with listening(fake_upstream.silence, tls=certificates.context("localhost")) as address:
        assert await said(with_tls(address)) == reachability.UNTRUSTED


async def test_certificate_that_has_expired_is_said(certificates: Certificates) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    async with listening(fake_upstream.silence, tls=certificates.context("localhost", not_after=past)) as address:
        assert await said(with_tls(address), UpstreamTls(certificates.ca)) == reachability.EXPIRED


async def test_missing_client_certificate_is_said_and_ours_is_presented(certificates: Certificates) -> None:
    context = certificates.context("localhost", requires_client=True)
    async with listening(fake_upstream.silence, tls=context) as address:
        assert await said(with_tls(address), UpstreamTls(certificates.ca)) == reachability.CLIENT_CERTIFICATE
        ours = UpstreamTls(certificates.ca, *certificates.files("kiteward"))
        assert await said(with_tls(address), ours, timeout=0.5) == reachability.SILENT


async def test_failed_handshake_of_another_kind_is_said(certificates: Certificates) -> None:
    old = certificates.context("localhost")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("DHE-RSA-AES128-SHA:@SECLEVEL=0")
    async with listening(fake_upstream.silence, tls=old) as address:
        assert await said(with_tls(address), UpstreamTls(certificates.ca)) == reachability.HANDSHAKE


@pytest.mark.parametrize(
    ("tls", "setting"),
    [
        (UpstreamTls(ca=Path("/missing")), "kiteward.engine.tls.ca"),
        (UpstreamTls(certificate=Path("/missing"), key=Path("/missing")), "kiteward.engine.tls.certificate"),
    ],
)
async def test_file_that_cannot_be_read_is_named_by_its_setting(tls: UpstreamTls, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        await reachability.fault(Address("localhost", tls=True), tls, timeout=1)
