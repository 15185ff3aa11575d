"""The protobuf wire format: step over the fields of a message without decoding them.

The rules are those of the parser behind the generated classes (upb), its limits included.

1. A tag takes at most 5 bytes and 32 bits, a length at most 5 bytes and 31 bits, a number at most 10 bytes. Padding is
   accepted.
2. Field number 0 (outside groups) and the wire types 6 and 7 are errors. Groups are unknown fields, may nest and must
   match.
3. Messages and groups nest 100 deep.
"""

from collections.abc import Collection, Iterator

from kiteward.domain.errors import PayloadMalformed

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
DEPTH_LIMIT = 100
_MASK_64 = (1 << 64) - 1


def top_level(payload: bytes | memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield the tag of each field of a message, and the positions of the field, of its content and of what follows.

    Raises:
        PayloadMalformed: the top level of the message is not that of one.
    """
    pos, size = 0, len(payload)
    try:
        while pos < size:
            start = pos
            tag, begin = tag_at(payload, start)
            if tag & 7 == LENGTH and tag > LENGTH:
                length, begin = length_at(payload, begin)
                pos = begin + length
            else:
                pos = skip(payload, begin, tag, depth=0)
            if pos > size:
                raise malformed("a field crosses the end of its message")
            yield tag, start, begin, pos
    except IndexError:
        raise malformed("it is cut short") from None


def without_fields(payload: bytes, tags: Collection[int]) -> list[memoryview]:
    """Return the pieces of a message that remain when its fields of these tags are taken out, uncopied and in order.

    Raises:
        PayloadMalformed: the top level of the payload is not that of a message.
    """
    view = memoryview(payload)
    pieces = []
    kept = 0
    for tag, start, _, end in top_level(view):
        if tag in tags:
            pieces.append(view[kept:start])
            kept = end
    pieces.append(view[kept:])
    return pieces


def encode_varint(number: int) -> bytes:
    """Return a number of at least 0 as the shortest varint."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _varint(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the number at a position, cut to 64 bits, and the position after it (rule 1)."""
    byte = payload[pos]
    if byte < 128:
        return byte, pos + 1
    number = byte & 127
    for shift in range(7, 70, 7):
        pos += 1
        byte = payload[pos]
        number |= (byte & 127) << shift
        if byte < 128:
            return number & _MASK_64, pos + 1
    raise malformed("a number is longer than 10 bytes")


def tag_at(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the tag at a position and the position after it (rule 1)."""
    byte = payload[pos]
    return (byte, pos + 1) if byte < 128 else _long_varint(payload, pos, bits=32)


def length_at(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the length at a position and the position after it (rule 1)."""
    byte = payload[pos]
    return (byte, pos + 1) if byte < 128 else _long_varint(payload, pos, bits=31)


def _long_varint(payload: bytes | memoryview, pos: int, *, bits: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        byte = payload[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
    else:
        raise malformed("a tag or length is longer than 5 bytes")
    if number >> bits:
        raise malformed(f"a tag or length is longer than {bits} bits")
    return number, pos


def skip(payload: bytes | memoryview, pos: int, tag: int, *, depth: int) -> int:
    """Return the position after an unread field, whose value begins at `pos`; it may lie beyond the end."""
    if tag < 8:
        raise malformed("a field has the number 0")
    wire_type = tag & 7
    return _skip_group(payload, pos, tag, depth) if wire_type == GROUP else _skip_value(payload, pos, wire_type)


def _skip_value(payload: bytes | memoryview, pos: int, wire_type: int) -> int:
    if wire_type == LENGTH:
        length, pos = length_at(payload, pos)
        return pos + length
    if wire_type == VARINT:
        return _varint(payload, pos)[1]
    if wire_type == FIXED64:
        return pos + 8
    if wire_type == FIXED32:
        return pos + 4
    raise malformed(f"wire type {wire_type} has no place here")


def _skip_group(payload: bytes | memoryview, pos: int, tag: int, depth: int) -> int:
    """Return the position after a group, whose content begins at `pos` (rules 2 and 3)."""
    open_groups = [tag >> 3]
    while open_groups:
        if depth + len(open_groups) > DEPTH_LIMIT:
            raise malformed("groups are nested too deep")
        tag, pos = tag_at(payload, pos)
        if tag & 7 == GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 != END_GROUP:
            pos = _skip_value(payload, pos, tag & 7)
        elif open_groups.pop() != tag >> 3:
            raise malformed("a group ends that did not begin")
    return pos


def malformed(reason: str) -> PayloadMalformed:
    """Return the error for a payload that is not a message."""
    return PayloadMalformed(f"the payload is not a readable message: {reason}")
