"""A pass-through gRPC channel to an engine: bytes in, bytes out, domain errors instead of status codes."""

import asyncio
from collections.abc import Mapping
from typing import Self, TypeAlias
from urllib.parse import urlsplit

import grpc
import grpc.aio

from kiteward.domain.errors import ConfigurationError, EngineUnavailable
from kiteward.engine.statuses import domain_error
from kiteward.milvus.messages import MAX_MESSAGE_BYTES, SERVICE

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Only the caller knows whether an operation may run twice.
    ("grpc.enable_retries", 0),
    # An http_proxy in the environment must never see engine traffic.
    ("grpc.enable_http_proxy", 0),
    # Channels to one address would otherwise share a connection, and with it the back-off of a connection that died.
    ("grpc.use_local_subchannel_pool", 1),
)

_Call: TypeAlias = grpc.aio.UnaryUnaryMultiCallable


class EngineChannel:
    """One connection to one engine address."""

    def __init__(self, target: str, *, credentials: grpc.ChannelCredentials | None = None) -> None:
        """Prepare a channel; the connection is made by the first call.

        Args:
            target: gRPC address, for example `unix:/run/kiteward/engine.sock` or `milvus:19530`.
            credentials: TLS towards the engine; None connects without TLS.
        """
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
        self._calls: dict[str, _Call] = {}
        self._closed = False

    @classmethod
    def to(cls, uri: str) -> Self:
        """Prepare a channel to an address in the form that SDKs use: `http://host:port`, or `https://` for TLS.

        Raises:
            ConfigurationError: the address is not of this form.
        """
        parts = urlsplit(uri)
        try:
            target = f"{parts.hostname}:{parts.port or 19530}"
        except ValueError:
            target = ""
        if parts.scheme not in ("http", "https") or not parts.hostname or not target:
            raise ConfigurationError("the address must be like http://host:19530 or https://host:19530")
        if ":" in parts.hostname:
            target = f"[{parts.hostname}]:{parts.port or 19530}"
        return cls(target, credentials=grpc.ssl_channel_credentials() if parts.scheme == "https" else None)

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request of the Milvus service and return the response bytes.

        Raises:
            EngineUnavailable, EngineDeadlineExceeded, EngineLacksOperation, EngineRejected.
        """
        if self._closed:
            raise EngineUnavailable("the connection to the engine is closed")
        call = self._calls.get(method) or self._prepare(method)
        try:
            # gRPC takes this type as it is; other sequences it checks, which takes longer.
            carried = grpc.aio.Metadata(*metadata.items())
            answer: bytes = await call(payload, timeout=timeout, metadata=carried)
        except grpc.aio.AioRpcError as error:
            raise domain_error(method, error.code().value[0]) from None
        except asyncio.CancelledError:
            if _caller_gave_up():
                raise
            # Nobody cancelled the caller, so closing the channel did.
            raise EngineUnavailable("the connection to the engine was closed during the call") from None
        return answer

    async def close(self) -> None:
        """Close the connection; calls that are still in flight end with EngineUnavailable."""
        self._closed = True
        await self._channel.close()

    def _prepare(self, method: str) -> _Call:
        call: _Call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        self._calls[method] = call
        return call


def _caller_gave_up() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
