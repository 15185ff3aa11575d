"""Where in a message a field sits, by the protocol's descriptors."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

SERIALISED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "milvus.proto.milvus.AddCollectionFieldRequest.schema": "milvus.proto.schema.FieldSchema",
        "milvus.proto.milvus.CreateCollectionRequest.schema": "milvus.proto.schema.CollectionSchema",
    }
)
"""Bytes fields that hold a message, and which; the descriptors do not say it."""


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
