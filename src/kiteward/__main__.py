"""Run the command line: `kiteward`, or `python -m kiteward`."""

import sys
from typing import Final

_INTERRUPTED: Final = 130
"""The exit status of a command that was interrupted by Ctrl-C, by the convention of shells."""


def run() -> int:
    """Run the command that the arguments of the process name, and return its exit status."""
    try:
        from kiteward.cli.main import main  # noqa: PLC0415  Ctrl-C may come while it is loaded

        return main()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
