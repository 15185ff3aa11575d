"""Converts schemas between JSON and messages. The engine validates them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec

from kiteward.api.rest.endpoints import Name, ResponseData
from kiteward.api.rest.rpc import Pair, key_values, pairs
from kiteward.api.rest.status import INVALID_PARAMETER, RestFailure
from kiteward.milvus import messages
from kiteward.milvus.collection_fields import DYNAMIC
from kiteward.milvus.messages import schema_pb2


class FieldReq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A field to create."""

    field_name: Name
    data_type: Name
    element_data_type: str = ""
    element_type_params: dict[str, Any] = {}
    description: str = ""
    is_primary: bool = False
    is_partition_key: bool = False
    is_clustering_key: bool = False
    auto_id: bool = msgspec.field(default=False, name="autoID")
    auto_id_in_go: bool = msgspec.field(default=False, name="autoId")
    nullable: bool = False
    default_value: Any = None


class StructFieldReq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A field of lists of structs to create."""

    field_name: Name
    fields: list[FieldReq]
    type_params: dict[str, Any] = {}
    description: str = ""
    nullable: bool = False


class FunctionReq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A function that computes values or a score."""

    name: Name
    type: Name
    description: str = ""
    input_field_names: list[str] = []
    output_field_names: list[str] = []
    params: dict[str, Any] = {}


class SchemaReq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A schema to create; without fields, a quick setup is used."""

    fields: list[FieldReq] = []
    struct_fields: list[StructFieldReq] = []
    functions: list[FunctionReq] = []
    auto_id: bool = msgspec.field(default=False, name="autoID")
    auto_id_in_go: bool = msgspec.field(default=False, name="autoId")
    enable_dynamic_field: bool = False
    description: str = ""


class FieldShape(ResponseData):
    """A field, as returned by `collections/describe`."""

    id: int
    name: str
    type: str
    description: str
    primary_key: bool
    auto_id: bool
    partition_key: bool
    clustering_key: bool
    nullable: bool
    params: list[Pair]
    element_type: str | msgspec.UnsetType = msgspec.UNSET
    default_value: Any = msgspec.UNSET
    is_function_output: bool | msgspec.UnsetType = msgspec.UNSET


class StructFieldShape(ResponseData):
    """A field that holds lists of structs."""

    id: int
    name: str
    description: str
    nullable: bool
    params: list[Pair]
    fields: list[FieldShape]


class FunctionShape(ResponseData):
    """A function of a collection."""

    id: int
    name: str
    type: Annotated[int, msgspec.Meta(description="The number of the function's type: 1 BM25, 2 text embedding.")]
    description: str
    input_field_names: list[str]
    output_field_names: list[str]
    params: list[Pair]


_TYPES: Final[Mapping[str, schema_pb2.DataType.ValueType]] = MappingProxyType(dict(schema_pb2.DataType.items()))
_FUNCTIONS: Final[Mapping[str, schema_pb2.FunctionType.ValueType]] = MappingProxyType(
    dict(schema_pb2.FunctionType.items())
)


def new_schema() -> schema_pb2.CollectionSchema:
    """Return an empty schema message."""
    return schema_pb2.CollectionSchema()


def schema_message(name: str, given: SchemaReq, *, description: str = "") -> schema_pb2.CollectionSchema:
    """Return a schema as a message.

    Args:
        name: the collection's name.
        given: the schema.
        description: the description of the collection, used if the schema has none.

    Raises:
        RestFailure: a type does not exist, or a default value is of another type.
    """
    schema = new_schema()
    schema.name = name
    schema.description = given.description or description
    schema.enable_dynamic_field = given.enable_dynamic_field
    outputs = {output for function in given.functions for output in function.output_field_names}
    for field in given.fields:
        made = schema.fields.add()
        fill_field(made, field)
        made.autoID = field.is_primary and (made.autoID or given.auto_id or given.auto_id_in_go)
        made.is_function_output = field.field_name in outputs
        schema.autoID = schema.autoID or made.autoID
    for struct_field in given.struct_fields:
        fill_struct_field(schema.struct_array_fields.add(), struct_field)
    for function in given.functions:
        fill_function(schema.functions.add(), function)
    return schema


def fill_field(message: schema_pb2.FieldSchema, given: FieldReq) -> None:
    """Fill the message of a field.

    Raises:
        RestFailure: its type does not exist, or its default value is of another type.
    """
    message.name = given.field_name
    message.description = given.description
    message.data_type = type_number(given.data_type, given.field_name)
    message.is_primary_key = given.is_primary
    # Milvus reads names in any case, and its guides write this one in two.
    message.autoID = given.is_primary and (given.auto_id or given.auto_id_in_go)
    message.is_partition_key = given.is_partition_key
    message.is_clustering_key = given.is_clustering_key
    message.nullable = given.nullable
    if given.element_data_type:
        message.element_type = type_number(given.element_data_type, given.field_name)
    message.type_params.extend(key_values(given.element_type_params))
    if given.default_value is not None:
        _fill_default(message, given)


def fill_struct_field(message: schema_pb2.StructArrayFieldSchema, given: StructFieldReq) -> None:
    """Fill the message of a field of lists of structs.

    Raises:
        RestFailure: as `fill_field`, for one of its fields.
    """
    message.name = given.field_name
    message.description = given.description
    message.nullable = given.nullable
    message.type_params.extend(key_values(given.type_params))
    for field in given.fields:
        fill_field(message.fields.add(), field)


def fill_function(message: schema_pb2.FunctionSchema, given: FunctionReq) -> None:
    """Fill the message of a function.

    Raises:
        RestFailure: its type does not exist.
    """
    message.name = given.name
    message.description = given.description
    message.type = function_type(given)
    message.input_field_names.extend(given.input_field_names)
    message.output_field_names.extend(given.output_field_names)
    message.params.extend(key_values(given.params))


def type_number(name: str, field: str) -> schema_pb2.DataType.ValueType:
    """Return the number of a field's type.

    Raises:
        RestFailure: there is no such type; the message lists the existing types.
    """
    if name not in _TYPES:
        raise RestFailure(
            INVALID_PARAMETER,
            f"field `{field}`: there is no data type `{name}` (upper and lower case count); "
            f"there are {', '.join(_TYPES)}: invalid parameter",
        )
    return _TYPES[name]


def function_type(given: FunctionReq) -> schema_pb2.FunctionType.ValueType:
    """Return the number of a function's type.

    Raises:
        RestFailure: there is no such type; the message lists the existing types.
    """
    if given.type not in _FUNCTIONS:
        raise RestFailure(
            INVALID_PARAMETER,
            f"function `{given.name}`: there is no function type `{given.type}` (upper and lower case count); "
            f"there are {', '.join(_FUNCTIONS)}: invalid parameter",
        )
    return _FUNCTIONS[given.type]


_DEFAULTS: Final[Mapping[str, tuple[str, type | tuple[type, ...]]]] = MappingProxyType(
    {
        "Bool": ("bool_data", bool),
        "Int8": ("int_data", int),
        "Int16": ("int_data", int),
        "Int32": ("int_data", int),
        "Int64": ("long_data", int),
        "Float": ("float_data", (int, float)),
        "Double": ("double_data", (int, float)),
        "VarChar": ("string_data", str),
        "Geometry": ("string_data", str),
        "Timestamptz": ("string_data", str),
    }
)
"""Type of a field -> the field of the message that holds its default value, and the Python types of that value."""


def _fill_default(message: schema_pb2.FieldSchema, given: FieldReq) -> None:
    attribute, kind = _DEFAULTS.get(given.data_type, ("", ()))
    value = given.default_value
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    try:
        setattr(message.default_value, attribute if fits else "", value)
    except (AttributeError, TypeError, ValueError):
        raise RestFailure(
            INVALID_PARAMETER,
            f"field `{given.field_name}`: the default value does not fit the type {given.data_type}: invalid parameter",
        ) from None


def field_shape(message: schema_pb2.FieldSchema) -> FieldShape:
    """Return the message of a field for a response."""
    default = message.default_value.WhichOneof("data")
    return FieldShape(
        id=message.fieldID,
        name=message.name,
        type=messages.enum_name(message, "data_type"),
        description=message.description,
        primary_key=message.is_primary_key,
        auto_id=message.autoID,
        partition_key=message.is_partition_key,
        clustering_key=message.is_clustering_key,
        nullable=message.nullable,
        params=pairs(message.type_params),
        element_type=messages.enum_name(message, "element_type") if message.element_type else msgspec.UNSET,
        default_value=_default_shape(message.default_value, default) if default else msgspec.UNSET,
        is_function_output=message.is_function_output or msgspec.UNSET,
    )


def _default_shape(value: Any, which: str) -> dict[str, dict[str, Any]]:
    """Return a default value in Milvus' spelling: `{"Data": {"LongData": 7}}`."""
    held = getattr(value, which)
    spelled = "".join(part.capitalize() for part in which.split("_"))
    return {"Data": {spelled: held.decode(errors="replace") if isinstance(held, bytes) else held}}


def field_shapes(schema: schema_pb2.CollectionSchema) -> list[FieldShape]:
    """Return the fields of a schema for a response."""
    return [field_shape(each) for each in schema.fields if not each.is_dynamic and each.name != DYNAMIC]


def struct_field_shapes(schema: schema_pb2.CollectionSchema) -> list[StructFieldShape]:
    """Return the fields of a schema that hold lists of structs."""
    return [
        StructFieldShape(
            id=each.fieldID,
            name=each.name,
            description=each.description,
            nullable=each.nullable,
            params=pairs(each.type_params),
            fields=[field_shape(field) for field in each.fields],
        )
        for each in schema.struct_array_fields
    ]


def function_shapes(schema: schema_pb2.CollectionSchema) -> list[FunctionShape]:
    """Return the functions of a schema for a response."""
    return [
        FunctionShape(
            id=each.id,
            name=each.name,
            type=each.type,
            description=each.description,
            input_field_names=list(each.input_field_names),
            output_field_names=list(each.output_field_names),
            params=pairs(each.params),
        )
        for each in schema.functions
    ]
