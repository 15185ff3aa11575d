"""The frames between the server and the embedded engine's process: calls, answers and cancellations (decision 0039).

A frame is a header of fixed size, a head and a payload. Both ends are of one version of one program on one machine, so
that nothing is negotiated.
"""

import io
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from itertools import chain
from typing import Final, NamedTuple

from kiteward.milvus.limits import MAX_MESSAGE_BYTES

LARGEST_HEAD: Final = 64 * 1024
_HEADER: Final = struct.Struct("=BBIIQd")
"""Kind, status code, bytes of the head, bytes of the payload, call, deadline."""

_SEPARATOR: Final = "\0"
NO_DEADLINE: Final = 0.0

Metadata = tuple[tuple[str, str], ...]


class Kind(IntEnum):
    """What a frame says."""

    CALL = 1
    CANCEL = 2
    """The caller has given up: no answer is expected any more."""
    ANSWER = 3


class MalformedFrame(Exception):
    """Bytes that are not a frame; where the next one begins is unknown."""


class UnfitHead(Exception):
    """Metadata that no head can carry."""


class Frame(NamedTuple):
    """One frame.

    Attributes:
        kind: a `Kind`.
        code: of an answer, the number of a gRPC status code; 0 is OK.
        call: the number of the call. The server counts them, from 1, for each connection.
        deadline: of a call, when it ends, in seconds of the system's monotonic clock, which both processes share;
            `NO_DEADLINE` leaves it to the engine.
        head: of a call, its method and its metadata.
        payload: the serialised request or response.
    """

    kind: int
    code: int
    call: int
    deadline: float
    head: bytes
    payload: bytes


def call_frame(call: int, head: bytes, payload: bytes, *, deadline: float) -> tuple[bytes, bytes]:
    """Return a call as blocks of bytes, of which the last is the payload itself.

    Args:
        call: its number.
        head: from `call_head`.
        payload: the serialised request, of at most `MAX_MESSAGE_BYTES`.
        deadline: as in `Frame`.
    """
    return _HEADER.pack(Kind.CALL, 0, len(head), len(payload), call, deadline) + head, payload


def answer_frame(call: int, payload: bytes) -> tuple[bytes, bytes]:
    """Return the answer OK as blocks of bytes, of which the last is the payload itself."""
    return _HEADER.pack(Kind.ANSWER, 0, 0, len(payload), call, NO_DEADLINE), payload


def refusal_frame(call: int, code: int) -> tuple[bytes]:
    """Return the answer with another status than OK; it carries no text, because the server uses its own."""
    return (_HEADER.pack(Kind.ANSWER, code, 0, 0, call, NO_DEADLINE),)


def cancel_frame(call: int) -> tuple[bytes]:
    """Return the frame that cancels a call."""
    return (_HEADER.pack(Kind.CANCEL, 0, 0, 0, call, NO_DEADLINE),)


def call_head(method: str, metadata: Mapping[str, str]) -> bytes:
    """Return the head of a call.

    Args:
        method: RPC name, for example `Search`.
        metadata: keys and values of printable ASCII characters.

    Raises:
        UnfitHead: the metadata is not such text, or too large.
    """
    text = _SEPARATOR.join((method, *chain.from_iterable(metadata.items())))
    if not text.isascii() or text.count(_SEPARATOR) != 2 * len(metadata) or len(text) > LARGEST_HEAD:
        raise UnfitHead
    return text.encode("ascii")


def read_head(head: bytes) -> tuple[str, Metadata]:
    """Return method and metadata of a call.

    Raises:
        MalformedFrame: the head holds something else.
    """
    try:
        method, *texts = head.decode("ascii").split(_SEPARATOR)
    except UnicodeDecodeError:
        raise MalformedFrame("a head is not ASCII text") from None
    if len(texts) % 2:
        raise MalformedFrame("a key of metadata has no value")
    return method, tuple(zip(texts[::2], texts[1::2], strict=True))


class FrameReader:
    """Takes the bytes of a connection as they come, and returns whole frames."""

    def __init__(self, expected: Iterable[Kind]) -> None:
        """Start at a frame.

        Args:
            expected: the kinds that the other end sends.
        """
        self._expected = frozenset(expected)
        self._rest = b""
        self._begun: Frame | None = None
        self._payload = io.BytesIO()
        self._missing = 0

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with `data`.

        Raises:
            MalformedFrame: the bytes are not frames, or one is too large. Frames before it are lost as well.
        """
        frames: list[Frame] = []
        start = 0
        if self._begun is not None:
            start = self._continue(self._begun, data, frames)
        elif self._rest:
            data = self._rest + data
        size = len(data)
        while size - start >= _HEADER.size:
            kind, code, head_bytes, payload_bytes, call, deadline = _HEADER.unpack_from(data, start)
            if kind not in self._expected or head_bytes > LARGEST_HEAD or payload_bytes > MAX_MESSAGE_BYTES:
                raise MalformedFrame(f"kind {kind} with a head of {head_bytes} and a payload of {payload_bytes} bytes")
            payload_at = start + _HEADER.size + head_bytes
            if size < payload_at:
                break
            end = payload_at + payload_bytes
            frame = Frame(kind, code, call, deadline, data[payload_at - head_bytes : payload_at], data[payload_at:end])
            if size < end:
                self._begin(frame, missing=end - size)
                start = size
                break
            frames.append(frame)
            start = end
        self._rest = data[start:]
        return frames

    def _begin(self, frame: Frame, *, missing: int) -> None:
        """Take the beginning of a payload that comes in pieces."""
        self._begun, self._missing = frame._replace(payload=b""), missing
        self._payload.write(frame.payload)

    def _continue(self, begun: Frame, data: bytes, frames: list[Frame]) -> int:
        """Add a piece of a payload, and the frame once it is complete; return how many bytes belonged to it."""
        taken = min(len(data), self._missing)
        # A `BytesIO` gives away its bytes without another copy.
        self._payload.write(data if taken == len(data) else data[:taken])
        self._missing -= taken
        if not self._missing:
            frames.append(begun._replace(payload=self._payload.getvalue()))
            self._begun, self._payload = None, io.BytesIO()
        return taken
