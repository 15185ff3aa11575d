"""Many short calls with tokens on one HTTP/2 connection: a request costs the sender a few dozen microseconds.

An SDK, or gRPC's own channel, would take the processor from the server and the provider that are tested.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import unquote

from tests.support import raw_grpc

from kiteward.net.http2 import Address, ClientSettings, ClientStream, Http2Client

UNAUTHENTICATED: Final = "16"
"""The status of gRPC of a credential that is not accepted."""

IN_FLIGHT: Final = 500
"""Requests at the same time, at most: a server that falls behind gets fewer, and the outcome says how many."""

WITHIN: Final = 60.0
"""Seconds in which a request has to be answered."""

_TICK: Final = 0.01
"""Seconds between two batches of requests."""

_EMPTY_MESSAGE: Final = b"\0\0\0\0\0"
_PATH: Final = b"/milvus.proto.milvus.MilvusService/GetVersion"


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a request failed.

    Attributes:
        status: the number of its gRPC status; empty where it has none.
        sentence: what the server said, or what happened instead.
    """

    status: str
    sentence: str


class _Call(ClientStream):
    """One request. Its result is the future `ended`: None if it was answered, else why not."""

    __slots__ = ("_answered", "ended")

    def __init__(self, head: Sequence[tuple[bytes, bytes]], ended: "asyncio.Future[Refusal | None]") -> None:
        super().__init__(head, _EMPTY_MESSAGE, b"")
        self._answered = False
        self.ended = ended

    def respond(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the fields of the response; the status is behind it."""

    def receive(self, data: bytes) -> bool:
        """Take a part of the answer."""
        self._answered = self._answered or bool(data)
        return True

    def end(self, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the status."""
        found = dict(trailers)
        status = found.get(b"grpc-status", b"").decode()
        if status == "0" and self._answered:
            self.finish(None)
        else:
            self.finish(Refusal(status, unquote(found.get(b"grpc-message", b"no answer").decode())))

    def reset(self, code: int) -> None:
        """Take the end of the stream before that of the response."""
        self.finish(Refusal("", f"reset with code {code}"))

    def lose(self, cause: str) -> None:
        """Take that there is no connection."""
        self.finish(Refusal("", f"the server {cause}"))

    def finish(self, result: Refusal | None) -> None:
        """End the request."""
        self.finished = True
        if not self.ended.done():
            self.ended.set_result(result)


class Load:
    """Sends requests, each with a token, at a rate."""

    def __init__(self, port: int, client: Http2Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._running: dict[_Call, None] = {}
        self._heads: dict[str, list[tuple[bytes, bytes]]] = {}
        self._head = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", _PATH),
            (b":authority", b"127.0.0.1:%d" % port),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        ]

    async def refusal(self, token: str) -> Refusal | None:
        """Make one request and return how it is refused; None if it is not."""
        return await self._begin(token).ended

    async def settled(self) -> None:
        """Wait for the requests that are being made now."""
        if self._running:
            await asyncio.wait([call.ended for call in self._running])

    @contextlib.asynccontextmanager
    async def at(
        self, rate: float, token: Callable[[], tuple[str, str]], ended: Callable[[str, Refusal | None], None]
    ) -> AsyncIterator[None]:
        """Send so many requests a second for as long as the block lasts.

        Args:
            rate: requests a second.
            token: returns the kind of the next token, and the token.
            ended: takes the kind of a token and how its request was refused, or None.
        """
        sending = asyncio.create_task(self._send(rate, token, ended))
        try:
            yield
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
            await self.settled()

    async def _send(
        self, rate: float, token: Callable[[], tuple[str, str]], ended: Callable[[str, Refusal | None], None]
    ) -> None:
        began, sent = self._loop.time(), 0
        while True:
            due = int((self._loop.time() - began) * rate)
            for _ in range(min(due - sent, IN_FLIGHT - len(self._running))):
                kind, text = token()
                self._begin(text).ended.add_done_callback(partial(_report, kind, ended))
                sent += 1
            await asyncio.sleep(_TICK)

    def _begin(self, token: str) -> _Call:
        """Send a request."""
        call = _Call(self._head_for(token), self._loop.create_future())
        late = self._loop.call_later(WITHIN, self._expire, call)
        self._running[call] = None
        call.ended.add_done_callback(partial(self._ended, call, late))
        self._client.send(call)
        return call

    def _head_for(self, token: str) -> list[tuple[bytes, bytes]]:
        head = self._heads.get(token)
        if head is None:
            head = [*self._head, (b"authorization", raw_grpc.authorization(token).encode())]
            self._heads[token] = head
        return head

    def _ended(self, call: _Call, late: asyncio.TimerHandle, _result: object) -> None:
        late.cancel()
        del self._running[call]

    def _expire(self, call: _Call) -> None:
        self._client.cancel(call)
        call.finish(Refusal("", f"no answer within {WITHIN:.0f} s"))


def _report(kind: str, ended: Callable[[str, Refusal | None], None], result: "asyncio.Future[Refusal | None]") -> None:
    ended(kind, result.result())


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Load]:
    """Connect to a server on loopback for as long as the block lasts.

    Args:
        port: its port.
    """
    client = Http2Client(Address("127.0.0.1", port), ClientSettings(connections=1, requests=IN_FLIGHT))
    try:
        yield Load(port, client)
    finally:
        await client.close()
