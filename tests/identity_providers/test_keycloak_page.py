"""The blocks of docs/keycloak.md run unchanged, but for ports, and print what the document says."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pymilvus import MilvusClient
from tests.docs import snippets
from tests.docs.snippets import Shell, Snippet
from tests.support import keycloak
from tests.support import server as servers
from tests.support.keycloak import PAGE, Keycloak
from tests.support.oauth import claims
from tests.support.server import RunningServer

from kiteward.config.loading import settings_from

LANGUAGES: Final = ["sh", "sh", "yaml", "sh", "python", "sh", "python", "sh", "python", "yaml"]
"""The blocks of the page, each of which a test below runs."""


class Reader:
    """A terminal, and the ports that a reader's Keycloak and Kiteward have."""

    def __init__(self, home: Path, port: int) -> None:
        """Open a terminal.

        Args:
            home: where it works.
            port: the port of Keycloak.
        """
        self.shell = Shell(home)
        (home / ".curlrc").unlink()
        self.shell.export(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        self._port = port

    def text(self, block: Snippet) -> str:
        """Return a block with the port of Keycloak in place of the page's."""
        return keycloak.at_port(block.text, self._port)

    def at(self, block: Snippet, server: RunningServer) -> str:
        """Return a block with both ports in place of the page's."""
        return Snippet(block.language, self.text(block)).at(server)


@pytest.fixture
def no_clients_left() -> Iterator[dict[str, Any]]:
    """The variables of the reader's Python, whose clients are closed behind the test."""
    names: dict[str, Any] = {}
    yield names
    for each in names.values():
        if isinstance(each, MilvusClient):
            each.close()


@pytest.mark.heavy
def test_the_page_leads_from_nothing_to_the_first_search(
    by_keycloak: Keycloak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_clients_left: dict[str, Any]
) -> None:
    blocks = snippets.of(PAGE)
    assert [block.language for block in blocks] == LANGUAGES, "every block of the page is in this test"
    # The first two have started the Keycloak of all tests here: `keycloak.running`.
    _realm, _start, settings, serve, prepare, token, search, whoami, device, _console = blocks
    reader, names = Reader(tmp_path / "reader", by_keycloak.port), no_clients_left
    assert serve.text == "kiteward serve --config kiteward.yaml --data-dir keycloak-data\n"
    with servers.running(tmp_path / "data", config=reader.text(settings)) as server:
        snippets.run(reader.at(prepare, server), names)
        reader.shell.run(reader.at(token, server))
        monkeypatch.setenv("TOKEN", reader.shell.run('printf %s "$TOKEN"'))
        with redirect_stdout(StringIO()) as printed:
            snippets.run(reader.at(search, server), names)
        assert printed.getvalue() == "The Kite\n"
        assert json.loads(reader.shell.run(reader.at(whoami, server)))["data"]["userName"] == "idp_alice"

        def open_page(_say: str, address: str) -> None:
            keycloak.person("alice").open(address)

        later: dict[str, Any] = {"print": open_page}
        snippets.run(reader.at(device, server), later)
        assert claims(later["token"])["preferred_username"] == "alice"
    page = PAGE.read_text(encoding="utf-8")
    assert f"Keycloak {keycloak.VERSION}" in page
    assert "It prints `The Kite`" in page


def test_what_the_page_adds_for_the_console_is_how_the_tests_of_the_console_sign_in() -> None:
    _, _, settings, *_, console = snippets.of(PAGE)
    (entry,) = yaml.safe_load(settings.text + textwrap.indent(console.text, " " * 6))["kiteward"]["oidc"]
    assert (entry["clientId"], entry["signInName"]) == (keycloak.CONSOLE, keycloak.SIGN_IN_NAME)
    (issuer,) = settings_from({"kiteward": {"oidc": [entry]}}).issuers
    assert issuer.sign_in_name == keycloak.SIGN_IN_NAME
