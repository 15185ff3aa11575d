"""Indexes as Milvus understands a request for one, over the servicer and a real Milvus Lite."""

import json

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema, Function, FunctionType
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())

SCHEMA = CollectionSchema(
    fields=[
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("text", DataType.VARCHAR, max_length=100, enable_analyzer=True),
        FieldSchema("words", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True),
        FieldSchema("number", DataType.INT64),
        FieldSchema("flag", DataType.BOOL),
        FieldSchema("meta", DataType.JSON),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=20),
    ],
    functions=[Function("bm25", FunctionType.BM25, ["text"], ["words"])],
)


@pytest.fixture
def engine(database: ServedDatabase) -> EngineServicer:
    database.create_collection("docs", SCHEMA)
    return EngineServicer(database)


def create(engine: EngineServicer, field: str, name: str = "", **parameters: str) -> common_pb2.Status:
    pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in parameters.items()]
    request = milvus_pb2.CreateIndexRequest(
        collection_name="docs", field_name=field, index_name=name, extra_params=pairs
    )
    return engine.CreateIndex(request, HERE)


def described(engine: EngineServicer) -> dict[str, dict[str, str]]:
    response = engine.DescribeIndex(milvus_pb2.DescribeIndexRequest(collection_name="docs"), HERE)
    assert response.status.code in (0, 700)
    return {each.index_name: {pair.key: pair.value for pair in each.params} for each in response.index_descriptions}


@pytest.mark.parametrize(
    ("field", "given", "shown", "built"),
    [
        ("vector", {}, {"index_type": "AUTOINDEX", "metric_type": "COSINE"}, "AUTOINDEX"),
        ("vector", {"metric_type": "L2"}, {"index_type": "AUTOINDEX", "metric_type": "L2"}, "AUTOINDEX"),
        (
            "vector",
            {"index_type": "DISKANN", "metric_type": "ip"},
            {"index_type": "DISKANN", "metric_type": "IP"},
            "HNSW",
        ),
        ("vector", {"index_type": "IVF_PQ"}, {"index_type": "IVF_PQ", "metric_type": "COSINE"}, "IVF_FLAT"),
        ("sparse", {}, {"index_type": "AUTOINDEX", "metric_type": "IP"}, "SPARSE_INVERTED_INDEX"),
        (
            "sparse",
            {"index_type": "SPARSE_WAND"},
            {"index_type": "SPARSE_WAND", "metric_type": "IP"},
            "SPARSE_INVERTED_INDEX",
        ),
        (
            "words",
            {"index_type": "AUTOINDEX"},
            {"index_type": "AUTOINDEX", "metric_type": "BM25"},
            "SPARSE_INVERTED_INDEX",
        ),
        ("text", {}, {"index_type": "AUTOINDEX"}, "INVERTED"),
        ("text", {"index_type": "Trie"}, {"index_type": "Trie"}, "INVERTED"),
        ("number", {"index_type": "STL_SORT"}, {"index_type": "STL_SORT"}, "INVERTED"),
        ("flag", {"index_type": "BITMAP"}, {"index_type": "BITMAP"}, "INVERTED"),
        (
            "meta",
            {"index_type": "INVERTED", "json_path": 'meta["a"]'},
            {"index_type": "INVERTED", "json_path": 'meta["a"]'},
            None,
        ),
        ("tags", {"index_type": "BITMAP"}, {"index_type": "BITMAP"}, None),
    ],
)
def test_what_is_not_given_is_filled_in_and_equivalents_are_built(
    engine: EngineServicer, field: str, given: dict[str, str], shown: dict[str, str], built: str | None
) -> None:
    assert create(engine, field, **given).code == 0
    assert described(engine) == {field: shown}
    info = engine._db.get_collection("docs").get_index_info(field)
    assert (info and info["index_type"]) == built


@pytest.mark.parametrize(
    ("field", "index_type"),
    [("text", "STL_NONE"), ("number", "TRIE"), ("vector", "INVERTED"), ("number", "HNSW"), ("sparse", "FLAT")],
)
def test_types_that_are_not_for_a_field_are_refused_by_the_code_of_milvus(
    engine: EngineServicer, field: str, index_type: str
) -> None:
    status = create(engine, field, index_type=index_type)
    assert status.code == 1100
    assert f"index type {index_type} on field {field}" in status.reason
    assert described(engine) == {}


def test_index_on_a_field_that_does_not_exist_is_refused(engine: EngineServicer) -> None:
    status = create(engine, "nothing")
    assert (status.code, status.reason) == (1100, "cannot create index on non-exist field: nothing")


def test_identical_index_again_is_success_and_another_is_refused(engine: EngineServicer) -> None:
    hnsw = {"index_type": "HNSW", "metric_type": "L2"}
    assert create(engine, "vector", **hnsw, params='{"M": 8, "efConstruction": 64}').code == 0
    assert create(engine, "vector", **hnsw, M="8", efConstruction="64").code == 0
    for name, field, other in (
        ("", "vector", {**hnsw, "M": "16", "efConstruction": "64"}),
        ("another", "vector", {**hnsw, "M": "8", "efConstruction": "64"}),
        ("vector", "sparse", {}),
    ):
        status = create(engine, field, name, **other)
        assert (status.code, "at most one distinct index is allowed per field" in status.reason) == (1100, True)
    assert list(described(engine)) == ["vector"]


def test_parameters_reach_the_engine_nested_or_each_by_itself(engine: EngineServicer) -> None:
    assert create(engine, "vector", index_type="HNSW", M="8", efConstruction="32").code == 0
    info = engine._db.get_collection("docs").get_index_info("vector")
    assert info is not None
    assert info["build_params"] == {"M": 8, "efConstruction": 32}


def test_parameters_that_are_no_json_object_are_refused(engine: EngineServicer) -> None:
    assert create(engine, "vector", params="[1]").code == 1100


@pytest.mark.parametrize("name", ["vector", "vector_idx", "mine"])
def test_index_is_found_by_its_name_its_field_and_the_name_that_lite_gave(engine: EngineServicer, name: str) -> None:
    assert create(engine, "vector", "mine").code == 0
    assert create(engine, "text", "other").code == 0
    request = milvus_pb2.DescribeIndexRequest(collection_name="docs", index_name=name)
    (found,) = engine.DescribeIndex(request, HERE).index_descriptions
    assert (found.index_name, found.field_name) == ("mine", "vector")


def test_names_survive_a_restart_and_go_with_their_index(open_at: OpenDatabase) -> None:
    database = open_at("batch")
    database.create_collection("docs", SCHEMA)
    engine = EngineServicer(database)
    assert create(engine, "vector", "mine", index_type="IVF_PQ").code == 0
    assert create(engine, "meta", "json", index_type="INVERTED").code == 0
    before = described(engine)
    database.close()
    engine = EngineServicer(open_at("batch"))
    assert described(engine) == before
    for name in ("mine", "json"):
        assert engine.DropIndex(milvus_pb2.DropIndexRequest(collection_name="docs", index_name=name), HERE).code == 0
    assert described(engine) == {}
    assert create(engine, "vector", "again").code == 0
    assert list(described(engine)) == ["again"]


def test_index_from_before_names_were_kept_is_described_by_its_field(database: ServedDatabase) -> None:
    database.create_collection("docs", lite.schema()).create_index("vector", {**lite.INDEX, "params": {"M": 8}})
    shown = {"index_type": "HNSW", "metric_type": "L2", "params": json.dumps({"M": 8})}
    assert described(EngineServicer(database)) == {"vector": shown}


@pytest.mark.parametrize(("loaded", "code"), [(False, 0), (True, 6)])
def test_index_of_a_vector_is_kept_only_while_a_client_has_its_collection_loaded(
    engine: EngineServicer, loaded: bool, code: int
) -> None:
    assert create(engine, "vector").code == 0
    if loaded:
        assert engine.LoadCollection(milvus_pb2.LoadCollectionRequest(collection_name="docs"), HERE).code == 0
    request = milvus_pb2.DropIndexRequest(collection_name="docs", index_name="vector")
    assert engine.DropIndex(request, HERE).code == code


def test_index_of_a_scalar_is_dropped_while_its_collection_stays_loaded(engine: EngineServicer) -> None:
    assert create(engine, "vector").code == 0
    assert create(engine, "text").code == 0
    assert engine.LoadCollection(milvus_pb2.LoadCollectionRequest(collection_name="docs"), HERE).code == 0
    assert engine.DropIndex(milvus_pb2.DropIndexRequest(collection_name="docs", index_name="text"), HERE).code == 0
    assert engine._db.get_collection("docs").load_state == "loaded"


@pytest.mark.parametrize("method", ["GetIndexState", "GetIndexBuildProgress", "GetIndexStatistics"])
def test_older_questions_about_an_index_are_answered(engine: EngineServicer, method: str) -> None:
    ask = getattr(engine, method)
    request = getattr(milvus_pb2, f"{method}Request")(collection_name="docs", index_name="vector")
    assert ask(request, HERE).status.code == 700
    assert create(engine, "vector").code == 0
    assert ask(request, HERE).status.code == 0


def test_search_parameters_that_would_make_a_sparse_search_less_exact_are_left_out(engine: EngineServicer) -> None:
    assert (
        create(engine, "sparse", params='{"drop_ratio_build": 0.2, "inverted_index_algo": "DAAT_MAXSCORE"}').code == 0
    )
    assert engine.LoadCollection(milvus_pb2.LoadCollectionRequest(collection_name="docs"), HERE).code == 0
    given = {"anns_field": "sparse", "topk": "1", "metric_type": "IP", "params": '{"drop_ratio_search": 0.2}'}
    placeholder = common_pb2.PlaceholderValue(
        tag="$0", type=common_pb2.PlaceholderType.SparseFloatVector, values=[b"\x01\x00\x00\x00\x00\x00\x80\x3f"]
    )
    search = milvus_pb2.SearchRequest(
        collection_name="docs",
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[placeholder]).SerializeToString(),
        search_params=[common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()],
        nq=1,
    )
    assert engine.Search(search, HERE).status.code == 0
