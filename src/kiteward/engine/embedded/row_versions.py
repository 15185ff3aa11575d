"""Hides rows of which another partition has a newer version.

Milvus Lite keeps the old version of a row whose key is written again, until its segments are compacted. A read compares
the versions in the partitions that it names alone: a row that was written to another partition since is still found in
the old one, with its old values.
"""

from collections.abc import Iterable
from typing import Any

from milvus_lite.storage.delta_index import DeltaIndex
from milvus_lite.storage.segment import Segment

from kiteward.engine.embedded.read_view import PinnedMemTable

_NEVER = -1
"""Older than any version."""


def newest_of_moved(segments: Iterable[Segment]) -> dict[Any, int]:
    """Return the keys that several partitions hold in segments, with the sequence number of the newest version."""
    by_partition: dict[str, list[Segment]] = {}
    for segment in segments:
        by_partition.setdefault(segment.partition, []).append(segment)
    if len(by_partition) == 1:
        return {}
    seen, moved = set[Any](), set[Any]()
    for held in by_partition.values():
        here = set[Any]().union(*(segment.pks for segment in held))
        moved |= seen & here
        seen |= here
    versions = (
        (key, int(segment.seqs[row]))
        for held in by_partition.values()
        for segment in held
        for key in moved
        if (row := segment.find_row(key)) is not None
    )
    newest: dict[Any, int] = {}
    for key, version in versions:
        newest[key] = max(version, newest.get(key, _NEVER))
    return newest


class Tombstones(DeltaIndex):  # type: ignore[misc]  # milvus_lite carries no types
    """Tombstones as one read sees them; a version is also deleted if another partition has a newer one."""

    def __init__(self, found: DeltaIndex, moved: dict[Any, int], memtable: PinnedMemTable) -> None:
        """Set up the tombstones of one read.

        Args:
            found: those of Milvus Lite, which do not change any more.
            moved: as `newest_of_moved` returns it, of the segments of this read.
            memtable: of this read.
        """
        super().__init__(found._pk_name)  # noqa: SLF001  # it has no other access
        self._found = found
        self._moved = moved
        self._memtable = memtable

    def is_deleted(self, pk_value: Any, data_seq: int) -> bool:
        return (
            self._found.is_deleted(pk_value, data_seq)
            or self._moved.get(pk_value, _NEVER) > data_seq
            or self._memtable.version(pk_value) > data_seq
        )
