import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.engine.embedded import lite

from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.read_view import reading


def elsewhere(work: Callable[[], object]) -> None:
    """Run work on another thread, as a writer does."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def write_after_snapshot(
    monkeypatch: pytest.MonkeyPatch, collection: ServedCollection, work: Callable[[], object]
) -> None:
    """Run a writer right after a read has taken its segments."""
    take = collection._read_snapshot

    def take_then_write() -> Any:
        snapshot = take()
        elsewhere(work)
        return snapshot

    monkeypatch.setattr(collection, "_read_snapshot", take_then_write)


def test_flush_in_the_middle_of_a_read_hides_no_row(database: ServedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = database.create_collection("docs", lite.schema())
    collection.insert(lite.records(range(5)))
    write_after_snapshot(monkeypatch, collection, collection.flush)
    with reading():
        assert lite.ids_of(collection.query("id >= 0")) == [0, 1, 2, 3, 4]
    with reading():
        assert lite.ids_of(collection.get([0, 4])) == [0, 4]


def test_read_does_not_outlive_its_view(database: ServedDatabase) -> None:
    collection = database.create_collection("docs", lite.schema())
    collection.insert(lite.records([1]))
    with reading():
        collection.query("id >= 0")
    elsewhere(collection.flush)
    collection.insert(lite.records([2]))
    with reading():
        assert lite.ids_of(collection.query("id >= 0")) == [1, 2]


def test_row_inserted_again_during_a_read_does_not_show_its_deleted_version(database: ServedDatabase) -> None:
    collection = database.create_collection("docs", lite.schema())
    collection.insert(lite.records([1]))
    collection.flush()
    collection.delete([1])
    memtable = collection._memtable
    with reading():
        memtable.to_search_snapshot("vector")
        assert memtable.get(1) is None
        elsewhere(lambda: collection.insert(lite.records([1])))
        assert 1 in memtable.delete_index_snapshot()
        assert memtable.is_locally_deleted(1)
    assert not memtable.is_locally_deleted(1)
