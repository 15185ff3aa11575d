"""Counts the fields of a large request before the parser makes an object of each.

Parsing takes time and memory in proportion to the number of fields. Two bytes are enough for one, so that a request of
64 MB could hold 32 million. An ordinary request of some megabytes is a few fields of bulk data, which are stepped over.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.wire_format import DEPTH_LIMIT, GROUP, LENGTH, length_at, malformed, skip, tag_at

_SMALLEST: Final = 2
"""Bytes of the shortest field."""

_Inside: TypeAlias = "dict[int, _Inside | None]"
"""Tag of a field with a length -> the same for the message in it; None for packed numbers."""

_TEXTS: Final = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})


class FieldBudget:
    """The most fields that a request may hold, nested ones included. A packed number counts by its bytes."""

    __slots__ = ("_inside", "_most")

    def __init__(self, message: Descriptor, most: int) -> None:
        self._inside = _inside(message, {})
        self._most = most

    def check(self, payload: bytes) -> None:
        """Count the fields, if there may be too many.

        Raises:
            PayloadMalformed: there are, or the payload is not a message.
        """
        if len(payload) <= self._most * _SMALLEST:
            return
        try:
            self._count(payload, 0, len(payload), self._inside, left=self._most, depth=0)
        except IndexError:
            raise malformed("it is cut short") from None

    def _count(self, payload: bytes, pos: int, end: int, inside: _Inside, *, left: int, depth: int) -> int:
        """Return how many fields may follow a message, which lies at `payload[pos:end]`."""
        if depth > DEPTH_LIMIT:
            raise malformed("messages are nested too deep")
        while pos < end:
            left -= 1
            tag, begin = tag_at(payload, pos)
            if tag in inside:
                length, begin = length_at(payload, begin)
                pos = begin + length
                below = inside[tag]
                if below is None:
                    left -= length
                elif pos <= end:
                    left = self._count(payload, begin, pos, below, left=left, depth=depth + 1)
            else:
                pos = skip(payload, begin, tag, depth=depth)
                # What is inside a group was stepped over, and takes at least a byte each.
                left -= pos - begin if tag & 7 == GROUP else 0
            if left < 0:
                raise _too_many(self._most)
        if pos > end:
            raise malformed("a field crosses the end of its message")
        return left


def _inside(message: Descriptor, known: dict[str, _Inside]) -> _Inside:
    if message.full_name not in known:
        inside = known[message.full_name] = {}
        for field in message.fields:
            tag = field.number << 3 | LENGTH
            if field.message_type is not None:
                inside[tag] = _inside(field.message_type, known)
            elif field.is_repeated and field.type not in _TEXTS:
                inside[tag] = None
    return known[message.full_name]


def _too_many(most: int) -> PayloadMalformed:
    return malformed(f"it holds more than {most} fields")
