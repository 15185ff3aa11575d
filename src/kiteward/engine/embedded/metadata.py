"""What Milvus keeps of a collection and Milvus Lite does not: ids, times of creation, and indexes as requested."""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kiteward.engine.embedded.durability import write_whole
from kiteward.engine.embedded.indexes import IndexRecord

METADATA: Final = "METADATA.json"
LOGICAL_BITS: Final = 18
"""A timestamp of Milvus is milliseconds since 1970, followed by a counter of this many bits."""

_last = 0
_clock: Final = threading.Lock()


def next_timestamp() -> int:
    """Return the time as Milvus counts it, later than every one returned before by this process."""
    global _last  # noqa: PLW0603  # one clock for the process, as one Milvus has one timestamp oracle
    with _clock:
        _last = max(_last + 1, time.time_ns() // 1_000_000 << LOGICAL_BITS)
        return _last


def milliseconds(timestamp: int) -> int:
    """Return a timestamp's milliseconds since 1970."""
    return timestamp >> LOGICAL_BITS


class CollectionMetadata:
    """One collection's file of metadata. It is in the collection's directory, and is moved and removed with it.

    A collection's and a partition's id is the timestamp at which it was created; for one that is older than its file,
    the timestamp at which it was first requested.

    Attributes:
        load_requested: whether a client has asked for the collection to be loaded; a new one is loaded without.
        descriptions: `collection` -> its description; `fields`, `functions` -> name -> description.
    """

    def __init__(self, directory: str, *, synced: bool) -> None:
        """Read the file.

        Args:
            directory: the collection's directory.
            synced: whether a change must be durable before it is acknowledged.
        """
        self._path = Path(directory, METADATA)
        self._synced = synced
        self._lock = threading.Lock()
        kept: Mapping[str, Any] = json.loads(self._path.read_bytes()) if self._path.exists() else {}
        self._id: int = kept.get("id", 0)
        self.load_requested: bool = kept.get("load_requested", False)
        self.descriptions: Mapping[str, Any] = kept.get("descriptions", {})
        self._partitions: dict[str, int] = dict(kept.get("partitions", {}))
        self._indexes = {
            field: IndexRecord.from_json(field, record) for field, record in kept.get("indexes", {}).items()
        }

    def collection_id(self) -> int:
        """Return the collection's id, which is also the timestamp of its creation."""
        with self._lock:
            if not self._id:
                self._id = next_timestamp()
                self._save()
            return self._id

    def partition_id(self, name: str) -> int:
        """Return a partition's id, which is also the timestamp of its creation."""
        with self._lock:
            if name not in self._partitions:
                self._partitions[name] = next_timestamp()
                self._save()
            return self._partitions[name]

    def forget_partition(self, name: str) -> None:
        """Remove the record of a dropped partition."""
        with self._lock:
            if self._partitions.pop(name, None) is not None:
                self._save()

    def set_load_requested(self, *, value: bool) -> None:
        """Store whether a client has asked for the collection to be loaded."""
        with self._lock:
            if self.load_requested != value:
                self.load_requested = value
                self._save()

    def set_descriptions(self, descriptions: Mapping[str, Any]) -> None:
        """Store the descriptions of a new collection, if it has any."""
        if any(descriptions.values()):
            with self._lock:
                self.descriptions = descriptions
                self._save()

    def index(self, field_name: str) -> IndexRecord | None:
        """Return the record of a field's index."""
        return self._indexes.get(field_name)

    def indexes_not_built(self) -> list[IndexRecord]:
        """Return the indexes that the engine builds nothing for."""
        return [record for record in self._indexes.values() if not record.built]

    def put_index(self, record: IndexRecord) -> None:
        """Store the record of an index durably, before the index is built, so that its name is the requested one."""
        with self._lock:
            self._indexes[record.field_name] = record
            self._save()

    def forget_index(self, field_name: str) -> None:
        """Remove the record of a dropped index."""
        with self._lock:
            if self._indexes.pop(field_name, None) is not None:
                self._save()

    def _save(self) -> None:
        content = {
            "id": self._id,
            "load_requested": self.load_requested,
            "descriptions": self.descriptions,
            "partitions": self._partitions,
            "indexes": {field: record.to_json() for field, record in self._indexes.items()},
        }
        write_whole(self._path, json.dumps(content, sort_keys=True).encode(), synced=self._synced)
