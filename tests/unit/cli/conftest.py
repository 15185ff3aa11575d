"""Commands of these tests see no login and no server of the machine that runs them."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.server_in_thread import running

from kiteward.cli import main as entry_point
from kiteward.cli.main import main

Run = Callable[..., tuple[int, str, str]]
"""Runs a command, and returns its status and what it printed on standard output and as errors."""


@pytest.fixture(scope="module", autouse=True)
def parsers_made_once() -> Iterator[None]:
    """Make the parser of a command once: making it takes longer than most commands, and these tests run hundreds."""
    made: dict[frozenset[str], ArgumentParser] = {}
    make = entry_point._parser

    def parser(called: set[str]) -> ArgumentParser:
        key = frozenset(called)
        if key not in made:
            made[key] = make(called)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_point, "_parser", parser)
        yield


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    for name in ("KITEWARD_SERVER", "KITEWARD_TOKEN_FILE", "KITEWARD_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server, its data directory, and a file with the credential of root."""
    directory = tmp_path_factory.mktemp("served")
    token = directory / "token"
    token.write_text("root:Milvus\n")
    with running(directory) as (url, _engine):
        yield SimpleNamespace(url=url, data=str(directory / "data"), token=str(token))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        try:
            status = main(words)
        except SystemExit as ended:
            status = int(ended.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command
