import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.domain.errors import InvalidArgument
from kiteward.milvus import json_codec, messages
from kiteward.milvus.collection_fields import CollectionShape, DataType, Field

KEY = Field("id", DataType.Int64, primary=True)
ALL = CollectionShape(
    {
        field.name: field
        for field in (
            KEY,
            *(Field(kind.name, kind, element=DataType.Int16, dimension=8, optional=True) for kind in DataType),
        )
    },
    frozenset({"structs"}),
    dynamic=True,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def read(kind: DataType, value: Any, **about: Any) -> Any:
    field = Field("f", kind, **about)
    (row,) = json_codec.rows({"f": value}, CollectionShape({"f": field}))
    return row["f"]


def test_our_names_of_types_are_the_protocols() -> None:
    schema = messages.descriptor_of(type(messages.DescribeCollectionResponse().schema))
    protocol = schema.file.enum_types_by_name["DataType"].values_by_name
    assert {kind.name: kind.value for kind in DataType} == {kind.name: protocol[kind.name].number for kind in DataType}


@given(st.dictionaries(st.sampled_from([*ALL.fields, "structs", "$meta", "other"]), JSON) | JSON)
def test_any_json_is_read_or_refused_with_a_sentence(data: Any) -> None:
    try:
        made = json_codec.rows(data, ALL)
    except InvalidArgument as error:
        assert str(error)
    else:
        assert all(isinstance(row, dict) for row in made)


@given(JSON, st.sampled_from(ALL.vectors))
def test_any_search_data_is_read_or_refused_with_a_sentence(data: Any, field: Field) -> None:
    try:
        assert json_codec.vectors(data, field)
    except InvalidArgument as error:
        assert str(error)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (DataType.Int64, "-9223372036854775808", -(2**63)),
        (DataType.Int8, "+127", 127),
        (DataType.Float, "0.5", 0.5),
        (DataType.Double, 1, 1.0),
        (DataType.Bool, "true", True),
        (DataType.JSON, '"text"', '"text"'),
        (DataType.JSON, [1], [1]),
        (DataType.Timestamptz, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        (DataType.SparseFloatVector, {"9": 1, "2": 0.5}, {2: 0.5, 9: 1.0}),
        (DataType.SparseFloatVector, {"indices": [9, 2], "values": [1, 0.5]}, {2: 0.5, 9: 1.0}),
        (DataType.SparseFloatVector, {"indices": 1, "2": 0.5}, None),
    ],
)
def test_values_are_read_in_every_spelling(kind: DataType, value: Any, expected: Any) -> None:
    if expected is None:
        with pytest.raises(InvalidArgument):
            read(kind, value)
    else:
        made = read(kind, value)
        assert made == expected
        assert type(made) is type(expected)
        if isinstance(expected, dict):
            assert [*made] == [*expected]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.Int64, True),
        (DataType.Int64, 1.0),
        (DataType.Int64, "1.0"),
        (DataType.Int64, "٣"),
        (DataType.Int32, 2**31),
        (DataType.Float, 1e39),
        (DataType.Float, "nan"),
        (DataType.Double, 10**400),
        (DataType.Bool, 1),
        (DataType.VarChar, 5),
        (DataType.JSON, "text"),
        (DataType.Array, "[1]"),
        (DataType.ArrayOfVector, [[1]]),
        (DataType.SparseFloatVector, {"4294967295": 1}),
        (DataType.SparseFloatVector, {"01": 1, "1": 1}),
        (DataType.SparseFloatVector, {"indices": [1, 2], "values": [1]}),
        (DataType.SparseFloatVector, {"1": "inf"}),
    ],
)
def test_values_of_another_type_are_refused(kind: DataType, value: Any) -> None:
    with pytest.raises(InvalidArgument, match="row 0, field `f`"):
        read(kind, value, element=DataType.Int64)


def test_byte_vectors_are_read_from_base64_and_from_numbers() -> None:
    floats = [0.5, -2.0]
    half = struct.pack("<2e", *floats)
    assert read(DataType.Float16Vector, floats, dimension=2) == half
    assert read(DataType.Float16Vector, base64.b64encode(half).decode(), dimension=2) == half
    assert read(DataType.BFloat16Vector, floats, dimension=2) == struct.pack("<2H", 0x3F00, 0xC000)
    assert read(DataType.BFloat16Vector, [1.00390625], dimension=1) == struct.pack("<H", 0x3F80)
    assert read(DataType.BFloat16Vector, [1.01171875], dimension=1) == struct.pack("<H", 0x3F82)
    assert read(DataType.BinaryVector, [255, 1], dimension=16) == b"\xff\x01"
    assert read(DataType.BinaryVector, "/wE=", dimension=16) == b"\xff\x01"
    assert read(DataType.Int8Vector, [-128, 127], dimension=2) == b"\x80\x7f"
    assert read(DataType.Int8Vector, "gH8=", dimension=2) == b"\x80\x7f"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.Float16Vector, [70000.0, 1.0]),
        (DataType.Float16Vector, "AAA="),
        (DataType.BFloat16Vector, "not base64"),
        (DataType.BinaryVector, [256]),
        (DataType.BinaryVector, [True]),
        (DataType.BinaryVector, [1, 2]),
        (DataType.Int8Vector, [1.0, 2.0]),
    ],
)
def test_byte_vectors_that_do_not_fit_are_refused(kind: DataType, value: Any) -> None:
    with pytest.raises(InvalidArgument):
        read(kind, value, dimension=8 if kind is DataType.BinaryVector else 2)


def test_rows_say_what_they_lack_and_what_they_have_too_much() -> None:
    shape = CollectionShape({"id": KEY, "note": Field("note", DataType.VarChar, optional=True)})
    assert json_codec.rows([{"id": 1}, {"id": "2", "note": None}], shape) == [{"id": 1}, {"id": 2, "note": None}]
    with pytest.raises(InvalidArgument, match="row 1: field `id` is missing"):
        json_codec.rows([{"id": 1}, {}], shape)
    with pytest.raises(InvalidArgument, match="row 0: the collection has no field `other`; it has `id`, `note`"):
        json_codec.rows([{"id": 1, "other": 2}], shape)
    assert json_codec.rows([{}], shape, partial=True) == [{}]


def test_an_automatic_key_is_given_by_all_rows_or_by_none() -> None:
    shape = CollectionShape({"id": Field("id", DataType.Int64, primary=True, generated=True)}, dynamic=True)
    assert json_codec.rows([{"a": 1}, {"a": 2}], shape) == [{"a": 1}, {"a": 2}]
    with pytest.raises(InvalidArgument, match="either every row gives the automatic primary key `id` or none does"):
        json_codec.rows([{"a": 1}, {"id": 2}], shape)


def test_a_value_is_never_repeated_in_a_refusal() -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(DataType.Int64, "a secret")
    assert "secret" not in str(caught.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_text_keys_stay_inside_their_quotes(keys: list[str]) -> None:
    expression = json_codec.among(Field("name", DataType.VarChar), keys)
    assert expression.startswith("name in [")
    literals = expression.removeprefix("name in ")
    assert json.loads(literals, strict=False) == keys


@pytest.mark.parametrize(
    ("kind", "key", "expression"),
    [
        (DataType.Int64, -(2**63), "id > -9223372036854775808"),
        (DataType.VarChar, "", 'id > ""'),
        (DataType.VarChar, '" or id != "\\', r'id > "\" or id != \"\\"'),
    ],
)
def test_what_follows_a_key_is_one_comparison(kind: DataType, key: Any, expression: str) -> None:
    assert json_codec.beyond(Field("id", kind), key) == expression
