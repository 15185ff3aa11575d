"""Quick clients that send exactly the bytes they are given: HTTP/2 as gRPC uses it, and HTTP/1.1."""

import asyncio
import collections
import contextlib
from collections.abc import Sequence
from typing import Final, cast

import hpack
import httptools
from tests.fuzz.requests import BROKEN_OFF, Answer, Sent
from tests.support import http2_frames as frames
from tests.support.http2_frames import encoded

from kiteward.api.grpc.protocol import PREFIX_SIZE, prefix

PATIENCE: Final = 60.0
"""Seconds that an answer may take on a machine that does other things too."""

_STREAMS: Final = 48
_CONNECTIONS: Final = 8
_FRAME_HEAD: Final = 9
_STATUS: Final = b"\ngrpc-status: "
_BEGINNING: Final = ((":method", "POST"), (":scheme", "http"), (":authority", "127.0.0.1"))
_GRPC: Final = (("te", "trailers"), ("content-type", "application/grpc"))
_GREETING: Final = (
    frames.PREFACE
    + frames.settings({frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW})
    + frames.window_update(0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW)
)


class GrpcChannel:
    """One HTTP/2 connection at a time; opened again after it is lost."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._connection: _Http2 | None = None

    async def ask(self, requests: Sequence[Sent]) -> list[Answer]:
        """Send requests side by side and return their answers, in the same order."""
        answers: list[Answer] = [BROKEN_OFF] * len(requests)
        waiting = collections.deque(enumerate(requests))
        while waiting:
            connection = await self._connected()
            async with asyncio.timeout(PATIENCE):
                await connection.ask(waiting, answers)
        return answers

    async def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None
            await asyncio.sleep(0)

    async def _connected(self) -> "_Http2":
        if self._connection is None or self._connection.lost:
            _, self._connection = await asyncio.get_running_loop().create_connection(_Http2, *self._address)
        return self._connection


class _Http2(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self) -> None:
        self.lost = False
        self._received = bytearray()
        self._decoder = hpack.Decoder()
        self._window = frames.DEFAULT_WINDOW
        self._next = 1
        self._open: dict[int, tuple[int, bytearray, bytearray]] = {}
        self._waiting: collections.deque[tuple[int, Sent]] = collections.deque()
        self._answers: list[Answer] = []
        self._done: asyncio.Future[None] | None = None

    async def ask(self, waiting: "collections.deque[tuple[int, Sent]]", answers: list[Answer]) -> None:
        """Take requests off the queue and put down their answers until it is empty or the connection is lost."""
        self._waiting, self._answers = waiting, answers
        self._done = asyncio.get_running_loop().create_future()
        self._send_more()
        await self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self.transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._received += data
        start, received = 0, self._received
        while len(received) - start >= _FRAME_HEAD:
            length = int.from_bytes(received[start : start + 3], "big")
            if len(received) - start < _FRAME_HEAD + length:
                break
            body = bytes(received[start + _FRAME_HEAD : start + _FRAME_HEAD + length])
            stream = int.from_bytes(received[start + 5 : start + _FRAME_HEAD], "big")
            self._frame(received[start + 3], received[start + 4], stream, body)
            start += _FRAME_HEAD + length
        del received[:start]
        self._send_more()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        self._open.clear()
        self._finish()

    def _frame(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == frames.HEADERS:
            fields = self._decoder.decode(body, raw=True)
            body = b"".join(b"\n%b: %b" % (name, value) for name, value in fields)
        if kind in (frames.HEADERS, frames.DATA) and stream in self._open:
            self._open[stream][1].extend(body)
            if kind == frames.DATA:
                self._open[stream][2].extend(body)
            if flags & frames.END_STREAM:
                self._end(stream, broken=False)
        elif kind == frames.RST_STREAM and stream in self._open:
            self._end(stream, broken=True)
        elif kind == frames.WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(body, "big")
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self.transport.write(frames.SETTINGS_ACK)
        elif kind == frames.PING and not flags & frames.ACK:
            self.transport.write(frames.frame(frames.PING, frames.ACK, 0, body))
        elif kind == frames.GOAWAY:
            self.transport.close()

    def _end(self, stream: int, *, broken: bool) -> None:
        place, data, message = self._open.pop(stream)
        self._answers[place] = Answer(-1 if broken else _status(data), bytes(data), bytes(message[PREFIX_SIZE:]))

    def _send_more(self) -> None:
        out = []
        while self._waiting and len(self._open) < _STREAMS and not self.lost:
            place, sent = self._waiting[0]
            message = prefix(sent.payload) + sent.payload
            if len(message) > self._window and self._open:
                break
            self._waiting.popleft()
            self._window -= len(message)
            self._open[self._next] = (place, bytearray(), bytearray())
            head = encoded((*_BEGINNING, (":path", sent.path), *_GRPC, *sent.fields))
            out.append(frames.frame(frames.HEADERS, frames.END_HEADERS, self._next, head))
            out.append(frames.frame(frames.DATA, frames.END_STREAM, self._next, message))
            self._next += 2
        if out:
            self.transport.write(b"".join(out))
        if not self._open and not self._waiting:
            self._finish()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


def _status(data: bytearray) -> int:
    """Return the `grpc-status` of the fields that came last."""
    _, found, status = data.rpartition(_STATUS)
    return int(status.partition(b"\n")[0]) if found else -1


class RestChannel:
    """A few HTTP/1.1 connections, each with one request at a time; opened again after they are lost."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._free: list[_Http1] = []

    async def ask(self, requests: Sequence[Sent]) -> list[Answer]:
        """Send requests side by side and return their answers, in the same order."""
        answers: list[Answer] = [BROKEN_OFF] * len(requests)
        waiting = collections.deque(enumerate(requests))

        async def work() -> None:
            while waiting:
                place, sent = waiting.popleft()
                answers[place] = await self._one(sent)

        await asyncio.gather(*(work() for _ in range(min(_CONNECTIONS, len(requests)))))
        return answers

    async def close(self) -> None:
        """Hang up."""
        for connection in self._free:
            connection.transport.abort()
        self._free.clear()
        await asyncio.sleep(0)

    async def _one(self, sent: Sent) -> Answer:
        connection = self._free.pop() if self._free else None
        if connection is None or connection.lost:
            _, connection = await asyncio.get_running_loop().create_connection(_Http1, *self._address)
        fields = "".join(f"{name}: {value}\r\n" for name, value in sent.fields)
        host = ":".join(str(part) for part in self._address)
        head = f"POST {sent.path} HTTP/1.1\r\nhost: {host}\r\n{fields}content-length: {len(sent.payload)}\r\n\r\n"
        async with asyncio.timeout(PATIENCE):
            answer = await connection.ask(head.encode("latin-1") + sent.payload)
        if not connection.lost:
            self._free.append(connection)
        return answer


class _Http1(asyncio.Protocol):
    """One request at a time. Methods named `on_…` are called by the parser."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.lost = False
        self._parser = httptools.HttpResponseParser(self)
        self._data = bytearray()
        self._body = bytearray()
        self._done: asyncio.Future[Answer] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer."""
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._data += data
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data)
            return
        self.transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        self._finish(BROKEN_OFF)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), bytes(self._data), bytes(self._body))
        self._data.clear()
        self._body.clear()
        if not self._parser.should_keep_alive():
            self.lost = True
            self.transport.close()
        self._finish(answer)

    def _finish(self, answer: Answer) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(answer)
