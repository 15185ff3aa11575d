"""Searches that may miss no row, compared with all rows, over the servicer and a real Milvus Lite."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from milvus_lite.index.faiss_hnsw import FaissHnswIndex
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.exact_search import ExactIndex
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())
ROWS = 2_000
DIMENSION = 16
LIMIT = 10
SEED = 51

SHARES = [0.001, 0.01, 0.1, 0.5, 1.0]
BUILD = {"M": 4, "efConstruction": 10, "nlist": 40}
INDEXES = ["HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX", "FLAT"]
METRICS = ["L2", "IP", "COSINE"]

_DRAWN = np.random.default_rng(SEED)
VECTORS = _DRAWN.standard_normal((ROWS, DIMENSION)).astype(np.float32)
QUESTIONS = _DRAWN.standard_normal((5, DIMENSION)).astype(np.float32)
RANKS = _DRAWN.permutation(ROWS)
"""The number `n` of each row, by which filters leave a share of the rows that has nothing to do with their vectors."""

Hits = Sequence[tuple[int, float]]


def stored(database: ServedDatabase, index: str, metric: str, vectors: npt.NDArray[np.float32] = VECTORS) -> None:
    """Store rows in two segments and in memory; keys are positions, `g` is one of three groups."""
    schema = CollectionSchema(
        fields=[
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("n", DataType.INT64),
            FieldSchema("g", DataType.INT64),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1]),
        ]
    )
    collection: ServedCollection = database.create_collection("docs", schema)
    rows = [
        {"id": key, "n": int(RANKS[key]), "g": key % 3, "vector": vector} for key, vector in enumerate(vectors.tolist())
    ]
    ends = (len(rows) * 4 // 10, len(rows) * 8 // 10)
    collection.insert(rows[: ends[0]])
    collection.flush()
    collection.insert(rows[ends[0] : ends[1]])
    collection.flush()
    collection.create_index("vector", {"index_type": index, "metric_type": metric, "params": BUILD})
    collection.load()
    collection.insert(rows[ends[1] :])
    assert [{*segment.indexes} for segment in collection.segments()] == [{"vector"}, {"vector"}]


def asked(metric: str, vectors: npt.NDArray[np.float32], given: Mapping[str, Any], condition: str) -> Any:
    placeholder = common_pb2.PlaceholderValue(
        tag="$0", type=common_pb2.PlaceholderType.FloatVector, values=[vector.tobytes() for vector in vectors]
    )
    parameters = {"topk": LIMIT, "anns_field": "vector", "metric_type": metric, **given}
    return milvus_pb2.SearchRequest(
        collection_name="docs",
        nq=len(vectors),
        dsl=condition,
        dsl_type=common_pb2.DslType.BoolExprV1,
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[placeholder]).SerializeToString(),
        search_params=[
            common_pb2.KeyValuePair(key=key, value=json.dumps(value) if isinstance(value, dict) else str(value))
            for key, value in parameters.items()
        ],
    )


def hits_of(response: Any) -> list[Hits]:
    assert response.status.code == 0, response.status.reason
    hits = list(zip(response.results.ids.int_id.data, response.results.scores, strict=True))
    ends = np.cumsum(response.results.topks).tolist()
    return [hits[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def found(
    database: ServedDatabase,
    metric: str,
    vectors: npt.NDArray[np.float32] = QUESTIONS,
    condition: str = "",
    **given: Any,
) -> list[Hits]:
    return hits_of(EngineServicer(database).Search(asked(metric, vectors, given, condition), HERE))


def scores(metric: str, question: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32] = VECTORS) -> list[float]:
    one, all_ = question.astype(np.float64), vectors.astype(np.float64)
    if metric == "L2":
        return [float(each) for each in ((all_ - one) ** 2).sum(axis=1)]
    products = all_ @ one
    if metric == "COSINE":
        lengths = np.linalg.norm(all_, axis=1) * np.linalg.norm(one)
        products = np.divide(products, lengths, out=np.zeros(len(all_)), where=lengths > 0)
    return [float(each) for each in products]


def exact(
    metric: str,
    question: npt.NDArray[np.float32],
    passes: Callable[[int], bool],
    vectors: npt.NDArray[np.float32] = VECTORS,
) -> Hits:
    """All rows that pass, the nearest first, those at the same distance in the order of their keys."""
    rows = [hit for hit in enumerate(scores(metric, question, vectors)) if passes(hit[0])]
    return sorted(rows, key=lambda hit: hit[1] if metric == "L2" else -hit[1])


def assert_same(answers: Sequence[Hits], expected: Sequence[Hits]) -> None:
    assert [[key for key, _ in hits] for hits in answers] == [[key for key, _ in hits] for hits in expected]
    for one, other in zip(answers, expected, strict=True):
        assert [score for _, score in one] == pytest.approx([score for _, score in other], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index", INDEXES)
def test_search_with_a_filter_and_range_find_the_nearest_rows_that_pass(
    open_at: OpenDatabase, index: str, metric: str
) -> None:
    """However many rows are inside the inner bound of the range."""
    database = open_at("none")
    stored(database, index, metric)
    for share in SHARES:
        most = int(ROWS * share)
        right = [exact(metric, question, lambda row: RANKS[row] < most) for question in QUESTIONS]  # noqa: B023
        assert_same(found(database, metric, condition=f"n < {most}"), [each[:LIMIT] for each in right])
        page = found(database, metric, condition=f"n < {most}", offset=7, params={"ef": 1, "nprobe": 1})
        assert_same(page, [each[7 : 7 + LIMIT] for each in right])
    for condition, most in (("", ROWS), ("n < 1000", 1000)):
        ranked = exact(metric, QUESTIONS[0], lambda row: RANKS[row] < most)  # noqa: B023
        inner, outer = ((ranked[place][1] + ranked[place + 1][1]) / 2 for place in (400, 405))
        for given in ({"params": {"radius": outer, "range_filter": inner}}, {"radius": outer, "range_filter": inner}):
            assert_same(found(database, metric, QUESTIONS[:1], condition, **given), [ranked[401:406]])


@pytest.mark.parametrize("index", INDEXES)
def test_deleted_and_replaced_rows_are_not_compared(open_at: OpenDatabase, index: str) -> None:
    database = open_at("none")
    stored(database, index, "L2")
    collection = database.get_collection("docs")
    nearest = [key for key, _ in exact("L2", QUESTIONS[0], lambda row: RANKS[row] < ROWS // 2)]
    collection.delete(nearest[:3])
    collection.insert([{"id": nearest[3], "n": ROWS, "g": 0, "vector": [0.0] * DIMENSION}])
    answers = found(database, "L2", QUESTIONS[:1], f"n < {ROWS // 2}")
    assert [key for key, _ in answers[0]] == nearest[4 : 4 + LIMIT]


@pytest.mark.parametrize("index", ["HNSW", "FLAT"])
def test_groups_are_those_of_the_nearest_rows_that_pass(open_at: OpenDatabase, index: str) -> None:
    database = open_at("none")
    stored(database, index, "L2")
    for share in SHARES[1:]:
        most = int(ROWS * share)
        right: dict[int, list[tuple[int, float]]] = {}
        for key, score in exact("L2", QUESTIONS[0], lambda row: RANKS[row] < most):  # noqa: B023
            right.setdefault(key % 3, []).append((key, score))
        answers = found(database, "L2", QUESTIONS[:1], f"n < {most}", topk=3, group_by_field="g", group_size=2)
        assert_same(answers, [[hit for hits in right.values() for hit in hits[:2]]])


def test_parts_of_a_hybrid_search_find_the_nearest_rows_that_pass(open_at: OpenDatabase) -> None:
    database = open_at("none")
    stored(database, "HNSW", "COSINE")
    request = milvus_pb2.HybridSearchRequest(
        collection_name="docs",
        requests=[asked("COSINE", QUESTIONS[:1], {}, condition) for condition in ("n < 20", "n >= 20 and n < 200")],
        rank_params=[
            common_pb2.KeyValuePair(key=key, value=value)
            for key, value in {"strategy": "rrf", "params": '{"k": 60}', "limit": str(2 * LIMIT)}.items()
        ],
    )
    answers = hits_of(EngineServicer(database).HybridSearch(request, HERE))
    few = exact("COSINE", QUESTIONS[0], lambda row: RANKS[row] < 20)[:LIMIT]
    more = exact("COSINE", QUESTIONS[0], lambda row: 20 <= RANKS[row] < 200)[:LIMIT]
    assert sorted(key for key, _ in answers[0]) == sorted(key for key, _ in [*few, *more])


@pytest.mark.parametrize("condition", ["", "n < 700"])
@pytest.mark.parametrize("index", INDEXES)
def test_pages_of_an_iterator_hold_every_row_once_in_order(open_at: OpenDatabase, index: str, condition: str) -> None:
    database = open_at("none")
    # A tenth of the rows at each of ten distances, so that pages end among equals.
    vectors = np.repeat(np.arange(ROWS) % 10, 2).reshape(ROWS, 2).astype(np.float32)
    stored(database, index, "L2", vectors)
    question = np.zeros((1, 2), dtype=np.float32)
    keys: list[int] = []
    position: dict[str, Any] = {}
    while True:
        iterator = {"search_iter_v2": "True", "search_iter_batch_size": 650, **position}
        response = EngineServicer(database).Search(asked("L2", question, {"topk": 650, **iterator}, condition), HERE)
        page = [key for key, _ in hits_of(response)[0]]
        if not page:
            break
        keys += page
        position = {"search_iter_last_bound": response.results.search_iterator_v2_results.last_bound}
    right = exact("L2", question[0], lambda row: not condition or bool(RANKS[row] < 700), vectors)
    assert keys == [key for key, _ in right]


@pytest.mark.parametrize("metric", METRICS)
def test_rows_at_the_same_distance_are_in_the_order_of_their_positions(metric: str) -> None:
    rows = np.tile(VECTORS[:40], (50, 1))
    index = ExactIndex.build(rows, metric)
    every, at = index.search(QUESTIONS[:1], len(rows))
    assert list(zip(at[0], every[0], strict=True)) == sorted(zip(at[0], every[0], strict=True))
    for limit in (1, 7, 49, 50, 51, 120, 1999):
        assert index.search(QUESTIONS[:1], limit)[0].tolist() == every[:, :limit].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_small_differences_of_long_vectors_decide(metric: str) -> None:
    rows = np.full((200, 64), 1000.0, dtype=np.float32)
    rows[:, 0] += np.random.default_rng(SEED).permutation(200).astype(np.float32) / 64
    right = [key for key, _ in exact(metric, rows[0], lambda _: True, rows)]
    for limit in (1, 10, 100, 200):
        nearest, at = ExactIndex.build(rows, metric).search(rows[:1], limit)
        assert nearest[0].tolist() == right[:limit]
        assert at[0].tolist() == sorted(at[0].tolist())
        assert at[0, 0] == 0 or metric != "L2"


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_of_any_length_are_compared(metric: str) -> None:
    rows = VECTORS[:100].copy()
    rows[::3] *= np.float32(1e30)
    rows[1::3] *= np.float32(1e-30)
    rows[50] = 0
    right = [key for key, _ in exact(metric, QUESTIONS[0], lambda _: True, rows)]
    for limit in (1, 10, 50, 100):
        assert ExactIndex.build(rows, metric).search(QUESTIONS[:1], limit)[0][0].tolist() == right[:limit]


def test_many_vectors_are_compared_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    index, mask = ExactIndex.build(VECTORS, "IP"), RANKS < 1500
    whole = index.search(QUESTIONS, 5, mask)
    monkeypatch.setattr("kiteward.engine.embedded.exact_search._AT_ONCE", 3_000)
    parts = index.search(QUESTIONS, 5, mask)
    assert parts[0].tolist() == whole[0].tolist()
    assert parts[1].tolist() == whole[1].tolist()


def test_search_without_a_filter_asks_the_index(open_at: OpenDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_at("none")
    stored(database, "HNSW", "L2")
    database.get_collection("docs").delete([5])
    given: list[Any] = []
    searched = FaissHnswIndex.search

    def noted(self: Any, queries: Any, top_k: int, valid_mask: Any = None, params: Any = None) -> Any:
        given.append(params)
        return searched(self, queries, top_k, valid_mask, params)

    monkeypatch.setattr(FaissHnswIndex, "search", noted)
    found(database, "L2", params={"ef": 77})
    assert given == [{"ef": 77}] * 2
    found(database, "L2", condition="n < 1000", params={"ef": 77})
    assert len(given) == 2


@pytest.mark.parametrize("index", INDEXES)
def test_vector_of_another_dimension_is_refused_by_name(open_at: OpenDatabase, index: str) -> None:
    database = open_at("none")
    stored(database, index, "L2", VECTORS[:50])
    for dimension, condition in itertools.product([1, DIMENSION + 1], ["", "n < 5"]):
        vector = np.zeros((1, dimension), dtype=np.float32)
        response = EngineServicer(database).Search(asked("L2", vector, {}, condition), HERE)
        expected = f"vector dimension mismatch: field vector has {DIMENSION}, the vector searched for has {dimension}"
        assert response.status.code != 0
        assert expected in response.status.reason


def test_callers_cannot_ask_for_exactness_by_its_name(open_at: OpenDatabase) -> None:
    database = open_at("none")
    stored(database, "FLAT", "L2", VECTORS[:10])
    response = EngineServicer(database).Search(asked("L2", QUESTIONS[:1], {"params": {"exact": True}}, ""), HERE)
    assert "`exact` is not a parameter" in response.status.reason


def test_flat_index_is_read_again(open_at: OpenDatabase) -> None:
    database = open_at("none")
    stored(database, "FLAT", "L2")
    before = found(database, "L2")
    database.close()
    assert found(open_at("none"), "L2") == before


def test_sparse_search_with_a_filter_finds_the_rows_with_the_highest_products(open_at: OpenDatabase) -> None:
    database = open_at("none")
    schema = CollectionSchema(
        fields=[
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("n", DataType.INT64),
            FieldSchema("vector", DataType.SPARSE_FLOAT_VECTOR),
        ]
    )
    collection = database.create_collection("docs", schema)
    weights = np.abs(VECTORS[:, :4])
    rows = [
        {"id": key, "n": int(RANKS[key]), "vector": dict(enumerate(each))} for key, each in enumerate(weights.tolist())
    ]
    collection.insert(rows[:1500])
    collection.flush()
    collection.create_index("vector", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}})
    collection.load()
    collection.insert(rows[1500:])
    question = np.abs(QUESTIONS[0, :4])
    for share in SHARES:
        most = int(ROWS * share)
        hits = collection.search(
            [dict(enumerate(question.tolist()))], top_k=LIMIT, anns_field="vector", expr=f"n < {most}"
        )
        right = exact("IP", question, lambda row: RANKS[row] < most, weights)[:LIMIT]  # noqa: B023
        assert_same([[(hit["id"], hit["distance"]) for hit in hits[0]]], [right])
