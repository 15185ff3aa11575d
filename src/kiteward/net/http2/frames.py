"""The frames of HTTP/2, as they are written (RFC 9113, 4 and 6), and what ends a connection or a stream."""

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every HTTP/2 connection begins with (RFC 9113, 3.4)."""

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
"""Bytes of payload that every end takes in one frame; we ask for no more (RFC 9113, 4.2)."""

LARGEST_FRAME: Final = 2**24 - 1
DEFAULT_WINDOW: Final = 65_535
LARGEST_WINDOW: Final = 2**31 - 1
LAST_STREAM: Final = 2**31 - 1

HEAD: Final = struct.Struct(">HBBBL")
"""The nine bytes before each payload: its length (16 bits and 8 bits), type, flags and stream."""

SETTING: Final = struct.Struct(">HL")
NUMBER: Final = struct.Struct(">L")
_GOAWAY: Final = struct.Struct(">LL")


class ConnectionFault(Exception):
    """The peer has broken a rule after which nothing on the connection can be trusted (RFC 9113, 5.4.1)."""

    def __init__(self, code: int, text: str) -> None:
        """Create a fault of the connection.

        Args:
            code: the error code that is sent to the peer.
            text: what it did, for the peer's log.
        """
        super().__init__(text)
        self.code = code


class StreamFault(Exception):
    """The peer has broken a rule that concerns one stream (RFC 9113, 5.4.2)."""

    def __init__(self, code: int, text: str) -> None:
        """Create a fault of a stream. Arguments as `ConnectionFault`."""
        super().__init__(text)
        self.code = code


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
