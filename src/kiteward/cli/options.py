"""Options that commands share, and the settings that result from them."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiteward.cli.output import note
from kiteward.domain.errors import ConfigurationError, KitewardError

if TYPE_CHECKING:  # what a command works with is loaded when it runs, not to print its help
    from kiteward.config.settings import Settings

USAGE: Final = 2
"""The exit status of a command line that cannot be understood, as argparse has it."""


class UsageError(Exception):
    """The options of a command line contradict one another, or one is missing. The message says what would be right."""


def add_configuration(parser: argparse.ArgumentParser, *, near_only: bool = True) -> None:
    """Add the options for the configuration file and the data directory.

    Args:
        parser: the parser of a command.
        near_only: whether the command works on the files of this machine only, and says so when a server is named.
    """
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a milvus.yaml, with Kiteward's own keys under `kiteward:`"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="the data directory (default: data)")
    if near_only:
        parser.add_argument("--server", action=_NoServer, help=argparse.SUPPRESS)


class _NoServer(argparse.Action):
    """Refuses an option that names a server."""

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any, **_named: Any) -> None:
        parser.error("this works on the files of this machine only: give --data-dir or --config instead of --server")


def settings_of(arguments: argparse.Namespace) -> "Settings":
    """Return the settings of the configuration file, overridden by the options of the command line.

    Raises:
        ConfigurationError: as `load`.
    """
    from kiteward.config.loading import load  # noqa: PLC0415  as above

    return replace(load(arguments.config, given=given_keys(arguments)), **given(arguments))


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `Settings` that the command line gives."""
    named = {name: getattr(arguments, name, None) for name in ("host", "port", "data_dir")}
    return {name: value for name, value in named.items() if value is not None}


def given_keys(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the keys that the command line gives, where their values are to be read together with others."""
    from kiteward.config.engine_keys import ENGINE_ADDRESS  # noqa: PLC0415  as above
    from kiteward.config.keys import WORKERS  # noqa: PLC0415

    named = {ENGINE_ADDRESS.name: getattr(arguments, "engine", None), WORKERS.name: getattr(arguments, "workers", None)}
    return {key: value for key, value in named.items() if value is not None}


def read_secret(name: str, *, what: str = "password") -> str:
    """Return the first line of a file or of standard input. A secret among the arguments would be visible in `ps`.

    Args:
        name: the path of the file; `-` for standard input.
        what: what it holds, for messages.

    Raises:
        ConfigurationError: the file cannot be read, or the line is empty.
    """
    try:
        text = sys.stdin.readline() if name == "-" else Path(name).read_text(encoding="utf-8")
        text.encode()  # where the locale names no encoding, standard input yields what is not UTF-8
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the {what} file {name} cannot be read") from error
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise ConfigurationError(f"the {what} file {name} is empty: its first line is the {what}")
    return line


def exit_status_of(work: Callable[[], int | None]) -> int:
    """Run the work of a command and return its exit status.

    Args:
        work: the work; returns its exit status, or None for 0.

    Returns:
        The exit status; 1 after an expected error and 2 after a `UsageError`, which are printed as one line. So are its
        notes, and what else was wrong.
    """
    try:
        return work() or 0
    except BrokenPipeError:  # the reader has closed the pipe; what is still buffered is discarded
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UsageError as error:
        tell(error)
        return USAGE
    except KitewardError as error:
        for each in (error, *error.others):
            tell(each)
        return 1
    except OSError as error:
        tell(error)
        return 1


def _sentence(error: Exception) -> str:
    """Return what is wrong, and for a file of another user what would be right."""
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    hint = "; run the command as its owner" if isinstance(error, PermissionError) else ""
    return f"{error.filename}: {error.strerror}{hint}"


def tell(error: Exception) -> None:
    """Print an error as one line, and each of its notes. What others have said in it has no line of its own."""
    for line in (f"kiteward: {_sentence(error)}", *getattr(error, "__notes__", ())):
        note(line)
