"""Columns become plain values, and everything that could be read in two ways is refused."""

import json
from typing import Any

import pytest
from pymilvus.grpc_gen import schema_pb2
from tests.unit.gateway.row_access.collections import (
    Type,
    column,
    columns_of,
    documents,
    field,
    fields,
    keys,
    owners,
    readers,
)

from kiteward.domain.errors import EngineResponseUnreadable, InvalidArgument
from kiteward.gateway.row_access.columns import given_rows, stored_columns
from kiteward.gateway.row_access.fields import fields_of_collection

READ = ("id", "owner", "state", "readers", "level")


def read(rows: int, *columns: schema_pb2.FieldData, **facts: Any) -> Any:
    """Return the columns of a write as they are read."""
    return given_rows(columns_of(*columns), rows, fields=fields(**facts), needed=READ).columns


def refusal(rows: int, *columns: schema_pb2.FieldData, **facts: Any) -> str:
    """Return why a write is refused."""
    with pytest.raises(InvalidArgument) as refused:
        read(rows, *columns, **facts)
    assert refused.value.details[0].parameters["column"]
    return str(refused.value)


def test_the_columns_that_are_needed_become_plain_values() -> None:
    found = read(2, keys(1, 2), owners("ann", "bob"), readers(["x", "y"], []), column("level", Type.Int8, [-128, 127]))
    assert found == {"id": [1, 2], "owner": ["ann", "bob"], "readers": [("x", "y"), ()], "level": [-128, 127]}


def test_columns_that_are_not_needed_are_not_read() -> None:
    vectors = schema_pb2.FieldData(field_name="vector", type=Type.FloatVector)
    assert given_rows(columns_of(owners("ann"), vectors), 1, fields=fields(), needed=["owner"]).columns == {
        "owner": ["ann"]
    }


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Type.Bool, [True, False]),
        (Type.Int16, [-(2**15), 2**15 - 1]),
        (Type.Int32, [-(2**31), 2**31 - 1]),
        (Type.Int64, [-(2**63), 2**63 - 1]),
        (Type.VarChar, ["", "'\"\\\n\0ä"]),
    ],
)
def test_values_of_every_type_that_policies_read_are_exact(
    kind: schema_pb2.DataType.ValueType, values: list[Any]
) -> None:
    described = documents(others=[field("other", kind), field("others", Type.Array, element_type=kind)])
    given = columns_of(column("other", kind, values), column("others", Type.Array, [values, []], elements=kind))
    found = given_rows(given, 2, fields=fields_of_collection(described), needed=["other", "others"]).columns
    assert found == {"other": values, "others": [tuple(values), ()]}
    assert [type(value) for value in found["other"]] == [type(value) for value in values]


def test_a_column_that_is_given_twice_is_refused() -> None:
    assert "given twice" in refusal(1, owners("ann"), keys(1), owners("bob"))


def test_a_column_that_policies_do_not_read_is_refused_twice_too() -> None:
    vectors = column("vector", Type.FloatVector, [1])
    assert "given twice" in refusal(1, vectors, vectors)


def test_a_column_of_no_field_is_refused_and_its_name_shortened() -> None:
    text = refusal(1, column("x" * 500, Type.VarChar, ["ann"]))
    assert "no such field" in text
    assert len(text) < 200


@pytest.mark.parametrize("kind", [Type.Int64, Type.JSON, 4711])
def test_a_column_of_another_type_than_its_field_is_refused(kind: int) -> None:
    given = owners("ann")
    given.type = kind  # type: ignore[assignment]  # unknown numbers too
    assert "the field is of type VarChar" in refusal(1, given)


def test_values_in_another_place_than_those_of_the_type_are_refused() -> None:
    given = column("owner", Type.Int64, [1])
    given.type = Type.VarChar
    assert "not those of a field of type VarChar" in refusal(1, given)


def test_a_column_without_values_is_refused() -> None:
    assert "not those of" in refusal(1, schema_pb2.FieldData(field_name="owner", type=Type.VarChar))


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_column_of_another_length_than_the_request_is_refused(rows: int) -> None:
    assert f"has {rows} rows" in refusal(rows, owners("ann", "bob"))


def test_numbers_that_some_engines_cut_to_the_type_are_refused() -> None:
    assert "not those of a field of type Int8" in refusal(1, column("level", Type.Int8, [300]))


def test_array_elements_of_another_type_are_refused() -> None:
    given = readers(["x"])
    given.scalars.array_data.data[0].long_data.data.append(1)
    assert "not those of a field of type Array" in refusal(1, given)


def test_an_array_that_says_another_element_type_is_refused() -> None:
    given = readers(["x"])
    given.scalars.array_data.element_type = Type.Int64
    assert "not those of a field of type Array" in refusal(1, given)


def test_an_array_row_without_any_values_is_empty() -> None:
    given = readers(["x"])
    given.scalars.array_data.data.add()
    assert read(2, given)["readers"] == [("x",), ()]


def test_the_field_id_of_another_field_is_refused() -> None:
    assert "field id" in refusal(1, owners("ann", field_id=102))
    assert read(1, owners("ann", field_id=105))["owner"] == ["ann"]


def test_an_array_of_structs_is_refused() -> None:
    given = schema_pb2.FieldData(field_name="parts", type=Type.ArrayOfStruct)
    given.struct_arrays.fields.add(field_name="owner")
    assert "structs" in refusal(1, given)


def test_a_null_in_a_field_that_is_read_is_refused() -> None:
    assert "row 1 has no value" in refusal(2, owners("ann", valid_data=[True, False]))


@pytest.mark.parametrize(("values", "valid"), [(["a", "b"], [True]), (["a", "b"], [True, False, False])])
def test_marks_that_do_not_fit_the_values_are_refused(values: list[str], valid: list[bool]) -> None:
    assert "valid_data" in refusal(len(values), owners(*values, valid_data=valid))


@pytest.mark.parametrize("values", [["done"], ["done", "ignored"]])
def test_a_missing_value_of_a_field_with_a_default_is_the_default(values: list[str]) -> None:
    given = column("state", Type.VarChar, values, valid_data=[True, False])
    assert read(2, given)["state"] == ["done", "draft"]


def test_marks_that_say_that_everything_is_there_change_nothing() -> None:
    assert read(2, owners("ann", "bob", valid_data=[True, True]))["owner"] == ["ann", "bob"]


def dynamic(*values: Any, **facts: Any) -> schema_pb2.FieldData:
    """Return the column of dynamic fields."""
    texts = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return column("$meta", Type.JSON, texts, is_dynamic=True, **facts)


def test_dynamic_fields_are_accepted() -> None:
    assert (
        read(3, dynamic({"colour": "red"}, {}, {"deep": {"owner": "bob"}, "text": 'a "owner" \\'}), dynamic=True) == {}
    )


@pytest.mark.parametrize(
    "text",
    [
        b'{"owner": "bob"}',
        b'{"a": 1, "owner" : "bob"}',
        b'{"\\u006fwner": "bob"}',
        b' {"owner": "bob"}',
        b'{"id": 7}',
        b'{"$meta": {"owner": "bob"}}',
        b'{"_seq": 1}',
    ],
)
def test_a_dynamic_key_with_the_name_of_a_field_is_refused(text: bytes) -> None:
    assert "which is the name of a field" in refusal(2, dynamic({}, text), dynamic=True)


@pytest.mark.parametrize("text", [b'"{\\"owner\\": 1}"', b"[1]", b"", b"null", b'{"owner"', b"{" * 100_000])
def test_a_dynamic_value_that_is_no_object_is_refused(text: bytes) -> None:
    if text.startswith(b"{{"):
        assert read(1, dynamic(text), dynamic=True) == {}  # no engine finds a key in it
    else:
        assert "not a JSON object" in refusal(1, dynamic(text), dynamic=True)


@pytest.mark.parametrize(
    "given",
    [
        column("owner", Type.VarChar, ["bob"], is_dynamic=True),
        column("$meta", Type.VarChar, ['{"owner": "bob"}'], is_dynamic=True),
        column("$meta", Type.VarChar, ['{"owner": "bob"}']),
        column("more", Type.JSON, [b'{"owner": "bob"}'], is_dynamic=True),
    ],
)
def test_a_column_that_is_dynamic_in_an_unusual_way_is_refused(given: schema_pb2.FieldData) -> None:
    assert refusal(1, given, dynamic=True)


def test_a_collection_without_dynamic_fields_has_no_such_column() -> None:
    assert refusal(1, dynamic({}))


def test_dynamic_values_of_another_type_or_number_are_refused() -> None:
    given = dynamic({})
    assert "has 2 rows" in refusal(2, given, dynamic=True)
    given.scalars.string_data.data.append("{}")
    assert "not JSON" in refusal(1, given, dynamic=True)


def stored(*columns: schema_pb2.FieldData) -> Any:
    """Return the owners and keys that an engine returned."""
    return stored_columns(columns, ["id", "owner"], fields=fields())


def test_stored_rows_are_read_with_their_nulls() -> None:
    found = stored(owners("ann", "", valid_data=[True, False]), keys(1, 2), column("RowID", Type.Int64, []))
    assert found == {"id": [1, 2], "owner": ["ann", None]}


@pytest.mark.parametrize(
    "columns",
    [
        [keys(1)],
        [keys(1), owners("ann", "bob")],
        [keys(1), column("owner", Type.Int64, [1])],
        [keys(1), owners("ann", valid_data=[True, True])],
    ],
)
def test_stored_rows_that_are_not_as_they_must_be_are_an_error(columns: list[schema_pb2.FieldData]) -> None:
    with pytest.raises(EngineResponseUnreadable):
        stored(*columns)
