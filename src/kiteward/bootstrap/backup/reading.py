"""Reads backups: lists those of a directory, and verifies one."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from kiteward.bootstrap.backup.archive import BLOCK, HEAD, ArchiveReader, BackupInvalid, Head
from kiteward.bootstrap.backup.contents import Findings, checked, extract, is_checked
from kiteward.bootstrap.backup.sealed_file import MAGIC, SealedReader, read_sealed_head
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

Progress = Callable[[str, int, int], None]
"""As of `kiteward.bootstrap.backup.making`."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A backup in a directory, as its head describes it, which is not proven.

    Attributes:
        file: its name.
        bytes: its size.
        made: the moment that it shows; empty if it cannot be read.
        version: the version of Kiteward that has made it.
        revision: the revision of the tables of the store; None if it is sealed.
        rows: whether the data of the embedded engine are in it; None if it is sealed.
        sealed: whether it is encrypted.
        fault: why it cannot be read; empty if it can.
    """

    file: str
    bytes: int
    made: str = ""
    version: str = ""
    revision: str | None = None
    rows: bool | None = None
    sealed: bool = False
    fault: str = ""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a verification.

    Attributes:
        file: the backup.
        made: the moment that it shows.
        version: the version of Kiteward that has made it.
        revision: the revision of the tables of the store.
        files: how many files it holds.
        bytes: their size.
        rows: whether the data of the embedded engine are in it.
        findings: each defect in one sentence; empty when there is none.
    """

    file: str
    made: str
    version: str
    revision: str
    files: int
    bytes: int
    rows: bool
    findings: tuple[str, ...]


@contextmanager
def open_backup(path: Path, key: Secret | None) -> Iterator[ArchiveReader]:
    """Open a backup.

    Args:
        path: the file.
        key: what it is sealed with; None if it is not sealed.

    Raises:
        BackupInvalid: it is none, is damaged, or is opened with another key; also within the block.
        ConfigurationError: it cannot be read.
    """
    try:
        file = path.open("rb")
    except IsADirectoryError as error:
        raise ConfigurationError(f"{path} is a directory: name a backup in it (kiteward backup list {path})") from error
    except OSError as error:
        raise ConfigurationError(f"the backup {path} cannot be read: {error.strerror}") from error
    with file:
        try:
            yield ArchiveReader(_opened(file, key))
        except BackupInvalid as error:
            raise BackupInvalid(f"the backup {path} cannot be used: {error}") from None


def _opened(file: BinaryIO, key: Secret | None) -> BinaryIO | SealedReader:
    sealed = _is_sealed(file)
    if sealed and key is None:
        raise BackupInvalid("it is sealed; --key-file names the file with its key")
    if key is None:
        return file
    if not sealed:
        # Somebody may have put it in the place of a sealed one.
        raise BackupInvalid("it is not sealed, though a key was given; leave --key-file out if that is as it should be")
    return SealedReader(file, key)


def verify_backup(path: Path, key: Secret | None, progress: Progress) -> Verified:
    """Check all of a backup: every byte, the store, the references of the engine's data, and the audit trail's chain.

    Raises:
        BackupInvalid: it is no backup, or is damaged.
        ConfigurationError, OSError: it cannot be read, or there is no room for what is checked.
    """
    with tempfile.TemporaryDirectory(prefix="kiteward-verify-") as directory, open_backup(path, key) as reader:
        head = reader.head
        extract(reader, Path(directory), only=is_checked, progress=progress)
        found = checked(Path(directory), head)
        return _verified(path, head, found)


def _verified(path: Path, head: Head, found: Findings) -> Verified:
    return Verified(
        file=str(path),
        made=head.made,
        version=head.version,
        revision=head.revision,
        files=len(head.files),
        bytes=head.size,
        rows=head.rows,
        findings=(*found.data, *found.trail),
    )


def list_backups(directory: Path) -> list[Listed]:
    """Return the backups in a directory, oldest first. Files that are none are left out.

    Raises:
        ConfigurationError: the directory cannot be read.
    """
    try:
        files = [each for each in directory.iterdir() if each.is_file() and not each.name.startswith(".")]
    except OSError as error:
        raise ConfigurationError(f"the directory {directory} cannot be read: {error.strerror}") from error
    found = [listed for each in files if (listed := _listed(each)) is not None]
    return sorted(found, key=lambda each: (each.made, each.file))


def _listed(path: Path) -> Listed | None:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            sealed = _is_sealed(file)
            if sealed:
                shown = read_sealed_head(file)
                return Listed(file=path.name, bytes=size, made=shown.made, version=shown.version, sealed=True)
            if not _begins_as_a_backup(file):
                return None
            head = ArchiveReader(file).head
    except BackupInvalid as error:
        return Listed(file=path.name, bytes=size, sealed=sealed, fault=str(error))
    except OSError as error:
        return Listed(file=path.name, bytes=size, fault=f"it cannot be read: {error.strerror}")
    return Listed(
        file=path.name, bytes=size, made=head.made, version=head.version, revision=head.revision, rows=head.rows
    )


def _is_sealed(file: BinaryIO) -> bool:
    begins = file.read(len(MAGIC))
    file.seek(0)
    return begins == MAGIC


def _begins_as_a_backup(file: BinaryIO) -> bool:
    begins = file.read(BLOCK)
    file.seek(0)
    return begins.startswith(HEAD.encode() + b"\0")
