"""The first part of a conjunction decides which rows the others see, over the servicer and a real Milvus Lite."""

from typing import Any

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

MINE: list[dict[str, Any]] = [
    {"id": number, "owner": "me", "n": number, "j": {"k": number}, "a": [number], "nullable": number, "dynamic": number}
    for number in range(1, 6)
]
OTHER: dict[str, Any] = {"id": 9, "owner": "him", "n": 7, "j": {"k": 7}, "a": [7], "nullable": 7, "dynamic": 7}
OTHERS: list[list[dict[str, Any]]] = [
    [OTHER],
    [{**OTHER, "n": 2**60}],
    [{**OTHER, "n": -(2**63)}],
    [{**OTHER, "n": 0, "j": {"k": 0}, "a": [0], "nullable": 0, "dynamic": 0}],
    [{**OTHER, "j": {"k": "text"}, "dynamic": "text"}],
    [{**OTHER, "j": {}, "a": [], "nullable": None, "dynamic": [1]}],
    [{**OTHER, "j": {"k": {"x": 1}}, "dynamic": {"x": 1}}],
    [{**OTHER, "j": {"k": True}, "dynamic": True}],
]
"""Rows that the first part leaves out, each set beside the same rows of one's own."""

FILTERS = [
    "n == 1.0",
    "n in [1.5]",
    "n / (n - 7) > 1",
    "10 % (n - 7) >= 0",
    "n * 1125899906842624 > 0.5",
    'dynamic not in ["1"]',
    "dynamic in [1, 2]",
    "not (dynamic in [1, 2])",
    "dynamic > 2",
    'dynamic like "1%"',
    "dynamic is null",
    'j["k"] not in [1, 2]',
    '10 / j["k"] > 2',
    "a[0] > 2 and dynamic > 3",
    "nullable + 1 > 2",
    "not (nullable in [1, 2])",
    "array_contains(a, 3) or n > 4.5",
]


def stored(database: ServedDatabase, name: str, rows: list[dict[str, Any]], *, flushed: bool) -> None:
    schema = CollectionSchema(
        fields=[
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("owner", DataType.VARCHAR, max_length=8),
            FieldSchema("n", DataType.INT64),
            FieldSchema("nullable", DataType.INT64, nullable=True),
            FieldSchema("j", DataType.JSON),
            FieldSchema("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        ],
        enable_dynamic_field=True,
    )
    collection = database.create_collection(name, schema)
    collection.insert([{**row, "vector": [0.0, 1.0]} for row in rows])
    if flushed:
        collection.flush()
    collection.load()


def found(database: ServedDatabase, filter_: str, name: str = "docs") -> list[int] | str:
    request = milvus_pb2.QueryRequest(collection_name=name, expr=filter_, output_fields=["id"])
    response = EngineServicer(database).Query(request, CallContext(()))
    if response.status.code:
        return str(response.status.reason)
    return sorted(next(each for each in response.fields_data if each.field_name == "id").scalars.long_data.data)


@pytest.mark.parametrize("flushed", [False, True], ids=["in memory", "in a segment"])
@pytest.mark.parametrize("others", OTHERS, ids=range(len(OTHERS)))
def test_rows_that_the_first_part_leaves_out_change_nothing(
    open_at: OpenDatabase, others: list[dict[str, Any]], *, flushed: bool
) -> None:
    database = open_at("none")
    stored(database, "together", MINE + others, flushed=flushed)
    stored(database, "alone", MINE, flushed=flushed)
    together = {each: found(database, f'(owner == "me") and ({each})', "together") for each in FILTERS}
    assert together == {each: found(database, f'(owner == "me") and ({each})', "alone") for each in FILTERS}
    assert all(isinstance(each, list) for each in together.values())


def test_what_follows_changes_nothing_in_the_first_part(open_at: OpenDatabase) -> None:
    database = open_at("none")
    stored(database, "docs", [*MINE, {**OTHER, "nullable": None}], flushed=False)
    first = "nullable not in [1]"
    assert found(database, first) == [2, 3, 4, 5, 9]
    assert found(database, f'({first}) and (j["k"] >= 0)') == [2, 3, 4, 5, 9]
    assert found(database, f'({first}) and (j["k"] >= 0) and owner == "him"') == [9]


def test_a_part_that_no_row_passes_ends_the_evaluation(open_at: OpenDatabase) -> None:
    database = open_at("none")
    stored(database, "docs", [{**OTHER, "n": 2**60}], flushed=False)
    assert found(database, 'owner == "nobody" and n == 1.0') == []
    assert "not in range" in str(found(database, "n == 1.0"))
