"""Names that HTTP is served under: a page of another site gets in by none of its own."""

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from tests.support.in_process_server import ask, serving

from kiteward.api.health_settings import HealthSettings
from kiteward.bootstrap.server import Server
from kiteward.config.loading import settings_from
from kiteward.domain.errors import ConfigurationError
from kiteward.net.hosts import AllowedHosts
from kiteward.net.tls import TlsSettings

REST = "/v2/vectordb/collections/list"
PATHS = (REST, "/openapi.json", "/docs", "/console/", "/console/sign-in", "/console/static/console.css", "/elsewhere")
WATCHED = ("/healthz", "/healthz/live", "/healthz/ready", "/metrics", "/elsewhere")


def every_path(server: Server) -> list[tuple[int | None, str]]:
    return [*((server.port, path) for path in PATHS), *((server.metrics_port, path) for path in WATCHED)]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:19530",
        "127.0.0.1",
        "127.0.0.1:19530",
        "[::1]",
        "[::1]:9091",
        "10.1.2.3:80",
        "localhost:",
    ],
)
def test_addresses_and_localhost_are_always_allowed(host: str) -> None:
    assert AllowedHosts().allow(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:19530", "localhost.evil.example", "127.0.0.1.evil.example", "localhost."),
        *("evil.example@localhost", "localhost/x", "localhost:80:80", "localhost:x", "[localhost]", "::1", "[::1"),
        *("[evil.example]", "127.1", "2130706433", "0x7f000001", "localhost evil.example", "*", "evil.localhost"),
    ],
)
def test_any_other_name_is_not(host: str) -> None:
    assert not AllowedHosts().allow(host)
    assert not AllowedHosts(frozenset({"kiteward", "a.example"})).allow(host)


def test_configured_names_are_allowed_whatever_their_case_and_port() -> None:
    hosts = AllowedHosts(frozenset({"Kiteward.svc"}))
    assert hosts.allow("kiteward.SVC:19530")
    assert not hosts.allow("other.svc")
    assert AllowedHosts(frozenset({"*"})).allow("evil.example")


def test_the_name_that_is_listened_on_is_allowed_and_every_address_is_not() -> None:
    hosts = AllowedHosts().including(("kiteward.internal", "0.0.0.0", ""))
    assert hosts.allow("kiteward.internal:19530")
    assert not hosts.allow("")


@pytest.mark.parametrize("name", ["http://a.example", "a.example:80", "*.a.example", "a b", "-a", "a..b", "[::1]"])
def test_what_is_not_a_host_name_cannot_be_set(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.allowedHosts"):
        settings_from({"kiteward": {"allowedHosts": [name]}})


async def test_page_of_another_site_reaches_nothing_without_authorization(tmp_path: Path) -> None:
    async with serving(tmp_path, authorization=False) as (server, engine):
        for path in (REST, "/v2/vectordb/collections/drop"):
            origin = "http://evil.example:19530"
            answer = await ask(server.port, path, "POST", host="evil.example:19530", Origin=origin)
            assert answer[0] == 421
            assert "kiteward.allowedHosts" in answer[2]
        assert [call.method for call in engine.calls if call.method in ("ShowCollections", "DropCollection")] == []


async def test_every_http_path_is_closed_to_other_names(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        for port, path in every_path(server):
            assert (await ask(port, path, host="evil.example"))[0] == 421, path
            for host in ("localhost", "127.0.0.1:80", "[::1]"):
                assert (await ask(port, path, host=host))[0] != 421, (path, host)


async def test_request_with_two_hosts_is_served_under_neither(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        for port, path in every_path(server):
            assert (await ask(port, path, host="localhost\r\nhost: localhost"))[0] in (400, 421), path


async def test_configured_name_is_served(tmp_path: Path) -> None:
    async with serving(tmp_path, hosts=AllowedHosts(frozenset({"kiteward"}))) as (server, _):
        assert (await ask(server.port, "/openapi.json", host="kiteward:19530"))[0] == 200
        assert (await ask(server.metrics_port, "/healthz", host="kiteward:9091"))[0] == 200


async def test_over_tls_the_client_has_checked_the_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("kiteward.example")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    leaf.private_key_pem.write_to_path(str(key))
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        serving(tmp_path, HealthSettings(enabled=False), tls=TlsSettings(certificate, key)) as (server, _),
        httpx.AsyncClient(verify=context) as client,
    ):
        url = f"https://127.0.0.1:{server.port}/openapi.json"
        named = {"headers": {"Host": "kiteward.example"}, "extensions": {"sni_hostname": "kiteward.example"}}
        assert (await client.get(url, **named)).status_code == 200  # type: ignore[arg-type]
