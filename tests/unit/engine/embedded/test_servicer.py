import pytest
from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded import lite

from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import CallContext, EngineServicer

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
