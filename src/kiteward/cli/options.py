"""Options that commands share, and the settings they make."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kiteward.config.loading import load
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, KitewardError


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the configuration and the data are."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a milvus.yaml, with Kiteward's own keys under `kiteward:`"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="the data directory (default: data)")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of the configuration file with the command line's options over them.

    Raises:
        ConfigurationError: as `load`.
    """
    return replace(load(arguments.config), **given(arguments))


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    named = {name: getattr(arguments, name, None) for name in ("host", "port", "data_dir")}
    return {name: value for name, value in named.items() if value is not None}


def read_secret(name: str) -> str:
    """Return the first line of a file, or of standard input: a secret in the arguments would show in `ps`.

    Raises:
        ConfigurationError: it cannot be read, or is empty.
    """
    try:
        text = sys.stdin.readline() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the password file {name} cannot be read") from error
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise ConfigurationError(f"the password file {name} is empty: its first line is the password")
    return line


def exit_status_of(work: Callable[[], int | None]) -> int:
    """Do the work and return the exit status, which is its own if it has one; what is wrong is one line."""
    try:
        return work() or 0
    except BrokenPipeError:  # whoever read has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KitewardError, OSError) as error:
        print(f"kiteward: {error}", file=sys.stderr)
        return 1
