"""Reads columns of requests and responses into plain values, of the fields that a check needs.

Engines and clients have several ways to write the same rows, and not all engines read each of them alike. So everything
unusual is refused, before anything is decided by it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineResponseUnreadable, InvalidArgument
from kiteward.gateway.row_access.fields import CollectionFields, DataType, Field, Value
from kiteward.milvus.messages import schema_pb2
from kiteward.milvus.row_columns import Column

Values = Sequence[Value | None]
"""The values of a column; None for a null."""

_DYNAMIC: Final = "$meta"
_ESCAPE: Final = b"\\"
_SHOWN: Final = 64
"""Characters of a column's name that a refusal repeats."""


@dataclass(frozen=True, slots=True)
class GivenRows:
    """The rows of a write.

    Attributes:
        count: how many there are.
        columns: name of a field -> its values, for the fields that were asked for and that the request gives.
    """

    count: int
    columns: Mapping[str, Values]


def given_rows(
    columns: Sequence[Column], count: int, *, fields: CollectionFields, needed: Collection[str]
) -> GivenRows:
    """Read the rows of an Insert or Upsert.

    Where a request marks a value as missing, and the field has a default, the default is returned, as engines do.

    Args:
        columns: the columns of the request.
        count: its number of rows.
        fields: the fields of its collection.
        needed: the fields to read.

    Raises:
        InvalidArgument: a column is given twice, is of no field, is of another type or length than it must be, contains
            nulls where policies read it, or could be read in two ways.
        PayloadMalformed: it is not readable.
    """
    heads: dict[str, Column] = {}
    for column in columns:
        name = column.head.field_name
        if name in heads:
            raise _odd(name, "it is given twice: give each column once")
        heads[name] = column
    found: dict[str, Values] = {}
    for name, column in heads.items():
        if column.head.is_dynamic or name == _DYNAMIC:
            _check_dynamic(column, count, fields)
            continue
        if column.head.WhichOneof("field") == "struct_arrays":
            raise _odd(name, "it is an array of structs")
        field = fields.by_name.get(name)
        if field is None:
            raise _odd(name, "the collection has no such field")
        _check_head(column.head, field)
        if name in needed:
            found[name] = _values(column.values(), count, field)
    return GivenRows(count, found)


def stored_columns(
    data: Sequence[schema_pb2.FieldData], needed: Collection[str], *, fields: CollectionFields
) -> Mapping[str, Values]:
    """Read columns that an engine returned.

    Raises:
        EngineResponseUnreadable: one is missing, or is not what it should be.
    """
    by_name = {each.field_name: each for each in data}
    lengths = set()
    found: dict[str, Values] = {}
    for name in needed:
        field, given = fields.by_name.get(name), by_name.get(name)
        if field is None or given is None or given.type != field.data_type:
            raise EngineResponseUnreadable(f"the engine returned stored rows without the field `{name}`")
        values = _raw_values(given, field)
        if values is None:
            raise EngineResponseUnreadable(f"the engine returned values of another type for the field `{name}`")
        if given.valid_data and len(given.valid_data) != len(values):
            raise EngineResponseUnreadable(f"the engine returned too few values for the field `{name}`")
        marks = given.valid_data or [True] * len(values)
        found[name] = [value if valid else None for value, valid in zip(values, marks, strict=True)]
        lengths.add(len(values))
    if len(lengths) > 1:
        raise EngineResponseUnreadable("the engine returned columns of different lengths")
    return found


def _check_head(head: schema_pb2.FieldData, field: Field) -> None:
    """Check what says how a column is to be read."""
    if head.type != field.data_type:
        given, needed = _type_name(head.type), _type_name(field.data_type)
        raise _odd(field.name, f"it is of type {given}: the field is of type {needed}")
    if head.field_id not in (0, field.number):
        raise _odd(field.name, "its field id is that of another field: leave it out")


def _values(data: schema_pb2.FieldData, count: int, field: Field) -> Values:
    """Return the values of a column that is checked, one for each row."""
    values = _raw_values(data, field)
    if values is None:
        needed = _type_name(field.data_type)
        raise _odd(field.name, f"its values are not those of a field of type {needed}")
    if data.valid_data:
        values = _completed(values, data.valid_data, count, field)
    if len(values) != count:
        raise _odd(field.name, f"it has {len(values)} values: the request has {count} rows")
    return values


def _completed(values: list[Value], valid: Sequence[bool], count: int, field: Field) -> list[Value]:
    """Return the values of a column that marks some as missing, with the default in their place."""
    present = sum(valid)
    if len(valid) != count or len(values) not in (present, count):
        raise _odd(
            field.name,
            f"its `valid_data` and its values do not fit together: it needs {count} marks and {present} values",
        )
    if present == count:
        return values
    if field.default is None:
        row = next(index for index, each in enumerate(valid) if not each)
        raise _odd(field.name, f"row {row} has no value, and a row policy reads it")
    default = field.default
    if len(values) == count:
        return [value if marked else default for value, marked in zip(values, valid, strict=True)]
    compact = iter(values)
    return [next(compact) if marked else default for marked in valid]


def _raw_values(data: schema_pb2.FieldData, field: Field) -> list[Value] | None:
    """Return the values that a column holds; None if they are not those of its field, or are never read."""
    if data.WhichOneof("field") != "scalars" or not field.values_in:
        return None
    if not field.is_array:
        return _scalars(data.scalars, field)
    if data.scalars.WhichOneof("data") != "array_data":
        return None
    arrays = data.scalars.array_data
    if arrays.element_type not in (DataType.Value("None"), field.element_type):
        return None
    found: list[Value] = []
    for each in arrays.data:
        elements = _scalars(each, field) if each.WhichOneof("data") is not None else []
        if elements is None:
            return None
        found.append(tuple(elements))
    return found


def _scalars(scalars: schema_pb2.ScalarField, field: Field) -> list[Any] | None:
    if scalars.WhichOneof("data") != field.values_in:
        return None
    values = list(getattr(scalars, field.values_in).data)
    return values if field.values_in != "int_data" or all(map(field.holds, values)) else None


def _check_dynamic(column: Column, count: int, fields: CollectionFields) -> None:
    """Require that the column of dynamic fields gives no value of a field: engines prefer it to that of the column."""
    head = column.head
    if not fields.dynamic or head.field_name not in ("", _DYNAMIC) or head.type != DataType.JSON:
        raise _odd(head.field_name, "it is not the collection's column of dynamic fields")
    data = column.values()
    if data.WhichOneof("field") != "scalars" or data.scalars.WhichOneof("data") != "json_data":
        raise _odd(head.field_name, "its values are not JSON")
    texts = data.scalars.json_data.data
    if len(texts) != count:
        raise _odd(_DYNAMIC, f"it has {len(texts)} values: the request has {count} rows")
    reserved = [f'"{name}"'.encode() for name in fields.reserved]
    for row, text in enumerate(texts):
        if not text.startswith(b"{") or _ESCAPE in text or any(name in text for name in reserved):
            _check_keys(text, row, fields)


def _check_keys(text: bytes, row: int, fields: CollectionFields) -> None:
    """Require that a JSON text is an object without reserved keys."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _odd(_DYNAMIC, f"row {row} is not a JSON object")
    taken = next((name for name in value if name in fields.reserved), None)
    if taken is not None:
        raise _odd(
            _DYNAMIC, f"row {row} has the key `{taken}`, which is the name of a field: give that field as a column"
        )


def _type_name(number: int) -> str:
    value = schema_pb2.DataType.DESCRIPTOR.values_by_number.get(number)
    return str(number) if value is None else value.name


def _odd(column: str, what: str) -> InvalidArgument:
    """Return the refusal of a column."""
    shown = column[:_SHOWN]
    return InvalidArgument(
        f"the column `{shown}` cannot be checked by row policies: {what}",
        ErrorDetail(ErrorCode.COLUMN_UNCHECKABLE, {"column": shown}),
    )
