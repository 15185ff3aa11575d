"""Where a backup is written until it is complete: a hidden directory beside its name, which nobody else may enter."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kiteward.domain.errors import ConfigurationError

_PREFIX: Final = ".kiteward-backup-"
_FILE: Final = "backup"
_MODE: Final = 0o600


class Draft:
    """A directory with the file that becomes a backup, and with what it is made from; made by `draft_of`."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self.file = folder / _FILE
        self._target = target

    def publish(self) -> None:
        """Make the file durable, and give it its name.

        Raises:
            ConfigurationError: a file of this name has come into being meanwhile.
            OSError: it failed.
        """
        self.file.chmod(_MODE)
        for path in (self.file, self.folder):
            sync(path)
        if self._target.exists():
            raise ConfigurationError(f"{self._target} exists: choose another name")
        self.file.rename(self._target)
        sync(self._target.parent)


@contextmanager
def draft_of(target: Path) -> Iterator[Draft]:
    """Give a directory for the draft of a file, beside it, and remove it afterwards.

    What killed commands have left there is removed first.

    Raises:
        OSError: it cannot be made.
    """
    _clear(target.parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=target.parent))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Draft(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _clear(directory: Path) -> None:
    """Remove the directories of drafts that no process writes any more."""
    for folder in directory.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


def sync(path: Path) -> None:
    """Make the content of a file, or the entries of a directory, durable.

    Raises:
        OSError: that failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
