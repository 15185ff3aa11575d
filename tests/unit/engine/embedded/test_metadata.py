"""Ids and times of creation, over the servicer and a real Milvus Lite."""

import time
from pathlib import Path

from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.metadata import METADATA, next_timestamp
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())


def ids(database: ServedDatabase) -> dict[str, int]:
    listed = EngineServicer(database).ShowCollections(milvus_pb2.ShowCollectionsRequest(), HERE)
    assert list(listed.created_timestamps) == list(listed.collection_ids)
    for created in listed.created_utc_timestamps:
        assert abs(created / 1000 - time.time()) < 60
    return dict(zip(listed.collection_names, listed.collection_ids, strict=True))


def test_timestamps_never_repeat() -> None:
    drawn = [next_timestamp() for _ in range(1000)]
    assert drawn == sorted(set(drawn))


def test_collections_keep_their_ids_over_a_rename_and_a_restart_and_new_ones_get_others(open_at: OpenDatabase) -> None:
    database = open_at("batch")
    for name in ("docs", "films"):
        database.create_collection(name, lite.schema())
    before = ids(database)
    assert len(set(before.values())) == 2
    database.rename_collection("docs", "papers")
    database.drop_collection("films")
    database.create_collection("films", lite.schema())
    database.close()
    after = ids(open_at("batch"))
    assert after["papers"] == before["docs"]
    assert after["films"] not in before.values()


def test_collection_is_described_with_id_time_database_and_aliases(database: ServedDatabase) -> None:
    database.create_database("shelf")
    database.create_collection("docs", lite.schema(), database_name="shelf")
    database.create_alias("docs", "latest", database_name="shelf")
    request = milvus_pb2.DescribeCollectionRequest(collection_name="latest", db_name="shelf")
    answer = EngineServicer(database).DescribeCollection(request, HERE)
    assert (answer.collection_name, answer.db_name, list(answer.aliases)) == ("docs", "shelf", ["latest"])
    assert answer.collectionID == answer.created_timestamp
    assert answer.created_utc_timestamp == answer.created_timestamp >> 18


def test_partitions_are_listed_with_ids_of_their_own(database: ServedDatabase) -> None:
    collection = database.create_collection("docs", lite.schema())
    collection.create_partition("p1")
    request = milvus_pb2.ShowPartitionsRequest(collection_name="docs")
    first = EngineServicer(database).ShowPartitions(request, HERE)
    assert list(first.partition_names) == ["_default", "p1"]
    assert list(first.partitionIDs) == list(first.created_timestamps)
    collection.drop_partition("p1")
    collection.create_partition("p1")
    again = EngineServicer(database).ShowPartitions(request, HERE)
    assert again.partitionIDs[0] == first.partitionIDs[0]
    assert again.partitionIDs[1] > first.partitionIDs[1]


def test_ids_of_collections_from_before_they_were_kept_stay_once_they_are_given(open_at: OpenDatabase) -> None:
    database = open_at("batch")
    directory = Path(database.create_collection("docs", lite.schema())._data_dir)
    database.close()
    (directory / METADATA).unlink(missing_ok=True)
    database = open_at("batch")
    given = ids(database)
    database.close()
    assert ids(open_at("batch")) == given


def test_collection_is_found_by_its_id_where_no_name_is_given(database: ServedDatabase) -> None:
    for name in ("docs", "films"):
        database.create_collection(name, lite.schema())
    engine, number = EngineServicer(database), ids(database)["films"]
    described = engine.DescribeCollection(milvus_pb2.DescribeCollectionRequest(collectionID=number), HERE)
    assert described.collection_name == "films"
    compaction = engine.ManualCompaction(milvus_pb2.ManualCompactionRequest(collectionID=number), HERE)
    assert compaction.compactionID > 0
    named = milvus_pb2.DescribeCollectionRequest(collection_name="docs", collectionID=number)
    assert engine.DescribeCollection(named, HERE).collection_name == "docs"
    missing = engine.DescribeCollection(milvus_pb2.DescribeCollectionRequest(collectionID=1), HERE)
    assert missing.status.code == 100
