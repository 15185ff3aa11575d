"""HTTP/2 as bytes: frames and header blocks, valid or not (RFC 9113, RFC 7541)."""

import struct
from collections.abc import Iterable
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every connection begins with (RFC 9113, 3.4)."""

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

FRAME_LIMIT: Final = 16_384
"""Bytes of payload that every end takes in one frame (RFC 9113, 4.2)."""

LARGEST_FRAME: Final = 2**24 - 1
DEFAULT_WINDOW: Final = 65_535
LARGEST_WINDOW: Final = 2**31 - 1
LAST_STREAM: Final = 2**31 - 1

HEAD: Final = struct.Struct(">HBBBL")
"""The nine bytes before each payload: its length (16 bits and 8 bits), type, flags and stream."""

SETTING: Final = struct.Struct(">HL")
NUMBER: Final = struct.Struct(">L")
_GOAWAY: Final = struct.Struct(">LL")


def head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """Return the nine bytes before a payload."""
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    return head(len(payload), kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame (RFC 9113, 6.5)."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(name, value) for name, value in values.items()))


def window_update(stream: int, amount: int) -> bytes:
    """Return a frame that allows the peer `amount` more bytes; on stream 0, on the connection as a whole."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(amount))


def reset(stream: int, code: int) -> bytes:
    """Return a frame that ends a stream at once."""
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def goaway(last: int, code: int, text: str = "") -> bytes:
    """Return a frame that announces the end of the connection; streams up to `last` were or will be served."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last, code) + text.encode())


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0, b"")


def encoded(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return a header block of literals that no table remembers (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + _written(name) + _written(value) for name, value in fields)


def _written(text: str) -> bytes:
    data = text.encode("latin-1")
    length = len(data)
    if length < 0x7F:
        return bytes((length,)) + data
    prefix = bytearray((0x7F,))
    length -= 0x7F
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data
