"""Upstreams that are no Milvus: one that answers as a test wants, and several that nobody can use."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import trustme

from kiteward.engine.base import Engine
from kiteward.engine.upstream import Address
from kiteward.milvus import messages

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SETTINGS: Final = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""An empty SETTINGS frame, with which a server of HTTP/2 begins."""


@dataclass
class FakeMilvus(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """A Milvus without anything in it, which is called over the network.

    Attributes:
        accepted: the values of `authorization` that it accepts; None accepts every call.
        allowed: RPCs that the account may call; None for all.
        lacks: RPCs that it does not implement.
        answers: RPC -> response, instead of success.
        stalled: RPCs that it never answers.
        held: RPC -> an event that its calls wait for.
        seen: every call: RPC, request and metadata.
        engine: answers what `answers` does not; None if nothing does.
    """

    accepted: set[str] | None = None
    allowed: set[str] | None = None
    lacks: set[str] = field(default_factory=set)
    answers: dict[str, bytes] = field(default_factory=dict)
    stalled: set[str] = field(default_factory=set)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    seen: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    engine: Engine | None = None

    def __post_init__(self) -> None:
        databases = messages.ListDatabasesResponse(status=messages.Status(), db_names=["default"])
        told = messages.ServerInfo(build_tags="v2.6.17", deploy_mode="CLUSTER")
        self.answers = {
            **({} if self.engine is not None else {"ListDatabases": databases.SerializeToString()}),
            "Connect": messages.ConnectResponse(status=messages.Status(), server_info=told).SerializeToString(),
            **self.answers,
        }

    def hold(self, method: str) -> asyncio.Event:
        """Let calls of an RPC wait until the returned event is set."""
        self.held[method] = asyncio.Event()
        return self.held[method]

    def calls(self, method: str) -> list[dict[str, str]]:
        """Return the metadata of the calls of one RPC."""
        return [metadata for called, _, metadata in self.seen if called == method]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method.rpartition("/")[2]
        if method in self.lacks:
            return None
        metadata = dict(handler_call_details.invocation_metadata)

        async def handle(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            self.seen.append((method, payload, metadata))
            if self.accepted is not None and metadata.get("authorization") not in self.accepted:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username")
            if self.allowed is not None and method not in self.allowed:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Privilege{method}: permission deny to svc")
            if method in self.stalled:
                await asyncio.Event().wait()
            if method in self.held:
                await self.held[method].wait()
            if self.engine is not None and method not in self.answers:
                return await self.engine.call(method, payload, metadata=metadata, timeout=None)
            return self.answers.get(method) or messages.success(method)

        return grpc.unary_unary_rpc_method_handler(handle)


@contextlib.asynccontextmanager
async def serving(
    milvus: FakeMilvus, *, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[Address]:
    """Serve it on loopback and give the address; at the end, calls in flight are cancelled."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((milvus,))
    target = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(target) if credentials is None else server.add_secure_port(target, credentials)
    await server.start()
    try:
        yield Address("127.0.0.1", bound, tls=credentials is not None)
    finally:
        await server.stop(None)


@contextlib.asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Address]:
    """Serve connections with a function of its own and give the address, which says nothing about TLS."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as servers of HTTP/1 do to what they cannot read."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    await writer.drain()


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read and say nothing."""
    while await reader.read(65536):
        pass


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


async def another_protocol(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet as a mail server does."""
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await reader.read()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates of an authority that nobody else knows.

    Attributes:
        directory: where the files are.
        authority: signs them.
    """

    directory: Path
    authority: trustme.CA

    @property
    def ca(self) -> Path:
        """The certificate of the authority."""
        return self._written("ca.pem", self.authority.cert_pem)

    def files(self, name: str, **options: Any) -> tuple[Path, Path]:
        """Return a new certificate for a name, and its key."""
        made = self.authority.issue_cert(name, **options)
        chain = self._written(f"{name}.pem", made.cert_chain_pems[0])
        return chain, self._written(f"{name}.key", made.private_key_pem)

    def context(self, name: str, *, requires_client: bool = False, **options: Any) -> ssl.SSLContext:
        """Return the TLS of a server with a certificate for a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])
        self.authority.issue_cert(name, **options).configure_cert(context)
        if requires_client:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def credentials(self, name: str, *, requires_client: bool = False) -> grpc.ServerCredentials:
        """Return the same for a server of gRPC."""
        made = self.authority.issue_cert(name)
        pair = (made.private_key_pem.bytes(), made.cert_chain_pems[0].bytes())
        root = self.authority.cert_pem.bytes() if requires_client else None
        return grpc.ssl_server_credentials([pair], root, requires_client)

    def _written(self, name: str, blob: trustme.Blob) -> Path:
        path = self.directory / name
        blob.write_to_path(path)
        return path
