"""How far long work is, as lines on standard error."""

import argparse
import sys
import time
from typing import Final

_SECONDS: Final = 1.0
"""Seconds between two lines."""


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the option that asks for progress."""
    parser.add_argument(
        "--progress", action="store_true", help="print how far it is, also where standard error is no terminal"
    )


class Progress:
    """Prints a line a second on a terminal, and elsewhere only if asked to."""

    def __init__(self, *, asked: bool) -> None:
        """Take whether lines are printed although standard error is no terminal."""
        self._shown = asked or sys.stderr.isatty()
        self._printed = time.monotonic()

    def __call__(self, what: str, done: int, total: int = 0) -> None:
        """Take how far the work is.

        Args:
            what: the part of the work, such as `passwords`.
            done: how much of it is done.
            total: how much there is; 0 if that is not known.
        """
        now = time.monotonic()
        if self._shown and now - self._printed >= _SECONDS:
            self._printed = now
            print(f"{what}: {done:,}{f' of {total:,}' if total else ''}", file=sys.stderr, flush=True)
