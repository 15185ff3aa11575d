"""The directory that holds everything of one server, and the lock that prevents a second server from using it."""

import fcntl
import os
import pwd
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld

STORE_FILE: Final = "store.db"
"""The name of the database file of the store, where it is a file."""

UNFINISHED: Final = ".restoring"
"""The name of the folder that a restore fills; while it is there, nothing uses the directory."""

LOCK: Final = "LOCK"
"""The name of the file by which a directory is held. It stays when the directory is released."""

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_PID_BYTES: Final = 32


class DataDirectory:
    """A data directory that this process holds, until it is closed or the process ends, however it ends.

    INVARIANT: the directory and its folders belong to this process's user, and nobody else may look inside.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._new = False

    @classmethod
    def hold(cls, path: str | os.PathLike[str]) -> Self:
        """Create the directory if it is absent, make it private, and take its lock without waiting.

        One that was absent or empty is removed again if the `with` block ends with an error before `keep` is called.

        Raises:
            ConfigurationError: it is no directory, belongs to another user, cannot be created, or is being restored.
            DataDirectoryHeld: another server holds it; the message names the directory and that server's process id.
        """
        held = cls(Path(path).absolute())
        cls.require_restored(held.path)
        try:
            held.path.parent.mkdir(parents=True, exist_ok=True)
            held._new = not held.path.exists() or not any(held.path.iterdir())
            for folder in (held.path, held.engine_path):
                _own_directory(folder)
            held._lock = _take_lock(held.path)
        except OSError as error:
            raise ConfigurationError(
                f"the data directory `{held.path}` cannot be used ({error.strerror}): use another or change its owner"
            ) from error
        return held

    @staticmethod
    def require_restored(path: Path) -> None:
        """Check that no restore has begun to fill a directory without having finished.

        Raises:
            ConfigurationError: one is running or was interrupted.
        """
        if (path / UNFINISHED).exists():
            raise ConfigurationError(
                f"a restore into `{path}` is running or was interrupted: wait for it, or empty the directory and "
                "restore again"
            )

    @staticmethod
    def is_one(path: Path) -> bool:
        """Return whether a directory has been a data directory: a server has held it."""
        return (path / LOCK).exists()

    @property
    def path(self) -> Path:
        """The directory itself, absolute."""
        return self._path

    @property
    def store_path(self) -> Path:
        """The database file of the store."""
        return self._path / STORE_FILE

    @property
    def factor_key_path(self) -> Path:
        """The file with the key of authenticator apps, where the settings name no other."""
        return self._path / "factors.key"

    @property
    def engine_path(self) -> Path:
        """The folder where the embedded engine keeps collections."""
        return self._path / "engine"

    def keep(self) -> None:
        """Keep what is in the directory from now on, whatever happens."""
        self._new = False

    def close(self) -> None:
        """Release the directory; closing again does nothing."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        os.ftruncate(lock, 0)  # the file stays: if it were removed, two servers could each lock a LOCK of their own
        os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self._new:
            # What a start that failed has left there is of no use, and would be taken for a server's data.
            shutil.rmtree(self._path, ignore_errors=True)
        self.close()


def _own_directory(path: Path) -> None:
    """Create a directory for this user alone, or make an existing one private.

    Raises:
        ConfigurationError: it belongs to another user.
        OSError: it is no directory, or cannot be created.
    """
    with suppress(FileExistsError):
        path.mkdir(_DIRECTORY_MODE)
        path.chmod(_DIRECTORY_MODE)  # whatever the umask took away
    # From here on by descriptor, so that what is checked is what is changed.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise _of_another_user(path, status.st_uid)
        if stat.S_IMODE(status.st_mode) != _DIRECTORY_MODE:
            os.fchmod(descriptor, _DIRECTORY_MODE)
    finally:
        os.close(descriptor)


def _of_another_user(path: Path, owner: int) -> ConfigurationError:
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        whose, how = f"user id {owner}", "run as that user"
    else:
        whose, how = f"the user {name}", f"run as that user (root: `runuser -u {name} -- kiteward …`)"
    return ConfigurationError(f"the data directory `{path}` belongs to {whose}: {how} or choose another")


def _take_lock(directory: Path) -> int:
    """Return the descriptor that holds the lock; closing it releases the lock.

    Raises:
        DataDirectoryHeld: another server holds it.
        OSError: the lock file cannot be written.
    """
    lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(lock, _FILE_MODE)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(lock, _PID_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise DataDirectoryHeld(
            f"the data directory `{directory}` is in use by another server (process {holder})"
        ) from error
    except OSError:
        os.close(lock)
        raise
    return lock
