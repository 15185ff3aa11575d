"""Syncs what Milvus Lite writes without syncing it.

Milvus Lite is safe against a crash of its process but not of the machine: its write-ahead log is
synced only when it is deleted, new files are not entered durably into their directories, and data files are written in
place. With `sync_mode` `batch` all of this is synced before a change is acknowledged.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pyarrow as pa
from milvus_lite.storage.wal import WAL

from kiteward.engine.embedded.sync_mode import SyncMode

# Where files of a partition are written before they get their names; Milvus Lite does not read it.
DRAFTS = ".drafts"

TableWriter: TypeAlias = Callable[[pa.Table, str, int, int], str]


def sync_directory(directory: str | Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: str | Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, synced: bool) -> None:
    """Replace a file so that it holds either its old or its new content, whenever the machine dies.

    Args:
        path: the file.
        content: all of its new bytes.
        synced: whether the change must be durable on return.
    """
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(content)
    if synced:
        sync_file(draft)
    draft.replace(path)
    if synced:
        sync_directory(path.parent)


class _SyncedWAL(WAL):  # type: ignore[misc]  # milvus_lite carries no types
    """A log pair whose files are also entered durably into their directory."""

    _mode: ClassVar[SyncMode]

    def __init__(self, wal_dir: str, wal_data_schema: pa.Schema, wal_delta_schema: pa.Schema, wal_number: int) -> None:
        existed = Path(wal_dir).is_dir()
        super().__init__(wal_dir, wal_data_schema, wal_delta_schema, wal_number, sync_mode=self._mode)
        if self._mode == "batch" and not existed:
            sync_directory(Path(wal_dir).parent)

    def write_insert(self, record_batch: pa.RecordBatch) -> None:
        with self._entered(self._data_sink):
            super().write_insert(record_batch)

    def write_delete(self, record_batch: pa.RecordBatch) -> None:
        with self._entered(self._delta_sink):
            super().write_delete(record_batch)

    def abandon(self) -> None:
        """Close the files and leave them for the next recovery."""
        for sink in (self._data_sink, self._delta_sink):
            if sink is not None:
                with suppress(OSError):
                    sink.close()
        # A writer writes once more when it is closed or collected; its file is gone by then.
        self._closed = True

    @contextmanager
    def _entered(self, sink: Any) -> Iterator[None]:
        """Sync the directory too when the write inside creates the file."""
        yield
        if sink is None and self._mode == "batch":
            sync_directory(self.wal_dir)


def wal_class(sync_mode: SyncMode) -> type[WAL]:
    """Return a write-ahead log class for Milvus Lite's collections that syncs in this mode.

    Milvus Lite constructs its log without a sync mode, so the class must carry it.
    """

    class SyncedWAL(_SyncedWAL):
        _mode = sync_mode

    return SyncedWAL


def whole_file_writer(write: TableWriter, sync_mode: SyncMode) -> TableWriter:
    """Return a data or delta file writer whose file appears under its name only when it is complete.

    A flush repeated after a crash writes a name that the manifest may list already; written in place, a second crash
    would leave a torn file there, which Milvus Lite refuses to open. The write-ahead log is deleted after the flush, so
    the file must be durable before.

    Args:
        write: Milvus Lite's own writer.
        sync_mode: with `batch` file and directory entries are durable on return.
    """

    def write_file(table: pa.Table, partition_dir: str, seq_min: int, seq_max: int) -> str:
        partition = Path(partition_dir)
        relative = write(table, str(partition / DRAFTS), seq_min, seq_max)
        draft, final = partition / DRAFTS / relative, partition / relative
        new_directory = not final.parent.is_dir()
        final.parent.mkdir(parents=True, exist_ok=True)
        if sync_mode == "batch":
            sync_file(draft)
        draft.replace(final)
        if sync_mode == "batch":
            sync_directory(final.parent)
            if new_directory:
                _sync_upwards(partition)
        return relative

    return write_file


def _sync_upwards(partition: Path) -> None:
    """Enter a partition's new directories durably, up to the collection's directory."""
    for directory in (partition, partition.parent, partition.parent.parent):
        sync_directory(directory)
