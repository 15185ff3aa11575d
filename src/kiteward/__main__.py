"""Run the command line: `kiteward`, or `python -m kiteward`."""

import gc
import os
import sys
from typing import Final

_INTERRUPTED: Final = 130
"""The exit status of a command that was interrupted by Ctrl-C, by the convention of shells."""

_YOUNG_OBJECTS: Final = 200_000
"""Objects that are created before the collector looks among them for cycles.

Nearly all that a command creates are parts of modules, which stay. With CPython's 700, looking through them again and
again took a fifth of the time of a command. A server sets a number of its own once it has started.
"""


def run() -> int:
    """Run the command that the arguments of the process name, and return its exit status."""
    gc.set_threshold(_YOUNG_OBJECTS)
    _open_closed_streams()
    try:
        from kiteward.cli.main import main  # noqa: PLC0415  Ctrl-C may come while it is loaded

        return _flushed(main())
    except SystemExit as ended:  # a command line that is wrong, or asks for help
        return _flushed(int(ended.code or 0))
    except BrokenPipeError:
        return _flushed(0)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        gc.freeze()  # what is left ends with the process


def _flushed(status: int) -> int:
    """Write what is still buffered, and return the exit status: 1 where it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left is discarded, or it would fail again at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader who has seen enough is no failure
            sys.stderr.write(f"kiteward: the output cannot be written: {error.strerror}\n")
            return 1
    return status


def _open_closed_streams() -> None:
    """Open standard streams that the caller has closed, so that no file or connection gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  for all of the process


if __name__ == "__main__":
    sys.exit(run())
