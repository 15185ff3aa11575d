"""Commands on a server with TLS: its certificate is checked, and the authority is that of `--ca-file`."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import trustme
from tests.support.server_in_thread import running
from tests.unit.cli.conftest import Run

from kiteward.net.tls import TlsSettings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server with a certificate of an authority that nobody knows, and files with that, another and a credential."""
    directory = tmp_path_factory.mktemp("served")
    authority, leaf = trustme.CA(), directory / "leaf"
    issued = authority.issue_cert("localhost")
    leaf.mkdir()
    issued.private_key_pem.write_to_path(leaf / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(leaf / "certificate.pem", append=True)
    authority.cert_pem.write_to_path(directory / "authority.pem")
    trustme.CA().cert_pem.write_to_path(directory / "other.pem")
    (directory / "token").write_text("root:Milvus\n")
    with running(directory, tls=TlsSettings(leaf / "certificate.pem", leaf / "key.pem")) as (url, _engine):
        yield SimpleNamespace(url=url, files=directory, token=str(directory / "token"))


def test_commands_and_logins_trust_the_authority_that_is_named(run: Run, served: SimpleNamespace) -> None:
    trusted = ("--ca-file", str(served.files / "authority.pem"))
    far = ("--server", served.url, "--token-file", served.token, *trusted)
    assert json.loads(run("whoami", "--json", *far)[1])["where"] == served.url
    assert run("login", served.url, "--token-file", served.token, *trusted)[0] == 0
    assert json.loads(run("whoami", "--json")[1])["userName"] == "root"
    assert run("logout")[0] == 0


@pytest.mark.parametrize("trusted", [(), ("other.pem",)])
@pytest.mark.parametrize("words", [("users", "list", "--server"), ("login",)])
def test_an_authority_that_is_not_known_is_said_with_the_option_that_names_one(
    run: Run, served: SimpleNamespace, words: tuple[str, ...], trusted: tuple[str, ...]
) -> None:
    given = [option for name in trusted for option in ("--ca-file", str(served.files / name))]
    status, printed, told = run(*words, served.url, "--token-file", served.token, *given)
    assert (status, printed) == (1, "")
    assert told.startswith(f"kiteward: no response from {served.url}: its certificate is not trusted (")
    assert told.endswith("--ca-file names the certificates to trust\n")


def test_a_name_that_is_not_in_the_certificate_is_said(run: Run, served: SimpleNamespace) -> None:
    url = served.url.replace("localhost", "127.0.0.1")
    trusted = ("--ca-file", str(served.files / "authority.pem"))
    status, _, told = run("users", "list", "--server", url, "--token-file", served.token, *trusted)
    assert status == 1
    assert "127.0.0.1" in told.partition("not trusted (")[2]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_said(run: Run, served: SimpleNamespace, content: str | None) -> None:
    file = served.files / "unusable.pem"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    given = ("--token-file", served.token, "--ca-file", str(file))
    status, _, told = run("users", "list", "--server", served.url, *given)
    assert (status, told) == (1, f"kiteward: the certificates of --ca-file {file} cannot be read\n")


def test_http_sent_to_the_port_with_tls_is_said(run: Run, served: SimpleNamespace) -> None:
    url = served.url.replace("https", "http")
    status, _, told = run("users", "list", "--server", url, "--token-file", served.token)
    assert status == 1
    assert "https" in told
