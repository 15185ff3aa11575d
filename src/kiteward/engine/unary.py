"""One unary gRPC call as a client: a message each way, and how it ends."""

import asyncio
import re
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineError, EngineRejected, EngineUnavailable
from kiteward.engine.receive_budget import ReceiveBudget
from kiteward.engine.statuses import StatusCode, domain_error
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.net.http2 import ClientStream, Http2Client

_PREFIX_BYTES: Final = 5
"""The flag of compression and the length of a message, which precede it."""

_UNREACHABLE: Final = "the engine cannot be reached"

_AT_ONCE: Final = 64 * 1024
"""Bytes of a message that are copied behind its prefix."""

_OF_HTTP_STATUS: Final = {
    "400": StatusCode.INTERNAL,
    "401": StatusCode.UNAUTHENTICATED,
    "403": StatusCode.PERMISSION_DENIED,
    "404": StatusCode.UNIMPLEMENTED,
    "429": StatusCode.UNAVAILABLE,
    "502": StatusCode.UNAVAILABLE,
    "503": StatusCode.UNAVAILABLE,
    "504": StatusCode.UNAVAILABLE,
}
"""What an HTTP status means where a response has no gRPC status (gRPC's http-grpc-status-mapping)."""

_FAILURES: Final = {b"%d" % code: code for code in range(1, 17)}
"""The statuses of gRPC other than OK; everything else counts as UNKNOWN."""

_REFUSED_STREAM: Final = 0x07
_RESET_CANCEL: Final = 0x08

_OF_RESET: Final = {
    _RESET_CANCEL: StatusCode.CANCELLED,
    0x0B: StatusCode.RESOURCE_EXHAUSTED,
    0x0C: StatusCode.PERMISSION_DENIED,
}
"""What the code of RST_STREAM means; every other one is an internal error (gRPC's PROTOCOL-HTTP2)."""

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters by which a text could forge a line, or control a terminal."""

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
            # What a server sends that is not gRPC has no status behind it, and need not have an end.
            self._fail(self._without_status())
            self._client.cancel(self)
            return True
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
        message = self._message if self._buffer is None else self._assembled(self._buffer)
        status = None
        for name, value in trailers:
            if name == b"grpc-status":
                status = value
                break
        if status is None:
            self._fail(self._without_status())
        elif status != b"0":
            self._fail(domain_error(self._method, _FAILURES.get(status, StatusCode.UNKNOWN), self._text_in(trailers)))
        elif message is None:
            self._fail(rejected(self._method, f"the engine's answer to `{self._method}` is not one whole message"))
        elif not self._finish():
            self.answer.set_result(message)

    def _without_status(self) -> EngineError:
        """Return the error of a response that ends without a gRPC status."""
        if not self._foreign:
            return rejected(self._method, f"the engine ended its answer to `{self._method}` without a status")
        status = _OF_HTTP_STATUS.get(self._foreign, StatusCode.UNKNOWN)
        if status == StatusCode.UNAVAILABLE:
            return EngineUnavailable(f"the engine cannot be reached: it answers with HTTP status {self._foreign}")
        if status == StatusCode.UNKNOWN:
            return rejected(
                self._method, f"the engine does not speak gRPC: it answers with HTTP status {self._foreign}"
            )
        return domain_error(self._method, status)

    def reset(self, code: int) -> None:
        """Take the end of the stream before the end of the response."""
        if code == _REFUSED_STREAM:
            self._fail(EngineUnavailable(f"the engine did not accept `{self._method}`, and did not execute it"))
        elif code == _RESET_CANCEL and self.deadline <= self.answer.get_loop().time():
            self.expire()
        else:
            self._fail(domain_error(self._method, _OF_RESET.get(code, StatusCode.INTERNAL)))

    def lose(self, cause: str) -> None:
        """Take that there is no connection, or no more."""
        self._fail(EngineUnavailable(f"{_UNREACHABLE}: it {cause}"))

    def abandon(self) -> None:
        """End the call upstream, because its caller needs no answer any more."""
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()  # it came in the same turn of the event loop, and is not to be reported as unseen
        self._release()
        self._client.cancel(self)

    # Deadline ---------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """End the call at its deadline, here and upstream."""
        self._fail(domain_error(self._method, StatusCode.DEADLINE_EXCEEDED))
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

    def _text_in(self, trailers: Fields) -> str:
        """Return the text of the gRPC status, which is percent-encoded UTF-8, as one line; or empty.

        Callers and logs show it. So a text that repeats what the call was authenticated by counts as none.
        """
        found = next((value for name, value in trailers if name == b"grpc-message"), b"")
        text = unquote_to_bytes(found)
        for name, value in self.head:
            if name == b"authorization" and any(secret in text for secret in _secrets(value)):
                return ""
        return _UNPRINTABLE.sub(" ", text.decode(errors="replace"))

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
        if self._buffer is not None:
            self._release()
        return False

    def _release(self) -> None:
        """Give back the memory of a long message."""
        if self._reserved or self._waits:
            self._reserved = self._waits = False
            self._budget.release(self)
        self._buffer = None


def _secrets(authorization: bytes) -> tuple[bytes, ...]:
    """Return the value of `authorization`, and the token or password that it encodes."""
    try:
        user, colon, password = b64decode(authorization).partition(b":")
    except ValueError:
        return (authorization,)
    secret = password if colon else user
    return (authorization, secret) if secret else (authorization,)


def rejected(method: str, text: str) -> EngineRejected:
    """Return the error of a call that gRPC's statuses do not describe."""
    return EngineRejected(text, ErrorDetail(ErrorCode.ENGINE_FAILED, {"operation": method}))
