"""The files of the trail: one a day, chained line by line, with a head that says where the chain ends.

While the clock says a day before that of the newest file, another file of that day is begun for each day that passes.

Several processes may write, such as a server and the command line beside it; each batch is written under a lock.

INVARIANT: a batch is on disk before the head names its end, and the head is never ahead of what is on disk. So a line
that the head counts and the files lack was removed, and one behind the head was written just before a crash.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from kiteward.audit import hash_chain
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.hash_chain import BEGINNING
from kiteward.audit.retention import DAY, Retention, Seen

HEAD: Final = "head"
_LOCK: Final = "lock"
_HEAD_BYTES: Final = 512
_NAME: Final = re.compile(r"audit-(\d{4}-\d{2}-\d{2})(?:_(\d{4}))?\.jsonl")
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_LOOK: Final = 3600.0
"""Seconds between two searches for files that are old enough to be removed."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain begins and ends.

    Attributes:
        first: number of the first line that is kept.
        before: the chain of the line before that; empty if it is not known.
        seq: number of the last line; 0 before there is any.
        chain: its chain.
        file: the file it is in.
        size: bytes of that file that the chain covers.
        seen: the trail's elapsed time.
        trail: a random name of the trail, by which an exporter recognises it; empty before its first line.
    """

    first: int = 1
    before: str = BEGINNING
    seq: int = 0
    chain: str = BEGINNING
    file: str = ""
    size: int = 0
    seen: Seen = Seen()
    trail: str = ""


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail as it was at one moment.

    Attributes:
        head: its head; None if there is none that can be read.
        files: its files in their order, each with its size then.
    """

    head: Head | None
    files: tuple[tuple[Path, int], ...]


def files_of(directory: Path) -> list[Path]:
    """Return the files of a trail, oldest first."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def look_at(directory: Path) -> Trail:
    """Return a consistent view of a trail, as it is between two batches.

    Raises:
        OSError: it cannot be read.
    """
    with (directory / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        head = None
        with contextlib.suppress(OSError, msgspec.DecodeError):
            head = msgspec.json.decode((directory / HEAD).read_bytes(), type=Head)
        return Trail(head, tuple((path, path.stat().st_size) for path in files_of(directory)))


def first_number(path: Path) -> int | None:
    """Return the number of the first line of a file; None if it has none.

    Raises:
        OSError: it cannot be read.
    """
    return next((line.seq for line in _lines_of(path)), None)


class ChainedFiles:
    """Appends events to the trail of a directory."""

    def __init__(
        self,
        directory: Path,
        *,
        keep_days: int,
        replica: str = "",
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a trail, and create it if it does not exist.

        Args:
            directory: where its files are; created if absent, and made accessible to this user only.
            keep_days: how many days are kept; 0 keeps all.
            replica: the name of this replica, which every line has.
            clock: seconds since the epoch.
            uptime: seconds that never go back while the machine runs, the same in every process.

        Raises:
            OSError: it cannot be written.
        """
        self._directory = directory
        self._replica = replica
        self._clock = clock
        self._uptime = uptime
        self._retention = Retention(directory, keep_days, _sync_directory)
        self._look_at = 0.0  # seconds of elapsed time
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)
        self._lock = self._open(_LOCK, os.O_RDWR)
        self._head_file = self._open(HEAD, os.O_RDWR)
        self._file = -1
        self._name = ""
        try:
            self.append(())
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the files, and release the lock file."""
        for descriptor in (self._file, self._head_file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._head_file = self._lock = -1

    def append(self, events: Sequence[AuditEvent]) -> None:
        """Write events durably and in their order, all of them or none.

        Raises:
            OSError: nothing was written.
        """
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            head, found = self._caught_up()
            if not (found or events):
                return
            head = replace_head(head, trail=head.trail or secrets.token_hex(8))
            head = replace_head(head, seen=head.seen.on(self._clock(), self._uptime()))
            head, expired = self._in_todays_file(head)
            self._use(head.file)
            head = self._append_to(head, [*found, *expired, *events])
            self._write_head(head)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _append_to(self, head: Head, events: Sequence[AuditEvent]) -> Head:
        seq, chain = head.seq, head.chain
        encoded = []
        for event in events:
            for part in hash_chain.parts_of(event):
                seq += 1
                line, chain = hash_chain.encode(part, seq, chain, replica=self._replica)
                encoded.append(line)
        data = b"".join(encoded)
        try:
            _write_whole(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            # A write that is incomplete, or may not be on disk, was not acknowledged.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, head.size)
            raise
        return replace_head(head, seq=seq, chain=chain, size=head.size + len(data))

    def _open(self, name: str, flags: int) -> int:
        descriptor = os.open(self._directory / name, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        os.fchmod(descriptor, _FILE_MODE)
        return descriptor

    def _use(self, name: str) -> None:
        """Open the file of this name for appending, unless it is open."""
        if name == self._name:
            return
        descriptor = self._open(name, os.O_RDWR | os.O_APPEND)
        _sync_directory(self._directory)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._name = descriptor, name

    def _write_head(self, head: Head) -> None:
        """Write the head in place, within one sector, so that a crash leaves the old one or the new one."""
        encoded = msgspec.json.encode(head)
        os.pwrite(self._head_file, encoded.ljust(_HEAD_BYTES - 1) + b"\n", 0)

    # Checks before each batch

    def _caught_up(self) -> tuple[Head, list[AuditEvent]]:
        """Return the head to append after, and events that report what was found there."""
        try:
            head = msgspec.json.decode(os.pread(self._head_file, _HEAD_BYTES, 0), type=Head)
        except msgspec.DecodeError:
            return self._without_head()
        later = [path.name for path in files_of(self._directory) if path.name > head.file]
        if not later and self._size(head.file) == head.size:
            if head.file:
                self._use(head.file)
            return head, []
        found: list[AuditEvent] = []
        if head.file:
            head = self._checked_end(head, found)
        for name in later:
            head = self._checked_end(replace_head(head, file=name, size=0), found)
        return head, found

    def _size(self, name: str) -> int:
        if name and name == self._name:
            # By the descriptor: a file that was replaced under its name is not the one that is written to.
            with contextlib.suppress(OSError):
                if os.fstat(self._file).st_ino != (self._directory / name).stat().st_ino:
                    self._name = ""
        try:
            return (self._directory / name).stat().st_size if name else 0
        except FileNotFoundError:
            self._name = ""
            return -1

    def _checked_end(self, head: Head, found: list[AuditEvent]) -> Head:
        """Return the head moved to the end of its file, over what was written behind it before a crash."""
        missing = self._size(head.file) < head.size
        self._use(head.file)
        size = os.fstat(self._file).st_size
        if missing:
            found.append(self._system(Event.LINES_MISSING, file=head.file, bytes=head.size - size, last_seq=head.seq))
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                _write_whole(self._file, b"\n")
                size += 1
            return replace_head(head, size=size)
        rest = os.pread(self._file, size - head.size, head.size) if size > head.size else b""
        whole, newline, torn = rest.rpartition(b"\n")
        seq, chain = head.seq, head.chain
        for raw in (whole + newline).splitlines():
            line = hash_chain.decode(raw)
            if line is not None and line.seq >= seq:
                seq, chain = line.seq, line.chain
        if torn:
            os.ftruncate(self._file, size - len(torn))
            digest = hashlib.sha256(torn).hexdigest()
            found.append(self._system(Event.TAIL_CUT, file=head.file, bytes=len(torn), sha256=digest))
        return replace_head(head, seq=seq, chain=chain, size=size - len(torn))

    def _without_head(self) -> tuple[Head, list[AuditEvent]]:
        """Begin a trail, or continue one whose head is missing, with an event that reports it."""
        present = files_of(self._directory)
        if not present:
            self._write_head(Head())
            return Head(), []
        first = first_number(present[0]) or 1
        head = Head(first=first, before=BEGINNING if first == 1 else "", file=present[0].name)
        found = [self._system(Event.HEAD_MISSING)]
        for path in present:
            head = self._checked_end(replace_head(head, file=path.name, size=0), found)
        return head, found

    def _in_todays_file(self, head: Head) -> tuple[Head, list[AuditEvent]]:
        """Return the head in the file to write to, and events that report removed files."""
        day = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")
        seconds = head.seen.seconds
        if day <= _day_of(head.file) and seconds < self._look_at:
            return head, []
        names = [path.name for path in files_of(self._directory)]
        begun = self._retention.begun(names, seconds)
        if day > _day_of(head.file):
            head = replace_head(head, file=f"audit-{day}.jsonl", size=0)
        elif seconds - begun.get(head.file, seconds) >= DAY:
            head = replace_head(head, file=_following(head.file), size=0)
        if head.file not in begun:
            begun = self._retention.begun([*names, head.file], seconds)
        self._look_at = seconds + _LOOK
        return self._without(self._retention.expired(begun, seconds), head)

    def _without(self, expired: Sequence[str], head: Head) -> tuple[Head, list[AuditEvent]]:
        """Remove files, and return the head of the remaining ones and events that report the removal."""
        if not expired:
            return head, []
        paths = [self._directory / name for name in expired]
        last = _last_line(paths)
        if last is not None:
            head = replace_head(head, first=last.seq + 1, before=last.chain)
        # The head is written first: files that are removed before that would count as missing.
        self._write_head(head)
        for path in paths:
            path.unlink()
        return head, [self._system(Event.FILES_EXPIRED, files=list(expired), first_seq=head.first)]

    def _system(self, event: Event, **details: object) -> AuditEvent:
        return AuditEvent(event, self._clock(), Outcome.SUCCEEDED, details=details)


def replace_head(head: Head, **changes: object) -> Head:
    """Return a copy of a head with these attributes replaced."""
    return msgspec.structs.replace(head, **changes)


def _day_of(name: str) -> str:
    found = _NAME.fullmatch(name)
    return found[1] if found else ""


def _following(name: str) -> str:
    """Return the name of the next file of the same day."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"`{name}` is not a file of an audit trail")
    return f"audit-{found[1]}_{int(found[2] or 1) + 1:04}.jsonl"


def _lines_of(path: Path) -> Iterator[hash_chain.Line]:
    with path.open("rb") as file:
        for raw in file:
            line = hash_chain.decode(raw.removesuffix(b"\n"))
            if line is not None:
                yield line


def _last_line(files: Sequence[Path]) -> hash_chain.Line | None:
    """Return the last line of the last of these files that has one."""
    for path in reversed(files):
        found = list(_lines_of(path))
        if found:
            return found[-1]
    return None


def _write_whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
