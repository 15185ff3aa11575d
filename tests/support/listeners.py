"""A listener that serves gRPC and HTTP/1 in front of a gateway that records its calls."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, cast

import grpc.aio

from kiteward.api.grpc.service import GrpcService
from kiteward.domain.identity import Principal
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.net.asgi import Application, Receive, Scope, Send
from kiteward.net.budget import Budget
from kiteward.net.http1.limits import HttpLimits
from kiteward.net.http1.server import HttpServer
from kiteward.net.listener import Listener, ListenerLimits

LOOPBACK: Final = "127.0.0.1"
PATIENCE: Final = 30.0
GET_VERSION: Final = "/milvus.proto.milvus.MilvusService/GetVersion"


class RecordingGateway:
    """Answers every call with its own payload, once `hold` is set.

    Attributes:
        calls: what was asked.
        hold: cleared, it keeps calls waiting.
        answer: what is answered instead of the payload.
    """

    def __init__(self) -> None:
        self.calls: list[Call[bytes]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.answer: bytes | None = None

    async def admit(self, call: Call[bytes]) -> Principal:  # noqa: ARG002  as the gateway has it
        """Authenticate every caller."""
        return Principal("alice")

    async def handle(self, call: Call[bytes]) -> bytes:
        self.calls.append(call)
        await self.hold.wait()
        return call.payload if self.answer is None else self.answer


class Echo:
    """An application that answers with who asked and the body; `hold` as above."""

    def __init__(self) -> None:
        self.requests: list[Scope] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.answer: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await self.hold.wait()
        text = self.answer if self.answer is not None else f"{scope['client'][0]}:{scope['client'][1]} ".encode() + body
        headers = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


class RunningListener:
    """A listener with its services, their gateway and their application."""

    def __init__(
        self, limits: ListenerLimits, http: HttpLimits, application: Application | None, budget: Budget
    ) -> None:
        self.gateway = RecordingGateway()
        self.echo = Echo()
        self.http = HttpServer(application or self.echo, http, budget=budget)
        self.grpc = GrpcService(cast("Gateway", self.gateway), budget=budget)
        self.listener = Listener(http=self.http, grpc=self.grpc, limits=limits)
        self.port = 0

    async def open(self, host: str, port: int = 0) -> None:
        self.port = await self.listener.start(host, port)

    async def close(self, grace: float = 0.0) -> None:
        self.listener.stop_accepting()
        await asyncio.gather(self.grpc.stop(grace), self.http.stop(grace))
        await self.listener.close(1.0)

    def open_connections(self) -> int:
        return sum(self.listener.open_connections().values())


@contextlib.asynccontextmanager
async def opened(
    *,
    host: str = LOOPBACK,
    limits: ListenerLimits | None = None,
    http: HttpLimits | None = None,
    application: Application | None = None,
    budget: Budget | None = None,
) -> AsyncIterator[RunningListener]:
    """Open a listener on a port that the system chooses, and close it at the end."""
    running = RunningListener(limits or ListenerLimits(), http or HttpLimits(), application, budget or Budget())
    await running.open(host)
    try:
        yield running
    finally:
        running.gateway.hold.set()
        running.echo.hold.set()
        await running.close()


@contextlib.asynccontextmanager
async def grpc_alone(gateway: Gateway) -> AsyncIterator[int]:
    """Serve a gateway over gRPC, and yield the port."""
    service = GrpcService(gateway)
    listener = Listener(grpc=service)
    port = await listener.start(LOOPBACK, 0)
    try:
        yield port
    finally:
        listener.stop_accepting()
        await service.stop(0)
        await listener.close(1.0)


@contextlib.asynccontextmanager
async def connected(
    port: int, host: str = LOOPBACK
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and hang up at the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes until the other side hangs up."""
    came = b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(PATIENCE):
            while data := await reader.read(65536):
                came += data
    return came


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def call(port: int, payload: bytes = b"", *, host: str = LOOPBACK, timeout: float = PATIENCE) -> bytes:
    """Make one gRPC call over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"{host}:{port}", options=options) as channel:
        answer: bytes = await channel.unary_unary(GET_VERSION)(payload, timeout=timeout)
        return answer


async def refused(work: Awaitable[object]) -> grpc.StatusCode:
    """Return the status with which a call fails."""
    try:
        await work
    except grpc.aio.AioRpcError as error:
        return error.code()
    raise AssertionError("the call succeeded")


def local_port(writer: asyncio.StreamWriter) -> int:
    """Return the port of our own end."""
    return int(writer.get_extra_info("sockname")[1])


def slow_reader(port: int) -> socket.socket:
    """Connect with a receive buffer that is soon full."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((LOOPBACK, port))
    client.setblocking(False)
    return client
