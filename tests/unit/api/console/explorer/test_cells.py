"""Values as text: nothing hidden, nothing that acts, nothing that is too long."""

import math
from typing import Any, cast

import pytest

from kiteward.api.console.explorer.cells import (
    DYNAMIC_COLUMN,
    MOST_CHARACTERS,
    brief,
    columns,
    in_full,
    ranked,
    usual_columns,
    values_of,
)
from kiteward.api.console.language import catalogues
from kiteward.api.console.request import ConsoleRequest
from kiteward.milvus.collection_fields import CollectionShape, DataType, Field


class English:
    text = catalogues()["en"]


REQUEST = cast("ConsoleRequest", English())
TEXT = Field("text", DataType.VarChar)
JSON = Field("json", DataType.JSON)
VECTOR = Field("vector", DataType.FloatVector, dimension=768)
BYTES = Field("bytes", DataType.BinaryVector, dimension=4096)
SPARSE = Field("sparse", DataType.SparseFloatVector)
KEY = Field("id", DataType.Int64, primary=True)


@pytest.mark.parametrize(
    ("value", "field", "kind", "text"),
    [
        (None, TEXT, "null", "null"),
        ("", TEXT, "text", ""),
        ("null", TEXT, "text", "null"),
        (True, Field("ok", DataType.Bool), "text", "true"),
        (2**63 - 1, KEY, "number", "9223372036854775807"),
        (-(2**63), KEY, "number", "-9223372036854775808"),
        (0.1, Field("price", DataType.Float), "number", "0.1"),
        (math.nan, Field("price", DataType.Float), "number", "NaN"),
        ('{"a":1}', JSON, "json", '{"a":1}'),
        (["a", "b"], Field("tags", DataType.Array, element=DataType.VarChar), "json", '["a", "b"]'),
        ([0.25] * 768, VECTOR, "vector", "[0.25, 0.25, 0.25, 0.25, …]"),
        ({"7": 0.5}, SPARSE, "vector", "{7: 0.5}"),
        ({"b": "中"}, None, "json", '{"b": "中"}'),
    ],
)
def test_value_is_shown_exactly_and_by_its_kind(value: Any, field: Field | None, kind: str, text: str) -> None:
    cell = brief(REQUEST, value, field)
    assert (cell.kind, cell.text) == (kind, text)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("x" * 65_535, TEXT),
        ('"' + "x" * 65_535 + '"', JSON),
        ([0.123456789] * 32_768, VECTOR),
        ("QUJD" * 10_000, BYTES),
        ({str(index): 0.123456789 for index in range(10_000)}, SPARSE),
        ({"key": "x" * 65_535}, None),
        ("\n" * 65_535, TEXT),
    ],
)
def test_large_value_is_short_in_tables_and_whole_on_the_page_of_its_row(value: Any, field: Field | None) -> None:
    short, whole = brief(REQUEST, value, field), in_full(REQUEST, value, field)
    assert len(short.text) <= MOST_CHARACTERS + 1
    assert short.text.endswith(("…", "…]", "…}"))
    assert short.size
    assert whole.text == short.text
    assert len(whole.full) >= 10_000


def test_what_cannot_be_seen_is_spelled_out() -> None:
    hostile = "bell\x07 turned\u202earound zero\u200bwidth half\ud800 end\x00"
    spelled = "bell\\u0007 turned\\u202earound zero\\u200bwidth half\\ud800 end\\u0000"
    assert brief(REQUEST, hostile, TEXT).text == spelled
    assert in_full(REQUEST, hostile, TEXT).text == spelled
    assert brief(REQUEST, {"\ud800": "\x1b[31m"}, None).text == '{"\\ud800": "\\u001b[31m"}'


def test_lines_are_spelled_in_tables_and_kept_on_the_page_of_the_row() -> None:
    assert brief(REQUEST, "a\nb\tc", TEXT).text == "a\\nb\\tc"
    assert in_full(REQUEST, "a\nb", TEXT).text == "a\nb"


def test_json_is_indented_in_full_and_unchanged_where_it_is_none() -> None:
    assert in_full(REQUEST, '{"a":[1,9007199254740993]}', JSON).text == (
        '{\n  "a": [\n    1,\n    9007199254740993\n  ]\n}'
    )
    assert in_full(REQUEST, "{broken", JSON).text == "{broken"
    deep = "[" * 100_000
    assert in_full(REQUEST, deep, JSON).full == deep


def test_columns_begin_with_the_key_and_vectors_are_not_usual() -> None:
    fields = {field.name: field for field in (TEXT, VECTOR, KEY)}
    shape = CollectionShape(fields, frozenset({"structs"}), dynamic=True)
    assert columns(shape) == ["id", "text", "vector", "structs", DYNAMIC_COLUMN]
    assert usual_columns(shape) == ["id", "text", "structs", DYNAMIC_COLUMN]
    row = {"id": 1, "text": "a", "more": 2}
    assert values_of(row, ["id", "vector", DYNAMIC_COLUMN], shape) == [1, None, {"more": 2}]


def test_values_of_any_kinds_can_be_ranked() -> None:
    values = ["b", None, 2, math.nan, "a", [1], 1.5, {"x": None}, True]
    found = [values[position] for position in ranked(values)]
    assert found[:3] == [True, 1.5, 2]
    assert found[3:5] == ["a", "b"]
    assert found[-1] is None
    assert len(found) == len(values)
    assert [("b", None, "a")[position] for position in ranked(["b", None, "a"], descending=True)] == ["b", "a", None]
