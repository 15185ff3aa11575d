"""Payloads for the tests of `kiteward.milvus`.

Payloads are written field by field from a message descriptor, with every liberty the encoding allows (any order, fields
repeated and messages split over several occurrences, numbers packed or not, padded varints, unknown fields and groups)
and, rarely, one it does not; some are then damaged byte by byte.
"""

from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kiteward.milvus.wire_format import FIXED32, FIXED64, GROUP, LENGTH, VARINT

_MAX_FIELDS = 6
_WIRE_TYPES = {
    FieldDescriptor.TYPE_BYTES: LENGTH,
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FLOAT: FIXED32,
    FieldDescriptor.TYPE_MESSAGE: LENGTH,
    FieldDescriptor.TYPE_STRING: LENGTH,
}
_NUMBERS = [0, 1, 2, 100, 127, 128, 300, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1]
_TEXTS = ["", "a", "docs", "_default", "Größe", "風箏", "\U0001fa81", "a\0b", " ", "x" * 130]
_BAD_TEXTS = [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\x80", b"ab\xe2\x82"]


def varint(number: int, *, size: int = 0) -> bytes:
    """Return a number as a varint, padded to at least that many bytes."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    while len(encoded) < size:
        encoded[-1] |= 128
        encoded.append(0)
    return bytes(encoded)


def tag(number: int, wire_type: int) -> bytes:
    """Return what announces a field."""
    return varint(number << 3 | wire_type)


def text_field(number: int, text: str | bytes) -> bytes:
    """Return a string field."""
    return length_field(number, text.encode() if isinstance(text, str) else text)


def length_field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return tag(number, LENGTH) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """Return a varint field."""
    return tag(number, VARINT) + varint(value)


def group(number: int, content: bytes = b"") -> bytes:
    """Return a group."""
    return tag(number, GROUP) + content + varint(number << 3 | 4)


class PayloadWriter:
    """Writes payloads at random; about half of them are valid."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def payload(self, descriptor: Descriptor, wanted: frozenset[str]) -> bytes:
        """Return a payload for a message, in which the wanted top-level fields are more likely than others."""
        if self._chance(0.02):
            return self._random.randbytes(self._random.randrange(24))
        payload = self._message(descriptor, 0, wanted)
        return self._damaged(payload) if self._chance(0.25) else payload

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _message(self, descriptor: Descriptor, depth: int, wanted: frozenset[str] = frozenset()) -> bytes:
        fields = [field for field in descriptor.fields if field.name in wanted and self._chance(0.6)]
        count = min(len(descriptor.fields), self._random.randrange(_MAX_FIELDS >> depth // 2))
        fields += self._random.sample(list(descriptor.fields), count)
        chunks = [self._field(field, depth) for field in fields for _ in range(self._random.choice([1, 1, 1, 2, 3]))]
        while self._chance(0.15):
            chunks.append(self._unknown_field(descriptor))
        self._random.shuffle(chunks)
        return b"".join(chunks)

    def _field(self, field: FieldDescriptor, depth: int) -> bytes:
        wire_type = _WIRE_TYPES.get(field.type, VARINT)
        if wire_type == LENGTH:
            return self._tag(field.number, LENGTH) + self._delimited(self._content(field, depth))
        if not self._chance(0.5 if field.is_repeated else 0.02):
            return self._tag(field.number, wire_type) + self._scalar(wire_type)
        packed = b"".join(self._scalar(wire_type) for _ in range(self._random.randrange(4)))
        return self._tag(field.number, LENGTH) + self._delimited(packed)

    def _content(self, field: FieldDescriptor, depth: int) -> bytes:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            return self._message(held_by(field), depth + 1) if depth < 4 else b""
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text()
        return self._random.randbytes(self._random.randrange(9))

    def _text(self) -> bytes:
        return self._random.choice(_BAD_TEXTS) if self._chance(0.01) else self._random.choice(_TEXTS).encode()

    def _scalar(self, wire_type: int) -> bytes:
        if wire_type == VARINT:
            return self._varint(self._random.choice(_NUMBERS), most=10)
        return self._random.randbytes(8 if wire_type == FIXED64 else 4)

    def _varint(self, number: int, *, most: int) -> bytes:
        """Return a varint that is now and then padded, rarely beyond the most bytes allowed or beyond 64 bits."""
        if not self._chance(0.05):
            return varint(number)
        padded = bytearray(varint(number, size=self._random.randint(1, most + self._chance(0.05))))
        if len(padded) == 10 and self._chance(0.5):
            padded[-1] = self._random.randrange(128)
        return bytes(padded)

    def _tag(self, number: int, wire_type: int) -> bytes:
        return self._varint(number << 3 | wire_type, most=5)

    def _delimited(self, content: bytes) -> bytes:
        if self._chance(0.005):
            content = self._damaged(content)
        wrong = self._random.choice([-1, 1, 2, 1 << 31, 1 << 32]) if self._chance(0.003) else 0
        return self._varint(max(0, len(content) + wrong), most=5) + content

    def _unknown_field(self, descriptor: Descriptor) -> bytes:
        """Return a field with a number of no field, or of a known field in a wire type that is often not its own."""
        known = [field.number for field in descriptor.fields]
        number = self._random.choice([*known, 15, 16, 99, 1000, 2**29 - 1])
        if self._chance(0.01):
            number = self._random.choice([0, 2**29])
        wire_type = 6 if self._chance(0.01) else self._random.choice([VARINT, FIXED64, LENGTH, GROUP, FIXED32])
        return self._tag(number, wire_type) + self._unknown_value(number, wire_type)

    def _unknown_value(self, number: int, wire_type: int) -> bytes:
        if wire_type == LENGTH:
            return self._delimited(self._random.randbytes(self._random.randrange(5)))
        if wire_type == GROUP:
            return self._group_content() + self._tag(number + self._chance(0.02), 4)
        return b"" if wire_type == 6 else self._scalar(wire_type)

    def _group_content(self) -> bytes:
        if self._chance(0.03):
            depth = self._random.randint(95, 101)
            return tag(99, GROUP) * depth + varint(99 << 3 | 4) * depth
        wire_types = self._random.choices([VARINT, FIXED64, LENGTH, GROUP, FIXED32], k=self._random.randrange(3))
        numbers = self._random.choices([1, 7, 1000, 0], weights=[8, 8, 8, 1], k=len(wire_types))
        fields = zip(numbers, wire_types, strict=True)
        return b"".join(
            self._tag(number, wire_type) + self._unknown_value(number, wire_type) for number, wire_type in fields
        )

    def _damaged(self, payload: bytes) -> bytes:
        """Return the payload with a few bytes lost, added or changed."""
        damaged = bytearray(payload)
        for _ in range(self._random.choice([1, 1, 1, 2, 4])):
            at = self._random.randrange(len(damaged) + 1)
            match self._random.randrange(4):
                case 0:
                    del damaged[at:]
                case 1:
                    damaged[at : at + 1] = b""
                case 2:
                    damaged[at:at] = self._random.randbytes(1)
                case _ if at < len(damaged):
                    damaged[at] ^= 1 << self._random.randrange(8)
        return bytes(damaged)


def held_by(field: FieldDescriptor) -> Descriptor:
    """Return the type of a field's messages."""
    assert field.message_type is not None
    return field.message_type
