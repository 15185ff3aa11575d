"""Restores a backup to a new data directory: all of it, or nothing that could be served."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.bootstrap.backup.archive import AUDIT, ENGINE, STORE, BackupInvalid, Head
from kiteward.bootstrap.backup.contents import checked, extract
from kiteward.bootstrap.backup.drafts import sync
from kiteward.bootstrap.backup.reading import open_backup
from kiteward.bootstrap.system_user import system_user
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.store.data_directory import LOCK, UNFINISHED
from kiteward.store.database_file import end_sign_ins
from kiteward.store.revisions import require_known

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_IGNORED: Final = frozenset({"lost+found"})
"""What the root of an empty file system holds."""

Progress = Callable[[str, int, int], None]
"""As of `kiteward.bootstrap.backup.making`."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be restored.

    Attributes:
        backup: the file.
        directory: the data directory: absent, or empty.
        key: what it is sealed with; None if it is not sealed.
        disable_keys: whether every API key is disabled.
        disable_users: whether every user except `root` is disabled.
    """

    backup: Path
    directory: Path
    key: Secret | None
    disable_keys: bool
    disable_users: bool


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was restored.

    Attributes:
        directory: the data directory.
        made: the moment that it shows: what was revoked or changed later is undone.
        version: the version of Kiteward that has made the backup.
        revision: the revision of the tables of the store.
        files: how many files it has.
        rows: whether the data of the embedded engine are in it.
        enabled_keys: how many API keys can be used.
        enabled_users: how many users are enabled.
        disabled_keys: how many API keys were disabled.
        disabled_users: how many users were disabled.
        findings: defects of the audit trail, which it had before the backup.
    """

    directory: str
    made: str
    version: str
    revision: str
    files: int
    rows: bool
    enabled_keys: int
    enabled_users: int
    disabled_keys: int
    disabled_users: int
    findings: tuple[str, ...]


def restore_backup(order: Order, progress: Progress) -> Restored:
    """Restore a backup.

    Raises:
        BackupInvalid: the backup is damaged, or holds a damaged store.
        ConfigurationError: the directory is not empty, or has no room.
        StoreUnavailable: the store is of a newer version.
        OSError: a file cannot be written; the directory is as it was before.
    """
    with open_backup(order.backup, order.key) as reader, _new_directory(order.directory.absolute()) as folder:
        head = reader.head
        require_known(head.revision)
        _require_room(folder, head)
        extract(reader, folder, progress=progress)
        found = checked(folder, head)
        if found.data:
            raise BackupInvalid("; ".join(found.data))
        ended = end_sign_ins(
            folder / STORE, now=time.time(), disable_keys=order.disable_keys, disable_users=order.disable_users
        )
        _note(folder, head, order, ended)
        _publish(folder)
    return Restored(
        directory=str(order.directory),
        made=head.made,
        version=head.version,
        revision=head.revision,
        files=len(head.files),
        rows=head.rows,
        enabled_keys=ended["enabledKeys"],
        enabled_users=ended["enabledUsers"],
        disabled_keys=ended["disabledKeys"],
        disabled_users=ended["disabledUsers"],
        findings=found.trail,
    )


@contextmanager
def _new_directory(path: Path) -> Iterator[Path]:
    """Give a folder to fill, inside of the data directory, which nothing uses meanwhile.

    If the block fails, the directory is as it was before. A process that is killed leaves the folder, and so a
    directory that no server uses.

    Raises:
        ConfigurationError: the data directory is not empty, or cannot be written.
    """
    try:
        existed = path.exists()
        if existed and {each.name for each in path.iterdir()} - _IGNORED:
            raise ConfigurationError(f"{path} is not empty: restore to a new directory")
        path.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
        path.chmod(_DIRECTORY_MODE)
        folder = path / UNFINISHED
        folder.mkdir(_DIRECTORY_MODE)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be used ({error.strerror}): restore to a new directory") from error
    try:
        yield folder
    except BaseException:
        for each in path.iterdir():
            if each.name not in _IGNORED:
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        if not existed:
            path.rmdir()
        raise


def _require_room(folder: Path, head: Head) -> None:
    free = shutil.disk_usage(folder).free
    if free < head.size:
        raise ConfigurationError(f"{folder.parent} has room for {free:,} bytes, and the backup holds {head.size:,}")


def _note(folder: Path, head: Head, order: Order, ended: dict[str, int]) -> None:
    """Note the restore in the restored audit trail, if there is one."""
    if not (folder / AUDIT).is_dir():
        return
    event = AuditEvent(
        Event.RESTORED,
        time.time(),
        Outcome.SUCCEEDED,
        client=f"system user {system_user()}",
        transport="local",
        operation="RestoreBackup",
        details={"file": str(order.backup.absolute()), "shows": head.made, "version": head.version, **ended},
    )
    with closing(ChainedFiles(folder / AUDIT, keep_days=0)) as files:
        files.append([event])


def _publish(folder: Path) -> None:
    """Move everything to the data directory, durably. It can be used when the folder is gone."""
    (folder / ENGINE).mkdir(_DIRECTORY_MODE, exist_ok=True)
    os.close(os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
    for directory, _, files in os.walk(folder):
        for name in files:
            sync(Path(directory) / name)
        sync(Path(directory))
    for each in sorted(folder.iterdir()):
        each.rename(folder.parent / each.name)
    sync(folder.parent)
    folder.rmdir()
    sync(folder.parent)
    sync(folder.parent.parent)
