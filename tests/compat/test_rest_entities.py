"""What REST stores, gRPC reads, and the other way round: one real server, with pymilvus and with JSON."""

import json
import math
import struct
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pymilvus import DataType, MilvusClient
from tests.support.server import ROOT_TOKEN, RunningServer

ENGINES: Final = ("embedded",)  # fields of every kind need an engine that has them
COLLECTION: Final = "everything"
DIMENSION: Final = 3


class ProtocolClients:
    """Clients of both protocols of one server."""

    def __init__(self, uri: str) -> None:
        self.http = httpx.Client(
            base_url=f"{uri}/v2/vectordb/", headers={"Authorization": f"Bearer {ROOT_TOKEN}"}, timeout=30
        )
        self.sdk = MilvusClient(uri=uri, token=ROOT_TOKEN, dedicated=True)

    def whole(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """Send a request that must be answered with HTTP 200, and return the answer."""
        response = self.http.post(path, json=body, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def ask(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """Send a request that must succeed, and return its data."""
        answer = self.whole(path, headers, **body)
        assert answer["code"] == 0, answer
        return answer["data"]

    def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """Send a request that must fail, and return the code and the message."""
        answer = self.whole(path, **body)
        assert answer["code"] != 0, answer
        return answer["code"], answer["message"]


FIELDS: Final[list[dict[str, Any]]] = [
    {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
    {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": DIMENSION}},
    {"fieldName": "sparse", "dataType": "SparseFloatVector"},
    {"fieldName": "truth", "dataType": "Bool", "nullable": True},
    {"fieldName": "tiny", "dataType": "Int8", "nullable": True},
    {"fieldName": "small", "dataType": "Int16", "nullable": True},
    {"fieldName": "plain", "dataType": "Int32", "nullable": True},
    {"fieldName": "big", "dataType": "Int64", "nullable": True},
    {"fieldName": "single", "dataType": "Float", "nullable": True},
    {"fieldName": "double", "dataType": "Double", "nullable": True},
    {"fieldName": "text", "dataType": "VarChar", "elementTypeParams": {"max_length": 200}, "nullable": True},
    {"fieldName": "seven", "dataType": "Int64", "defaultValue": 7},
    {"fieldName": "json", "dataType": "JSON", "nullable": True},
    *(
        {
            "fieldName": f"{kind.lower()}s",
            "dataType": "Array",
            "elementDataType": kind,
            "elementTypeParams": {"max_capacity": 8, "max_length": 50},
            "nullable": True,
        }
        for kind in ("Bool", "Int64", "Float", "VarChar")
    ),
]


@pytest.fixture(scope="module")
def clients(server: RunningServer) -> Iterator[ProtocolClients]:
    clients = ProtocolClients(server.uri)
    clients.ask(
        "collections/create",
        collectionName=COLLECTION,
        schema={"fields": FIELDS, "enableDynamicField": True},
        indexParams=[
            {"fieldName": "vector", "indexType": "AUTOINDEX", "metricType": "L2"},
            {"fieldName": "sparse", "indexType": "SPARSE_INVERTED_INDEX", "metricType": "IP"},
        ],
    )
    yield clients
    clients.sdk.close()
    clients.http.close()


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


FLOATS: Final = st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda value: value or 0.0)
WEIGHTS: Final = st.floats(2**-20, 2**20, width=32)
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | integers(53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
JSON_OBJECTS: Final = st.dictionaries(TEXTS, JSON_VALUES, max_size=3)
DYNAMIC_NAMES: Final = st.from_regex(r"extra_[a-z]{1,5}", fullmatch=True)
ROWS: Final = st.fixed_dictionaries(
    {
        "vector": st.lists(FLOATS, min_size=DIMENSION, max_size=DIMENSION),
        "sparse": st.dictionaries(st.integers(0, 2**32 - 2), WEIGHTS, min_size=1, max_size=4),
    },
    optional={
        "truth": st.none() | st.booleans(),
        "tiny": st.none() | integers(8),
        "small": st.none() | integers(16),
        "plain": st.none() | integers(32),
        "big": st.none() | integers(64),
        "single": st.none() | FLOATS,
        "double": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "text": st.none() | TEXTS,
        "seven": integers(64),
        "json": st.none() | JSON_OBJECTS,
        "bools": st.none() | st.lists(st.booleans(), max_size=4),
        "int64s": st.none() | st.lists(integers(64), max_size=4),
        "floats": st.none() | st.lists(FLOATS, max_size=4),
        "varchars": st.none() | st.lists(TEXTS, max_size=4),
    },
)
DYNAMIC: Final = st.dictionaries(
    DYNAMIC_NAMES, st.booleans() | integers(53) | TEXTS | st.lists(integers(32), max_size=3) | JSON_OBJECTS, max_size=3
)


def as_rest_shows(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row that pymilvus has read in the spelling of REST; of 32-bit floats only the value counts."""
    shown = dict(row)
    shown["vector"] = [float(each) for each in row["vector"]]
    shown["sparse"] = {str(index): value for index, value in row["sparse"].items()}
    for name in ("int64s", "bools", "floats", "varchars"):
        shown[name] = None if row[name] is None else list(row[name])
    return shown


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its 32-bit floats as such, and its JSON read."""
    made = dict(row)
    made["vector"] = [single(each) for each in row["vector"]]
    made["sparse"] = {index: single(value) for index, value in row["sparse"].items()}
    made["single"] = None if row["single"] is None else single(row["single"])
    made["floats"] = None if row["floats"] is None else [single(each) for each in row["floats"]]
    made["json"] = json.loads(row["json"]) if isinstance(row["json"], str) else row["json"]
    return made


def single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def expected(row: dict[str, Any], key: int) -> dict[str, Any]:
    """Return what was stored as it should be read."""
    made = {field["fieldName"]: None for field in FIELDS} | {"seven": 7, "id": key} | row
    made["sparse"] = {str(index): value for index, value in row["sparse"].items()}
    return rounded(made)


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.tuples(ROWS, DYNAMIC), min_size=1, max_size=4), by_rest=st.booleans())
def test_rows_stored_by_one_protocol_read_alike_by_both(
    clients: ProtocolClients, rows: list[tuple[dict[str, Any], dict[str, Any]]], by_rest: bool
) -> None:
    stored = [{"id": number, **row, **dynamic} for number, (row, dynamic) in enumerate(rows, start=1)]
    clients.ask("entities/delete", collectionName=COLLECTION, filter="id >= 0")
    if by_rest:
        sent = [row | {"sparse": {str(index): value for index, value in row["sparse"].items()}} for row in stored]
        answer = clients.ask("entities/insert", collectionName=COLLECTION, data=sent)
        assert answer == {"insertCount": len(rows), "insertIds": [row["id"] for row in stored]}
    else:
        clients.sdk.insert(COLLECTION, stored)

    by_rest_read = {
        row["id"]: rounded(row) for row in clients.ask("entities/query", collectionName=COLLECTION, filter="id >= 0")
    }
    by_sdk_read = {
        row["id"]: rounded(as_rest_shows(dict(row)))
        for row in clients.sdk.query(COLLECTION, filter="id >= 0", output_fields=["*"], limit=100)
    }
    wanted = {row["id"]: expected({k: v for k, v in row.items() if k != "id"}, row["id"]) for row in stored}
    assert by_rest_read == wanted
    assert by_sdk_read == wanted


def test_a_row_that_was_read_can_be_written_back(clients: ProtocolClients) -> None:
    clients.ask("entities/delete", collectionName=COLLECTION, filter="id >= 0")
    row = {"id": 1, "vector": [0.1, -2, 3e38], "sparse": {"indices": [9, 2], "values": [1, 0.5]}, "text": 'a "b" \\ \n'}
    row |= {"json": {"a": [1, None, "x"]}, "int64s": [2**63 - 1, str(-(2**63))], "extra": {"deep": [1.5]}, "big": "-5"}
    clients.ask("entities/insert", collectionName=COLLECTION, data=row)
    read = clients.ask("entities/get", collectionName=COLLECTION, id=1)
    assert read[0]["vector"] == [0.1, -2.0, 3e38]
    assert read[0]["json"] == '{"a": [1, null, "x"]}'
    assert read[0]["int64s"] == [2**63 - 1, -(2**63)]
    clients.ask("entities/upsert", collectionName=COLLECTION, data=read)
    assert clients.ask("entities/get", collectionName=COLLECTION, id=["1"]) == read


def test_64_bit_integers_are_text_for_those_who_ask(clients: ProtocolClients) -> None:
    clients.ask("entities/delete", collectionName=COLLECTION, filter="id >= 0")
    text = {"Accept-Type-Allow-Int64": "false"}
    row = {"id": 5, "vector": [1, 2, 3], "sparse": {"1": 1}, "int64s": [1], "plain": 3, "extra": 4}
    assert clients.ask("entities/insert", text, collectionName=COLLECTION, data=[row])["insertIds"] == ["5"]
    (read,) = clients.ask("entities/query", text, collectionName=COLLECTION, filter="id == 5")
    assert (read["id"], read["seven"], read["int64s"], read["plain"], read["extra"]) == ("5", "7", ["1"], 3, 4)
    (hit,) = clients.ask(
        "entities/search", text, collectionName=COLLECTION, data=[[1, 2, 3]], annsField="vector", outputFields=["seven"]
    )
    assert (hit["id"], hit["seven"]) == ("5", "7")


def test_text_keys_are_found_whatever_they_hold(clients: ProtocolClients) -> None:
    clients.ask("collections/create", collectionName="texts", dimension=2, idType="VarChar", params={"max_length": 100})
    keys = ['a"b', "c'd", "e\\f", "g\nh", "é ☃", "x'] or id != ['"]
    clients.ask("entities/insert", collectionName="texts", data=[{"id": key, "vector": [1, 2]} for key in keys])
    for key in keys:
        assert clients.ask("entities/get", collectionName="texts", id=key, outputFields=["id"]) == [{"id": key}]
    assert [row["id"] for row in clients.ask("entities/get", collectionName="texts", id=keys)] == keys


def test_searches_find_the_same_by_both_protocols(clients: ProtocolClients) -> None:
    clients.ask("collections/create", collectionName="near", dimension=2, metricType="L2")
    data = [{"id": number, "vector": [number, 0], "color": ["red", "blue"][number % 2]} for number in range(10)]
    clients.ask("entities/insert", collectionName="near", data=data)
    answer = clients.whole(
        "entities/search",
        collectionName="near",
        data=[[0, 0], [9, 0]],
        limit=3,
        filter='color == "red"',
        outputFields=["color"],
        searchParams={"metricType": "L2", "params": {}},
    )
    assert answer["topks"] == [3, 3]
    assert [hit["id"] for hit in answer["data"]] == [0, 2, 4, 8, 6, 4]
    assert answer["data"][0] == {"id": 0, "color": "red", "distance": 0.0}
    found = clients.sdk.search("near", [[0, 0], [9, 0]], limit=3, filter='color == "red"', output_fields=["color"])
    assert [(hit["id"], hit["distance"]) for hits in found for hit in hits] == [
        (hit["id"], hit["distance"]) for hit in answer["data"]
    ]
    hybrid = clients.ask(
        "entities/hybrid_search",
        collectionName="near",
        search=[{"data": [[0, 0]], "annsField": "vector"}, {"data": [[1, 0]], "annsField": "vector"}],
        rerank={"strategy": "weighted", "params": {"weights": [0.5, 0.5]}},
        limit=2,
        outputFields=["color"],
    )
    assert {hit["id"] for hit in hybrid} == {0, 1}


def test_sparse_vectors_are_searched_in_both_spellings(clients: ProtocolClients) -> None:
    clients.ask("entities/delete", collectionName=COLLECTION, filter="id >= 0")
    rows = [{"id": n, "vector": [n, n, n], "sparse": {"7": n}} for n in (1, 2)]
    clients.ask("entities/insert", collectionName=COLLECTION, data=rows)
    for vector in ({"7": 1}, {"indices": [7], "values": [1.0]}):
        hits = clients.ask(
            "entities/search", collectionName=COLLECTION, annsField="sparse", data=[vector], outputFields=["id"]
        )
        assert [(hit["id"], hit["distance"]) for hit in hits] == [(2, 2.0), (1, 1.0)]


def test_texts_are_searched_where_a_function_makes_the_vectors(clients: ProtocolClients) -> None:
    analyzed = {"max_length": 100, "enable_analyzer": True}
    clients.ask(
        "collections/create",
        collectionName="words",
        schema={
            "fields": [
                {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
                {"fieldName": "text", "dataType": "VarChar", "elementTypeParams": analyzed},
                {"fieldName": "sparse", "dataType": "SparseFloatVector"},
            ],
            "functions": [
                {"name": "bm25", "type": "BM25", "inputFieldNames": ["text"], "outputFieldNames": ["sparse"]}
            ],
            "autoID": True,
        },
        indexParams=[{"fieldName": "sparse", "indexType": "SPARSE_INVERTED_INDEX", "metricType": "BM25"}],
    )
    clients.ask("entities/insert", collectionName="words", data=[{"text": "a red kite"}, {"text": "a white dove"}])
    (hit,) = clients.ask("entities/search", collectionName="words", data=["kite"], outputFields=["text"])
    assert hit["text"] == "a red kite"
    described = clients.ask("collections/describe", collectionName="words")
    assert described["autoId"] is True
    assert [function["name"] for function in described["functions"]] == ["bm25"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([], "missing required parameters"),
        ("row", "data must be an object"),
        ([[]], "row 0: expected an object, got a list"),
        ({"id": 1}, "field `vector` is missing"),
        ({"id": 1, "vector": [1, 2]}, "field `vector`: expected 3 numbers, the dimension of the field, got 2"),
        ({"id": 1, "vector": [1, 2, "x"]}, "expected a number"),
        ({"id": 1, "vector": [1, 2, 1e39]}, "does not fit the type FloatVector"),
        ({"id": 1, "vector": None}, "field `vector` must not be null"),
        ({"id": 1.5, "vector": [1, 2, 3]}, "field `id`: expected an integer"),
        ({"id": 2**63, "vector": [1, 2, 3]}, "field `id`: expected an integer from"),
        ({"id": 1, "vector": [1, 2, 3], "sparse": {"a": 1}}, "an index of a sparse vector"),
        ({"id": 1, "vector": [1, 2, 3], "sparse": {"1": 1}, "tiny": 200}, "an integer from -128 to 127"),
        ({"id": 1, "vector": [1, 2, 3], "sparse": {"1": 1}, "json": "{"}, "must be valid JSON"),
        ({"id": 1, "vector": [1, 2, 3], "sparse": {"1": 1}, "int64s": [1, "a"]}, "field `int64s`[1]"),
        ({"id": 1, "vector": [1, 2, 3], "sparse": {"1": 1}, "$meta": {}}, "no field `$meta`"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_what_would(clients: ProtocolClients, data: Any, told: str) -> None:
    code, message = clients.refused("entities/insert", collectionName=COLLECTION, data=data)
    assert (code, told in message) == (1802 if data == [] else 1804, True), message


def test_a_missing_collection_is_reported_as_such(clients: ProtocolClients) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "entities/insert": {"data": [{"id": 1}]},
        "entities/query": {"filter": "id > 0"},
        "entities/get": {"id": 0},
        "entities/search": {"data": [[1, 2]]},
        "collections/describe": {},
        "collections/get_load_state": {},
    }
    for path, body in bodies.items():
        code, message = clients.refused(path, collectionName="absent", **body)
        assert (code, "absent" in message) == (100, True), path


def test_a_collection_whose_index_fails_is_kept_and_can_be_finished(clients: ProtocolClients) -> None:
    index = {"fieldName": "vector", "indexType": "HNSW", "metricType": "NO_SUCH_METRIC"}
    body: dict[str, Any] = {"collectionName": "half", "schema": {"fields": FIELDS[:2]}, "indexParams": [index]}
    _, message = clients.refused("collections/create", **body)
    assert "the collection half is kept: add what is missing, or drop it" in message
    assert clients.ask("collections/has", collectionName="half") == {"has": True}
    clients.ask("indexes/create", collectionName="half", indexParams=[{**index, "metricType": "L2"}])
    clients.ask("collections/load", collectionName="half")
    assert clients.ask("collections/get_load_state", collectionName="half")["loadState"] == "LoadStateLoaded"


def test_the_quick_set_up_makes_what_the_sdk_makes(clients: ProtocolClients) -> None:
    clients.ask("collections/create", collectionName="quick_rest", dimension=4)
    clients.sdk.create_collection("quick_sdk", dimension=4)
    made, model = (clients.sdk.describe_collection(name) for name in ("quick_rest", "quick_sdk"))
    ignored = {"collection_name", "collection_id", "created_timestamp", "update_timestamp", "consistency_level"}
    ignored |= {"consistency_level_name"}
    assert {k: v for k, v in made.items() if k not in ignored} == {k: v for k, v in model.items() if k not in ignored}
    index, model_index = (clients.sdk.describe_index(name, "vector") for name in ("quick_rest", "quick_sdk"))
    assert index == model_index
    assert made["fields"][0]["type"] == DataType.INT64


def test_whatever_is_not_a_number_becomes_null(clients: ProtocolClients) -> None:
    clients.ask("entities/delete", collectionName=COLLECTION, filter="id >= 0")
    row = {"id": 1, "vector": [1.0, 2.0, 3.0], "sparse": {1: 1.0}, "double": math.nan, "single": math.inf}
    clients.sdk.insert(COLLECTION, [row])
    (read,) = clients.ask("entities/query", collectionName=COLLECTION, filter="id == 1")
    assert (read["double"], read["single"]) == (None, None)


def test_vectors_in_bytes_are_refused_by_an_engine_without_them(clients: ProtocolClients) -> None:
    vector = {"fieldName": "v", "dataType": "BinaryVector", "elementTypeParams": {"dim": 8}}
    code, message = clients.refused(
        "collections/create", collectionName="bytes", schema={"fields": [FIELDS[0], vector]}, indexParams=[]
    )
    assert (code, "BinaryVector" in message) == (6, True)
