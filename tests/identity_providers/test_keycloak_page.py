"""The blocks of docs/keycloak.md run unchanged, but for ports, and print what the document says."""

import json
import os
import shutil
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
from tests.identity_providers.worlds import PREFIX
from tests.support import keycloak, provider_process
from tests.support import server as servers
from tests.support.oauth import claims
from tests.support.postgresql import free_port
from tests.support.server import RunningServer

from kiteward.config.loading import settings_from

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGE: Final = REPOSITORY / "docs" / "keycloak.md"
LANGUAGES: Final = ["sh", "sh", "yaml", "sh", "python", "sh", "python", "sh", "python", "yaml"]
"""The blocks of the page, each of which a test below runs."""


class Reader:
    """A terminal, and the ports that a reader's Keycloak and Kiteward have."""

    def __init__(self, home: Path) -> None:
        """Unpack Keycloak beside Kiteward's files."""
        self.shell = Shell(home)
        (home / ".curlrc").unlink()
        self.shell.export(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        unpacked = home / f"keycloak-{keycloak.VERSION}"
        shutil.copytree(keycloak.distribution(), unpacked, symlinks=True)
        shutil.rmtree(unpacked / "data", ignore_errors=True)
        (home / "examples").symlink_to(REPOSITORY / "examples")
        self.home = home
        self.port = free_port()

    def text(self, block: Snippet) -> str:
        """Return a block with the port of Keycloak in place of the page's."""
        return block.text.replace("localhost", "127.0.0.1").replace("8080", str(self.port))

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


def test_the_page_leads_from_nothing_to_the_first_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_clients_left: dict[str, Any]
) -> None:
    blocks = snippets.of(PAGE)
    assert [block.language for block in blocks] == LANGUAGES, "every block of the page is in this test"
    realm, start, settings, serve, prepare, token, search, whoami, device, _console = blocks
    reader, names = Reader(tmp_path / "reader"), no_clients_left
    assert reader.shell.run(realm.text) == ""
    assert serve.text == "kiteward serve --config kiteward.yaml --data-dir keycloak-data\n"
    ready = f"http://127.0.0.1:{reader.port}/realms/{keycloak.REALM}"
    command = ["bash", "-euc", reader.text(start)]
    with (
        provider_process.serving(command, ready, reader.home, environment={"JAVA_OPTS": keycloak.JAVA_OPTIONS}),
        servers.running(tmp_path / "data", config=reader.text(settings)) as server,
    ):
        snippets.run(reader.at(prepare, server), names)
        reader.shell.run(reader.at(token, server))
        monkeypatch.setenv("TOKEN", reader.shell.run('printf %s "$TOKEN"'))
        with redirect_stdout(StringIO()) as printed:
            snippets.run(reader.at(search, server), names)
        assert printed.getvalue() == "The Kite\n"
        assert json.loads(reader.shell.run(reader.at(whoami, server)))["data"]["userName"] == f"{PREFIX}alice"

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
