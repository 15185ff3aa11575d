"""Random collections: every scalar and array type, nullable fields, defaults, a dynamic field, either kind of key."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from pymilvus.grpc_gen import schema_pb2
from tests.access.equivalence.random_values import Draw
from tests.row_policies import values

METRICS: Final = ("L2", "IP", "COSINE")
DIMENSIONS: Final = 2
MARK: Final = "mark"
"""A text that no other row has, and no row has had."""

OWNER: Final = "owner"
VECTOR: Final = "v"
_NAMES: Final = ("tenant", "level", "readers", "flags", "score", "info", "born", "place", "alpha", "beta", "gamma")
_MOST_FIELDS: Final = 6


class Kind(IntEnum):
    """Types of fields, with the protocol's numbers."""

    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TIMESTAMPTZ = 26


INTEGERS: Final = (Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64)
FLOATS: Final = (Kind.FLOAT, Kind.DOUBLE)
ELEMENTS: Final = (Kind.BOOL, *INTEGERS, *FLOATS, Kind.VARCHAR)
RULED: Final = (Kind.BOOL, *INTEGERS, Kind.VARCHAR)
"""Types that a policy compares; in arrays all but the first."""


@dataclass(frozen=True, slots=True)
class Field:
    """One scalar or array field.

    Attributes:
        name: of the field.
        kind: its type.
        element: type of the elements of an array; None for a scalar.
        nullable: whether a row may have no value.
        default: the value of a row that is written without one; None for no default.
    """

    name: str
    kind: Kind
    element: Kind | None = None
    nullable: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Schema:
    """A collection.

    Attributes:
        key: the primary key.
        auto_id: whether the engine makes the keys.
        fields: all but the key and the vector.
        dynamic: whether rows may have further values.
        metric: of the vector's index.
        partitions: their names; the first is the default partition.
    """

    key: Field
    auto_id: bool
    fields: tuple[Field, ...]
    dynamic: bool
    metric: str
    partitions: tuple[str, ...]

    @property
    def scalars(self) -> tuple[Field, ...]:
        """Return all fields but the vector."""
        return (self.key, *self.fields)

    def of_kind(self, *kinds: Kind) -> Sequence[Field]:
        """Return the fields of some types, the key included."""
        return [field for field in self.scalars if field.kind in kinds]

    def message(self, name: str) -> bytes:
        """Return the message that creates the collection, serialised."""
        made: Any = schema_pb2.CollectionSchema(name=name, enable_dynamic_field=self.dynamic, autoID=self.auto_id)
        for field in self.scalars:
            added = made.fields.add(name=field.name, data_type=field.kind, nullable=field.nullable)
            added.is_primary_key, added.autoID = field is self.key, field is self.key and self.auto_id
            if field.element is not None:
                added.element_type = field.element
                added.type_params.add(key="max_capacity", value="16")
            if Kind.VARCHAR in (field.kind, field.element):
                added.type_params.add(key="max_length", value="256")
            if field.default is not None:
                setattr(added.default_value, _DEFAULT_SLOTS[field.kind], field.default)
        made.fields.add(name=VECTOR, data_type=101).type_params.add(key="dim", value=str(DIMENSIONS))
        return bytes(made.SerializeToString())


_DEFAULT_SLOTS: Final = {
    Kind.BOOL: "bool_data",
    Kind.INT8: "int_data",
    Kind.INT16: "int_data",
    Kind.INT32: "int_data",
    Kind.INT64: "long_data",
    Kind.FLOAT: "float_data",
    Kind.DOUBLE: "double_data",
    Kind.VARCHAR: "string_data",
}


def draw_schema(draw: Draw, pool: values.Pool) -> Schema:
    """Return a random collection."""
    key = Field(draw.of(("id", "pk")), draw.of((Kind.INT64, Kind.VARCHAR)))
    names = draw.random.sample(_NAMES, draw.random.randint(3, _MOST_FIELDS))
    array = Field(names[0], Kind.ARRAY, draw.of((Kind.VARCHAR, Kind.VARCHAR, Kind.INT64)), nullable=draw.chance(0.15))
    fields = [Field(MARK, Kind.VARCHAR), Field(OWNER, Kind.VARCHAR), array]
    fields.extend(_draw_field(draw, name, pool) for name in names[1:])
    return Schema(
        key,
        auto_id=key.kind is Kind.INT64 and draw.chance(0.3),
        fields=tuple(fields),
        dynamic=draw.chance(0.4),
        metric=draw.of(METRICS),
        partitions=("_default", "p1", "p2")[: draw.number(3)],
    )


def _draw_field(draw: Draw, name: str, pool: values.Pool) -> Field:
    kind = draw.of((*Kind, Kind.VARCHAR, Kind.INT64, Kind.ARRAY))
    element = draw.of(ELEMENTS) if kind is Kind.ARRAY else None
    nullable, default = draw.chance(0.4), None
    if kind in _DEFAULT_SLOTS and draw.chance(0.3):
        default = pool.value(draw, kind)
    return Field(name, kind, element, nullable, default)
