"""One unary call: reads its message, keeps its deadline and sends its response."""

import asyncio
import logging
from typing import Protocol

from kiteward.api.grpc import protocol
from kiteward.domain.errors import CapacityExceeded
from kiteward.engine.statuses import StatusCode
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.net.budget import Claim
from kiteward.net.http2 import Stream

_log = logging.getLogger("kiteward.grpc")


class Refusal(Exception):
    """A call ends with a status instead of a message, or with a message to a caller who is not authenticated."""

    def __init__(
        self, code: StatusCode, text: str, *, retry_after: float | None = None, response: bytes | None = None
    ) -> None:
        """Create a refusal.

        Args:
            code: the status.
            text: the text that the caller gets.
            retry_after: seconds after which the call may be repeated; None says nothing about that.
            response: the response message that says so to a client that hides the status from its user, or None.
        """
        super().__init__(text)
        self.code = code
        self.retry_after = retry_after
        self.response = response


class CallHandler(Protocol):
    """Handles a call."""

    async def admit(self) -> Claim:
        """Authenticate the caller and return the claim that counts the bytes of the call.

        Raises:
            Refusal: the caller is not authenticated.
        """
        ...

    async def run(self, message: bytes) -> bytes:
        """Return the response message to a request message of an authenticated caller.

        Raises:
            Refusal: the call ends with a status instead, or the caller is not authenticated.
        """
        ...


class UnaryCall:
    """A call with one message each way. Implements `http2.Exchange`.

    A message that arrives in several pieces or is compressed is read further only after the caller is authenticated. An
    unauthenticated caller cannot make the server hold or decompress more than a few kilobytes. Such a message is read
    once the memory budget has room for all of it, and decompressed once there is room for the result; until then its
    window stays closed.
    """

    __slots__ = (
        "_came",
        "_claim",
        "_compressed",
        "_deadline",
        "_due",
        "_encoding",
        "_size",
        "_stream",
        "_task",
        "_unpacking",
        "_whole",
        "_work",
    )

    def __init__(self, stream: Stream, work: CallHandler, *, timeout: float | None, encoding: str) -> None:
        """Start the deadline of a call that has received nothing yet.

        Args:
            stream: its stream.
            work: handles it.
            timeout: seconds until its deadline, or None.
            encoding: the encoding of a compressed message; one of `protocol.ENCODINGS`.
        """
        self._stream = stream
        self._work = work
        self._encoding = encoding
        self._compressed = False
        self._came: bytes | bytearray = b""  # one object for all pieces: many small ones would need more memory
        self._size = 0
        self._due = 0  # size of the complete message with its prefix, in bytes; 0 until the prefix has arrived
        self._claim: Claim | None = None
        self._task: asyncio.Task[None] | None = None
        self._unpacking: asyncio.Future[bytes] | None = None
        self._whole: asyncio.Event | None = None
        self._deadline = None if timeout is None else stream.loop.call_later(timeout, self._late)

    def received(self, data: bytes) -> None:
        """Append bytes of the message."""
        if not self._came:
            self._came = data
        else:
            if isinstance(self._came, bytes):
                self._came = bytearray(self._came)
            self._came += data
        self._size += len(data)
        refusal = None
        if not self._due and self._size >= protocol.PREFIX_SIZE:
            refusal = self._read_prefix()
        if self._due and self._size > self._due:
            refusal = Refusal(StatusCode.INVALID_ARGUMENT, "a second message where one is expected")
        if refusal is not None:
            self._refuse(refusal)
        elif self._task is None and self._due and (self._compressed or self._size != self._due):
            self._whole = asyncio.Event()
            self._start()

    def ended(self) -> None:
        """Handle the end of the request."""
        if not self._due or self._size < self._due:
            self._refuse(Refusal(StatusCode.INVALID_ARGUMENT, "the call ended before its message was complete"))
        elif self._whole is not None:
            self._whole.set()
        else:
            self._start()

    def lost(self) -> None:
        """Cancel the call: its stream was lost."""
        self._end()

    def _start(self) -> None:
        self._task = self._stream.loop.create_task(self._serve())

    def _read_prefix(self) -> Refusal | None:
        came = self._came
        flag, length = came[0], int.from_bytes(came[1 : protocol.PREFIX_SIZE], "big")
        if length > MAX_MESSAGE_BYTES:
            text = f"a message of {length} bytes is larger than the {MAX_MESSAGE_BYTES} that are allowed"
            return Refusal(StatusCode.RESOURCE_EXHAUSTED, text)
        if flag > 1 or (flag and self._encoding == "identity"):
            return Refusal(StatusCode.INVALID_ARGUMENT, "a compressed message without `grpc-encoding`")
        self._compressed = bool(flag)
        self._came = came[protocol.PREFIX_SIZE :]
        self._due = protocol.PREFIX_SIZE + length
        return None

    async def _serve(self) -> None:
        try:
            if self._whole is not None:
                await self._admit(self._whole)
            message, self._came = bytes(self._came), b""
            if self._compressed:
                message = await self._unpacked(message)
            answer = await self._work.run(message)
        except Refusal as refusal:
            self._task = None
            self._refuse(refusal)
            return
        except CapacityExceeded as error:
            self._task = None
            self._refuse(Refusal(StatusCode.RESOURCE_EXHAUSTED, str(error)))
            return
        except Exception:  # noqa: BLE001  the call is answered whatever happens; the log has the rest
            _log.exception("a call failed unexpectedly")
            self._task = None
            self._refuse(Refusal(StatusCode.UNKNOWN, "the call failed unexpectedly"))
            return
        self._task = None
        # A response implies an authenticated caller.
        self._stream.admit(self._size)
        self._respond(answer)
        self._end()

    async def _admit(self, whole: asyncio.Event) -> None:
        """Read the rest of the message, after the caller is authenticated and the budget has room for it."""
        self._claim = await self._work.admit()
        await self._claim.wait_for(self._due)
        self._stream.admit(self._due)
        await whole.wait()

    async def _unpacked(self, message: bytes) -> bytes:
        if self._claim is None:
            raise AssertionError("unreachable: compressed messages are admitted first")
        try:
            limit = protocol.unpacked_limit(message, self._encoding, MAX_MESSAGE_BYTES)
            await self._claim.wait_for(limit)
            self._unpacking = self._stream.loop.run_in_executor(
                None, protocol.decompressed, message, self._encoding, limit
            )
            plain = await asyncio.shield(self._unpacking)
        except protocol.TooLarge as error:
            raise Refusal(StatusCode.RESOURCE_EXHAUSTED, str(error)) from error
        except ValueError as error:
            raise Refusal(StatusCode.INVALID_ARGUMENT, str(error)) from error
        self._claim.resize(len(plain))
        return plain

    def _late(self) -> None:
        self._refuse(Refusal(StatusCode.DEADLINE_EXCEEDED, "the call's deadline has passed"))

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.response is not None:
            self._respond(refusal.response)
        else:
            self._stream.respond(protocol.failure(refusal.code, str(refusal), retry_after=refusal.retry_after))
        self._end()

    def _respond(self, message: bytes) -> None:
        self._stream.respond(protocol.RESPONSE_HEAD, (protocol.prefix(message), message), protocol.OK_TRAILERS)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._unpacking is not None and not self._unpacking.done():
            # The thread cannot be stopped: its result stays reserved until it has ended.
            self._unpacking.add_done_callback(self._release)
        elif self._claim is not None:
            self._claim.close()

    def _release(self, unpacked: asyncio.Future[bytes]) -> None:
        """Release the claim of this call."""
        if not unpacked.cancelled():
            unpacked.exception()  # marks it as retrieved: nothing else reads it
        if self._claim is not None:
            self._claim.close()


class UnreadCall(UnaryCall):
    """A call that is answered without reading its messages: no streaming method is served."""

    __slots__ = ()

    def __init__(self, stream: Stream, work: CallHandler, *, timeout: float | None, encoding: str) -> None:
        """Start the call and handle it at once. Arguments as `UnaryCall`."""
        super().__init__(stream, work, timeout=timeout, encoding=encoding)
        self._start()

    def received(self, data: bytes) -> None:
        """Ignore bytes of messages."""

    def ended(self) -> None:
        """Ignore the end of the request."""
