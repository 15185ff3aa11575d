"""Whatever a request names, the server calls nobody and reads no file for it; what the engine computes itself works."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pymilvus import (
    AnnSearchRequest,
    CollectionSchema,
    DataType,
    Function,
    FunctionType,
    MilvusClient,
    MilvusException,
    RRFRanker,
    WeightedRanker,
)
from tests.support import server as servers
from tests.support.server import RunningServer

NAME = "outbound"
ROWS = [
    {"id": 1, "age": 10, "text": "a red kite", "vector": [1.0, 0.0]},
    {"id": 2, "age": 90, "text": "a black kite", "vector": [0.0, 1.0]},
]
INVALID = 1100


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """A socket that waits for a connection; none may come while it is there."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        yield waiting
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.accept()


@pytest.fixture(scope="module", params=["http", "file"])
def address(request: pytest.FixtureRequest, listener: socket.socket) -> str:
    """What a caller would like the engine to open."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}" if request.param == "http" else "file:///etc/hostname"


@pytest.fixture(scope="module")
def collection(root: MilvusClient) -> Iterator[MilvusClient]:
    """A client whose server has a collection with two entities."""
    schema = plain_schema()
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    index.add_index("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    root.create_collection(NAME, schema=schema, index_params=index)
    root.insert(NAME, ROWS)
    yield root
    root.drop_collection(NAME)


def plain_schema() -> CollectionSchema:
    """A schema with a function that the engine computes itself."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("age", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=100, enable_analyzer=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], "terms"))
    return schema


def model(address: str) -> dict[str, Any]:
    """Return what asks for a provider at an address."""
    return {"reranker": "model", "provider": "cohere", "base_url": address, "api_key": "k", "queries": ["kite"]}


def reranking(params: dict[str, Any], field: str = "text") -> Function:
    return Function("rank", FunctionType.RERANK, [field] if field else [], [], params=params)


def routes() -> list[AnnSearchRequest]:
    return [AnnSearchRequest([[1.0, 0.0]], "vector", {"metric_type": "L2"}, 2) for _ in range(2)]


def refused(act: Callable[[], Any]) -> str:
    """Demand that the server refuses what the caller does, and return why."""
    with pytest.raises(MilvusException) as refusal:
        act()
    assert refusal.value.code == INVALID
    return str(refusal.value.message)


def test_search_with_a_model_is_refused(collection: MilvusClient, address: str) -> None:
    told = refused(lambda: collection.search(NAME, [[1.0, 0.0]], ranker=reranking(model(address)), limit=2))
    assert "function parameter `provider` is not accepted" in told


def test_hybrid_search_with_a_model_is_refused(collection: MilvusClient, address: str) -> None:
    told = refused(lambda: collection.hybrid_search(NAME, routes(), reranking(model(address)), limit=2))
    assert "function parameter `provider` is not accepted" in told


def test_address_alone_is_refused_whatever_the_function(collection: MilvusClient, address: str) -> None:
    ranker = reranking({"reranker": "rrf", "base_url": address}, "")
    assert "`base_url`" in refused(lambda: collection.hybrid_search(NAME, routes(), ranker, limit=2))


def test_collection_with_an_embedding_is_refused(collection: MilvusClient, address: str) -> None:
    schema = plain_schema()
    params = {"provider": "openai", "model_name": "m", "base_url": address, "api_key": "k"}
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=4)
    schema.add_function(Function("embed", FunctionType.TEXTEMBEDDING, ["text"], "dense", params=params))
    assert "function type `2` is not accepted" in refused(
        lambda: collection.create_collection(f"{NAME}_embedded", schema=schema)
    )
    assert not collection.has_collection(f"{NAME}_embedded")


@pytest.mark.parametrize("path", ["entities/search", "entities/hybrid_search", "collections/create"])
def test_rest_refuses_the_same(collection: MilvusClient, server: RunningServer, address: str, path: str) -> None:
    score: dict[str, Any] = {
        "functions": [{"name": "f", "type": "Rerank", "inputFieldNames": ["text"], "params": model(address)}]
    }
    route = {"data": [[1.0, 0.0]], "annsField": "vector", "limit": 2}
    field = {"fieldName": "text", "dataType": "VarChar", "elementTypeParams": {"max_length": 9}}
    schema = {"fields": [field], "functions": score["functions"]}
    bodies: dict[str, dict[str, Any]] = {
        "entities/search": {**route, "functionScore": score},
        "entities/hybrid_search": {"search": [route, route], "limit": 2, "functionScore": score},
        "collections/create": {"schema": schema},
    }
    name = f"{NAME}_rest" if path == "collections/create" else NAME
    answer = httpx.post(
        f"{server.uri}/v2/vectordb/{path}",
        json={"collectionName": name, **bodies[path]},
        headers={"Authorization": f"Bearer {servers.ROOT_TOKEN}"},
        timeout=30,
    ).json()
    assert answer["code"] == INVALID
    assert "function parameter `provider` is not accepted" in answer["message"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"reranker": "decay", "function": "linear", "origin": 10, "scale": 50, "offset": 1, "decay": 0.5}, "age"),
        ({"reranker": "boost", "filter": "age < 50", "weight": 0.5, "random_score": {"seed": 1}}, ""),
    ],
    ids=["decay", "boost"],
)
def test_functions_that_the_engine_computes_score_a_search(
    collection: MilvusClient, params: dict[str, Any], field: str
) -> None:
    found = collection.search(NAME, [[1.0, 0.0]], anns_field="vector", ranker=reranking(params, field), limit=2)
    assert {hit["id"] for hit in found[0]} == {1, 2}


@pytest.mark.parametrize(
    "ranker",
    [
        RRFRanker(),
        WeightedRanker(0.5, 0.5),
        reranking({"reranker": "rrf", "k": 60}, ""),
        reranking({"reranker": "weighted", "weights": [0.1, 0.9], "norm_score": True}, ""),
    ],
    ids=["rrf", "weighted", "rrf function", "weighted function"],
)
def test_functions_that_the_engine_computes_rank_a_hybrid_search(collection: MilvusClient, ranker: Any) -> None:
    found = collection.hybrid_search(NAME, routes(), ranker, limit=2)
    assert {hit["id"] for hit in found[0]} == {1, 2}


def test_bm25_is_computed(collection: MilvusClient) -> None:
    found = collection.search(NAME, ["red"], anns_field="terms", search_params={"metric_type": "BM25"}, limit=1)
    assert [hit["id"] for hit in found[0]] == [1]


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "a\0b", " a", ""])
def test_partition_and_field_that_are_paths_are_refused(collection: MilvusClient, name: str) -> None:
    assert "artition name" in refused(lambda: collection.create_partition(NAME, name))
    schema = plain_schema()
    schema.add_field(name or " ", DataType.INT64)
    with pytest.raises(MilvusException, match="field name") as refusal:
        collection.create_collection(f"{NAME}_path", schema=schema)
    assert refusal.value.code == 1701
    assert not collection.has_collection(f"{NAME}_path")


def test_names_that_milvus_takes_are_taken(collection: MilvusClient) -> None:
    for name in ("2024-01", "_p", "p1"):
        collection.create_partition(NAME, name)
        assert collection.has_partition(NAME, name)
