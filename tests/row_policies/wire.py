"""Rows as columns of the protocol, and what answers hold as rows."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pymilvus.grpc_gen import common_pb2, schema_pb2
from tests.row_policies.schemas import DIMENSIONS, VECTOR, Field, Kind, Schema
from tests.row_policies.values import as_json

Row = dict[str, Any]
Key = int | str

DYNAMIC: Final = "$meta"
_FLOAT_VECTOR: Final = 101
_SLOTS: Final = {
    Kind.BOOL: "bool_data",
    Kind.INT8: "int_data",
    Kind.INT16: "int_data",
    Kind.INT32: "int_data",
    Kind.INT64: "long_data",
    Kind.FLOAT: "float_data",
    Kind.DOUBLE: "double_data",
    Kind.VARCHAR: "string_data",
    Kind.GEOMETRY: "geometry_wkt_data",
    Kind.TIMESTAMPTZ: "string_data",
    Kind.JSON: "json_data",
    Kind.ARRAY: "array_data",
}


def columns(schema: Schema, rows: Sequence[Row], names: Iterable[str]) -> list[Any]:
    """Return rows as columns.

    Args:
        schema: of the collection.
        rows: values by field; one that is missing is null. Values of no field are dynamic.
        names: the fields to send; `$meta` for the dynamic ones.
    """
    fields = {field.name: field for field in schema.scalars}
    return [_column(name, fields.get(name), rows, fields) for name in names]


def _column(name: str, field: Field | None, rows: Sequence[Row], fields: Mapping[str, Field]) -> Any:
    made: Any = schema_pb2.FieldData(field_name=name)
    if name == VECTOR:
        made.type = _FLOAT_VECTOR
        made.vectors.dim = DIMENSIONS
        made.vectors.float_vector.data.extend(each for row in rows for each in row[VECTOR])
        return made
    if field is None:
        made.type, made.is_dynamic = Kind.JSON, True
        made.scalars.json_data.data.extend(as_json(dynamic_of(row, fields)) for row in rows)
        return made
    made.type = field.kind
    found = [row.get(name) for row in rows]
    if field.nullable or None in found:
        made.valid_data.extend(value is not None for value in found)
    _fill(made.scalars, field, [value for value in found if value is not None])
    return made


def dynamic_of(row: Row, fields: Iterable[str]) -> Row:
    """Return what a row has beside its fields."""
    return {name: value for name, value in row.items() if name not in fields and name != VECTOR}


def _fill(scalars: Any, field: Field, found: Sequence[Any]) -> None:
    if field.kind is Kind.ARRAY:
        assert field.element is not None
        scalars.array_data.element_type = field.element
        for value in found:
            getattr(scalars.array_data.data.add(), _SLOTS[field.element]).data.extend(value)
    elif field.kind is Kind.JSON:
        scalars.json_data.data.extend(as_json(value) for value in found)
    else:
        slot = getattr(scalars, _SLOTS[field.kind])
        slot.SetInParent()
        slot.data.extend(found)


def rows_of(fields: Sequence[Any]) -> list[Row]:
    """Return columns as rows; a null is None."""
    found = [(each.field_name, _values(each)) for each in fields]
    length = max((len(column) for _, column in found), default=0)
    rows: list[Row] = [{} for _ in range(length)]
    for name, column in found:
        for row, value in zip(rows, column, strict=True):
            if name == DYNAMIC:
                row.update(value)
            else:
                row[name] = value
    return rows


def _values(column: Any) -> list[Any]:
    if column.type == _FLOAT_VECTOR:
        data = column.vectors.float_vector.data
        return [list(data[at : at + DIMENSIONS]) for at in range(0, len(data), DIMENSIONS)]
    kind = Kind(column.type)
    held = getattr(column.scalars, _SLOTS[kind]).data
    if kind is Kind.ARRAY:
        slot = _SLOTS[Kind(column.scalars.array_data.element_type)]
        found: list[Any] = [list(getattr(each, slot).data) for each in held]
    else:
        found = [json.loads(each) for each in held] if kind is Kind.JSON else list(held)
    if len(found) < len(column.valid_data):  # as requests have it: without the values that are null
        given = iter(found)
        return [next(given) if valid else None for valid in column.valid_data]
    if column.valid_data:
        return [value if valid else None for value, valid in zip(found, column.valid_data, strict=True)]
    return found


def ids_of(ids: Any) -> list[Key]:
    """Return keys."""
    return list(ids.int_id.data) or list(ids.str_id.data)


def placeholders(vectors: Sequence[Sequence[float]]) -> bytes:
    """Return the vectors of a search as it carries them."""
    packed = [struct.pack(f"<{len(each)}f", *each) for each in vectors]
    made: Any = common_pb2.PlaceholderGroup()
    made.placeholders.add(tag="$0", type=_FLOAT_VECTOR, values=packed)
    return bytes(made.SerializeToString())


def pairs(parameters: Mapping[str, Any]) -> list[common_pb2.KeyValuePair]:
    """Return parameters as pairs of texts."""
    return [
        common_pb2.KeyValuePair(key=key, value=value if isinstance(value, str) else json.dumps(value))
        for key, value in parameters.items()
    ]


def fill_templates(message: Any, templates: Mapping[str, Any]) -> None:
    """Add the values of a filter's templates to a request."""
    for name, value in templates.items():
        made = message.expr_template_values[name]
        if isinstance(value, list):
            slot = made.array_val.string_data if isinstance(value[0], str) else made.array_val.long_data
            slot.data.extend(value)
        elif isinstance(value, str):
            made.string_val = value
        else:
            made.int64_val = value


def code_of(response: Any) -> int:
    """Return the code of an answer; 0 for success."""
    status = response if isinstance(response, common_pb2.Status) else response.status
    return int(status.code or status.error_code)


def reason_of(response: Any) -> str:
    """Return the sentence of an answer that failed."""
    status = response if isinstance(response, common_pb2.Status) else response.status
    return str(status.reason)
