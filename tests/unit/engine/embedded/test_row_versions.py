import threading
from collections.abc import Callable

import pytest
from tests.unit.engine.embedded import lite

from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.read_view import reading

Write = Callable[[ServedCollection], object]


def upsert(collection: ServedCollection) -> None:
    collection.upsert(lite.records([1]), partition_name="p2")


def insert(collection: ServedCollection) -> None:
    collection.insert(lite.records([1]), partition_name="p2")


def delete_and_insert(collection: ServedCollection) -> None:
    collection.delete([1])
    collection.insert(lite.records([1]), partition_name="p2")


@pytest.fixture
def collection(database: ServedDatabase) -> ServedCollection:
    """A collection with a row in a segment of the partition `p1`."""
    made = database.create_collection("docs", lite.schema())
    made.create_partition("p1")
    made.create_partition("p2")
    made.create_index("vector", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    made.load()
    made.insert(lite.records([1, 2]), partition_name="p1")
    made.flush()
    return made


def found(collection: ServedCollection, partitions: list[str] | None) -> list[list[int]]:
    """Return the keys that each kind of read finds."""
    vector = [lite.records([1])[0]["vector"]]
    with reading():
        queried = lite.ids_of(collection.query("id >= 0", partition_names=partitions))
    with reading():
        got = lite.ids_of(collection.get([1, 2], partition_names=partitions))
    with reading():
        hits = sorted(hit["id"] for hit in collection.search(vector, partition_names=partitions)[0])
    return [queried, got, hits]


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("write", [upsert, insert, delete_and_insert])
def test_row_that_is_written_to_another_partition_is_found_there_only(
    collection: ServedCollection, write: Write, *, flushed: bool
) -> None:
    write(collection)
    if flushed:
        collection.flush()
    assert found(collection, ["p1"]) == [[2]] * 3
    assert found(collection, ["p2"]) == [[1]] * 3
    assert found(collection, ["p1", "p2"]) == found(collection, None) == [[1, 2]] * 3


def test_row_that_returns_to_its_partition_is_found_there(collection: ServedCollection) -> None:
    upsert(collection)
    collection.flush()
    collection.upsert(lite.records([1]), partition_name="p1")
    collection.flush()
    assert found(collection, ["p1"]) == [[1, 2]] * 3
    assert found(collection, ["p2"]) == [[]] * 3


def test_row_that_moves_during_a_read_is_not_missing_from_it(
    collection: ServedCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    memtable = collection._memtable
    snapshot = memtable.to_search_snapshot

    def taken_then_moved(*arguments: object, **more: object) -> object:
        taken = snapshot(*arguments, **more)
        writer = threading.Thread(target=upsert, args=(collection,))
        writer.start()
        writer.join()
        return taken

    monkeypatch.setattr(memtable, "to_search_snapshot", taken_then_moved)
    with reading():
        assert lite.ids_of(collection.query("id >= 0", partition_names=["p1", "p2"])) == [1, 2]
