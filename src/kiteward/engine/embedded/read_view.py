"""One consistent view for each read that runs beside a writer.

A Milvus Lite read takes its segments first and the memtable later. A flush between the two moves rows from the memtable
to a segment that the read has not seen, and the rows are missing from its answer. After a re-insert between its reads
of rows and of tombstones it returns a deleted version. Inside `reading()` a thread keeps the memtable and tombstones
that it read first.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from milvus_lite.storage.memtable import MemTable


class ReadView(threading.local):
    """What the read on this thread has pinned; nothing outside a read."""

    def __init__(self) -> None:
        self.active = False
        self.load_state: str | None = None
        self.memtables: dict[int, MemTable] = {}
        self.tombstones: dict[int, dict[Any, Any]] = {}
        self.versions: dict[int, dict[Any, int]] = {}
        self.looked_up: tuple[int, Any, bool, int] | None = None

    def forget(self) -> None:
        """Drop everything pinned."""
        self.memtables.clear()
        self.tombstones.clear()
        self.versions.clear()
        self.looked_up = None


VIEW = ReadView()


@contextmanager
def reading() -> Iterator[None]:
    """Pin what the read inside sees.

    INVARIANT: no mutation ever runs inside, or it would write into a memtable already flushed.
    """
    VIEW.active = True
    try:
        yield
    finally:
        VIEW.active = False
        VIEW.forget()


@contextmanager
def load_state_taken_for(state: str) -> Iterator[None]:
    """Treat every collection as `loaded` or `released` in the work inside; other threads see the real state."""
    VIEW.load_state = state
    try:
        yield
    finally:
        VIEW.load_state = None


class PinnedMemTable(MemTable):  # type: ignore[misc]  # milvus_lite carries no types
    """A memtable that answers rows and tombstones of one read from one moment."""

    def to_search_snapshot(
        self, vector_field: str | None, partition_names: list[str] | None = None, include_table: bool = False
    ) -> Any:
        if not VIEW.active:
            return super().to_search_snapshot(vector_field, partition_names, include_table)
        with self._lock:
            VIEW.tombstones[id(self)] = super().delete_index_snapshot()
            VIEW.versions[id(self)] = {} if partition_names is None else self._versions()
            return super().to_search_snapshot(vector_field, partition_names, include_table)

    def delete_index_snapshot(self) -> dict[Any, Any]:
        pinned = VIEW.tombstones.get(id(self)) if VIEW.active else None
        return super().delete_index_snapshot() if pinned is None else pinned

    def get(self, pk_value: Any, partition_filter: set[str] | None = None) -> dict[str, Any] | None:
        with self._lock:
            if VIEW.active:
                deleted = super().is_locally_deleted(pk_value)
                VIEW.looked_up = (id(self), pk_value, deleted, self._version(pk_value))
            row: dict[str, Any] | None = super().get(pk_value, partition_filter)
            return row

    def version(self, pk_value: Any) -> int:
        """Return the sequence number of the row with a key, as this read has found it; -1 if it found none."""
        if not VIEW.active:
            with self._lock:
                return self._version(pk_value)
        if VIEW.looked_up is not None and VIEW.looked_up[:2] == (id(self), pk_value):
            return VIEW.looked_up[3]
        return VIEW.versions.get(id(self), {}).get(pk_value, -1)

    def _versions(self) -> dict[Any, int]:
        return {key: held[2] for key, held in self._pk_index.items()}

    def _version(self, pk_value: Any) -> int:
        held = self._pk_index.get(pk_value)
        return -1 if held is None else int(held[2])

    def is_locally_deleted(self, pk_value: Any) -> bool:
        if VIEW.active and VIEW.looked_up is not None and VIEW.looked_up[:2] == (id(self), pk_value):
            return VIEW.looked_up[2]
        return bool(super().is_locally_deleted(pk_value))
