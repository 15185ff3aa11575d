"""Makes Milvus Lite build our classes where it would build its own: once, in the child, before anything is opened."""

import milvus_lite.db
import milvus_lite.engine.collection
import milvus_lite.engine.compaction
import milvus_lite.engine.flush
import milvus_lite.engine.recovery
from milvus_lite.storage.data_file import write_data_file
from milvus_lite.storage.delta_file import write_delta_file

from kiteward.engine.embedded import conjunctions, exact_search, filters
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.durability import wal_class, whole_file_writer
from kiteward.engine.embedded.providers import close_providers
from kiteward.engine.embedded.read_view import PinnedMemTable
from kiteward.engine.embedded.servicer import use_milvus_codes
from kiteward.engine.embedded.sync_mode import SyncMode


def open_database(data_dir: str, sync_mode: SyncMode) -> ServedDatabase:
    """Open a Milvus Lite data directory with everything of ours in place.

    Changes Milvus Lite's modules for the whole process; never called in the server's own process.

    Args:
        data_dir: Milvus Lite's data directory.
        sync_mode: `batch` syncs each write before it is acknowledged, `close` and `none` as Milvus Lite defines them.

    Raises:
        milvus_lite.exceptions.DataDirLockedError: another process holds the directory.
    """
    use_milvus_codes()
    close_providers()
    filters.adopt()
    conjunctions.adopt()
    exact_search.adopt()
    ServedCollection.sync_mode = sync_mode
    milvus_lite.db.Collection = ServedCollection
    milvus_lite.engine.collection.WAL = wal_class(sync_mode)
    milvus_lite.engine.collection.MemTable = PinnedMemTable
    milvus_lite.engine.recovery.MemTable = PinnedMemTable
    writer = whole_file_writer(write_data_file, sync_mode)
    milvus_lite.engine.flush.write_data_file = writer
    milvus_lite.engine.compaction.write_data_file = writer
    milvus_lite.engine.flush.write_delta_file = whole_file_writer(write_delta_file, sync_mode)
    return ServedDatabase(data_dir, synced=sync_mode == "batch")
