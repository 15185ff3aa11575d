"""What a collection's definition says of its fields, as far as the rows of a write are checked by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from kiteward.domain.errors import EngineResponseUnreadable
from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2

Value: TypeAlias = str | int | bool | tuple[str | int | bool, ...]
"""A value of a field that a policy can read: of an array field a tuple."""

DataType: TypeAlias = schema_pb2.DataType

_VALUES_IN: Final[Mapping[int, str]] = MappingProxyType(
    {
        DataType.Bool: "bool_data",
        DataType.Int8: "int_data",
        DataType.Int16: "int_data",
        DataType.Int32: "int_data",
        DataType.Int64: "long_data",
        DataType.VarChar: "string_data",
    }
)
"""Type of a field -> the alternative of `ScalarField` and of `ValueField` that holds its values."""

_BITS: Final[Mapping[int, int]] = MappingProxyType({DataType.Int8: 8, DataType.Int16: 16})
"""Types with fewer values than the messages can hold. Some Milvus versions cut larger numbers to these bits."""

_ENGINES_OWN: Final = frozenset({"$meta", "_seq", "_partition"})
"""Names by which the engines store something of their own with a row."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a collection.

    Attributes:
        name: its name.
        number: the id that the engine gave it.
        data_type: its `DataType`.
        element_type: for an array, that of its elements; else 0.
        default: its value in a row that gives none; None if it has none, or none that can be read.
    """

    name: str
    number: int
    data_type: int
    element_type: int = 0
    default: Value | None = None

    @property
    def is_array(self) -> bool:
        """Whether its values are arrays."""
        return self.data_type == DataType.Array

    @property
    def values_in(self) -> str:
        """The alternative of `ScalarField` with its values, or with those of its elements; empty if none is read."""
        return _VALUES_IN.get(self.element_type if self.is_array else self.data_type, "")

    def holds(self, value: int) -> bool:
        """Return whether a number is one of its type, or of its elements'."""
        bits = _BITS.get(self.element_type if self.is_array else self.data_type)
        return bits is None or -(1 << bits - 1) <= value < 1 << bits - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFields:
    """The fields of a collection.

    Attributes:
        key: the primary key.
        generates_keys: whether the engine gives each new row its key.
        by_name: the fields by name.
        dynamic: whether rows may have further fields, in a column of JSON.
        reserved: names that a key in that column may not have.
    """

    key: Field
    generates_keys: bool
    by_name: Mapping[str, Field]
    dynamic: bool
    reserved: frozenset[str]


def fields_of_collection(described: messages.DescribeCollectionResponse) -> CollectionFields:
    """Return the fields of a collection that an engine described.

    Raises:
        EngineResponseUnreadable: it has no primary key.
    """
    schema = described.schema
    key = next((each for each in schema.fields if each.is_primary_key), None)
    if key is None:
        raise EngineResponseUnreadable("the engine described a collection without a primary key")
    structs = {name for each in schema.struct_array_fields for name in (each.name, *(one.name for one in each.fields))}
    by_name = {each.name: _field(each) for each in schema.fields}
    return CollectionFields(
        key=by_name[key.name],
        generates_keys=key.autoID or schema.autoID,
        by_name=by_name,
        dynamic=schema.enable_dynamic_field,
        reserved=frozenset({*by_name, *structs, *_ENGINES_OWN}),
    )


def _field(described: schema_pb2.FieldSchema) -> Field:
    element = described.element_type if described.data_type == DataType.Array else 0
    default: Value | None = None
    kind = described.default_value.WhichOneof("data")
    if kind is not None and kind == _VALUES_IN.get(described.data_type):
        default = getattr(described.default_value, kind)
    return Field(described.name, described.fieldID, described.data_type, element, default)
