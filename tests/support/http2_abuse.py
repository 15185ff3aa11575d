"""An HTTP/2 server behind a real listener, and clients that send it whatever frames they like."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final, NamedTuple, Self

from tests.support import http2_frames as frames
from tests.support.http2_frames import encoded

from kiteward.net.budget import Budget
from kiteward.net.http2.connection import ServerConnection
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.server import Http2Server
from kiteward.net.http2.streams import Exchange, Head, Stream
from kiteward.net.listener import Listener

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0

SOON = 0.4
QUICK = Http2Limits(
    settings_timeout=SOON,
    stall=SOON,
    close_timeout=SOON,
    linger=10.0,
    check_interval=0.05,
    control_frames=100,
    control_frame_rate=10,
)
"""Short timeouts, and few control frames."""

UNHURRIED = replace(QUICK, stall=3.0)
"""For clients that must not be given up: on a busy machine they may be kept from their turn for a second."""

WAITING = 256 * 1024
"""Bytes that may wait for a slow reader."""

MOST_NOISE = 110
"""How many control frames are accepted if they take a second to arrive."""

KITE = b"fly, my kite! " * 400_000

EMPTY_SETTINGS = frames.settings({})
WIDE = frames.settings({frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW})
WIDE_TOGETHER = frames.window_update(0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW)
CLOSED = frames.settings({frames.INITIAL_WINDOW_SIZE: 0})

_HEAD: Final = ((b":status", b"200"),)
_TRAILERS: Final = ((b"outcome", b"ok"),)
_RECEIVE_BUFFER: Final = 4_096


def ping(payload: bytes = b"12345678") -> bytes:
    """Return the frame of a ping."""
    return frames.frame(frames.PING, 0, 0, payload)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


class Request:
    """A request as the application sees it. Implements `streams.Exchange`.

    Attributes:
        head: what it began with.
        body: what came of it.
        whole, gone: whether it ended, or was given up.
    """

    def __init__(self, application: "Application", stream: Stream, head: Head) -> None:
        self._application = application
        self._stream = stream
        self.head = head
        self.body = bytearray()
        self.whole = self.gone = False

    def received(self, data: bytes) -> None:
        self.body += data

    def ended(self) -> None:
        self.whole = True
        if self.head.path != b"/held":
            self._stream.respond(_HEAD, (self._application.answer,), _TRAILERS)

    def lost(self) -> None:
        self.gone = True


class Application:
    """Answers each request at its end, those for `/held` never; accepts bodies of `/known`, and fails at `/broken`.

    Attributes:
        requests: all that have come.
        answer: the body of every answer.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer = b"ok"

    def begin(self, stream: Stream, head: Head) -> Exchange:
        request = Request(self, stream, head)
        self.requests.append(request)
        if head.path == b"/known":
            stream.admit(10_000_000)
        if head.path == b"/broken":
            raise RuntimeError("the application is broken")
        return request


class Served:
    """The server, and what is behind and before it.

    Attributes:
        application: what it serves.
        budget: what clients make the server hold.
        port: where.
    """

    def __init__(self, limits: Http2Limits, budget: Budget | None = None) -> None:
        self.application = Application()
        self.budget = budget or Budget()
        self.server = Http2Server(self.application.begin, limits, budget=self.budget)
        self.listener = Listener(grpc=self.server)
        self.port = 0

    @property
    def requests(self) -> list[Request]:
        return self.application.requests

    def connections(self) -> list[ServerConnection]:
        """Return the connections that the server knows."""
        return list(self.server._connections)

    def nothing_left(self) -> bool:
        """Return whether server and listener have forgotten every connection."""
        return not self.connections() and not any(self.listener.open_connections().values())


@contextlib.asynccontextmanager
async def serving(limits: Http2Limits, budget: Budget | None = None) -> AsyncIterator[Served]:
    """Serve for as long as a block runs."""
    served = Served(limits, budget)
    served.port = await served.listener.start(HOST, 0)
    try:
        yield served
    finally:
        served.listener.stop_accepting()
        await served.server.stop(0)
        await served.listener.close(1)


class Frame(NamedTuple):
    """A frame that the server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of a GOAWAY or RST_STREAM."""
        return int.from_bytes(self.payload[4:8] if self.kind == frames.GOAWAY else self.payload, "big")


def headers(number: int, path: str = "/", *fields: tuple[str, str], last: bool = True) -> bytes:
    """Return the head of a request."""
    section = encoded(((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "kiteward"), *fields))
    flags = frames.END_HEADERS | (frames.END_STREAM if last else 0)
    return frames.frame(frames.HEADERS, flags, number, section)


def data(number: int, body: bytes, *, last: bool = False) -> bytes:
    """Return a piece of a body."""
    return frames.frame(frames.DATA, frames.END_STREAM if last else 0, number, body)


class Client:
    """One connection to a server.

    Attributes:
        frames: what the server has sent, without what `wait_for` has passed over.
        closed: whether it has closed the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(
        cls,
        served: Served,
        *,
        greeting: bytes | None = None,
        slow: bool = False,
    ) -> AsyncIterator[Self]:
        """Connect.

        Args:
            served: to whom.
            greeting: what is sent behind the preface; plain settings by default.
            slow: take as little as possible of what is sent before it is read.
        """
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if slow:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (HOST, served.port))
        reader, writer = await asyncio.open_connection(
            sock=plain,
            limit=_RECEIVE_BUFFER if slow else 2**16,
        )
        client = cls(reader, writer)
        client.send(frames.PREFACE, frames.settings({}) if greeting is None else greeting)
        try:
            yield client
        finally:
            writer.transport.abort()

    def send(self, *parts: bytes) -> None:
        """Send frames, or whatever else."""
        self._writer.write(b"".join(parts))

    async def trickle(self, part: bytes, *, every: float = 0.02) -> None:
        """Send something again and again until the server has closed."""
        async with asyncio.timeout(PATIENCE):
            closed = asyncio.ensure_future(self.until_closed())
            with contextlib.suppress(ConnectionError):
                while not closed.done():
                    self._writer.write(part)
                    await self._writer.drain()
                    await asyncio.sleep(every)
            await closed

    async def next_frame(self) -> Frame | None:
        """Return the next frame, None after the last."""
        try:
            async with asyncio.timeout(PATIENCE):
                upper, lower, kind, flags, stream = frames.HEAD.unpack(await self._reader.readexactly(frames.HEAD.size))
                return Frame(kind, flags, stream, await self._reader.readexactly(upper << 8 | lower))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed = True
            return None

    async def wait_for(self, kind: int, stream: int | None = None) -> Frame:
        """Return the next frame of a kind, passing over others."""
        while (frame := await self.next_frame()) is not None:
            if frame.kind == kind and stream in (None, frame.stream):
                return frame
        raise AssertionError("the server has closed the connection")

    async def until_closed(self) -> list[Frame]:
        """Return every frame until the server closes, and hang up too, as clients do."""
        came = []
        while (frame := await self.next_frame()) is not None:
            came.append(frame)
        self._writer.close()
        return came

    async def end(self) -> Frame:
        """Return the GOAWAY with which the server closes."""
        return [frame for frame in await self.until_closed() if frame.kind == frames.GOAWAY][-1]

    async def in_step(self) -> None:
        """Wait until the server has taken everything that was sent."""
        self.send(frames.frame(frames.PING, 0, 0, b"in step?"))
        while True:
            frame = await self.wait_for(frames.PING)
            if frame.flags & frames.ACK and frame.payload == b"in step?":
                return

    async def served(self, number: int) -> bytes:
        """Send a request, and return the body of its answer."""
        self.send(headers(number))
        return await self.answer(number)

    async def answer(self, number: int) -> bytes:
        """Return the body of an answer."""
        body = b""
        while (frame := await self.next_frame()) is not None:
            if frame.stream == number:
                assert frame.kind in {frames.HEADERS, frames.DATA}, frame
                body += frame.payload if frame.kind == frames.DATA else b""
                if frame.flags & frames.END_STREAM:
                    return body
        raise AssertionError("the server has closed the connection")

    async def half_close(self) -> None:
        """End the stream of the client."""
        await self._writer.drain()
        self._writer.write_eof()

    async def break_off(self) -> None:
        """Hang up without a word."""
        await self._writer.drain()
        plain: socket.socket = self._writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._writer.transport.abort()
