import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from milvus_lite.exceptions import (
    CollectionNotFoundError,
    DatabaseNotEmptyError,
    DatabaseNotFoundError,
    SchemaValidationError,
)
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.database import ServedDatabase

THREADS = 8


def test_threads_that_open_a_collection_at_once_get_the_same(open_at: OpenDatabase) -> None:
    first = open_at("none")
    first.create_collection("docs", lite.schema()).insert(lite.records(range(500)))
    first.close()
    again = open_at("none")
    together = threading.Barrier(THREADS)

    def open_it() -> int:
        together.wait()
        return id(again.get_collection("docs"))

    with ThreadPoolExecutor(THREADS) as threads:
        assert len({opening.result() for opening in [threads.submit(open_it) for _ in range(THREADS)]}) == 1


@pytest.mark.parametrize(
    "way", ["../databases/shelf/collections/secret", "../../data/databases/shelf/collections/secret"]
)
def test_collection_name_does_not_lead_into_another_database(database: ServedDatabase, way: str) -> None:
    database.create_database("shelf")
    database.create_collection("secret", lite.schema(), database_name="shelf")
    assert not database.has_collection(way)
    with pytest.raises(CollectionNotFoundError):
        database.get_collection(way)
    with pytest.raises(CollectionNotFoundError):
        database.truncate_collection(way)
    with pytest.raises(CollectionNotFoundError):
        database.rename_collection(way, "mine")
    with pytest.raises(CollectionNotFoundError):
        database.create_alias(way, "mine")
    database.drop_collection(way)
    assert database.has_collection("secret", database_name="shelf")


@pytest.mark.parametrize("name", ["../shelf", "..", "shelf/../shelf", "a\0b", "x" * 300])
def test_database_name_does_not_lead_elsewhere(database: ServedDatabase, name: str) -> None:
    database.create_database("shelf")
    with pytest.raises(DatabaseNotFoundError, match="database not found"):
        database.list_collections(database_name=name)
    with pytest.raises(DatabaseNotFoundError):
        database.get_collection("docs", database_name=name)


def test_partition_name_does_not_lead_into_another_collection(database: ServedDatabase) -> None:
    database.create_collection("victim", lite.schema())
    collection = database.create_collection("docs", lite.schema())
    with pytest.raises(SchemaValidationError, match="Invalid partition name"):
        collection.create_partition("../../victim")
    assert collection.list_partitions() == ["_default"]


def test_field_name_does_not_lead_elsewhere(database: ServedDatabase) -> None:
    with pytest.raises(SchemaValidationError, match="Invalid field name"):
        database.create_collection("docs", lite.schema("../vector"))
    assert not database.has_collection("docs")


def test_drop_that_dies_midway_leaves_the_whole_collection_or_none(
    open_at: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_at("batch")
    database.create_collection("docs", lite.schema()).insert(lite.records(range(5)))

    def die(path: str, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        database.drop_collection("docs")
    monkeypatch.undo()
    database.close()
    again = open_at("batch")
    assert not again.has_collection("docs")
    assert list(Path(again.data_dir, ".database-staging").iterdir()) == []


def test_new_collection_does_not_inherit_an_alias(database: ServedDatabase) -> None:
    database.create_collection("docs", lite.schema())
    database.create_alias("docs", "papers")
    database.drop_collection("docs")
    database.create_collection("docs", lite.schema())
    assert database.list_aliases() == []


def test_database_with_collections_is_not_dropped(database: ServedDatabase) -> None:
    database.create_database("shelf")
    database.create_collection("docs", lite.schema(), database_name="shelf")
    with pytest.raises(DatabaseNotEmptyError):
        database.drop_database("shelf")
    database.drop_collection("docs", database_name="shelf")
    database.drop_database("shelf")
    with pytest.raises(DatabaseNotFoundError, match=r"database not found\[database=shelf\]"):
        database.list_collections(database_name="shelf")


def test_failed_write_costs_no_acknowledged_row(database: ServedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = database.create_collection("docs", lite.schema())
    collection.insert(lite.records(range(5)))
    manifest_type = type(collection._manifest)

    def die(manifest: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as failing:
        failing.setattr(manifest_type, "save", die)
        with pytest.raises(OSError, match="no space"):
            collection.flush()
    again = database.get_collection("docs")
    assert again is not collection
    again.insert(lite.records([5]))
    again.flush()
    assert lite.ids_of(again.query("id >= 0")) == [0, 1, 2, 3, 4, 5]


def test_rows_written_after_a_torn_log_entry_are_kept(open_at: OpenDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_at("batch")
    collection = database.create_collection("docs", lite.schema())
    collection.insert(lite.records([1]))
    wal = collection._wal

    def tear(record_batch: object) -> None:
        wal._data_sink.write(b"\xff\xff\xff\xff\x40\0\0\0torn")
        wal._data_sink.flush()
        raise OSError("no space left")

    monkeypatch.setattr(wal, "write_insert", tear)
    with pytest.raises(OSError, match="no space"):
        collection.insert(lite.records([2]))
    database.get_collection("docs").insert(lite.records([3]))
    for held in list(database._collections.values()):
        held.abandon()
    database._collections.clear()
    database.close()
    assert lite.ids_of(open_at("batch").get_collection("docs").query("id >= 0")) == [1, 3]
