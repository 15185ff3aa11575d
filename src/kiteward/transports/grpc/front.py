"""The gRPC door: bytes in, bytes out. It reads who calls from the metadata, and everything else is the gateway's."""

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, NoReturn, Protocol

import grpc
import grpc.aio

from kiteward.authn.authenticator import WRONG_KEY
from kiteward.domain.errors import (
    AuthenticationError,
    CredentialMalformed,
    CredentialMissing,
    KeyRejected,
    KitewardError,
)
from kiteward.domain.identity import KeyCredential, PasswordCredential, PresentedCredential, Secret
from kiteward.engine import metadata as engine_metadata
from kiteward.engine.channel import unix_address
from kiteward.gateway.call import Call, new_request_id
from kiteward.gateway.pipeline import Gateway
from kiteward.transports.grpc.status import failure_of
from kiteward.wire import messages

_log = logging.getLogger("kiteward.grpc")

MESSAGE_LIMIT: Final = 256 * 1024 * 1024
"""Largest message in either direction, in bytes, as Milvus has it."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.so_reuseport", 0),
    # SDKs ping idle connections, the one for Go every five seconds; without these the server would hang up on them.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Whoever begins a connection and says no more, or no longer answers a ping, is hung up on.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_concurrent_streams", 1_024),
)

_READ: Final = frozenset({"authorization", "identifier", "user-agent"})
"""Metadata that is read of every call."""

AddressOf = Callable[[str], str | None]
"""Tells a client's address from the peer of its connection; None refuses the peer."""


class Context(Protocol):
    """What we use of grpc's context of one call; grpc itself carries no types."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return the caller's metadata in the order it came."""
        ...

    def time_remaining(self) -> float | None:
        """Return the seconds until the caller gives up, or None."""
        ...

    def peer(self) -> str:
        """Return the caller's address."""
        ...

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the call with a status."""
        ...


def presented_credential(header: str | bytes | None) -> PresentedCredential | AuthenticationError:
    """Return what the `authorization` metadata presents, or why it cannot be read (contract 1.2, 1.3).

    Args:
        header: the value, base64 of `user:password` or of an API key; None when it is missing.
    """
    if header is None:
        return CredentialMissing("missing authorization in header")
    try:
        text = base64.b64decode(header, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return CredentialMalformed("invalid token format")
    user, colon, password = text.partition(":")
    if colon:
        return PasswordCredential(user, Secret(password))
    return KeyCredential(Secret(text)) if text else KeyRejected(WRONG_KEY)


class _Door(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """Sends every method of the services we know through the gateway; methods nobody knows answer so (contract 1.3)."""

    def __init__(self, gateway: Gateway, address_of: AddressOf) -> None:
        self._gateway = gateway
        self._address_of = address_of
        self._handlers = {method.path: self._handler(method) for method in messages.METHODS.values()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method."""
        path = handler_call_details.method
        return self._handlers.get(path) or _unknown(path)

    def _handler(self, method: messages.Method) -> grpc.RpcMethodHandler:
        handle = self._handle_unary(method.name)
        if not method.streaming:
            return grpc.unary_unary_rpc_method_handler(handle)

        async def closed(_requests: object, context: Context) -> None:
            # Every streaming method is closed in the operation table, so that no stream is ever read.
            await handle(b"", context)

        return grpc.stream_stream_rpc_method_handler(closed)

    def _handle_unary(self, operation: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        gateway, address_of = self._gateway, self._address_of

        async def handle(payload: bytes, context: Context) -> bytes:
            address = address_of(context.peer())
            if address is None:
                return await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no calls are taken here")
            call = _call(operation, payload, context, address=address)
            try:
                return await gateway.handle(call)
            except KitewardError as error:
                failure = failure_of(operation, error)
                if isinstance(failure, bytes):
                    return failure
                return await context.abort(failure.code, failure.text)
            except Exception:  # noqa: BLE001  the door answers whatever happens; the log has the rest
                _log.exception("request %s: %s failed unexpectedly", call.request_id, operation)
                return await context.abort(
                    grpc.StatusCode.UNKNOWN, f"the request failed unexpectedly; its id is {call.request_id}"
                )

        return handle


def _call(operation: str, payload: bytes, context: Context, *, address: str) -> Call:
    metadata = context.invocation_metadata() or ()
    # Of a repeated key only the first value counts (contract 1.2).
    known: dict[str, str | bytes] = {}
    for key, value in metadata:
        if key in _READ:
            known.setdefault(key, value)
    forward = engine_metadata.allowed(metadata)
    database = forward.pop("dbname", "")
    return Call(
        operation=operation,
        payload=payload,
        credential=presented_credential(known.get("authorization")),
        database=database,
        timeout=context.time_remaining(),
        forward=forward,
        address=address,
        request_id=new_request_id(),
        transport="grpc",
        client=str(known.get("user-agent", "")),
        client_id=str(known.get("identifier", "")),
    )


def _unknown(path: str) -> grpc.RpcMethodHandler:
    service, _, method = path.removeprefix("/").partition("/")

    async def refuse(_requests: object, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method} for service {service}")

    return grpc.stream_stream_rpc_method_handler(refuse)


class GrpcFront:
    """The gRPC server."""

    def __init__(self, gateway: Gateway, address_of: AddressOf = str) -> None:
        """Prepare a server.

        Args:
            gateway: answers the calls.
            address_of: tells whose connection a call came by, and which connections take no calls; without it, a
                client's address is that of its connection.
        """
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Door(gateway, address_of),))

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port in use.

        Raises:
            OSError: the address cannot be bound.
        """
        return await self._listen(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    async def start_behind(self, path: Path) -> None:
        """Listen on a Unix socket; whoever may enter its directory may connect.

        Raises:
            OSError: it cannot be bound.
        """
        await self._listen(unix_address(path))

    async def _listen(self, address: str) -> int:
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: is another server running there?") from error
        await self._server.start()
        return int(bound)

    async def stop(self, grace: float) -> None:
        """Take no more calls, let those in flight finish for at most `grace` seconds."""
        await self._server.stop(grace)
