"""The command line: what it takes, what it prints, and how it ends."""

import argparse
import importlib
import importlib.machinery
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiteward import __version__
from kiteward.__main__ import run
from kiteward.cli import serve
from kiteward.cli.main import COMMANDS, main
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    """Serving sets up the logging of its process, which is the tests' own here."""
    ours = logging.getLogger("kiteward")
    before = ours.level
    yield
    logging.captureWarnings(False)
    ours.setLevel(before)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings that the command would serve with; nothing is started."""
    found: list[Settings] = []

    async def remember(settings: Settings) -> None:
        found.append(settings)

    monkeypatch.setattr("kiteward.bootstrap.serving.serve", remember)
    return found


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kiteward {__version__}\n"


@pytest.mark.parametrize(("module", "helps"), COMMANDS.items())
def test_help_of_a_command_is_the_one_in_the_list(module: str, helps: dict[str, str]) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"kiteward.cli.{module}").add_parsers(commands)
    assert {action.dest: action.help for action in commands._choices_actions} == helps  # nowhere else


def test_interrupt_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(_settings: Settings) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kiteward.bootstrap.serving.serve", interrupted)
    monkeypatch.setattr("sys.argv", ["kiteward", "serve"])
    assert run() == 130


def test_interrupt_while_the_command_line_is_loaded_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "kiteward.cli.main")
    monkeypatch.setattr(importlib.machinery.SourceFileLoader, "exec_module", interrupted)
    assert run() == 130


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["serve", "--bogus"], ["userss", "create", "policy"]])
def test_wrong_command_line_ends_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: kiteward" in capsys.readouterr().err


def test_serve_without_arguments_takes_the_defaults(served: list[Settings]) -> None:
    assert main(["serve"]) == 0
    assert served == [Settings()]


def test_arguments_win_over_the_file(served: list[Settings], tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text("proxy: {port: 1}\nkiteward: {host: '::1', dataDir: there}\n", "utf-8")
    assert main(["serve", "--config", str(file)]) == 0
    assert main(["serve", "--config", str(file), "--port", "0", "--host", "127.0.0.1", "--data-dir", "here"]) == 0
    assert [(each.host, each.port, each.data_dir) for each in served] == [
        ("::1", 1, Path("there")),
        ("127.0.0.1", 0, Path("here")),
    ]


def test_workers_are_supervised(served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text(
        "kiteward: {engine: {address: 'grpc://milvus'}, store: {url: 'postgresql://kiteward@db/store'}, workers: 1}\n",
        "utf-8",
    )
    supervised: list[Settings] = []

    def supervise(settings: Settings) -> int:
        supervised.append(settings)
        return 3

    monkeypatch.setattr("kiteward.bootstrap.workers.processes.supervise", supervise)
    assert main(["serve", "--config", str(file), "--workers", "1"]) == 0
    assert main(["serve", "--config", str(file), "--workers", "2"]) == 3
    assert [each.workers for each in served] == [1]
    assert [each.workers for each in supervised] == [2]


@pytest.mark.parametrize(
    ("workers", "sentence"),
    [
        ("2", "kiteward.workers is more than 1 and the engine is embedded"),
        ("many", "kiteward.workers must be a whole number"),
    ],
)
def test_workers_that_cannot_serve_are_refused_in_one_line(
    workers: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--workers", workers]) == 1
    assert capsys.readouterr().err.startswith(f"kiteward: {sentence}")


@pytest.mark.parametrize("port", ["-1", "65536", "x", "", "1.5", "\uff11"])
def test_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--port={port}"])
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ConfigurationError("do this instead"), OSError("cannot listen on 127.0.0.1:19530")])
def test_server_that_cannot_start_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    async def fail(_: Settings) -> None:
        raise error

    monkeypatch.setattr("kiteward.bootstrap.serving.serve", fail)
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == f"kiteward: {error}\n"


def test_configuration_that_cannot_be_read_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "missing.yaml")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    serve.add_parsers(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["serve", "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("--config", "--data-dir", "--host", "--port"))


def test_a_command_whose_standard_streams_are_closed_ends_as_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr(sys, "argv", ["kiteward", "backup", "list", str(tmp_path)])
    assert run() == 0
    assert not sys.stdin.isatty()
    monkeypatch.setattr(sys, "argv", ["kiteward", "users", "list", "--server", "http://localhost:1"])
    assert run() == 1
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        assert os.get_inheritable(stream.fileno())
        stream.close()


@pytest.mark.parametrize("words", [("--version",), ("backup", "list", "{}"), ("doctor", "--data-dir", "{}")])
def test_output_that_cannot_be_written_ends_with_a_status_of_the_table(words: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kiteward", *(word.format(tmp_path) for word in words)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode in (0, 1)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "kiteward: the output cannot be written: No space left on device\n")
