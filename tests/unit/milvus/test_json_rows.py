import base64
import json
import struct
from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.milvus import messages
from kiteward.milvus.json_rows import hits, query_rows, shortest

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def response(*columns: Any, output_fields: tuple[str, ...] = ()) -> Any:
    return messages.QueryResults(fields_data=columns, output_fields=output_fields)


def rows(*columns: dict[str, Any], allow_int64: bool = True, output_fields: tuple[str, ...] = ()) -> Any:
    made = query_rows(response(*columns, output_fields=output_fields), allow_int64=allow_int64)
    return json.loads(msgspec.json.encode(made))


def scalar(name: str, slot: str, *data: Any, **more: Any) -> dict[str, Any]:
    return {"field_name": name, "scalars": {slot: {"data": data}}, **more}


@given(st.lists(FLOATS, max_size=50))
def test_floats_keep_their_value_in_the_fewest_digits(values: list[float]) -> None:
    made = shortest(array("f", values))
    assert array("f", made) == array("f", values)
    assert all(float(f"{each:.9g}") == each for each in made)


@pytest.mark.parametrize("value", [0.1, 0.84, 16777216.0, 1e-30, -3.4028234663852886e38])
def test_floats_are_written_as_they_were_sent(value: float) -> None:
    (made,) = shortest(array("f", [value]))
    assert made == pytest.approx(value, rel=1e-8)
    assert len(repr(made)) <= len(repr(value))


def test_nulls_stand_where_the_engine_says_so_in_both_of_its_ways() -> None:
    valid = [True, False, True]
    full = scalar("full", "int_data", 1, 0, 3, valid_data=valid)
    compact = {"field_name": "compact", "vectors": {"dim": 2, "float_vector": {"data": [1, 2, 3, 4]}}}
    assert rows(full, compact | {"valid_data": valid}) == [
        {"full": 1, "compact": [1.0, 2.0]},
        {"full": None, "compact": None},
        {"full": 3, "compact": [3.0, 4.0]},
    ]


def test_64_bit_integers_become_text_where_asked_for_arrays_included() -> None:
    array_column = {
        "field_name": "list",
        "scalars": {"array_data": {"data": [{"long_data": {"data": [1, 2]}}, {"long_data": {"data": []}}]}},
    }
    columns = (scalar("big", "long_data", 2**63 - 1, 5), scalar("plain", "int_data", 1, 2), array_column)
    assert rows(*columns)[0] == {"big": 2**63 - 1, "plain": 1, "list": [1, 2]}
    assert rows(*columns, allow_int64=False) == [
        {"big": str(2**63 - 1), "plain": 1, "list": ["1", "2"]},
        {"big": "5", "plain": 2, "list": []},
    ]


def test_dynamic_values_are_beside_the_fields_and_never_over_them() -> None:
    dynamic = scalar("$meta", "json_data", b'{"a": 1, "id": 9, "b": NaN}', b"not json", is_dynamic=True)
    keys = scalar("id", "long_data", 1, 2)
    assert rows(keys, dynamic) == [{"id": 1, "a": 1, "b": None}, {"id": 2}]
    assert rows(keys, dynamic, output_fields=("id", "a")) == [{"id": 1, "a": 1}, {"id": 2}]
    assert rows(keys, dynamic, output_fields=("id", "$meta"))[0] == {"id": 1, "a": 1, "b": None}


def test_every_kind_of_column_is_shown() -> None:
    sparse = struct.pack("<IfIf", 3, 0.5, 9, 0.25)
    columns = (
        scalar("truth", "bool_data", True),
        scalar("text", "string_data", "é"),
        scalar("json", "json_data", b'{"a": 1}'),
        scalar("place", "geometry_data", b"\x01\x02"),
        scalar("double", "double_data", float("nan")),
        {"field_name": "sparse", "vectors": {"sparse_float_vector": {"contents": [sparse]}}},
        {"field_name": "binary", "vectors": {"dim": 16, "binary_vector": b"\x01\x02"}},
        {"field_name": "half", "vectors": {"dim": 1, "float16_vector": b"\x01\x02"}},
        {"field_name": "brain", "vectors": {"dim": 1, "bfloat16_vector": b"\x01\x02"}},
        {"field_name": "int8", "vectors": {"dim": 2, "int8_vector": b"\x01\x02"}},
        {
            "field_name": "structs",
            "struct_arrays": {
                "fields": [
                    {
                        "field_name": "n",
                        "scalars": {"array_data": {"data": [{"int_data": {"data": [1, 2]}}]}},
                    },
                    {
                        "field_name": "v",
                        "vectors": {
                            "vector_array": {"data": [{"dim": 1, "float_vector": {"data": [0.5, 1.5]}}], "dim": 1}
                        },
                    },
                ]
            },
        },
    )
    raw = base64.b64encode(b"\x01\x02").decode()
    assert rows(*columns) == [
        {
            "truth": True,
            "text": "é",
            "json": '{"a": 1}',
            "place": raw,
            "double": None,
            "sparse": {"3": 0.5, "9": 0.25},
            "binary": raw,
            "half": raw,
            "brain": raw,
            "int8": raw,
            "structs": [{"n": 1, "v": [0.5]}, {"n": 2, "v": [1.5]}],
        }
    ]


def found(results: Any) -> messages.SearchResults:
    return messages.SearchResults(results=results)


def test_hits_carry_their_key_and_distance() -> None:
    results: dict[str, Any] = {
        "ids": {"str_id": {"data": ["a", "b"]}},
        "scores": [0.1, float("nan")],
        "topks": [1, 1],
        "fields_data": [scalar("color", "string_data", "red", "blue")],
        "output_fields": ["color"],
    }
    made = hits(found(results), key="name", allow_int64=True)
    assert json.loads(msgspec.json.encode(made)) == [
        {"color": "red", "name": "a", "distance": 0.1},
        {"color": "blue", "name": "b", "distance": None},
    ]
    told = found({**results, "primary_field_name": "pk", "fields_data": []})
    assert [hit["pk"] for hit in hits(told, key="name", allow_int64=True)] == ["a", "b"]


def test_nothing_found_is_an_empty_list() -> None:
    assert rows() == []
    assert rows({"field_name": "id", "type": 5, "scalars": {"long_data": {}}}) == []
    assert hits(messages.SearchResults(), key="id", allow_int64=True) == []
