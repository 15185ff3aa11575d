"""Delivers one-time passwords that a command has made: to a file that only its owner can read, or on the terminal."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from kiteward.cli.output import printable
from kiteward.domain.identity import Secret


@contextlib.contextmanager
def reserved(path: Path | None) -> Iterator[TextIO | None]:
    """Open the file for new passwords before they are made: if that failed later, they would be lost.

    The file is removed if nothing was written to it.

    Args:
        path: the file, which must not exist; None for none.
    """
    if path is None:
        yield None
        return
    with open(path, "x", encoding="utf-8", opener=_private) as opened:  # Path.open takes no opener
        try:
            yield opened
        finally:
            if not opened.tell():
                path.unlink()


def deliver(passwords: Mapping[str, Secret], file: TextIO | None) -> None:
    """Write one-time passwords, each with its user, to a file, or print them."""
    lines = (map(printable, (name, password.reveal())) for name, password in passwords.items())
    text = "".join("{}\t{}\n".format(*line) for line in lines)
    if file is None:
        print("one-time passwords, shown once; each user must set another one first:")
        print(text, end="")
        return
    file.write(text)
    print(f"one-time passwords are in {file.name}; each user must set another one first", file=sys.stderr)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
