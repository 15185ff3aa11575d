"""The command line, called in this process: a process of its own takes a second of processor time to start."""

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from kiteward.cli.main import main

Run = Callable[..., tuple[int, str]]
"""Runs a command on a data directory, and returns its status and what it printed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its status, and what it wrote."""

    status: int
    stdout: str
    stderr: str


def call(*words: str, stdin: str = "") -> Ended:
    """Run a command with this input."""
    stdout, stderr = io.StringIO(), io.StringIO()
    redirected = contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr)
    with redirected[0], redirected[1], mock.patch.object(sys, "stdin", io.StringIO(stdin)):
        status = main(words)
    return Ended(status, stdout.getvalue(), stderr.getvalue())


def printed(*words: str, stdin: str = "") -> str:
    """Run a command that must succeed, and return what it wrote to its standard output."""
    ended = call(*words, stdin=stdin)
    assert ended.status == 0, ended
    return ended.stdout


def on(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs commands on a data directory with an administrator and alice, who holds no role."""

    def run(*words: str) -> tuple[int, str]:
        status = main([*words, "--data-dir", str(data)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    run("init", "--admin", "db_admin")
    run("users", "create", "alice")
    return run
