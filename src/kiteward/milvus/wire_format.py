"""The protobuf wire format: read chosen fields of a message straight from its bytes.

The rules are those of the parser behind the generated classes (upb), its limits included, so that a name read here is
the name the engine reads. What is not read is skipped: neither copied nor examined beyond its bounds.

1. A tag takes at most 5 bytes and 32 bits, a length at most 5 bytes and 31 bits, a number at most 10 bytes. Padding is
   accepted.
2. A number keeps its low 64 bits; int32 and enum keep the low 32 of those, signed; a bool asks whether any is set.
3. A known field in another wire type is an unknown field; but a repeated number may come packed or not.
4. Field number 0 (outside groups) and the wire types 6 and 7 are errors. Groups are unknown fields, may nest and must
   match.
5. Messages and groups nest 100 deep.
6. Of a singular field the last occurrence counts; occurrences of a singular message merge, those of a message that is
   serialised into a bytes field do not.
7. Parsers disagree about a map entry that holds an unknown field (upb drops the entry, Go keeps it), so it is refused.
8. A reader may have a budget of fields: Python is so slow that millions of them would block the event loop.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kiteward.domain.errors import PayloadMalformed

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
_DEPTH_LIMIT = 100
_NO_LIMIT = 1 << 62
_MASK_32 = (1 << 32) - 1
_MASK_64 = (1 << 64) - 1

# payload, start, end, values
TakeBytes = Callable[[bytes, int, int, list[Any]], None]
# values, number cut to 64 bits
TakeNumber = Callable[[list[Any], int], None]


class Kind(Enum):
    """How a value is written; an enum is an `INT32`."""

    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    MESSAGE = "message"
    STRING = "string"
    UINT32 = "uint32"
    UINT64 = "uint64"


@dataclass(frozen=True, slots=True)
class Step:
    """One field of a path from a message to a value.

    Args:
        entry_tags: of a map field, the tags that an entry may hold (rule 7); empty for every other field.
        serialised: whether it is a bytes field that holds a message, of which the last occurrence alone counts.
    """

    name: str
    number: int
    kind: Kind
    repeated: bool
    entry_tags: frozenset[int] = frozenset()
    serialised: bool = False

    def tag(self, wire_type: int) -> int:
        """Return what announces this field in that wire type."""
        return self.number << 3 | wire_type


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The place of the value of one path: `values[slot]`, its last element, or a new element of it."""

    slot: int
    kind: Kind
    appends: bool
    in_list: bool

    def put(self, values: list[Any], value: str | int) -> None:
        if self.appends:
            values[self.slot].append(value)
        elif self.in_list:
            values[self.slot][-1] = value
        else:
            values[self.slot] = value

    def take_text(self, payload: bytes, start: int, end: int, values: list[Any]) -> None:
        self.put(values, payload[start:end].decode())

    def take_number(self, values: list[Any], number: int) -> None:
        self.put(values, _in_kind(self.kind, number))

    def take_packed(self, payload: bytes, start: int, end: int, values: list[Any]) -> None:
        _charge(values, end - start)
        while start < end:
            number, start = _varint(payload, start)
            self.take_number(values, number)
        if start > end:
            raise _malformed("a number crosses the end of its field")


@dataclass(slots=True, eq=False)
class _Node:
    """What to read of one message.

    Attributes:
        begins: what each new element of a repeated message begins with.
        resets: what an occurrence of a serialised message begins with; None stands for a list.
    """

    depth: int
    entry_tags: frozenset[int]
    lengths: dict[int, TakeBytes] = field(default_factory=dict)
    numbers: dict[int, TakeNumber] = field(default_factory=dict)
    children: dict[int, "_Node"] = field(default_factory=dict)
    begins: list[tuple[int, str | int]] = field(default_factory=list)
    resets: list[tuple[int, str | int | None]] = field(default_factory=list)

    def child(self, step: Step) -> "_Node":
        """Return the node of a message field, the same for every path through it."""
        tag = step.tag(LENGTH)
        if tag not in self.children:
            child = self.children[tag] = _Node(0 if step.serialised else self.depth + 1, step.entry_tags)
            self.lengths[tag] = child.take
        return self.children[tag]

    def add_leaf(self, step: Step, leaf: _Leaf) -> None:
        """Read a string or number field into a leaf (rule 3)."""
        if step.kind is Kind.STRING:
            self.lengths[step.tag(LENGTH)] = leaf.take_text
            return
        self.numbers[step.tag(VARINT)] = leaf.take_number
        if step.repeated:
            self.lengths[step.tag(LENGTH)] = leaf.take_packed

    def take(self, payload: bytes, start: int, end: int, values: list[Any]) -> None:
        """Read one occurrence of the message, which lies at `payload[start:end]`.

        Raises:
            PayloadMalformed: a field breaks a rule above or crosses the end of the message.
            IndexError: a field crosses the end of the payload.
            UnicodeDecodeError: a string that is read is not UTF-8.
        """
        for slot, cleared in self.resets:
            values[slot] = [] if cleared is None else cleared
        for slot, default in self.begins:
            values[slot].append(default)
        lengths, numbers, strict = self.lengths, self.numbers, bool(self.entry_tags)
        left = values[-1]  # of the budget
        pos = start
        while pos < end:
            left -= 1
            if left < 0:
                raise _too_many()
            tag, pos = (payload[pos], pos + 1) if payload[pos] < 128 else _tag(payload, pos)
            if tag in lengths:
                length, begin = _length(payload, pos)
                pos = begin + length
                if pos <= end:
                    values[-1] = left
                    lengths[tag](payload, begin, pos, values)
                    left = values[-1]
            elif tag in numbers:
                number, pos = _varint(payload, pos)
                numbers[tag](values, number)
            elif tag & 7 == LENGTH and payload[pos] < 128 and tag > 7 and not strict:
                # What nearly all unread fields are, and most of what reading a search costs.
                pos += payload[pos] + 1
            else:
                begin, pos = pos, self._skip(payload, pos, tag)
                # What is inside a group was walked through, and takes at least a byte each.
                left -= pos - begin if tag & 7 == GROUP else 0
        if pos > end:
            raise _malformed("a field crosses the end of its message")
        values[-1] = left

    def _skip(self, payload: bytes, pos: int, tag: int) -> int:
        """Return the position after an unread field, whose value begins at `pos`; it may lie beyond the end."""
        if self.entry_tags and tag not in self.entry_tags:
            raise _malformed("a map entry holds an unknown field")
        return _skip(payload, pos, tag, depth=self.depth)


class FieldReader:
    """Reads the values of some paths out of a message, all in one pass."""

    __slots__ = ("_budget", "_defaults", "_root")

    def __init__(self, paths: Sequence[Sequence[Step]], *, budget: int = _NO_LIMIT) -> None:
        """Prepare a reader.

        Args:
            paths: the path of each value.
            budget: most fields, nested ones included, that a message may hold (rule 8).
        """
        self._budget = budget
        self._root = _Node(0, frozenset())
        self._defaults: list[str | int | None] = [self._add(slot, path) for slot, path in enumerate(paths)]

    def _add(self, slot: int, path: Sequence[Step]) -> str | int | None:
        """Add a path; return the default of its value, None for a list."""
        *parents, last = path
        default: str | int = "" if last.kind is Kind.STRING else _in_kind(last.kind, 0)
        node = self._root
        element = holder = None
        for step in parents:
            node = node.child(step)
            element = node if step.repeated else element
            if step.serialised:
                holder = node
                if element is not None:
                    raise ValueError(f"`{step.name}` is a serialised message in a repeated one")
        if element is not None and not last.repeated:
            element.begins.append((slot, default))
        in_list = last.repeated or element is not None
        node.add_leaf(last, _Leaf(slot, last.kind, appends=last.repeated, in_list=in_list))
        if holder is not None:
            holder.resets.append((slot, None if in_list else default))
        return None if in_list else default

    def read(self, payload: bytes) -> list[Any]:
        """Return one value per path, in their order: a list if an element of the path is repeated.

        Raises:
            PayloadMalformed: the payload is not a message, as far as it was read.
        """
        values: list[Any] = [[] if default is None else default for default in self._defaults]
        values.append(self._budget)
        try:
            self._root.take(payload, 0, len(payload), values)
        except IndexError:
            raise _malformed("it is cut short") from None
        except UnicodeDecodeError:
            raise _malformed("a string is not UTF-8") from None
        if values.pop() < 0:
            raise _too_many()
        return values


def _charge(values: list[Any], cost: int) -> None:
    """Subtract from the budget, which is the last element of `values` (rule 8)."""
    values[-1] -= cost
    if values[-1] < 0:
        raise _too_many()


def top_level(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of a message, in order: its tag, its position, that of its content, and the position after it.

    Raises:
        PayloadMalformed: the top level of the message is not that of one.
    """
    pos = 0
    try:
        while pos < len(view):
            start = pos
            tag, pos = _tag(view, start)
            begin = _length(view, pos)[1] if tag & 7 == LENGTH else pos
            pos = _skip(view, pos, tag, depth=0)
            if pos > len(view):
                raise _malformed("a field crosses the end of its message")
            yield tag, start, begin, pos
    except IndexError:
        raise _malformed("it is cut short") from None


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


def _in_kind(kind: Kind, number: int) -> int:
    """Return what a number of 64 bits means in a field of that kind (rule 2)."""
    match kind:
        case Kind.BOOL:
            return number != 0
        case Kind.INT32:
            return (number & _MASK_32 ^ 1 << 31) - (1 << 31)
        case Kind.INT64:
            return (number ^ 1 << 63) - (1 << 63)
        case Kind.UINT32:
            return number & _MASK_32
        case _:
            return number


def _varint(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the number at a position, cut to 64 bits, and the position after it (rules 1 and 2)."""
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
    raise _malformed("a number is longer than 10 bytes")


def _tag(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the tag at a position and the position after it (rule 1)."""
    byte = payload[pos]
    return (byte, pos + 1) if byte < 128 else _long_varint(payload, pos, bits=32)


def _length(payload: bytes | memoryview, pos: int) -> tuple[int, int]:
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
        raise _malformed("a tag or length is longer than 5 bytes")
    if number >> bits:
        raise _malformed(f"a tag or length is longer than {bits} bits")
    return number, pos


def _skip(payload: bytes | memoryview, pos: int, tag: int, *, depth: int) -> int:
    """Return the position after an unread field, whose value begins at `pos`; it may lie beyond the end."""
    if tag < 8:
        raise _malformed("a field has the number 0")
    wire_type = tag & 7
    return _skip_group(payload, pos, tag, depth) if wire_type == GROUP else _skip_value(payload, pos, wire_type)


def _skip_value(payload: bytes | memoryview, pos: int, wire_type: int) -> int:
    if wire_type == LENGTH:
        length, pos = _length(payload, pos)
        return pos + length
    if wire_type == VARINT:
        return _varint(payload, pos)[1]
    if wire_type == FIXED64:
        return pos + 8
    if wire_type == FIXED32:
        return pos + 4
    raise _malformed(f"wire type {wire_type} has no place here")


def _skip_group(payload: bytes | memoryview, pos: int, tag: int, depth: int) -> int:
    """Return the position after a group, whose content begins at `pos` (rules 4 and 5)."""
    open_groups = [tag >> 3]
    while open_groups:
        if depth + len(open_groups) > _DEPTH_LIMIT:
            raise _malformed("groups are nested too deep")
        tag, pos = _tag(payload, pos)
        if tag & 7 == GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 != END_GROUP:
            pos = _skip_value(payload, pos, tag & 7)
        elif open_groups.pop() != tag >> 3:
            raise _malformed("a group ends that did not begin")
    return pos


def _too_many() -> PayloadMalformed:
    return _malformed("it holds too many fields")


def _malformed(reason: str) -> PayloadMalformed:
    return PayloadMalformed(f"the payload is not a readable message: {reason}")
