"""The blocks of docs/token-exchange.md run unchanged, with its settings, and print what the document says."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from tests.docs import snippets
from tests.support import server as servers

from kiteward.api.rest.token_endpoint import GRANT_TYPE, TokenForm
from kiteward.config.loading import load, settings_from
from kiteward.iam.settings import ExchangeRules
from kiteward.iam.token_exchange import TokenType

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "token-exchange.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
ISSUED = (
    "{'issued_token_type': 'urn:kiteward:params:oauth:token-type:api_key', 'token_type': 'Bearer', "
    "'expires_in': 900, 'scope': 'viewer', 'row_tags': {}}\n"
)
PRINTED = ("", ISSUED, "[]\n", "alice search-api ['viewer']\n")


def test_the_document_about_token_exchange_does_what_it_says(tmp_path: Path) -> None:
    blocks = snippets.of(DOCUMENT, "python")
    assert len(blocks) == len(PRINTED), "every Python block of the document is in this test"
    (settings,) = snippets.of(DOCUMENT, "yaml")
    names: dict[str, Any] = {}
    with servers.running(tmp_path / "data", config=settings.text) as server:
        for block, expected in zip(blocks, PRINTED, strict=True):
            with redirect_stdout(StringIO()) as printed:
                snippets.run(block.at(server), names)
            assert re.sub(r"'expires_in': 89\d", "'expires_in': 900", printed.getvalue()) == expected
        for client in ("as_alice", "root"):
            names[client].close()
    shown = [block.text for block in snippets.of(DOCUMENT) if not block.language]
    assert shown[1:] == [ISSUED, PRINTED[-1]]


def test_the_settings_of_the_document_are_the_defaults_with_one_entry() -> None:
    (settings,) = snippets.of(DOCUMENT, "yaml")
    entry = {"search-api": frozenset({"viewer"})}
    assert settings_from(yaml.safe_load(settings.text)).exchange_rules == ExchangeRules(entry)
    found = re.search(r"`(KITEWARD_TOKENEXCHANGE_ROLES)=\"([^\"]+)\"`", TEXT)
    assert found is not None
    both = {"search-api": frozenset({"viewer", "editor"})}
    assert load(None, {found[1]: found[2]}).exchange_rules.roles == both


def test_every_parameter_and_type_of_a_token_is_in_the_document() -> None:
    assert all(f"`{name}`" in TEXT for name in (*TokenForm.__struct_fields__, GRANT_TYPE, TokenType.API_KEY))
    assert all(each.value.rpartition(":")[2] in TEXT for each in TokenType)
