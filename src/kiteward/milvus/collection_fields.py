"""The fields of a collection, read from DescribeCollection for those who read and write its rows as JSON."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2

DYNAMIC: Final = "$meta"
"""The field that holds dynamic values in the protocol."""


class DataType(IntEnum):
    """The protocol's types, spelled as REST bodies spell them (`VarChar`, not `VARCHAR`)."""

    Bool = 1
    Int8 = 2
    Int16 = 3
    Int32 = 4
    Int64 = 5
    Float = 10
    Double = 11
    String = 20
    VarChar = 21
    Array = 22
    JSON = 23
    Geometry = 24
    Text = 25
    Timestamptz = 26
    BinaryVector = 100
    FloatVector = 101
    Float16Vector = 102
    BFloat16Vector = 103
    SparseFloatVector = 104
    Int8Vector = 105
    ArrayOfVector = 106


VECTORS: Final = frozenset(range(DataType.BinaryVector, DataType.Int8Vector + 1))
"""The types of vectors, which can be searched."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: its name.
        kind: the number of its type; `DataType` names those that rows can hold.
        element: the type of an array's elements, else 0.
        dimension: the dimension of a vector, else 0.
        primary: whether it is the primary key.
        generated: whether the engine generates its value, as for an automatic key or the output of a function.
        optional: whether a row may hold null for it or leave it out.
        text: whether it is searched by text, because a function computes its vectors from texts.
    """

    name: str
    kind: int
    element: int = 0
    dimension: int = 0
    primary: bool = False
    generated: bool = False
    optional: bool = False
    text: bool = False


@dataclass(frozen=True, slots=True)
class CollectionShape:
    """The fields of a collection.

    Attributes:
        fields: the fields by name, without the dynamic one.
        structs: the names of fields that hold lists of structs.
        dynamic: whether rows may hold values under names of no field.
    """

    fields: dict[str, Field]
    structs: frozenset[str] = frozenset()
    dynamic: bool = False

    @property
    def primary(self) -> Field | None:
        """The primary key."""
        return next((field for field in self.fields.values() if field.primary), None)

    @property
    def vectors(self) -> list[Field]:
        """The fields that can be searched."""
        return [field for field in self.fields.values() if field.kind in VECTORS]


def shape_of(described: messages.DescribeCollectionResponse) -> CollectionShape:
    """Return the shape of a collection."""
    schema = described.schema
    outputs = {name for function in schema.functions for name in function.output_field_names}
    texts = {
        name
        for function in schema.functions
        if function.type == schema_pb2.FunctionType.BM25
        for name in function.output_field_names
    }
    fields = {
        field.name: Field(
            name=field.name,
            kind=field.data_type,
            element=field.element_type,
            dimension=_dimension(field),
            primary=field.is_primary_key,
            generated=field.is_function_output or field.name in outputs or (field.is_primary_key and field.autoID),
            optional=field.nullable or field.default_value.WhichOneof("data") is not None,
            text=field.name in texts,
        )
        for field in schema.fields
        if not field.is_dynamic and field.name != DYNAMIC
    }
    structs = frozenset(struct.name for struct in schema.struct_array_fields)
    return CollectionShape(fields, structs, schema.enable_dynamic_field)


def _dimension(field: schema_pb2.FieldSchema) -> int:
    return next((int(each.value) for each in field.type_params if each.key == "dim" and each.value.isdecimal()), 0)
