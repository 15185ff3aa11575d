"""Where in a message a field sits, by the protocol's descriptors."""

from collections.abc import Mapping
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


def paths(message: Descriptor) -> Mapping[str, tuple[str, ...]]:
    """Return the paths of every field that holds a message, nested ones included, by the full name of its type.

    Args:
        message: the message in which the paths start; it has the path `""` itself.
    """
    found: dict[str, list[str]] = {}
    _collect(message, "", frozenset(), found)
    return {name: tuple(each) for name, each in found.items()}


def _collect(message: Descriptor, prefix: str, above: frozenset[str], found: dict[str, list[str]]) -> None:
    found.setdefault(message.full_name, []).append(prefix)
    above |= {message.full_name}
    for field in message.fields:
        inside = inner(field)
        if inside is not None and inside.full_name not in above:
            _collect(inside, f"{prefix}.{field.name}" if prefix else field.name, above, found)


def inner(field: FieldDescriptor) -> Descriptor | None:
    """Return what a field holds, serialised or not, if that is a message."""
    held = SERIALISED.get(field.full_name)
    if held is None or field.containing_type is None:
        return field.message_type
    return field.containing_type.file.pool.FindMessageTypeByName(held)
