"""The engine's end of the connection between the server and the embedded engine's process."""

import asyncio
import logging
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from kiteward.engine.embedded.frames import (
    NO_DEADLINE,
    Frame,
    FrameReader,
    Kind,
    MalformedFrame,
    answer_frame,
    read_head,
    refusal_frame,
)
from kiteward.engine.embedded.outgoing import OutgoingFrames
from kiteward.engine.statuses import StatusCode
from kiteward.milvus.limits import MAX_MESSAGE_BYTES

MOST_CALLS: Final = 4096
MOST_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""So many calls, or bytes of requests, in work or waiting stop the reading of further ones."""

_LARGE_ANSWER: Final = 64 * 1024

_PEER: Final = struct.Struct("3i")
"""`struct ucred` of Linux: process, user, group."""

logger = logging.getLogger(__name__)

Outcome = tuple[int, bytes]
"""The number of a gRPC status code, and the serialised response if it is OK."""


class ServedCall:
    """A call that was received.

    INVARIANT: `finish` or `finish_soon` is called once for each call, when nothing works on it any more, whether or not
    its caller still waits.

    Attributes:
        method: RPC name.
        metadata: keys and values that came with it.
        payload: the serialised request.
        on_give_up: called once the caller has given up; for work that waits and can be stopped.
    """

    __slots__ = ("_connection", "_deadline", "_given_up", "_number", "metadata", "method", "on_give_up", "payload")

    def __init__(self, connection: "ServedConnection", frame: Frame) -> None:
        """Take a call from its frame.

        Raises:
            MalformedFrame: the head is not readable.
        """
        self._connection = connection
        self._number = frame.call
        self._deadline = frame.deadline
        self._given_up = False
        self.method, self.metadata = read_head(frame.head)
        self.payload = frame.payload
        self.on_give_up: Callable[[], object] | None = None

    @property
    def number(self) -> int:
        """The number that the caller gave it."""
        return self._number

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for an answer any more. Work that has not begun must not begin then."""
        return self._given_up or (self._deadline != NO_DEADLINE and time.monotonic() >= self._deadline)

    def give_up(self) -> None:
        """Note that nobody waits for an answer any more."""
        self._given_up = True
        if self.on_give_up is not None:
            self.on_give_up()

    def wait_until_read(self) -> None:
        """Wait until earlier answers are read. Blocks; for threads, before work whose answer may be large."""
        self._connection.writable.wait()

    def finish(self, outcome: Outcome) -> None:
        """Answer, if somebody waits. On the loop."""
        self._connection.finish(self, outcome)

    def finish_soon(self, outcome: Outcome) -> None:
        """Answer, if somebody waits. From any thread."""
        self._connection.finish_soon(self, outcome)


class ServedConnection(asyncio.Protocol):
    """One connection of the server. It is not read from while its answers are not read, nor while it holds too much."""

    def __init__(self, begin: Callable[[ServedCall], None], among: "set[ServedConnection]") -> None:
        """Prepare a connection.

        Args:
            begin: begins the work on a call.
            among: holds the open connections.
        """
        self._loop = asyncio.get_running_loop()
        self._begin = begin
        self._among = among
        self._reader = FrameReader([Kind.CALL, Kind.CANCEL])
        self._transport: asyncio.Transport
        self._outgoing: OutgoingFrames
        self._awaited: dict[int, ServedCall] = {}
        self._last_call = 0
        self._unfinished = 0
        self._unfinished_bytes = 0
        self._reading = True
        self._paused = False
        self._drain: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._finished: deque[tuple[ServedCall, Outcome]] = deque()
        self._collecting = False
        self.writable = threading.Event()
        self.writable.set()

    async def stop(self, seconds: float) -> None:
        """Refuse further calls, answer those that are in work, and close the connection.

        Args:
            seconds: how long that may take; what is not answered by then is given up.
        """
        self._drain = self._loop.create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._awaited:
                    await self._drain
                self._outgoing.hand_over()
                self._transport.close()
                await asyncio.shield(self._lost)
        if not self._lost.done():
            self._transport.abort()

    # Calls

    def finish(self, call: ServedCall, outcome: Outcome) -> None:
        """Answer a call, unless it was given up, and make room for another."""
        code, response = outcome
        self._unfinished -= 1
        self._unfinished_bytes -= len(call.payload)
        if self._awaited.pop(call.number, None) is not None:
            if len(response) > MAX_MESSAGE_BYTES:
                code = StatusCode.RESOURCE_EXHAUSTED
            frame = answer_frame(call.number, response) if code == StatusCode.OK else refusal_frame(call.number, code)
            self._outgoing.put(call.number, frame)
        self._choose_to_read()
        self._end_drain()

    def finish_soon(self, call: ServedCall, outcome: Outcome) -> None:
        """As `finish`, from any thread. What several threads bring meanwhile is collected together."""
        if len(outcome[1]) > _LARGE_ANSWER:
            # Until the loop has handed it to the transport, nobody knows whether there is room for the next.
            self.writable.clear()
        self._finished.append((call, outcome))
        if not self._collecting:
            self._collecting = True
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        # INVARIANT: in this order, or what a thread brings in between would wait for the next.
        self._collecting = False
        while self._finished:
            self.finish(*self._finished.popleft())
        self._outgoing.flush()
        if not self._paused:
            self.writable.set()

    def _receive(self, frame: Frame) -> None:
        if frame.call <= self._last_call:
            raise MalformedFrame(f"call {frame.call} after call {self._last_call}")
        call = ServedCall(self, frame)
        self._last_call = frame.call
        self._awaited[frame.call] = call
        self._unfinished += 1
        self._unfinished_bytes += len(frame.payload)
        if self._drain is not None:
            call.finish((StatusCode.UNAVAILABLE, b""))
        else:
            self._begin(call)

    def _cancel(self, number: int) -> None:
        if number > self._last_call:
            raise MalformedFrame(f"call {number} is cancelled before it was made")
        call = self._awaited.pop(number, None)
        if call is not None:
            call.give_up()
            self._end_drain()
        else:
            self._outgoing.withdraw(number)

    def _end_drain(self) -> None:
        if self._drain is not None and not self._awaited and not self._drain.done():
            self._drain.set_result(None)

    def _choose_to_read(self) -> None:
        wanted = not self._paused and self._unfinished < MOST_CALLS and self._unfinished_bytes < MOST_BYTES
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection if it is of this user: the directory of the socket lets nobody else come here."""
        self._transport = cast("asyncio.Transport", transport)
        self._outgoing = OutgoingFrames(self._transport, self._loop)
        self._among.add(self)
        user = _user_of(transport.get_extra_info("socket"))
        if user != os.getuid():
            logger.warning("a connection of user %d is refused", user)
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Begin and cancel calls; end the connection if they are not frames."""
        if self._transport.is_closing():
            return
        try:
            for frame in self._reader.read(data):
                if frame.kind == Kind.CALL:
                    self._receive(frame)
                else:
                    self._cancel(frame.call)
        except MalformedFrame as error:
            logger.error("the server sent a malformed frame; its connection is closed: %s", error)  # noqa: TRY400
            self._transport.abort()
        self._choose_to_read()

    def pause_writing(self) -> None:
        """Take no further calls, and let large reads wait, until answers are read."""
        self._paused = True
        self.writable.clear()
        self._outgoing.pause()
        self._choose_to_read()

    def resume_writing(self) -> None:
        """Send the answers that waited, and take calls again."""
        self._paused = False
        self._outgoing.resume()
        if not self._paused:
            self.writable.set()
        self._choose_to_read()

    def connection_lost(self, _error: Exception | None) -> None:
        """Give up every call."""
        self._among.discard(self)
        self._outgoing.close()
        self._paused = False
        self.writable.set()
        awaited, self._awaited = self._awaited, {}
        for call in awaited.values():
            call.give_up()
        self._end_drain()
        if not self._lost.done():
            self._lost.set_result(None)


class EngineServer:
    """Listens on a Unix socket and takes calls. Made by `listen`."""

    def __init__(self) -> None:
        self._connections: set[ServedConnection] = set()
        self._listener: asyncio.AbstractServer

    @classmethod
    async def listen(cls, path: str, begin: Callable[[ServedCall], None]) -> "EngineServer":
        """Take calls from now on.

        Args:
            path: where the socket is made; its directory decides who can reach it.
            begin: begins the work on a call, without waiting for it.
        """
        server = cls()
        loop = asyncio.get_running_loop()
        server._listener = await loop.create_unix_server(lambda: ServedConnection(begin, server._connections), path)
        return server

    async def stop(self, seconds: float) -> None:
        """Refuse further calls, and answer those that are in work for so many seconds."""
        self._listener.close()
        await asyncio.gather(*(connection.stop(seconds) for connection in self._connections))


def _user_of(connected: socket.socket) -> int:
    """Return the user of the process at the other end; this process's own where the system cannot tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    user: int = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1]
    return user
