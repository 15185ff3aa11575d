"""The encoding of gRPC on HTTP/2: length-prefixed messages, deadlines, and statuses in trailers.

It follows grpc/doc/PROTOCOL-HTTP2.md and, for compressed messages, grpc/doc/compression.md.
"""

import math
import re
import zlib
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from kiteward.engine.statuses import StatusCode
from kiteward.net.http2 import Head, Header

PREFIX_SIZE: Final = 5
"""Bytes of the prefix of each message: a flag for compression, and the length."""

_PLAIN_CONTENT_TYPE: Final = b"application/grpc"
_CONTENT_TYPE: Final = re.compile(rb"application/grpc(?:[+;].*)?")

_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_LONGEST_TEXT: Final = 2_048
"""Bytes of the text of a failure: encoded as `%XX` each, they still fit the metadata limit of clients."""

_PRINTABLE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_MOST_UNPACKED: Final = 1032
"""The maximum compression ratio of deflate."""

_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}

ENCODINGS: Final = ("identity", *_WINDOW_BITS)
"""The accepted encodings of messages."""

_ACCEPTED: Final = ",".join(ENCODINGS).encode()

RESPONSE_HEAD: Final[tuple[Header, ...]] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
"""The head of every response."""

OK_TRAILERS: Final[tuple[Header, ...]] = ((b"grpc-status", b"0"),)
"""The trailers of every response with a message."""


class TooLarge(ValueError):
    """A compressed message has more bytes than allowed."""


def timeout_of(value: bytes) -> float:
    """Return the seconds of a `grpc-timeout`.

    Raises:
        ValueError: the value is not a `grpc-timeout`.
    """
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise ValueError(
            f"`{value.decode('latin-1')}` is not a timeout: expected up to eight digits and one of H, M, S, m, u, n"
        )
    return int(found[1]) * _UNITS[found[2]]


def prefix(message: bytes) -> bytes:
    """Return the prefix of an uncompressed message."""
    return b"\x00" + len(message).to_bytes(4, "big")


def failure(code: StatusCode, text: str, *, retry_after: float | None = None) -> tuple[Header, ...]:
    """Return the head of a response without a message: a status other than OK, and its text.

    Args:
        code: the status.
        text: its text.
        retry_after: seconds after which the call may be repeated, as gRPC's own retries (A6) read it, or None.
    """
    message = text.strip(" ").encode(errors="replace")  # no field value has space around it (RFC 9113, 8.2.1)
    if len(message) > _LONGEST_TEXT:
        message = (message[:_LONGEST_TEXT].decode(errors="ignore") + "…").encode()
    status = ((b"grpc-status", b"%d" % code), (b"grpc-message", quote(message, safe=_PRINTABLE).encode()))
    accepted = ((b"grpc-accept-encoding", _ACCEPTED),) if code is StatusCode.UNIMPLEMENTED else ()
    pushback = () if retry_after is None else ((b"grpc-retry-pushback-ms", b"%d" % math.ceil(retry_after * 1000)),)
    return (*RESPONSE_HEAD, *status, *accepted, *pushback)


def not_grpc(head: Head) -> HTTPStatus | None:
    """Return the HTTP status that rejects a request which is not gRPC, or None for a gRPC request."""
    if head.method != b"POST":
        return HTTPStatus.METHOD_NOT_ALLOWED
    kind = head.fields.get(b"content-type", b"")
    if kind == _PLAIN_CONTENT_TYPE or _CONTENT_TYPE.fullmatch(kind):
        return None
    return HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def bare(status: HTTPStatus) -> tuple[Header, ...]:
    """Return the head of a response that is only an HTTP status."""
    return ((b":status", b"%d" % status.value),)


def unpacked_limit(message: bytes, encoding: str, limit: int) -> int:
    """Return an upper bound of the decompressed size in bytes, from the message itself and the maximum ratio.

    Args:
        message: the compressed bytes.
        encoding: one of `ENCODINGS` except `identity`.
        limit: the maximum decompressed size in bytes.
    """
    most = min(limit, _MOST_UNPACKED * len(message))
    # The end of a gzip message holds its size (RFC 1952, 2.3.1).
    return min(most, int.from_bytes(message[-4:], "little")) if encoding == "gzip" else most


def decompressed(message: bytes, encoding: str, limit: int) -> bytes:
    """Return a message decompressed.

    Args:
        message: the compressed bytes.
        encoding: one of `ENCODINGS` except `identity`.
        limit: the maximum decompressed size in bytes.

    Raises:
        TooLarge: the message is larger than `limit`.
        ValueError: the bytes are not valid in that encoding.
    """
    reader = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = reader.decompress(message, limit + 1)
    except zlib.error as error:
        raise ValueError(f"the message is not compressed by {encoding}") from error
    if len(plain) > limit:
        raise TooLarge(f"the message has more than {limit} bytes")
    if not reader.eof:
        raise ValueError("the compressed message is cut short")
    return plain
