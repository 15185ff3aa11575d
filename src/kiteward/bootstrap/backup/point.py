"""What a data directory holds at one moment, while others write to it.

INVARIANT: at the moment of a point nobody writes: neither to the store, whose lock of writers is held, nor to the
audit trail, whose lock is held too, nor does the engine run. So a point is what `kill -9` of everything would have left
at that moment, from which all three recover. What was acknowledged before is in it.

The moment is short: files are opened, not copied. Those that grow are read up to the size that they had; those that are
replaced keep their content for whoever has opened them; small ones, which may be overwritten, are read at once.
"""

import errno
import fcntl
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kiteward.bootstrap.backup.archive import AUDIT, ENGINE, FACTOR_KEY
from kiteward.domain.errors import ConfigurationError
from kiteward.store.database_file import Snapshot, WriterLock

_SMALL: Final = 64 * 1024
_PIECE: Final = 1024 * 1024
_TRAIL_WITHIN: Final = 2.0
"""Seconds in which the lock of the trail must be had, because changes wait meanwhile."""

_ENGINE_WITHIN: Final = 15.0
"""Seconds in which an engine whose server was killed must have ended."""

_LOOK: Final = 0.002
_ENGINE_LOCK: Final = "LOCK"
_TRAIL_LOCK: Final = "lock"

_LEFT_OUT: Final = frozenset({".drafts", ".database-staging"})
"""Directories of the engine with what is not finished, which nobody reads."""

_SOCKETS: Final = "socket-"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parts of a data directory are.

    Attributes:
        store: the database file.
        audit: the directory of the audit trail; None if there is none.
        engine: the directory of the embedded engine; None if rows are left out.
        factor_key: the key of authenticator apps; None where it is not in the data directory.
    """

    store: Path
    audit: Path | None
    engine: Path | None
    factor_key: Path | None


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file as it was at the moment of a point.

    Attributes:
        path: its path in a backup.
        size: its bytes.
        content: what they are, of a small file; else a descriptor of the file, which may have grown since.
    """

    path: str
    size: int
    content: bytes | int

    def pieces(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            OSError: it cannot be read.
        """
        if isinstance(self.content, bytes):
            yield self.content
            return
        place = 0
        while place < self.size:
            piece = os.pread(self.content, min(self.size - place, _PIECE), place)
            if not piece:
                raise OSError(errno.EIO, "a file became shorter while it was backed up", self.path)
            place += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Point:
    """What a data directory held at one moment.

    Attributes:
        made: the moment.
        store: the store.
        files: everything else.
        empty: directories that held nothing.
        seconds: for how long writes waited.
    """

    made: datetime
    store: Snapshot
    files: Sequence[HeldFile]
    empty: Sequence[str]
    seconds: float


@contextmanager
def take_point(place: Place, *, paused: AbstractContextManager[None]) -> Iterator[Point]:
    """Take a point, which can be read within the block.

    Args:
        place: the parts of the data directory.
        paused: pauses the engine while it is entered.

    Raises:
        StoreUnavailable: the store cannot be read.
        EngineUnavailable: the engine cannot be paused.
        ConfigurationError: a lock cannot be had, or there are more files than this process may open.
        OSError: a file cannot be read.
    """
    _allow_all_files()
    with ExitStack() as open_files:
        with ExitStack() as held:
            store = held.enter_context(WriterLock(place.store))
            begun = time.monotonic()
            if place.audit is not None:
                held.enter_context(_locked(place.audit / _TRAIL_LOCK, _TRAIL_WITHIN))
            held.enter_context(paused)
            snapshot = open_files.enter_context(closing(store.snapshot()))
            files, empty = _held_files(place, open_files)
            made = datetime.now(UTC)
        seconds = time.monotonic() - begun
        yield Point(made, snapshot, files, empty, seconds)


@contextmanager
def engine_at_rest(engine: Path | None) -> Iterator[None]:
    """Hold the lock of an engine that no server uses, so that none is started.

    Raises:
        ConfigurationError: it is still running.
    """
    with nullcontext() if engine is None else _locked(engine / _ENGINE_LOCK, _ENGINE_WITHIN):
        yield


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a file that exists; nothing is held if it does not: nobody has used it.

    Raises:
        ConfigurationError: another process holds it for long.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() >= deadline:
                raise ConfigurationError(f"another process holds {path}: try again")
            time.sleep(_LOOK)
        yield
    finally:
        os.close(descriptor)


def _held_files(place: Place, stack: ExitStack) -> tuple[Sequence[HeldFile], Sequence[str]]:
    """Return all files except the store, and the directories that hold nothing."""
    files: list[HeldFile] = []
    empty: list[str] = []
    if place.factor_key is not None and place.factor_key.exists():
        files.append(_held(place.factor_key, FACTOR_KEY, stack))
    for directory, name in ((place.audit, AUDIT), (place.engine, ENGINE)):
        if directory is None or not directory.is_dir():
            continue
        for path, is_file in _below(directory):
            below = f"{name}/{path.relative_to(directory).as_posix()}"
            if is_file:
                files.append(_held(path, below, stack))
            elif path != directory:
                empty.append(below)
    return files, empty


def _below(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the plain files of a directory, and the directories that hold nothing, each with whether it is a file.

    Locks and what is not finished are left out.
    """
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda each: each.name)
    holds_nothing = True
    for each in entries:
        path = Path(each.path)
        if each.is_dir(follow_symlinks=False):
            if each.name not in _LEFT_OUT and not each.name.startswith(_SOCKETS):
                holds_nothing = False
                yield from _below(path)
        elif each.is_file(follow_symlinks=False) and each.name not in (_ENGINE_LOCK, _TRAIL_LOCK):
            holds_nothing = False
            yield path, True
    if holds_nothing:
        yield directory, False


def _held(path: Path, name: str, stack: ExitStack) -> HeldFile:
    """Return a file: a small one with its content, another with its descriptor, which `stack` closes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise ConfigurationError("there are more files than this process may open: raise `ulimit -n`") from None
        raise
    size = os.fstat(descriptor).st_size
    if size > _SMALL:
        stack.callback(os.close, descriptor)
        return HeldFile(name, size, descriptor)
    try:
        content = os.pread(descriptor, _SMALL, 0)
    finally:
        os.close(descriptor)
    return HeldFile(name, len(content), content)


def _allow_all_files() -> None:
    """Raise the limit of open files as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
