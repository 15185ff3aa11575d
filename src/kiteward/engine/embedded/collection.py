"""A Milvus Lite collection with a durable load state, consistent reads and recovery from failed writes."""

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from milvus_lite.constants import DEFAULT_PARTITION
from milvus_lite.engine.collection import Collection
from milvus_lite.exceptions import PartitionNotFoundError, SchemaValidationError
from milvus_lite.index.scalar import IMPLEMENTED_SCALAR_INDEX_TYPES
from milvus_lite.index.spec import IndexSpec
from milvus_lite.schema.types import CollectionSchema, DataType
from milvus_lite.storage.memtable import MemTable
from milvus_lite.storage.segment import Segment

from kiteward.engine.embedded.durability import DRAFTS, sync_directory, sync_file, write_whole
from kiteward.engine.embedded.exact_search import search_parameters
from kiteward.engine.embedded.indexes import IndexRecord, check_against, completed
from kiteward.engine.embedded.metadata import CollectionMetadata
from kiteward.engine.embedded.read_view import VIEW, load_state_taken_for
from kiteward.engine.embedded.row_versions import Tombstones, newest_of_moved
from kiteward.engine.embedded.sync_mode import SyncMode

LOADED_MARK = "LOADED"

_LONGEST_NAME_BYTES = 255

logger = logging.getLogger(__name__)


class ServedCollection(Collection):  # type: ignore[misc]  # milvus_lite carries no types
    """The collection the child serves.

    A file `LOADED` in the collection's directory says that an indexed collection is loaded. Because it is there, it
    moves with a rename, is removed by a drop, and is not inherited by a new collection of the old name.

    Attributes:
        sync_mode: how durable the mark and index files must be; set once, before the first collection is opened.
        metadata: ids, and indexes as they were requested.
        damaged: true after a failed write. What is in memory may then differ from what is on disk, so the
            collection must be abandoned and opened again, which replays the write-ahead log.
    """

    sync_mode: ClassVar[SyncMode] = "batch"
    _next_auto_id: int

    def __init__(
        self, name: str, data_dir: str, schema: CollectionSchema, database_properties: dict[str, Any] | None = None
    ) -> None:
        self.damaged = False
        self.metadata = CollectionMetadata(data_dir, synced=self.sync_mode != "none")
        self._index_files = threading.RLock()
        self._moved_of: tuple[tuple[Segment, ...], dict[Any, int]] = ((), {})
        super().__init__(name, data_dir, schema, database_properties=database_properties)
        if self._index_specs and self._mark.exists():
            self._load_again()

    # What a read sees. Milvus Lite's methods use these two attributes everywhere.

    @property
    def _memtable(self) -> MemTable:
        pinned: MemTable | None = VIEW.memtables.get(id(self)) if VIEW.active else None
        return self._current_memtable if pinned is None else pinned

    @_memtable.setter
    def _memtable(self, memtable: MemTable) -> None:
        self._current_memtable = memtable

    @property
    def _load_state(self) -> str:
        return VIEW.load_state or self._own_load_state

    @_load_state.setter
    def _load_state(self, state: str) -> None:
        self._own_load_state = state

    def _read_snapshot(self) -> Any:
        with self._maintenance_lock:
            if VIEW.active:
                VIEW.memtables[id(self)] = self._current_memtable
            segments, tombstones = super()._read_snapshot()
            if len(self._manifest.list_partitions()) > 1:
                tombstones = Tombstones(tombstones, self._moved(segments), self._memtable)
            return segments, tombstones

    def _moved(self, segments: tuple[Segment, ...]) -> dict[Any, int]:
        """Return the newest versions of keys that several partitions hold; the same until the segments change."""
        if segments != self._moved_of[0]:
            self._moved_of = (segments, newest_of_moved(segments))
        return self._moved_of[1]

    def segments(self) -> tuple[Segment, ...]:
        """Return the current data files."""
        found: tuple[Segment, ...] = self._segments_snapshot()
        return found

    def search(self, query_vectors: list[Any], **options: Any) -> list[list[dict[str, Any]]]:
        """Search as Milvus Lite does; with a filter or an inner bound of a range, no row is missed.

        Args:
            query_vectors: the vectors or texts to search for.
            options: of Milvus Lite's search, by name.

        Raises:
            SchemaValidationError: a vector has another dimension than the field, or an option is wrong.
        """
        self._require_dimension(query_vectors, options.get("anns_field"))
        options["search_params"] = search_parameters(
            options.get("search_params"), filtered=bool(options.get("expr")), inner=options.get("range_filter")
        )
        found: list[list[dict[str, Any]]] = super().search(query_vectors, **options)
        return found

    def _require_dimension(self, query_vectors: list[Any], anns_field: str | None) -> None:
        name = self._resolve_anns_field(anns_field)
        field = next(field for field in self._schema.fields if field.name == name)
        if field.dtype != DataType.FLOAT_VECTOR:
            return
        for vector in query_vectors:
            if not isinstance(vector, str) and len(vector) != field.dim:
                sizes = f"field {name} has {field.dim}, the vector searched for has {len(vector)}"
                raise SchemaValidationError(f"vector dimension mismatch: {sizes}")

    # Writing

    def insert(self, records: list[dict[str, Any]], partition_name: str = DEFAULT_PARTITION) -> list[Any]:
        """Insert rows. A generated key is that of no other row, which Milvus Lite would replace."""
        if self._auto_id:
            self._pass_taken_keys(len(records))
        keys: list[Any] = super().insert(records, partition_name=partition_name)
        return keys

    def _pass_taken_keys(self, count: int) -> None:
        """Choose the next keys to generate so that no row has one of them.

        Milvus Lite counts on from the number of the last write, as if nobody had ever given a key, and as if no write
        had ever been refused after its keys were generated.
        """
        with self._maintenance_lock:
            stored = [self._current_memtable._pk_index, *(segment.pk_to_row for segment in self.segments())]  # noqa: SLF001
            while True:
                wanted = range(self._next_auto_id, self._next_auto_id + count)
                taken = [key for keys in stored if not keys.keys().isdisjoint(wanted) for key in wanted if key in keys]
                if not taken:
                    return
                self._next_auto_id = max(taken) + 1

    def _apply(self, op: Any) -> None:
        with self._damaged_by_failure():
            super()._apply(op)

    def _trigger_flush(self) -> None:
        # Under the lock from the first step, so that every read finds the rows in the memtable or in a segment.
        with self._damaged_by_failure(), self._maintenance_lock:
            super()._trigger_flush()

    def delete_matching(self, expr: str, partition_name: str) -> int:
        """Delete the rows of one partition that a filter finds, and return how many. Milvus Lite would take all.

        Raises:
            FilterParseError: it is not a filter.
        """
        found = self.query(expr, output_fields=[self._pk_name], partition_names=[partition_name])
        deleted: int = self.delete([row[self._pk_name] for row in found], partition_name=partition_name)
        return deleted

    @contextmanager
    def _damaged_by_failure(self) -> Iterator[None]:
        log = self._wal
        try:
            yield
        except BaseException:
            self.damaged = True
            log.abandon()
            raise

    def abandon(self) -> None:
        """Close the collection without writing anything more. What was acknowledged stays in the write-ahead log."""
        self._bg_closed = True
        self._bg_executor.shutdown(wait=True, cancel_futures=True)
        self._wal.abandon()

    # Partitions: Milvus Lite takes any text and uses it as a path, also to delete.

    def create_partition(self, partition_name: str) -> None:
        if not is_plain_file_name(partition_name):
            raise SchemaValidationError(f"Invalid partition name: {partition_name}")
        super().create_partition(partition_name)
        self.metadata.partition_id(partition_name)
        if self.sync_mode == "batch":
            sync_directory(Path(self._data_dir, "partitions"))

    def drop_partition(self, partition_name: str) -> None:
        if not is_plain_file_name(partition_name):
            raise PartitionNotFoundError(partition_name)
        super().drop_partition(partition_name)
        self.metadata.forget_partition(partition_name)

    # Load state

    def load(self) -> None:
        super().load()
        self._update_mark()

    def release(self) -> None:
        super().release()
        self._update_mark()

    def create_index(self, field_name: str, index_params: dict[str, Any]) -> None:
        super().create_index(field_name, index_params)
        self._update_mark()

    def drop_index(self, field_name: str | None = None) -> None:
        super().drop_index(field_name)
        self._update_mark()

    # Indexes as Milvus knows them

    def index_records(self) -> list[IndexRecord]:
        """Return every index as it was requested."""
        built = [self.metadata.index(spec.field_name) or IndexRecord.of(spec) for spec in self._index_specs.values()]
        return [*built, *self.metadata.indexes_not_built()]

    def make_index(self, field_name: str, name: str, parameters: Mapping[str, str]) -> None:
        """Create an index as Milvus does: missing parameters are filled in, and an identical index is no error.

        Args:
            field_name: the field.
            name: the index's name; empty for the field's.
            parameters: as a client sends them.

        Raises:
            SchemaValidationError: the field, the type or the parameters are wrong, or the field has another index.
        """
        field = next((field for field in self._schema.fields if field.name == field_name), None)
        if field is None:
            raise SchemaValidationError(f"cannot create index on non-exist field: {field_name}")
        request = completed(field, name, parameters, bm25=field_name in self._bm25_analyzers)
        if check_against(request.record, self.index_records()):
            return
        self.metadata.put_index(request.record)
        if request.engine_parameters is not None:
            self.create_index(field_name, dict(request.engine_parameters))

    def remove_index(self, record: IndexRecord) -> None:
        """Drop one index.

        Milvus refuses to drop a vector's index while a client has the collection loaded. Milvus Lite refuses any, also
        for a collection that is loaded only because it is new.
        """
        if record.built:
            refusable = self.metadata.load_requested and "metric_type" in record.parameters
            with contextlib.nullcontext() if refusable else load_state_taken_for("released"):
                self.drop_index(record.field_name)
        self.metadata.forget_index(record.field_name)

    @property
    def _mark(self) -> Path:
        return Path(self._data_dir, LOADED_MARK)

    def _update_mark(self) -> None:
        """Write or remove the mark, according to the load state.

        INVARIANT: durable before the RPC that changed the load state is acknowledged.
        """
        wanted = bool(self._index_specs) and self._own_load_state == "loaded"
        if wanted == self._mark.exists():
            return
        synced = self.sync_mode != "none"
        if wanted:
            write_whole(self._mark, b"", synced=synced)
            return
        self._mark.unlink()
        if synced:
            sync_directory(self._data_dir)

    def _load_again(self) -> None:
        try:
            self.load()
        except Exception:
            # It can still be read and described; a search reports that it is not loaded.
            logger.exception("a loaded collection cannot be loaded again")

    # Index files

    def _build_or_load_segment_index(self, seg: Segment, spec: IndexSpec) -> None:
        """Build or read one segment's index.

        One at a time: the background worker and a load would otherwise write the same file. A file appears under its
        name only when it is complete, and one that cannot be read is built again, because its vectors are still there.
        """
        field = next(field for field in self._schema.fields if field.name == spec.field_name)
        if field.dtype == DataType.SPARSE_FLOAT_VECTOR:
            super()._build_or_load_segment_index(seg, spec)
            return
        scalar = spec.index_type in IMPLEMENTED_SCALAR_INDEX_TYPES
        path = Path(
            seg.index_file_path(self._index_dir(seg.partition), spec.index_type, spec.field_name, scalar=scalar)
        )
        with self._index_files:
            if path.exists() and self._read_index(seg, spec, path):
                return
            draft = Path(self._data_dir, "partitions", seg.partition, DRAFTS, path.name)
            draft.unlink(missing_ok=True)
            if scalar:
                seg.build_or_load_scalar_index(spec, str(draft.parent), field.dtype)
            else:
                seg.build_or_load_index(spec, str(draft.parent))
            if draft.exists():
                self._publish(draft, path)

    def _read_index(self, seg: Segment, spec: IndexSpec, path: Path) -> bool:
        try:
            super()._build_or_load_segment_index(seg, spec)
        except Exception as error:  # noqa: BLE001  # each index library has its own way to call a file unreadable
            logger.warning("index file %s is unreadable (%s) and is rebuilt", path.name, type(error).__name__)
            path.unlink(missing_ok=True)
            return False
        return True

    def _publish(self, draft: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.sync_mode == "batch":
            sync_file(draft)
        draft.replace(path)
        if self.sync_mode == "batch":
            sync_directory(path.parent)


def is_plain_file_name(name: str) -> bool:
    """Return whether a name is a plain file name, which cannot lead to another directory."""
    return (
        bool(name)
        and name not in (".", "..")
        and not set(name) & {"/", "\\", "\0"}
        and len(name.encode()) <= _LONGEST_NAME_BYTES
    )
