"""Milvus Lite with our classes in place, in the tests' own process and only for one test."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import milvus_lite.adapter.grpc.errors
import milvus_lite.db
import milvus_lite.embedding.factory
import milvus_lite.engine.collection
import milvus_lite.engine.compaction
import milvus_lite.engine.flush
import milvus_lite.engine.recovery
import milvus_lite.index.factory
import milvus_lite.rerank.factory
import milvus_lite.search.executor_indexed
import milvus_lite.search.filter
import pytest
from tests.support import event_loops

from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.patches import open_database
from kiteward.engine.embedded.sync_mode import SyncMode

OpenDatabase = Callable[[SyncMode], ServedDatabase]

ADOPTED = [
    (milvus_lite.adapter.grpc.errors, "_EXCEPTION_TO_CODE"),
    (milvus_lite.db, "Collection"),
    (milvus_lite.embedding.factory, "create_embedding_provider"),
    (milvus_lite.engine.collection, "MemTable"),
    (milvus_lite.engine.collection, "Segment"),
    (milvus_lite.engine.collection, "WAL"),
    (milvus_lite.engine.compaction, "write_data_file"),
    (milvus_lite.engine.flush, "write_data_file"),
    (milvus_lite.engine.flush, "write_delta_file"),
    (milvus_lite.engine.recovery, "MemTable"),
    (milvus_lite.index.factory, "BruteForceIndex"),
    (milvus_lite.rerank.factory, "create_rerank_provider"),
    (milvus_lite.search.executor_indexed, "BruteForceIndex"),
    (milvus_lite.search.filter, "evaluate"),
]


_ON_BOTH = {"test_client.py", "test_server.py"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops of a test: the two ends run on uvloop in production."""
    return event_loops.BOTH if item.path.name in _ON_BOTH else {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def open_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDatabase]:
    """Opens the same directory each time; what is still open is closed after the test."""
    for module, name in ADOPTED:
        value = getattr(module, name)
        monkeypatch.setattr(module, name, dict(value) if isinstance(value, dict) else value)
    monkeypatch.setattr(ServedCollection, "sync_mode", "batch")
    opened: list[ServedDatabase] = []

    def open_one(sync_mode: SyncMode) -> ServedDatabase:
        opened.append(open_database(str(tmp_path / "data"), sync_mode))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_at: OpenDatabase) -> ServedDatabase:
    """A fresh database that syncs every write."""
    return open_at("batch")
