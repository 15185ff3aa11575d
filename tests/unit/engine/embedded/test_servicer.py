import time

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.unit.engine.embedded import lite
from tests.unit.engine.samples import DIMENSION

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

NOWHERE = CallContext((("dbname", "nowhere"),))
HERE = CallContext(())


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("HasCollection", milvus_pb2.HasCollectionRequest),
        ("ShowCollections", milvus_pb2.ShowCollectionsRequest),
        ("DescribeCollection", milvus_pb2.DescribeCollectionRequest),
        ("Search", milvus_pb2.SearchRequest),
        ("Query", milvus_pb2.QueryRequest),
        ("Insert", milvus_pb2.InsertRequest),
        ("ListAliases", milvus_pb2.ListAliasesRequest),
        ("DropCollection", milvus_pb2.DropCollectionRequest),
    ],
)
def test_missing_database_has_the_code_and_text_of_milvus(
    database: ServedDatabase, method: str, request_type: type
) -> None:
    response = getattr(EngineServicer(database), method)(request_type(), NOWHERE)
    status = getattr(response, "status", response)
    assert (status.code, status.error_code) == (800, 1)
    assert status.reason == "database not found[database=nowhere]"


def test_rename_into_another_database_is_refused(database: ServedDatabase) -> None:
    database.create_database("shelf")
    database.create_collection("docs", lite.schema())
    request = milvus_pb2.RenameCollectionRequest(oldName="docs", newName="papers", newDBName="shelf")
    status = EngineServicer(database).RenameCollection(request, HERE)
    assert status.code == 1100
    assert "another database" in status.reason
    assert database.list_collections() == ["docs"]


@pytest.mark.parametrize("target", ["", "default"])
def test_rename_within_the_database_is_done(database: ServedDatabase, target: str) -> None:
    database.create_collection("docs", lite.schema())
    request = milvus_pb2.RenameCollectionRequest(oldName="docs", newName="papers", newDBName=target)
    assert EngineServicer(database).RenameCollection(request, HERE).code == 0
    assert database.list_collections() == ["papers"]


def test_collection_dropped_while_collections_are_listed_is_left_out(
    database: ServedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.create_collection("docs", lite.schema())
    monkeypatch.setattr(database, "list_collections", lambda **_: ["docs", "gone"])
    response = EngineServicer(database).ShowCollections(milvus_pb2.ShowCollectionsRequest(), HERE)
    assert response.status.code == 0
    assert list(response.collection_names) == ["docs"]
    assert list(response.inMemory_percentages) == [100]


def two_indexes(database: ServedDatabase) -> None:
    fields = [*lite.schema().fields, FieldSchema("other", DataType.FLOAT_VECTOR, dim=DIMENSION)]
    collection = database.create_collection("docs", CollectionSchema(fields=fields))
    for field in ("vector", "other"):
        collection.create_index(field, lite.INDEX)
    collection.release()


def indexed_fields(database: ServedDatabase) -> list[str]:
    response = EngineServicer(database).DescribeIndex(milvus_pb2.DescribeIndexRequest(collection_name="docs"), HERE)
    return [each.field_name for each in response.index_descriptions]


@pytest.mark.parametrize("name", ["vector", "vector_idx"])
def test_drop_of_a_named_index_leaves_the_others(database: ServedDatabase, name: str) -> None:
    two_indexes(database)
    status = EngineServicer(database).DropIndex(
        milvus_pb2.DropIndexRequest(collection_name="docs", index_name=name), HERE
    )
    assert status.code == 0
    assert indexed_fields(database) == ["other"]


def test_drop_of_an_unknown_index_among_several_drops_none(database: ServedDatabase) -> None:
    two_indexes(database)
    request = milvus_pb2.DropIndexRequest(collection_name="docs", index_name="unknown")
    assert EngineServicer(database).DropIndex(request, HERE).code != 0
    assert indexed_fields(database) == ["vector", "other"]


def test_drop_of_an_index_in_a_missing_collection_is_refused(database: ServedDatabase) -> None:
    request = milvus_pb2.DropIndexRequest(collection_name="missing", index_name="vector")
    assert EngineServicer(database).DropIndex(request, HERE).code == 100


def test_timestamps_are_the_time_in_the_form_of_milvus(database: ServedDatabase) -> None:
    response = EngineServicer(database).AllocTimestamp(milvus_pb2.AllocTimestampRequest(), HERE)
    assert response.status.code == 0
    assert abs((response.timestamp >> 18) / 1000 - time.time()) < 60


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"topk": "2147483647"}, id="limit"),
        pytest.param({"topk": "16384", "offset": "1"}, id="limit and offset"),
        pytest.param({"topk": "16384", "group_size": "11"}, id="limit and group size"),
    ],
)
def test_a_search_for_more_than_milvus_allows_is_refused_before_room_is_made_for_it(
    database: ServedDatabase, parameters: dict[str, str]
) -> None:
    two_indexes(database)
    pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in parameters.items()]
    search = milvus_pb2.SearchRequest(collection_name="docs", search_params=pairs)
    hybrid = milvus_pb2.HybridSearchRequest(collection_name="docs", requests=[search])
    for response in (
        EngineServicer(database).Search(search, HERE),
        EngineServicer(database).HybridSearch(hybrid, HERE),
    ):
        assert response.status.code == 1100
        assert "range [1, 16384]" in response.status.reason


def vector_field(dimension: int) -> schema_pb2.FieldSchema:
    given = common_pb2.KeyValuePair(key="dim", value=str(dimension))
    return schema_pb2.FieldSchema(name="long", data_type=schema_pb2.FloatVector, type_params=[given])


def collection_request(vector: schema_pb2.FieldSchema) -> milvus_pb2.CreateCollectionRequest:
    key = schema_pb2.FieldSchema(name="id", data_type=schema_pb2.Int64, is_primary_key=True)
    schema = schema_pb2.CollectionSchema(name="docs", fields=[key, vector])
    return milvus_pb2.CreateCollectionRequest(collection_name="docs", schema=schema.SerializeToString())


def test_vectors_longer_than_milvus_allows_are_refused_before_room_is_made_for_them(database: ServedDatabase) -> None:
    servicer = EngineServicer(database)
    for dimension in (32_769, 2**31 - 2):
        status = servicer.CreateCollection(collection_request(vector_field(dimension)), HERE)
        assert status.code == 1100
        assert status.reason.startswith(f"invalid dimension: {dimension} of field long.")
    assert database.list_collections() == []
    assert servicer.CreateCollection(collection_request(vector_field(32_768)), HERE).code == 0


def test_schemas_that_cannot_be_read_are_left_to_milvus_lite(database: ServedDatabase) -> None:
    request = milvus_pb2.CreateCollectionRequest(collection_name="docs", schema=b"\xff\xff")
    assert EngineServicer(database).CreateCollection(request, HERE).code != 0
    assert database.list_collections() == []
