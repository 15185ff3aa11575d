"""Where in a message a field sits, by the protocol's descriptors."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kiteward.milvus.wire_format import FIXED32, FIXED64, LENGTH, VARINT, Kind, Step

SERIALISED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "milvus.proto.milvus.AddCollectionFieldRequest.schema": "milvus.proto.schema.FieldSchema",
        "milvus.proto.milvus.CreateCollectionRequest.schema": "milvus.proto.schema.CollectionSchema",
    }
)
"""Bytes fields that hold a message, and which; the descriptors do not say it."""

_KINDS = {
    FieldDescriptor.TYPE_BOOL: Kind.BOOL,
    FieldDescriptor.TYPE_ENUM: Kind.INT32,
    FieldDescriptor.TYPE_INT32: Kind.INT32,
    FieldDescriptor.TYPE_INT64: Kind.INT64,
    FieldDescriptor.TYPE_MESSAGE: Kind.MESSAGE,
    FieldDescriptor.TYPE_STRING: Kind.STRING,
    FieldDescriptor.TYPE_UINT32: Kind.UINT32,
    FieldDescriptor.TYPE_UINT64: Kind.UINT64,
}


def steps(message: Descriptor, path: str, *, erasable: bool = False) -> tuple[Step, ...]:
    """Return the steps of a dotted path.

    Args:
        message: where the path begins.
        path: field names joined by dots; the last one names a string, integer, bool or enum.
        erasable: whether the path may pass a oneof with several members, of which one on the wire would erase another.
            What is read there may hold more than the parser keeps, never less.

    Raises:
        ValueError: the path leads nowhere, ends at another kind of field, or passes such a oneof.
    """
    found = []
    inside: Descriptor | None = message
    for name in path.split("."):
        field = inside.fields_by_name.get(name) if inside else None
        if field is None:
            raise ValueError(f"{message.name} has no field `{path}`")
        if not erasable and field.containing_oneof and len(field.containing_oneof.fields) > 1:
            raise ValueError(f"`{field.full_name}` belongs to a oneof")
        inside = inner(field)
        found.append(_step(field))
    if found[-1].kind is Kind.MESSAGE:
        raise ValueError(f"`{path}` of {message.name} is a message, not a value")
    return tuple(found)


def find(message: Descriptor, name: str) -> tuple[str, ...]:
    """Return the path of every field that holds a message of a type; a message of that type itself has the path `""`.

    Args:
        message: the message in which the paths start.
        name: full name of the type.
    """
    return tuple(_found(message, name, "", frozenset()))


def _found(message: Descriptor, name: str, prefix: str, above: frozenset[str]) -> Iterator[str]:
    if message.full_name == name:
        yield prefix
        return
    for field in message.fields:
        inside = inner(field)
        if inside is not None and inside.full_name not in above:
            path = f"{prefix}.{field.name}" if prefix else field.name
            yield from _found(inside, name, path, above | {message.full_name})


def inner(field: FieldDescriptor) -> Descriptor | None:
    """Return what a field holds, serialised or not, if that is a message."""
    held = SERIALISED.get(field.full_name)
    if held is None or field.containing_type is None:
        return field.message_type
    return field.containing_type.file.pool.FindMessageTypeByName(held)


def _step(field: FieldDescriptor) -> Step:
    serialised = field.full_name in SERIALISED
    if field.type not in _KINDS and not serialised:
        raise ValueError(f"`{field.full_name}` is not a string, integer, bool, enum or message")
    if field.enum_type and field.enum_type.is_closed:
        raise ValueError(f"`{field.full_name}` is a closed enum")
    kind = Kind.MESSAGE if serialised else _KINDS[field.type]
    tags = _entry_tags(field.message_type)
    return Step(field.name, field.number, kind, field.is_repeated, tags, serialised)


def _entry_tags(message: Descriptor | None) -> frozenset[int]:
    """Return the tags of a map entry's key and value."""
    if message is None or not message.GetOptions().map_entry:
        return frozenset()
    return frozenset(field.number << 3 | _wire_type(field) for field in message.fields)


def _wire_type(field: FieldDescriptor) -> int:
    match field.type:
        case FieldDescriptor.TYPE_STRING | FieldDescriptor.TYPE_BYTES | FieldDescriptor.TYPE_MESSAGE:
            return LENGTH
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FIXED64 | FieldDescriptor.TYPE_SFIXED64:
            return FIXED64
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_FIXED32 | FieldDescriptor.TYPE_SFIXED32:
            return FIXED32
        case _:
            return VARINT
