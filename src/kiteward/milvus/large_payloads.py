"""Counts the fields of a large request, and leaves its bulk data out, before the parser makes an object of each.

Parsing takes time and memory in proportion to the number of fields. Two bytes are enough for one, so that a request of
64 MB could hold 32 million. And it copies every value, which for 31 MB of vectors takes 50 milliseconds. An ordinary
request of some megabytes is a few fields of bulk data, which are stepped over here.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kiteward.milvus.field_paths import SERIALISED
from kiteward.milvus.wire_format import (
    DEPTH_LIMIT,
    GROUP,
    LENGTH,
    encode_varint,
    length_at,
    malformed,
    skip,
    tag_at,
)

_SMALLEST: Final = 2
"""Bytes of the shortest field."""


class _Content(Enum):
    """What is in a field with a length that is no message."""

    BULK = "bulk"
    PACKED = "packed numbers"


_Inside: TypeAlias = "dict[int, _Inside | _Content]"
"""Tag of a field with a length -> what is in it; the same for the message in it."""


class LargePayloads:
    """The most fields that a request may hold, nested ones included. A packed number counts by its bytes."""

    __slots__ = ("_inside", "_most")

    def __init__(self, message: Descriptor, most: int) -> None:
        """Prepare for a type of request.

        Args:
            message: the derived type; its bytes fields hold what nobody reads, but for serialised messages.
            most: how many fields a request may hold.
        """
        self._inside = _inside(message, {})
        self._most = most

    def without_bulk(self, payload: bytes) -> bytes:
        """Return a request as it is if it is small; else count its fields, and return it with its bulk data empty.

        Raises:
            PayloadMalformed: it holds too many fields, or is not a message.
        """
        if len(payload) <= self._most * _SMALLEST:
            return payload
        try:
            return b"".join(_Walk(payload, self._most).emptied(0, len(payload), self._inside, depth=0))
        except IndexError:
            raise malformed("it is cut short") from None


class _Walk:
    """One pass over a payload; `_left` is how many fields may follow."""

    __slots__ = ("_left", "_most", "_payload", "_view")

    def __init__(self, payload: bytes, most: int) -> None:
        self._payload = payload
        self._view = memoryview(payload)
        self._most = self._left = most

    def emptied(self, pos: int, end: int, inside: _Inside, *, depth: int) -> list[bytes | memoryview]:
        """Return the message at `payload[pos:end]` without its bulk data, in pieces."""
        if depth > DEPTH_LIMIT:
            raise malformed("messages are nested too deep")
        pieces: list[bytes | memoryview] = []
        kept = pos
        while pos < end:
            self._spend(1)
            tag, length_pos = tag_at(self._payload, pos)
            if tag not in inside:
                pos = skip(self._payload, length_pos, tag, depth=depth)
                # What is inside a group was stepped over, and takes at least a byte each.
                self._spend(pos - length_pos if tag & 7 == GROUP else 0)
                continue
            length, begin = length_at(self._payload, length_pos)
            pos = begin + length
            if pos > end:
                break
            content = inside[tag]
            if content is _Content.PACKED:
                self._spend(length)
                continue
            held = [] if content is _Content.BULK else self.emptied(begin, pos, content, depth=depth + 1)
            pieces += (self._view[kept:length_pos], encode_varint(_size(held)), *held)
            kept = pos
        if pos > end:
            raise malformed("a field crosses the end of its message")
        pieces.append(self._view[kept:end])
        return pieces

    def _spend(self, fields: int) -> None:
        self._left -= fields
        if self._left < 0:
            raise malformed(f"it holds more than {self._most} fields")


def _size(pieces: Sequence[bytes | memoryview]) -> int:
    return sum(map(len, pieces))


def _inside(message: Descriptor, known: dict[str, _Inside]) -> _Inside:
    if message.full_name not in known:
        inside = known[message.full_name] = {}
        for field in message.fields:
            tag = field.number << 3 | LENGTH
            if field.message_type is not None:
                inside[tag] = _inside(field.message_type, known)
            elif field.full_name in SERIALISED:
                continue
            elif field.type == FieldDescriptor.TYPE_BYTES:
                inside[tag] = _Content.BULK
            elif field.is_repeated and field.type != FieldDescriptor.TYPE_STRING:
                inside[tag] = _Content.PACKED
    return known[message.full_name]
