"""Makes a backup: takes a point, and writes it to a file that appears under its name when it is complete."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from kiteward import __version__
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.bootstrap.backup.archive import FORMAT, STORE, ArchiveWriter, Entry, Head
from kiteward.bootstrap.backup.control import Facts, RunningServer
from kiteward.bootstrap.backup.drafts import draft_of
from kiteward.bootstrap.backup.point import Place, Point, engine_at_rest, take_point
from kiteward.bootstrap.backup.sealed_file import SealingWriter
from kiteward.bootstrap.system_user import system_user
from kiteward.config.settings import Settings
from kiteward.domain.errors import (
    AuditUnavailable,
    ConfigurationError,
    DataDirectoryHeld,
    EngineUnavailable,
    KitewardError,
)
from kiteward.domain.identity import Secret
from kiteward.domain.moments import written
from kiteward.store.data_directory import STORE_FILE, DataDirectory
from kiteward.store.database_file import defects_of
from kiteward.store.revisions import require_known

SUFFIX: Final = ".kiteward-backup"
_MODE: Final = 0o600
_PIECE: Final = 1024 * 1024
_ATTEMPTS: Final = 5
_PAUSE: Final = 1.0

Progress = Callable[[str, int, int], None]
"""Called with what is done now, how many bytes or pages of it are done, and how many there are."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made.

    Attributes:
        file: where it is.
        bytes: its size.
        sha256: the digest of the file.
        made: the moment that it shows.
        revision: the revision of the tables of the store.
        files: how many files of the data directory it holds.
        rows: whether the data of the embedded engine are in it.
        sealed: whether it is encrypted.
        paused_ms: milliseconds for which changes and writes waited.
        engine_paused_ms: milliseconds of these for which reads of the embedded engine waited too.
    """

    file: str
    bytes: int
    sha256: str
    made: str
    revision: str
    files: int
    rows: bool
    sealed: bool
    paused_ms: float
    engine_paused_ms: float


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made.

    Attributes:
        settings: the configuration of the data directory.
        target: the file; or a directory, in which the file is named for its time.
        key: what it is sealed with; None for a backup that anybody can read who has the file.
        rows: whether the rows must be in it; without, those of a remote engine may be left out.
    """

    settings: Settings
    target: Path
    key: Secret | None
    rows: bool


def make_backup(order: Order, progress: Progress) -> Made:
    """Make a backup, beside a running server or without one.

    Raises:
        ConfigurationError: there is nothing here that a backup can hold whole, or the file exists.
        DataDirectoryHeld: a server or a command holds the data directory that takes no part in backups.
        KitewardError, OSError: it failed; there is no file of the name then.
    """
    directory = order.settings.data_dir.absolute()
    if not (directory / STORE_FILE).is_file():
        raise ConfigurationError(
            f"{directory} holds no store: give --data-dir; a store in PostgreSQL is backed up with pg_dump"
        )
    target = _target_file(order.target)
    with ExitStack() as stack:
        server = _server_of(stack, directory)
        facts = Facts.of(order.settings) if server is None else server.facts
        _require_whole(facts, rows=order.rows)
        place = _place(directory, facts)
        if server is None:
            stack.enter_context(engine_at_rest(place.engine))
        trail = _Trail(place.audit, order.settings, target)
        trail.note(Outcome.RECEIVED)
        try:
            made = _made(order, place, server, target=target, progress=progress)
        except BaseException as error:
            with suppress(KitewardError, OSError):
                trail.note(Outcome.FAILED, error=type(error).__name__)
            raise
        trail.note(Outcome.SUCCEEDED, shows=made.made, bytes=made.bytes, sha256=made.sha256, sealed=made.sealed)
        return made


def _server_of(stack: ExitStack, directory: Path) -> RunningServer | None:
    """Return the server that uses a data directory; None if there is none, and `stack` keeps others away.

    Raises:
        DataDirectoryHeld: something else holds it.
    """
    try:
        stack.enter_context(DataDirectory.hold(directory))
    except DataDirectoryHeld as error:
        server = RunningServer.connect(stack, directory)
        if server is None:
            raise DataDirectoryHeld(
                f"{error}, which takes no part in backups: it is starting, stopping, another command or an older "
                "version; try again, or stop it"
            ) from None
        return server
    return None


def _require_whole(facts: Facts, *, rows: bool) -> None:
    """Check that a backup would hold everything.

    Raises:
        ConfigurationError: parts are elsewhere; the message says what to use for them.
    """
    if not facts.store:
        raise ConfigurationError(
            "the store is in PostgreSQL: back it up with pg_dump, the audit trail by copying its directory, and a "
            "Milvus behind with milvus-backup"
        )
    if not facts.rows and rows:
        raise ConfigurationError(
            "the rows are in a Milvus behind, which milvus-backup backs up; --without-rows makes a backup of the store "
            "and the audit trail alone"
        )
    if facts.rows and not rows:
        raise ConfigurationError("the rows are in this data directory: leave --without-rows out")


def _place(directory: Path, facts: Facts) -> Place:
    data = DataDirectory(directory)
    audit = Path(facts.audit) if facts.audit else None
    return Place(data.store_path, audit, data.engine_path if facts.rows else None, data.factor_key_path)


def _made(order: Order, place: Place, server: RunningServer | None, *, target: Path, progress: Progress) -> Made:
    with draft_of(target) as draft, ExitStack() as stack:
        point = _taken(stack, place, server, progress)
        require_known(point.store.revision)
        store = draft.folder / STORE
        point.store.copy_to(store, lambda done, total: progress("pages of the store copied", done, total))
        defects = defects_of(store)
        if defects:
            raise ConfigurationError(f"no backup is made of a damaged store: {'; '.join(defects)}")
        head = _head_of(point, store, rows=place.engine is not None)
        contents = [_pieces_of(store), *(each.pieces() for each in point.files)]
        written = _write(draft.file, head, order.key, contents, progress)
        draft.publish()
        return Made(
            file=str(target),
            bytes=written.size,
            sha256=written.digest.hexdigest(),
            made=head.made,
            revision=head.revision,
            files=len(head.files),
            rows=head.rows,
            sealed=order.key is not None,
            paused_ms=round(point.seconds * 1000, 1),
            engine_paused_ms=round(1000 * (0.0 if server is None else server.paused_for), 1),
        )


def _taken(stack: ExitStack, place: Place, server: RunningServer | None, progress: Progress) -> Point:
    """Take the point; where an engine is just restarting, try again for a while."""
    for attempt in range(1, _ATTEMPTS + 1):
        progress("taking the point", attempt - 1, 1)
        pauses = server is not None and place.engine is not None
        paused: AbstractContextManager[None] = server.paused() if server is not None and pauses else nullcontext()
        try:
            point = stack.enter_context(take_point(place, paused=paused))
        except EngineUnavailable:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE)
        else:
            progress("taking the point", 1, 1)
            return point
    raise AssertionError


def _head_of(point: Point, store: Path, *, rows: bool) -> Head:
    files = (Entry(STORE, store.stat().st_size), *(Entry(each.path, each.size) for each in point.files))
    made = written(point.made, timespec="milliseconds")
    return Head(
        format=FORMAT,
        made=made,
        version=__version__,
        revision=point.store.revision,
        rows=rows,
        files=files,
        empty=tuple(point.empty),
    )


class _Counting:
    """Passes bytes on, and computes their digest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


def _write(
    path: Path, head: Head, key: Secret | None, contents: Sequence[Iterator[bytes]], progress: Progress
) -> _Counting:
    """Write a backup to a new file, and return what was written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        counted = _Counting(file)
        sealing = None if key is None else SealingWriter(counted, key, made=head.made, version=head.version)
        archive = ArchiveWriter(counted if sealing is None else sealing, head)
        for pieces in contents:
            archive.add(_watched(pieces, head.size, counted, progress))
        archive.close()
        if sealing is not None:
            sealing.close()
    return counted


def _watched(pieces: Iterator[bytes], total: int, counted: _Counting, progress: Progress) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        progress("bytes written", min(counted.size, total), total)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _target_file(given: Path) -> Path:
    """Return the file that a backup is to be.

    Raises:
        ConfigurationError: it exists, or its directory does not.
    """
    if given.is_dir():
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = given.absolute() / f"kiteward-{now}{SUFFIX}"
    else:
        target = given.absolute()
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists: choose another name")
    if not target.parent.is_dir():
        raise ConfigurationError(f"there is no directory {target.parent}: create it, where only you may read")
    return target


class _Trail:
    """Notes a backup in the audit trail of the data directory, if it has one."""

    def __init__(self, directory: Path | None, settings: Settings, target: Path) -> None:
        self._directory = directory
        self._keep_days = settings.audit.keep_days
        self._replica = settings.replicas.shown
        self._target = target

    def note(self, outcome: Outcome, *, error: str = "", **details: object) -> None:
        """Write an event durably.

        Raises:
            AuditUnavailable: it cannot be written; without it, no backup is made.
        """
        if self._directory is None:
            return
        event = AuditEvent(
            Event.BACKUP,
            time.time(),
            outcome,
            client=f"system user {system_user()}",
            transport="local",
            operation="CreateBackup",
            error=error,
            details={"file": str(self._target), **details},
        )
        try:
            with closing(ChainedFiles(self._directory, keep_days=self._keep_days, replica=self._replica)) as files:
                files.append([event])
        except OSError as failure:
            raise AuditUnavailable(
                f"the audit trail in {self._directory} cannot be written ({failure.strerror}): no backup was made"
            ) from failure
