"""What a data directory holds at one moment, while others write to it.

INVARIANT: at the moment of a point nobody writes: neither to the store, whose lock of writers is held, nor to the
audit trail, whose lock is held too, nor does the engine run. So a point is what `kill -9` of everything would have left
at that moment, from which all three recover. What was acknowledged before is in it.

The moment is short: files are opened, not copied, and most of them before. Those that grow are read up to the size that
they had; those that are replaced keep their content for whoever has opened them; small ones, which may be overwritten,
are read at once.
"""

import errno
import fcntl
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
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

_WHOLE: Final = (".parquet", ".idx")
"""Endings of files of the engine that get their name when they are complete, and are never changed under it.

Most files are such, and are opened before the moment.
"""


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
        before = _opened_before(place, open_files)
        with ExitStack() as held:
            store = held.enter_context(WriterLock(place.store))
            begun = time.monotonic()
            if place.audit is not None:
                held.enter_context(_locked(place.audit / _TRAIL_LOCK, _TRAIL_WITHIN))
            held.enter_context(paused)
            snapshot = open_files.enter_context(closing(store.snapshot()))
            files, empty = _held_files(place, before, open_files)
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


def _opened_before(place: Place, stack: ExitStack) -> Mapping[str, tuple[int, HeldFile]]:
    """Open what is never changed under its name, and return each path with its inode and its file.

    A file that has this inode at the moment of the point is the same one: no other gets an inode that is open.
    """
    found: dict[str, tuple[int, HeldFile]] = {}
    if place.engine is None or not place.engine.is_dir():
        return found
    root = str(place.engine)
    for path, inode in _below(root):
        if inode is not None and path.endswith(_WHOLE):
            with suppress(FileNotFoundError):  # it was replaced meanwhile
                descriptor = _open(path, stack)
                status = os.fstat(descriptor)
                found[path] = status.st_ino, HeldFile(f"{ENGINE}{path[len(root) :]}", status.st_size, descriptor)
    return found


def _held_files(
    place: Place, before: Mapping[str, tuple[int, HeldFile]], stack: ExitStack
) -> tuple[Sequence[HeldFile], Sequence[str]]:
    """Return all files except the store, and the directories that hold nothing."""
    files: list[HeldFile] = []
    empty: list[str] = []
    if place.factor_key is not None and place.factor_key.exists():
        files.append(_held(str(place.factor_key), FACTOR_KEY, stack))
    for directory, name in ((place.audit, AUDIT), (place.engine, ENGINE)):
        if directory is None or not directory.is_dir():
            continue
        root = str(directory)
        for path, inode in _below(root):
            known = before.get(path)
            if inode is None:
                empty += [f"{name}{path[len(root) :]}"] if path != root else []
            elif known is not None and known[0] == inode and Path(path).lstat().st_size == known[1].size:
                files.append(known[1])
            else:
                files.append(_held(path, f"{name}{path[len(root) :]}", stack))
    return files, empty


def _below(directory: str) -> Iterator[tuple[str, int | None]]:
    """Yield the plain files of a directory, each with its inode, and the directories that hold nothing, without one.

    Locks and what is not finished are left out.
    """
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda each: each.name)
    holds_nothing = True
    for each in entries:
        if each.is_dir(follow_symlinks=False):
            if each.name not in _LEFT_OUT and not each.name.startswith(_SOCKETS):
                holds_nothing = False
                yield from _below(each.path)
        elif each.is_file(follow_symlinks=False) and each.name not in (_ENGINE_LOCK, _TRAIL_LOCK):
            holds_nothing = False
            yield each.path, each.inode()
    if holds_nothing:
        yield directory, None


def _held(path: str, name: str, stack: ExitStack) -> HeldFile:
    """Return a file: a small one with its content, another with its descriptor, which `stack` closes."""
    with ExitStack() as own:
        descriptor = _open(path, own)
        size = os.fstat(descriptor).st_size
        if size > _SMALL:
            stack.push(own.pop_all())
            return HeldFile(name, size, descriptor)
        content = os.pread(descriptor, _SMALL, 0)
    return HeldFile(name, len(content), content)


def _open(path: str, stack: ExitStack) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise ConfigurationError("there are more files than this process may open: raise `ulimit -n`") from None
        raise
    stack.callback(os.close, descriptor)
    return descriptor


def _allow_all_files() -> None:
    """Raise the limit of open files as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
