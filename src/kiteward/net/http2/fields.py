"""Field sections: HPACK (RFC 7541), and what makes a request's head (RFC 9113, 8).

What we write never enters the peer's dynamic table, so that the same answer is the same bytes on every connection.
"""

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from kiteward.net.http2.frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    PROTOCOL_ERROR,
    ConnectionFault,
    StreamFault,
)

Field = tuple[str, str]
"""Name and value, each character one byte of what came (latin-1)."""

_OVERHEAD: Final = 32

_FAR_TOO_LARGE: Final = 4
"""A section of more than this many times the limit ends the connection; a smaller one above the limit is reported."""

_SIZE_MASK: Final = 0xE0
_SIZE_UPDATE: Final = 0x20
_SEVEN_BITS: Final = 0x7F
_CONTINUES: Final = 0x80

_KEPT: Final = 32 * 1024
"""Bytes of heads, and of the sections they were read from, that are remembered on a connection."""

_NAME: Final = string.ascii_lowercase.encode() + string.digits.encode() + b"!#$%&'*+-.^_`|~"
"""Characters of a name (RFC 9110, 5.6.2), capitals excepted (RFC 9113, 8.2.1)."""

_VALUE: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""Characters of a value (RFC 9110, 5.5).

Space around one is let pass, against RFC 9113, 8.2.1: SDKs send what they are given, and users a name like ` a`. Who
reads the value says what is wrong with it; a reset would tell them nothing.
"""

_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_PSEUDO: Final = frozenset({":method", ":scheme", ":path", ":authority"})
_OF_THE_CONNECTION: Final = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})


@dataclass(slots=True)
class Head:
    """The head of a request.

    Attributes:
        method, path: what is asked for.
        fields: every field but the pseudo-header fields, in the order they came.
        length: what `content-length` announced, or None.
        size: bytes of its section, counted as SETTINGS_MAX_HEADER_LIST_SIZE is (RFC 9113, 6.5.2).
        too_large: the section was larger than allowed.
        kept: whatever the application made of it, to be found again in a request with the same bytes.
    """

    method: str
    path: str
    fields: tuple[Field, ...] = field(repr=False)
    length: int | None = None
    size: int = 0
    too_large: bool = False
    kept: object = field(default=None, repr=False)


class _Table(HeaderTable):
    """The dynamic table of a connection, which tells whether it has changed."""

    changed = False

    def add(self, name: bytes, value: bytes) -> None:
        self.changed = True
        super().add(name, value)


class FieldDecoder:
    """Reads the field sections of one connection, in their order.

    INVARIANT: `_heads` holds heads only of sections that did not change the dynamic table, and is emptied whenever it
    changes: the same bytes then mean the same head.

    Attributes:
        kept: bytes of the heads that are remembered, and of the sections they were read from.
    """

    def __init__(self, limit: int) -> None:
        """Create the decoder of a connection, with an empty table.

        Args:
            limit: size of a section in bytes, counted as SETTINGS_MAX_HEADER_LIST_SIZE is (RFC 9113, 6.5.2). A
                larger one makes a head that says so; one several times as large is the connection's end.
        """
        self._limit = limit
        self._decoder = Decoder(max_header_list_size=_FAR_TOO_LARGE * limit)
        self._table = self._decoder.header_table = _Table()
        self._heads: dict[bytes, Head] = {}
        self.kept = 0

    def head(self, block: bytes) -> Head:
        """Return the head of a request.

        Raises:
            ConnectionFault: the bytes are no field section.
            StreamFault: the request is malformed (RFC 9113, 8.1.1).
        """
        known = self._heads.get(block)
        if known is not None:
            return known
        fields = self.fields(block)
        head = _head(fields)
        head.too_large = head.size > self._limit
        if not self._table.changed and not head.too_large:
            self._keep(block, head, len(block) + head.size)
        return head

    def fields(self, block: bytes) -> list[Field]:
        """Return the fields of a section.

        Raises:
            ConnectionFault: the bytes are no field section, or one far too large; the tables of both ends differ now.
        """
        # A change of the table's size stands first, or is refused.
        self._table.changed = bool(block) and block[0] & _SIZE_MASK == _SIZE_UPDATE
        try:
            fields = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in self._decoder.decode(block, raw=True)
            ]
        except OversizedHeaderListError as error:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "a field section far too large") from error
        except HPACKError as error:
            raise ConnectionFault(COMPRESSION_ERROR, "a field section cannot be read") from error
        if self._table.changed:
            self._forget_heads()
        return fields

    def _keep(self, block: bytes, head: Head, size: int) -> None:
        if self.kept + size > _KEPT:
            self._forget_heads()
        self.kept += size
        self._heads[block] = head

    def _forget_heads(self) -> None:
        self._heads.clear()
        self.kept = 0


def _head(fields: Sequence[Field]) -> Head:
    """Return the head that a request's fields make.

    Raises:
        StreamFault: they make none.
    """
    pseudo = 0
    while pseudo < len(fields) and fields[pseudo][0].startswith(":"):
        pseudo += 1
    found = dict(fields[:pseudo])
    regular = tuple(fields[pseudo:])
    if len(found) < pseudo or not found.keys() <= _PSEUDO or not _consists_of(_VALUE, found.values()):
        raise StreamFault(PROTOCOL_ERROR, "a malformed pseudo-header field")
    if not (found.get(":method") and found.get(":scheme") and found.get(":path")):
        raise StreamFault(PROTOCOL_ERROR, "a request without method, scheme or path")
    require_well_formed(regular)
    if any(name == "te" and value != "trailers" for name, value in regular):
        raise StreamFault(PROTOCOL_ERROR, "`te` may only be `trailers`")
    return Head(found[":method"], found[":path"], regular, _length(regular), _size(fields))


def require_well_formed(fields: Sequence[Field]) -> None:
    """Raise StreamFault unless these fields are valid in a head after its pseudo-header fields, or as trailers.

    The rules are those of RFC 9113, 8.2.
    """
    names = [name for name, _ in fields]
    if (
        "" in names
        or not _consists_of(_NAME, names)
        or not _consists_of(_VALUE, [value for _, value in fields])
        or not _OF_THE_CONNECTION.isdisjoint(names)
    ):
        raise StreamFault(PROTOCOL_ERROR, "a malformed field")


def _consists_of(characters: bytes, texts: Iterable[str]) -> bool:
    return not "".join(texts).encode("latin-1").translate(None, characters)


def _size(fields: Sequence[Field]) -> int:
    return sum(_OVERHEAD + len(name) + len(value) for name, value in fields)


def _length(fields: Sequence[Field]) -> int | None:
    announced = {value for name, value in fields if name == "content-length"}
    if not announced:
        return None
    if len(announced) > 1 or not _NUMBER.fullmatch(value := announced.pop()):
        raise StreamFault(PROTOCOL_ERROR, "a malformed length")
    return int(value)


def encoded(fields: Sequence[tuple[str, str]]) -> bytes:
    """Return a field section of literals that no table remembers (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + _written(name) + _written(value) for name, value in fields)


def _written(text: str) -> bytes:
    data = text.encode("latin-1")
    length = len(data)
    if length < _SEVEN_BITS:
        return bytes((length,)) + data
    prefix = bytearray((_SEVEN_BITS,))
    length -= _SEVEN_BITS
    while length >= _CONTINUES:
        prefix.append(length & _SEVEN_BITS | _CONTINUES)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data


FORGET_TABLE: Final = b"\x20"
"""Stands once before a section after the peer has said how large our table may be: we use none (RFC 7541, 4.2)."""
