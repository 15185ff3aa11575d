"""Segments, flushing, compaction and replicas, over the servicer and a real Milvus Lite."""

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.unit.engine.embedded import lite

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())


@pytest.fixture
def engine(database: ServedDatabase) -> EngineServicer:
    database.create_collection("docs", lite.schema()).insert(lite.records(range(3)))
    return EngineServicer(database)


def test_flush_tells_what_was_written_and_when(engine: EngineServicer) -> None:
    answer = engine.Flush(milvus_pb2.FlushRequest(collection_names=["docs"]), HERE)
    assert answer.status.code == 0
    (segment,) = answer.coll_segIDs["docs"].data
    info = engine.GetPersistentSegmentInfo(milvus_pb2.GetPersistentSegmentInfoRequest(collectionName="docs"), HERE)
    assert [(each.segmentID, each.num_rows) for each in info.infos] == [(segment, 3)]
    (told,) = info.infos
    assert (told.state, told.level) == (common_pb2.SegmentState.Flushed, common_pb2.SegmentLevel.L2)
    assert told.is_sorted
    assert answer.coll_flush_ts["docs"] >> 18 == answer.coll_seal_times["docs"] > 0


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Flush", milvus_pb2.FlushRequest(collection_names=["docs", "missing"])),
        ("GetFlushState", milvus_pb2.GetFlushStateRequest(collection_name="missing")),
        ("ManualCompaction", milvus_pb2.ManualCompactionRequest(collection_name="missing")),
        ("GetPersistentSegmentInfo", milvus_pb2.GetPersistentSegmentInfoRequest(collectionName="missing")),
        ("GetReplicas", milvus_pb2.GetReplicasRequest(collection_name="missing")),
    ],
)
def test_collection_that_does_not_exist_is_an_error(engine: EngineServicer, method: str, request_: object) -> None:
    assert getattr(engine, method)(request_, HERE).status.code == 100


def test_segments_are_returned_of_a_database_that_the_request_names(
    engine: EngineServicer, database: ServedDatabase
) -> None:
    database.create_database("shelf")
    request = milvus_pb2.GetPersistentSegmentInfoRequest(dbName="shelf", collectionName="docs")
    assert engine.GetPersistentSegmentInfo(request, HERE).status.code == 100


def test_compaction_has_an_id_and_is_completed(engine: EngineServicer) -> None:
    answer = engine.ManualCompaction(milvus_pb2.ManualCompactionRequest(collection_name="docs"), HERE)
    assert answer.compactionID > 0
    state = engine.GetCompactionState(milvus_pb2.GetCompactionStateRequest(compactionID=answer.compactionID), HERE)
    plans = engine.GetCompactionStateWithPlans(
        milvus_pb2.GetCompactionPlansRequest(compactionID=answer.compactionID), HERE
    )
    assert state.state == plans.state == common_pb2.CompactionState.Completed


def test_everything_is_flushed_at_once(engine: EngineServicer, database: ServedDatabase) -> None:
    assert engine.FlushAll(milvus_pb2.FlushAllRequest(), HERE).flush_all_ts > 0
    assert engine.GetFlushAllState(milvus_pb2.GetFlushAllStateRequest(), HERE).flushed
    assert [segment.num_rows for segment in database.get_collection("docs").segments()] == [3]


def test_loaded_collection_has_one_replica_and_its_segments_and_a_released_one_none(
    engine: EngineServicer, database: ServedDatabase
) -> None:
    engine.Flush(milvus_pb2.FlushRequest(collection_names=["docs"]), HERE)
    collection = database.get_collection("docs")
    replicas = milvus_pb2.GetReplicasRequest(collection_name="docs")
    segments = milvus_pb2.GetQuerySegmentInfoRequest(collectionName="docs")
    (replica,) = engine.GetReplicas(replicas, HERE).replicas
    (segment,) = engine.GetQuerySegmentInfo(segments, HERE).infos
    assert replica.collectionID == segment.collectionID == collection.metadata.collection_id()
    assert list(replica.partition_ids) == [segment.partitionID]
    collection.create_index("vector", lite.INDEX)
    collection.release()
    assert not engine.GetReplicas(replicas, HERE).replicas
    assert not engine.GetQuerySegmentInfo(segments, HERE).infos
