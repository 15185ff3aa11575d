"""The server's end of the connection to the embedded engine's process."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, cast

from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.embedded.frames import (
    NO_DEADLINE,
    Frame,
    FrameReader,
    Kind,
    MalformedFrame,
    UnfitHead,
    call_frame,
    call_head,
    cancel_frame,
)
from kiteward.engine.embedded.outgoing import OutgoingFrames
from kiteward.engine.statuses import StatusCode, domain_error
from kiteward.milvus.limits import MAX_MESSAGE_BYTES

_UNREACHABLE: Final = "the engine cannot be reached"

logger = logging.getLogger("kiteward.engine")


@dataclass(frozen=True, slots=True)
class _PendingCall:
    """A call that has no answer yet.

    Attributes:
        method: RPC name.
        answer: gets the response or the error.
        timer: ends the call at its deadline; None if it has none.
    """

    method: str
    answer: "asyncio.Future[bytes]"
    timer: asyncio.TimerHandle | None


class EngineConnection(asyncio.Protocol):
    """One connection, on which calls are answered in any order. Made by `open`; once it has ended, it stays so.

    A call costs a future and no task. It always reads: an answer waits nowhere but with its caller, so that two ends
    that both wait for the other cannot occur.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader([Kind.ANSWER])
        self._calls: dict[int, _PendingCall] = {}
        self._last_call = 0
        self._transport: asyncio.Transport
        self._outgoing: OutgoingFrames
        self._reason = ""
        self._lost: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> Self:
        """Connect to a Unix socket.

        Raises:
            EngineUnavailable: nobody listens there.
        """
        try:
            _, connection = await asyncio.get_running_loop().create_unix_connection(cls, os.fspath(path))
        except OSError:
            raise EngineUnavailable(_UNREACHABLE) from None
        return connection

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request and return the response bytes. See `kiteward.engine.base.Engine.call`."""
        if self._reason:
            raise EngineUnavailable(self._reason)
        if len(payload) > MAX_MESSAGE_BYTES:
            raise domain_error(method, StatusCode.RESOURCE_EXHAUSTED)
        if timeout is not None and timeout <= 0:
            raise domain_error(method, StatusCode.DEADLINE_EXCEEDED)
        try:
            head = call_head(method, metadata)
        except UnfitHead:
            raise domain_error(method, StatusCode.RESOURCE_EXHAUSTED) from None
        call = self._last_call = self._last_call + 1
        deadline, timer = NO_DEADLINE, None
        if timeout is not None:
            deadline, timer = time.monotonic() + timeout, self._loop.call_later(timeout, self._expire, call)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._calls[call] = _PendingCall(method, answer, timer)
        self._outgoing.put(call, call_frame(call, head, payload, deadline=deadline))
        try:
            return await answer
        except asyncio.CancelledError:
            self._give_up(call)
            raise

    def close(self) -> None:
        """Close the connection; calls that are still in flight end with EngineUnavailable."""
        self._finish(
            "the connection to the engine is closed",
            in_flight="the connection to the engine was closed during the call",
        )
        self._transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection has ended, whichever end ended it."""
        await asyncio.shield(self._lost)

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send."""
        self._transport = cast("asyncio.Transport", transport)
        self._outgoing = OutgoingFrames(self._transport, self._loop)

    def data_received(self, data: bytes) -> None:
        """Pass answers to their callers; end the connection if they are not frames."""
        try:
            for frame in self._reader.read(data):
                self._answer(frame)
        except MalformedFrame as error:
            logger.error("the engine sent a malformed frame; its connection is closed: %s", error)  # noqa: TRY400
            self._finish(_UNREACHABLE, in_flight=_UNREACHABLE)
            self._transport.abort()

    def pause_writing(self) -> None:
        """Let calls wait while the engine does not read."""
        self._outgoing.pause()

    def resume_writing(self) -> None:
        """Send the calls that waited."""
        self._outgoing.resume()

    def connection_lost(self, _error: Exception | None) -> None:
        """End every call."""
        self._finish(_UNREACHABLE, in_flight=_UNREACHABLE)
        if not self._lost.done():
            self._lost.set_result(None)

    def _answer(self, frame: Frame) -> None:
        if not 0 < frame.call <= self._last_call:
            raise MalformedFrame(f"an answer to call {frame.call}, which was not made")
        pending = self._calls.pop(frame.call, None)
        if pending is None:
            # Its caller gave up before.
            return
        if pending.timer is not None:
            pending.timer.cancel()
        if pending.answer.done():
            return
        if frame.code == StatusCode.OK:
            pending.answer.set_result(frame.payload)
        else:
            pending.answer.set_exception(domain_error(pending.method, frame.code))

    def _expire(self, call: int) -> None:
        pending = self._calls[call]
        self._give_up(call)
        if not pending.answer.done():
            pending.answer.set_exception(domain_error(pending.method, StatusCode.DEADLINE_EXCEEDED))

    def _give_up(self, call: int) -> None:
        """Withdraw a call that was not sent yet; cancel one that was."""
        pending = self._calls.pop(call, None)
        if pending is None:
            return
        if pending.timer is not None:
            pending.timer.cancel()
        if not self._outgoing.withdraw(call):
            self._outgoing.put(call, cancel_frame(call))

    def _finish(self, reason: str, *, in_flight: str) -> None:
        """End the calls in flight with one text, and those to come with another."""
        if self._reason:
            return
        self._reason = reason
        self._outgoing.close()
        calls, self._calls = self._calls, {}
        for pending in calls.values():
            if pending.timer is not None:
                pending.timer.cancel()
            if not pending.answer.done():
                pending.answer.set_exception(EngineUnavailable(in_flight))
