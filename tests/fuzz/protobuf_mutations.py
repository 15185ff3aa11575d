"""Messages as their encoding has them: fields that are doubled, moved, split, nested and misspelt."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.access.equivalence.random_values import Draw
from tests.fuzz import canaries

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_CONTINUES: Final = 0x80
_MOST_CHANGES: Final = 3
_UNKNOWN: Final = (999, 1001, 20_000)
_LIKELY: Final = 12
"""Names, databases and ids of the protocol's requests are in fields with numbers up to this one."""


def varint(number: int, *, padded: bool = False) -> bytes:
    """Return a number in base 128; `padded` takes a byte more than it needs."""
    out = bytearray()
    while number >= _CONTINUES:
        out.append(number & 0x7F | _CONTINUES)
        number >>= 7
    out.append(number)
    if padded:
        out[-1] |= _CONTINUES
        out.append(0)
    return bytes(out)


def text(number: int, value: bytes, *, padded: bool = False) -> bytes:
    """Return a field of a string, bytes or a message."""
    return varint(number << 3 | _LENGTH) + varint(len(value), padded=padded) + value


def split(payload: bytes) -> list[bytes]:
    """Return the fields of a message, each with its tag; what cannot be read is the last."""
    parts, start = [], 0
    while start < len(payload):
        end = _end(payload, start)
        parts.append(payload[start:end])
        start = end
    return parts


def smaller(payload: bytes) -> Iterator[bytes]:
    """Return the messages that lack one field of this one, at whatever depth."""
    parts = split(payload)
    for place, part in enumerate(parts):
        yield b"".join(parts[:place] + parts[place + 1 :])
        held = _held(part)
        if held is None:
            continue
        number, value = held
        for less in smaller(value) if _is_message(value) else ():
            yield b"".join([*parts[:place], text(number, less), *parts[place + 1 :]])


def mutated(draw: Draw, payload: bytes) -> bytes:
    """Return the message with a few things changed."""
    parts = split(payload)
    for _ in range(draw.number(draw.of((1, 1, _MOST_CHANGES)))):
        draw.of(_CHANGES)(draw, parts)
    out = b"".join(parts)
    if out and draw.chance(0.03):
        out = out[: draw.random.randrange(len(out))]
    return out


def _number(payload: bytes, start: int) -> tuple[int, int]:
    """Return a number and where it ends; it ends with the message if need be."""
    number = shift = 0
    for place in range(start, len(payload)):
        number |= (payload[place] & 0x7F) << shift
        shift += 7
        if payload[place] < _CONTINUES:
            return number, place + 1
    return number, len(payload)


def _end(payload: bytes, start: int) -> int:
    tag, at = _number(payload, start)
    kind = tag & 7
    if kind == _VARINT:
        at = _number(payload, at)[1]
    elif kind == _LENGTH:
        length, at = _number(payload, at)
        at += length
    else:
        at += _SIZES.get(kind, len(payload))
    return min(at, len(payload))


def _held(part: bytes) -> tuple[int, bytes] | None:
    """Return number and content of a field that holds a string, bytes or a message."""
    tag, at = _number(part, 0)
    if tag & 7 != _LENGTH:
        return None
    return tag >> 3, part[_number(part, at)[1] :]


def _is_message(value: bytes) -> bool:
    parts = split(value)
    return bool(parts) and all(0 < part[0] >> 3 <= 2 * _LIKELY and part[0] & 7 in (_VARINT, _LENGTH) for part in parts)


def _place(draw: Draw, parts: Sequence[bytes]) -> int:
    return draw.random.randrange(len(parts)) if parts else 0


def _double(draw: Draw, parts: list[bytes]) -> None:
    if parts:
        parts.insert(_place(draw, parts), draw.of(parts))


def _shuffle(draw: Draw, parts: list[bytes]) -> None:
    draw.random.shuffle(parts)


def _drop(draw: Draw, parts: list[bytes]) -> None:
    if parts:
        del parts[_place(draw, parts)]


def _name(draw: Draw, parts: list[bytes]) -> None:
    """Put a name in a field that has one, or beside it."""
    named = [place for place, part in enumerate(parts) if _held(part) is not None]
    if not named:
        return
    place = draw.of(named)
    held = _held(parts[place])
    assert held is not None
    field = text(held[0], draw.of(canaries.NAMES).encode(), padded=draw.chance(0.1))
    if draw.chance(0.5):
        parts[place] = field
    else:
        parts.insert(draw.of((place, place + 1, len(parts))), field)


def _name_anywhere(draw: Draw, parts: list[bytes]) -> None:
    parts.insert(_place(draw, parts), text(draw.number(_LIKELY), draw.of(canaries.NAMES).encode()))


def _id(draw: Draw, parts: list[bytes]) -> None:
    value = draw.of((0, 1, 2, 3, 4, 5, 7, 2**31, 2**63, 2**64 - 1))
    parts.insert(_place(draw, parts), varint(draw.number(_LIKELY) << 3) + varint(value, padded=draw.chance(0.2)))


def _unknown(draw: Draw, parts: list[bytes]) -> None:
    parts.insert(_place(draw, parts), text(draw.of(_UNKNOWN), draw.of(canaries.NAMES).encode()))


def _nest(draw: Draw, parts: list[bytes]) -> None:
    """Change what a field holds, as if that were a message."""
    held = [place for place, part in enumerate(parts) if _held(part) is not None]
    if held:
        place = draw.of(held)
        number, value = _held(parts[place]) or (1, b"")
        inner = split(value)
        draw.of(_CHANGES)(draw, inner)
        parts[place] = text(number, b"".join(inner))


def _halve(draw: Draw, parts: list[bytes]) -> None:
    """Write a message as two fields, which readers merge."""
    nested = [place for place, part in enumerate(parts) if _is_message((_held(part) or (0, b""))[1])]
    if nested:
        place = draw.of(nested)
        number, value = _held(parts[place]) or (1, b"")
        inner = split(value)
        middle = draw.random.randrange(len(inner))
        parts[place : place + 1] = [text(number, b"".join(half)) for half in (inner[:middle], inner[middle:])]


def _bend(draw: Draw, parts: list[bytes]) -> None:
    """Change one byte."""
    if parts:
        place = _place(draw, parts)
        part = bytearray(parts[place])
        part[draw.random.randrange(len(part))] ^= 1 << draw.random.randrange(8)
        parts[place] = bytes(part)


_CHANGES: Final[Sequence[Callable[[Draw, list[bytes]], None]]] = (
    _double,
    _shuffle,
    _drop,
    _name,
    _name,
    _name,
    _name_anywhere,
    _id,
    _unknown,
    _nest,
    _nest,
    _halve,
    _bend,
)
