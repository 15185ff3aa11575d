"""Filters that Milvus takes and Milvus Lite alone does not, over the servicer and a real Milvus Lite."""

from typing import Any

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus.grpc_gen import milvus_pb2, schema_pb2
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())

ROWS: list[dict[str, Any]] = [
    {"id": 0, "n": -7, "meta": {"d": "a", "n": 0}},
    {"id": 1, "n": 7, "meta": {"d": "b", "n": 1}},
    {"id": 2, "n": 3, "meta": {"d": 'it\'s "c"', "n": 2.5}},
    {"id": 3, "n": 0, "meta": {"other": 1}},
]


@pytest.fixture
def database(open_at: OpenDatabase) -> ServedDatabase:
    database = open_at("none")
    schema = CollectionSchema(
        fields=[
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("n", DataType.INT64),
            FieldSchema("meta", DataType.JSON),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        ],
        enable_dynamic_field=True,
    )
    rows = [{**row, "vector": [0.0, 1.0], **({"tag": row["meta"]["d"]} if "d" in row["meta"] else {})} for row in ROWS]
    database.create_collection("docs", schema).insert(rows)
    return database


def template(value: Any) -> schema_pb2.TemplateValue:
    match value:
        case bool():
            return schema_pb2.TemplateValue(bool_val=value)
        case int():
            return schema_pb2.TemplateValue(int64_val=value)
        case float():
            return schema_pb2.TemplateValue(float_val=value)
        case str():
            return schema_pb2.TemplateValue(string_val=value)
        case [int(), *_]:
            array = schema_pb2.TemplateArrayValue(long_data=schema_pb2.LongArray(data=value))
            return schema_pb2.TemplateValue(array_val=array)
        case _:
            array = schema_pb2.TemplateArrayValue(string_data=schema_pb2.StringArray(data=value))
            return schema_pb2.TemplateValue(array_val=array)


def query(database: ServedDatabase, filter_: str, **values: Any) -> Any:
    request = milvus_pb2.QueryRequest(
        collection_name="docs",
        expr=filter_,
        output_fields=["id"],
        expr_template_values={name: template(value) for name, value in values.items()},
    )
    return EngineServicer(database).Query(request, HERE)


def found(database: ServedDatabase, filter_: str, **values: Any) -> list[int]:
    answer = query(database, filter_, **values)
    assert answer.status.code == 0, answer.status.reason
    return sorted(answer.fields_data[0].scalars.long_data.data) if answer.fields_data else []


@pytest.mark.parametrize(
    ("filter_", "rows"),
    [
        pytest.param('meta["d"] in ["a", "b"]', [0, 1], id="path in"),
        pytest.param("meta['n'] in [1, 2.5]", [1, 2], id="path in numbers"),
        pytest.param('meta["d"] in ["a"]', [0], id="path in one"),
        pytest.param('meta["d"] in []', [], id="path in nothing"),
        pytest.param('meta["d"] not in ["a"]', [1, 2, 3], id="path not in, with rows without the key"),
        pytest.param('meta["d"] not in []', [0, 1, 2, 3], id="path not in nothing"),
        pytest.param('not (meta["d"] in ["a"]) and meta["d"] is not null', [1, 2], id="not path in"),
        pytest.param('$meta["tag"] in ["a", "b"]', [0, 1], id="dynamic path in"),
        pytest.param('meta["d"] in ["a"] or id in [3] and n == 0', [0, 3], id="precedence"),
        pytest.param("-7 < n <= 3", [2, 3], id="range"),
        pytest.param("n > -9 && (n < 0 || n == 7)", [0, 1], id="logical operators as signs"),
        pytest.param("7 >= n > 0", [1, 2], id="descending range"),
        pytest.param('0 < meta["n"] < 3', [1, 2], id="range over a path"),
        pytest.param("(n) >= 0 and 0 < (n) < 7", [2], id="range of a field in parentheses"),
        pytest.param("n % 7 == 3", [2], id="remainder"),
        pytest.param("n % 4 == -3", [0], id="remainder of a negative number"),
        pytest.param("n % 4 + 1 == 4 or id == 3", [1, 2, 3], id="remainder binds as a product"),
        pytest.param("10 % n == 1", [2], id="remainder by a column that holds zero"),
        pytest.param("n % 0 == 0 or n % (n - n) == 0", [], id="remainder by zero"),
        pytest.param("n / 0 == 1 or id / 0.0 == 1", [], id="quotient by zero"),
        pytest.param('meta["n"] % 2 == 0.5', [2], id="remainder over a path"),
        pytest.param('meta["d"] == "100 % sure"', [], id="percent sign in a string"),
        pytest.param('meta["d"] == "{x}" or meta[\'d\'] == \'it\\\'s "c"\'', [2], id="braces and quotes in strings"),
    ],
)
def test_filter_finds_what_milvus_finds(database: ServedDatabase, filter_: str, rows: list[int]) -> None:
    assert found(database, filter_) == rows


@pytest.mark.parametrize(
    ("filter_", "values", "rows"),
    [
        ("id in {ids}", {"ids": [1, 2]}, [1, 2]),
        ("id in { ids }", {"ids": []}, []),
        ('meta["d"] in {names}', {"names": ["a", 'it\'s "c"']}, [0, 2]),
        ('meta["d"] == {name}', {"name": 'it\'s "c"'}, [2]),
        ("n > {low} and n < {high}", {"low": 0, "high": 5.5}, [2]),
        ('meta["d"] == "{name}" or id == {name}', {"name": 3}, [3]),
        ('meta["d"] == {name}', {"name": 'a" or "1" == "1'}, []),
        ("id == 1", {"unused": "x"}, [1]),
    ],
)
def test_templates_are_filled_in_as_values_and_nothing_else(
    database: ServedDatabase, filter_: str, values: dict[str, Any], rows: list[int]
) -> None:
    assert found(database, filter_, **values) == rows


@pytest.mark.parametrize(
    ("filter_", "values", "sentence"),
    [
        ("id in {ids}", {}, "the template {ids} has no value (filter_params)"),
        ("id in {ids}", {"other": 1}, "the value of expression template variable name {ids} is not found"),
        ("n == {x}", {"x": float("nan")}, "of a type that a filter cannot hold"),
        ("n ** 2 == 4", {}, "does not support the operator '**' in filters"),
        ("n & 1 == 1", {}, "does not support the operator '&' in filters"),
        ("n << 1 == 2", {}, "does not support the operator '<<' in filters"),
        ("(1 < n) < 3", {}, "comparison '<' between incompatible types"),
        ("1 < n > 3", {}, "comparison '>' between incompatible types"),
        ("1 < n < 3 < 4", {}, "comparison '<' between incompatible types"),
        ('meta["d"] in "a"', {}, "expected '[' after 'in'"),
    ],
)
def test_what_has_no_certain_meaning_is_refused_with_a_sentence(
    database: ServedDatabase, filter_: str, values: dict[str, Any], sentence: str
) -> None:
    answer = query(database, filter_, **values)
    assert answer.status.code != 0
    assert sentence in answer.status.reason


def test_deletions_and_searches_take_the_same_filters(database: ServedDatabase) -> None:
    engine = EngineServicer(database)
    ids = {"ids": template([0, 1])}
    deletion = milvus_pb2.DeleteRequest(collection_name="docs", expr="id in {ids}", expr_template_values=ids)
    answer = engine.Delete(deletion, HERE)
    assert (answer.status.code, answer.delete_cnt, answer.IDs.WhichOneof("id_field")) == (0, 2, None)
    assert found(database, "id >= 0") == [2, 3]
    search = milvus_pb2.SearchRequest(collection_name="docs", dsl="id == {absent}")
    assert engine.Search(search, HERE).status.code != 0
    part = milvus_pb2.SearchRequest(dsl="id == {x}", expr_template_values=ids)
    hybrid = milvus_pb2.HybridSearchRequest(collection_name="docs", requests=[part])
    assert engine.HybridSearch(hybrid, HERE).status.code != 0
