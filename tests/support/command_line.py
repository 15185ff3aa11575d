"""The command line, called in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kiteward.cli.main import main

Run = Callable[..., tuple[int, str]]
"""Runs a command on a data directory, and returns its status and what it printed."""


def on(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs commands on a data directory with an administrator and alice, who holds no role."""

    def run(*words: str) -> tuple[int, str]:
        status = main([*words, "--data-dir", str(data)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    run("init", "--admin", "db_admin")
    run("users", "create", "alice")
    return run
