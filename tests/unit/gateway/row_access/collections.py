"""Collections and columns for tests of writes."""

from collections.abc import Sequence
from typing import Any, Final

from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from kiteward.gateway.row_access.fields import CollectionFields, fields_of_collection
from kiteward.milvus.row_columns import Column, read_write

Type: Final = schema_pb2.DataType

SLOTS: Final = {
    Type.Bool: "bool_data",
    Type.Int8: "int_data",
    Type.Int16: "int_data",
    Type.Int32: "int_data",
    Type.Int64: "long_data",
    Type.Double: "double_data",
    Type.VarChar: "string_data",
    Type.JSON: "json_data",
}


def field(name: str, kind: schema_pb2.DataType.ValueType, **facts: Any) -> schema_pb2.FieldSchema:
    """Return a field; its number is the length of its name, so that numbers differ."""
    return schema_pb2.FieldSchema(name=name, data_type=kind, fieldID=100 + len(name), **facts)


def documents(*, auto: bool = False, dynamic: bool = False, others: Sequence[schema_pb2.FieldSchema] = ()) -> Any:
    """Return the description of a collection with a key, owners, readers and vectors."""
    schema = schema_pb2.CollectionSchema(
        name="docs",
        enable_dynamic_field=dynamic,
        fields=[
            field("id", Type.Int64, is_primary_key=True, autoID=auto),
            field("owner", Type.VarChar),
            field("state", Type.VarChar, default_value=schema_pb2.ValueField(string_data="draft")),
            field("readers", Type.Array, element_type=Type.VarChar),
            field("level", Type.Int8),
            field("vector", Type.FloatVector),
            *others,
        ],
    )
    return milvus_pb2.DescribeCollectionResponse(schema=schema)


def fields(**facts: Any) -> CollectionFields:
    """Return the fields of that collection."""
    return fields_of_collection(documents(**facts))


def column(
    name: str,
    kind: schema_pb2.DataType.ValueType,
    values: Sequence[Any],
    *,
    elements: schema_pb2.DataType.ValueType | None = None,
    **facts: Any,
) -> schema_pb2.FieldData:
    """Return a column of values; of arrays if `elements` is their type."""
    data = schema_pb2.FieldData(field_name=name, type=kind, **facts)
    if kind == Type.Array and elements is not None:
        arrays = data.scalars.array_data
        arrays.element_type = elements
        for value in values:
            getattr(arrays.data.add(), SLOTS[elements]).data.extend(value)
    elif kind == Type.FloatVector:
        data.vectors.dim = 2
        data.vectors.float_vector.data.extend([0.5, 0.5] * len(values))
    else:
        getattr(data.scalars, SLOTS[kind]).data.extend(values)
    return data


def owners(*values: str, **facts: Any) -> schema_pb2.FieldData:
    """Return the column of owners."""
    return column("owner", Type.VarChar, values, **facts)


def keys(*values: int) -> schema_pb2.FieldData:
    """Return the column of primary keys."""
    return column("id", Type.Int64, values)


def readers(*values: Sequence[str]) -> schema_pb2.FieldData:
    """Return the column of readers."""
    return column("readers", Type.Array, values, elements=Type.VarChar)


def payload(rows: int, *columns: schema_pb2.FieldData, rpc: str = "Insert", **facts: Any) -> bytes:
    """Return a write with these columns."""
    request = milvus_pb2.InsertRequest if rpc == "Insert" else milvus_pb2.UpsertRequest
    return bytes(request(collection_name="docs", num_rows=rows, fields_data=columns, **facts).SerializeToString())


def columns_of(*columns: schema_pb2.FieldData) -> Sequence[Column]:
    """Return columns as they are read from a request."""
    return read_write("Insert", payload(0, *columns)).columns
