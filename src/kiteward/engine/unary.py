"""One unary gRPC call as a client: a message each way, and how it ends."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineError,
    EngineLacksOperation,
    EngineRejected,
    EngineUnavailable,
)
from kiteward.engine.receive_budget import ReceiveBudget
from kiteward.milvus.messages import MAX_MESSAGE_BYTES
from kiteward.net.http2 import ClientStream, Http2Client

_PREFIX_BYTES: Final = 5
"""The flag of compression and the length of a message, which precede it."""

_UNREACHABLE: Final = "the engine cannot be reached"

_REJECTIONS: Final = {
    3: (ErrorCode.ENGINE_REQUEST_UNREADABLE, "the engine cannot read this `{method}` request"),
    8: (
        ErrorCode.ENGINE_MESSAGE_TOO_LARGE,
        "`{method}`: a message is larger than the engine accepts or has resources for",
    ),
}
"""What a gRPC status means that comes without a text."""

_FAILURE: Final = (ErrorCode.ENGINE_FAILED, "the engine failed to execute `{method}`")

_AT_ONCE: Final = 64 * 1024
"""Bytes of a message that are copied behind its prefix."""

# gRPC status codes.
_CANCELLED: Final = 1
_UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4
_PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
_UNIMPLEMENTED: Final = 12
_INTERNAL: Final = 13
_UNAVAILABLE: Final = 14
_UNAUTHENTICATED: Final = 16

_OF_HTTP_STATUS: Final = {
    "400": _INTERNAL,
    "401": _UNAUTHENTICATED,
    "403": _PERMISSION_DENIED,
    "404": _UNIMPLEMENTED,
    "429": _UNAVAILABLE,
    "502": _UNAVAILABLE,
    "503": _UNAVAILABLE,
    "504": _UNAVAILABLE,
}
"""What an HTTP status means where a response has no gRPC status (gRPC's http-grpc-status-mapping)."""

_REFUSED_STREAM: Final = 0x07
_RESET_CANCEL: Final = 0x08

_OF_RESET: Final = {_RESET_CANCEL: _CANCELLED, 0x0B: RESOURCE_EXHAUSTED, 0x0C: _PERMISSION_DENIED}
"""What the code of RST_STREAM means; every other one is an internal error (gRPC's PROTOCOL-HTTP2)."""

Fields = Sequence[tuple[bytes, bytes]]


class UnaryCall(ClientStream):
    """A call whose result is the future `answer`: the response's message, or an error of the engine.

    Attributes:
        answer: the result.
        deadline: when the call ends at the latest, in the event loop's time.
        bucket: where its deadline is kept.
    """

    __slots__ = (
        "_budget",
        "_buffer",
        "_client",
        "_expected",
        "_foreign",
        "_message",
        "_method",
        "_prefix",
        "_reserved",
        "_waits",
        "answer",
        "bucket",
        "deadline",
    )

    def __init__(
        self,
        method: str,
        head: Fields,
        payload: bytes,
        *,
        client: Http2Client,
        budget: ReceiveBudget,
        answer: "asyncio.Future[bytes]",
        deadline: float,
    ) -> None:
        prefix = b"\0" + len(payload).to_bytes(4, "big")
        if len(payload) <= _AT_ONCE:
            super().__init__(head, prefix + payload, b"")
        else:
            super().__init__(head, prefix, payload)
        self.answer = answer
        self.deadline = deadline
        self.bucket: set[Any] | None = None
        self._method = method
        self._client = client
        self._budget = budget
        self._foreign = ""
        self._message: bytes | None = None
        self._prefix = b""
        self._buffer: BytesIO | None = None
        self._expected = 0
        self._reserved = False
        self._waits = False

    # What the connection reports --------------------------------------------------------------------------------------

    def respond(self, fields: Fields) -> None:
        """Take the fields of the response, which may be of a server that is not gRPC."""
        status = content = b""
        for name, value in fields:
            if name == b":status":
                status = value
            elif name == b"content-type":
                content = value
        if status != b"200" or not content.startswith(b"application/grpc"):
            self._foreign = status.decode(errors="replace")

    def receive(self, data: bytes) -> bool:
        """Take a part of the message. A long one is continued when the memory for it is reserved."""
        if self._foreign:
            return True  # what a server sends that is not gRPC
        if self._buffer is not None:
            self._append(self._buffer, data)
        elif not self._prefix and len(data) >= _PREFIX_BYTES and self._message is None:
            self._expected = int.from_bytes(data[1:_PREFIX_BYTES], "big")
            if len(data) == _PREFIX_BYTES + self._expected and not data[0]:
                self._message = data[_PREFIX_BYTES:]
            else:
                self._begin(data)
        else:
            self._begin(self._prefix + data)
        return not self._waits

    def end(self, trailers: Fields) -> None:
        """Take the gRPC status; without an error the message is the result."""
        status = next((value for name, value in trailers if name == b"grpc-status"), None)
        message = self._message if self._buffer is None else self._assembled(self._buffer)
        if status is None:
            self._fail(self._without_status())
        elif status != b"0":
            code = int(status) if status.isdigit() else _UNKNOWN
            self._fail(error_of(self._method, code, _text_in(trailers)))
        elif message is None:
            self._fail(rejected(self._method, f"the engine's answer to `{self._method}` is not one whole message"))
        elif not self._finish():
            self.answer.set_result(message)

    def _without_status(self) -> EngineError:
        """Return the error of a response that ends without a gRPC status."""
        if not self._foreign:
            return rejected(self._method, f"the engine ended its answer to `{self._method}` without a status")
        status = _OF_HTTP_STATUS.get(self._foreign, _UNKNOWN)
        if status == _UNAVAILABLE:
            return EngineUnavailable(f"the engine cannot be reached: it answers with HTTP status {self._foreign}")
        if status == _UNKNOWN:
            return rejected(
                self._method, f"the engine does not speak gRPC: it answers with HTTP status {self._foreign}"
            )
        return error_of(self._method, status)

    def reset(self, code: int) -> None:
        """Take the end of the stream before the end of the response."""
        if code == _REFUSED_STREAM:
            self._fail(EngineUnavailable(f"the engine did not accept `{self._method}`, and did not execute it"))
        elif code == _RESET_CANCEL and self.deadline <= self.answer.get_loop().time():
            self.expire()
        else:
            self._fail(error_of(self._method, _OF_RESET.get(code, _INTERNAL)))

    def lose(self, cause: str) -> None:
        """Take that there is no connection, or no more."""
        self._fail(EngineUnavailable(f"{_UNREACHABLE}: it {cause}"))

    def abandon(self) -> None:
        """End the call upstream, because its caller needs no answer any more."""
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()  # it came in the same turn of the event loop, and is not to be reported as unseen
        self._client.cancel(self)

    # Deadline ---------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """End the call at its deadline, here and upstream."""
        self._fail(error_of(self._method, DEADLINE_EXCEEDED))
        self._client.cancel(self)

    # Memory -----------------------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Let the engine continue a message for which there is memory now."""
        self._reserved, self._waits = True, False
        if self.connection is not None:
            self.connection.acknowledge(self, self._expected + _PREFIX_BYTES + _AT_ONCE)

    def _begin(self, data: bytes) -> None:
        """Take the beginning of a message that comes in parts."""
        if self._message is not None:
            self._refuse(f"the engine answered `{self._method}` with more than one message")
            return
        if len(data) < _PREFIX_BYTES:
            self._prefix = data
            return
        self._expected = int.from_bytes(data[1:_PREFIX_BYTES], "big")
        if data[0]:
            kind = "a compressed message, which it was not asked for" if data[0] == 1 else "a malformed message"
            self._refuse(f"the engine answered `{self._method}` with {kind}")
        elif self._expected > MAX_MESSAGE_BYTES:
            self._refuse(f"the engine answered `{self._method}` with {self._expected} bytes, which is too large")
        else:
            self._buffer = BytesIO()
            if self._expected > self._budget.unreserved:
                self._waits = not self._budget.reserve(self, self._expected)
                self._reserved = not self._waits
                if self._reserved:
                    self.proceed()
            self._append(self._buffer, memoryview(data)[_PREFIX_BYTES:])

    def _append(self, buffer: BytesIO, data: bytes | memoryview) -> None:
        buffer.write(data)
        if buffer.tell() > self._expected:
            self._refuse(f"the engine answered `{self._method}` with more than one message")

    def _assembled(self, buffer: BytesIO) -> bytes | None:
        """Return the message, or None if a part of it is missing."""
        return buffer.getvalue() if buffer.tell() == self._expected else None

    # The end ----------------------------------------------------------------------------------------------------------

    def _refuse(self, text: str) -> None:
        """End the call because of what the engine sends."""
        self._fail(rejected(self._method, text))
        self._client.cancel(self)

    def _fail(self, error: EngineError) -> None:
        if not self._finish():
            self.answer.set_exception(error)

    def _finish(self) -> bool:
        """Note that the call has ended, and return whether it had already."""
        if self.answer.done():
            return True
        self.finished = True
        self.release()
        return False

    def release(self) -> None:
        """Give back the memory of a long message."""
        if self._reserved or self._waits:
            self._reserved = self._waits = False
            self._budget.release(self)
        self._buffer = None


def _text_in(trailers: Fields) -> str:
    """Return the text of the gRPC status, which is percent-encoded UTF-8, or empty."""
    found = next((value for name, value in trailers if name == b"grpc-message"), b"")
    return unquote_to_bytes(found).decode(errors="replace")


def error_of(method: str, status: int, text: str = "") -> EngineError:
    """Return the error for a gRPC status other than OK.

    Args:
        method: RPC name.
        status: the status.
        text: the engine's own, which callers get. Not where it is about the connection, or about the service account,
            which callers would take for their own.
    """
    match status:
        case 14 | 1:
            return EngineUnavailable(_UNREACHABLE)
        case 4:
            return EngineDeadlineExceeded(f"the engine did not answer `{method}` in time")
        case 12:
            return EngineLacksOperation(
                f"the engine does not implement `{method}`", _about(ErrorCode.ENGINE_LACKS_OPERATION, method)
            )
        case 16:
            return EngineAccountRejected("the engine does not accept the service account of this server")
        case 7:
            return EngineAccessDenied(
                f"the engine does not allow `{method}` to the service account of this server",
                _about(ErrorCode.ENGINE_ACCESS_DENIED, method),
            )
    if text:
        return EngineRejected(text, _about(ErrorCode.ENGINE_FAILED, method, quoted=text), grpc_code=status)
    code, sentence = _REJECTIONS.get(status, _FAILURE)
    return EngineRejected(sentence.format(method=method), _about(code, method), grpc_code=status)


def rejected(method: str, text: str) -> EngineRejected:
    """Return the error of a call that gRPC's statuses do not describe."""
    return EngineRejected(text, _about(ErrorCode.ENGINE_FAILED, method))


def _about(code: ErrorCode, operation: str, *, quoted: str = "") -> ErrorDetail:
    return ErrorDetail(code, {"operation": operation}, quoted=quoted)
