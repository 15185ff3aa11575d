"""A pass-through gRPC channel to an engine: bytes in, bytes out, domain errors instead of status codes."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from kiteward import __version__
from kiteward.domain.errors import ConfigurationError, EngineUnavailable
from kiteward.domain.identity import Secret
from kiteward.engine.base import EngineHealth
from kiteward.engine.metadata import is_metadata_text
from kiteward.engine.receive_budget import ReceiveBudget
from kiteward.engine.statuses import StatusCode, domain_error
from kiteward.engine.unary import UnaryCall, rejected
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.milvus.messages import SERVICE
from kiteward.net.http2 import Address, ClientSettings, Deadlines, Http2Client, NeverIndexedHeader

_DEFAULT_PORT: Final = 19530
_INDEXED: Final = frozenset({"dbname"})
"""Metadata whose values repeat from call to call; others would only fill the table that compresses fields."""

_LONGEST_MILLISECONDS: Final = 99_999_999
"""A timeout on the wire has eight digits."""


class EngineChannel:
    """Connections to one engine address.

    A call is sent at most once. It ends by its deadline, whether it was sent or waits for a connection.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        metadata: Mapping[str, Secret] | None = None,
        settings: ClientSettings | None = None,
        longest_call: float = 3600.0,
    ) -> None:
        """Prepare a channel; a connection is made by the first call, or by `connect`.

        Args:
            target: gRPC address, for example `unix:/run/kiteward/engine.sock` or `milvus:19530`.
            tls: TLS towards the engine, which gets offered HTTP/2; None connects without TLS.
            server_name: the name that the engine's certificate has to be for; empty for the host of the target.
            metadata: what is sent with every call, for example the `authorization` of a service account.
            settings: how connections are kept.
            longest_call: seconds after which a call without a timeout ends.
        """
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._address = _address(target, tls, server_name)
        self._settings = settings or ClientSettings()
        self._constant = dict(metadata or {})
        self._longest_call = longest_call
        self._heads: dict[str, tuple[tuple[bytes, bytes], ...]] = {}
        self._client: Http2Client | None = None
        self._in_flight = 0
        self._drained: asyncio.Event | None = None
        self._refusal = ""

    @classmethod
    def to(cls, uri: str) -> Self:
        """Prepare a channel to an address in the form that SDKs use: `http://host:port`, or `https://` for TLS.

        Raises:
            ConfigurationError: the address is not of this form.
        """
        parts = urlsplit(uri)
        try:
            target = f"{parts.hostname}:{parts.port or _DEFAULT_PORT}"
        except ValueError:
            target = ""
        if parts.scheme not in ("http", "https") or not parts.hostname or not target:
            raise ConfigurationError("the address must be like http://host:19530 or https://host:19530")
        if ":" in parts.hostname:
            target = f"[{parts.hostname}]:{parts.port or _DEFAULT_PORT}"
        return cls(target, tls=ssl.create_default_context() if parts.scheme == "https" else None)

    @property
    def generation(self) -> int:
        """The number of connections that were made: it grows when the engine may have been restarted."""
        return self._client.generation if self._client is not None else 0

    @property
    def reconnections(self) -> int:
        """The number of connections that replaced one that had ended: those that only join others are not counted."""
        return self._client.reconnections if self._client is not None else 0

    def health(self) -> EngineHealth:
        """Return whether a call sent now would reach the engine."""
        if self._refusal or self._client is None:
            reason = self._refusal or f"{self._address} has not been connected to yet"
            return EngineHealth(ready=False, reason=reason)
        state = self._client.state()
        return EngineHealth(ready=state.ready, reason=state.reason)

    def connect(self) -> None:
        """Begin to connect, without waiting for it. From then on lost connections are made again."""
        if not self._refusal:
            self._opened().connect()

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request of the Milvus service and return the response bytes.

        Raises:
            EngineUnavailable, EngineDeadlineExceeded, EngineLacksOperation, EngineRejected.
        """
        if self._refusal:
            raise EngineUnavailable(self._refusal)
        client = self._client or self._opened()
        if len(payload) > MAX_MESSAGE_BYTES:
            raise domain_error(method, StatusCode.RESOURCE_EXHAUSTED)
        seconds = self._longest_call if timeout is None else timeout
        if seconds <= 0:
            raise domain_error(method, StatusCode.DEADLINE_EXCEEDED)
        call = UnaryCall(
            method,
            self._head(method, metadata, seconds),
            payload,
            client=client,
            budget=self._budget,
            answer=self._loop.create_future(),
            deadline=self._loop.time() + seconds,
        )
        self._deadlines.add(call)
        self._in_flight += 1
        try:
            client.send(call)
            return await call.answer
        except asyncio.CancelledError:
            call.abandon()
            raise
        finally:
            self._deadlines.discard(call)
            self._in_flight -= 1
            if self._drained is not None and not self._in_flight:
                self._drained.set()

    async def drain(self, grace: float) -> None:
        """Accept no more calls, and wait until those in flight have ended.

        Args:
            grace: seconds to wait at most.
        """
        self._refusal = "the connection to the engine is closing"
        if self._in_flight:
            self._drained = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._drained.wait()

    async def close(self) -> None:
        """Close the connections; calls that are still in flight end with EngineUnavailable."""
        self._refusal = "the connection to the engine is closed"
        if self._client is not None:
            await self._client.close()
            self._deadlines.close()

    def _opened(self) -> Http2Client:
        """Return the client, which is made in the event loop that uses it."""
        if self._client is None:
            self._loop = asyncio.get_running_loop()
            self._deadlines = Deadlines()
            self._budget = ReceiveBudget(2 * MAX_MESSAGE_BYTES, unreserved=self._settings.limits.window)
            self._client = Http2Client(self._address, self._settings)
        return self._client

    def _head(self, method: str, metadata: Mapping[str, str], seconds: float) -> list[tuple[bytes, bytes]]:
        """Return the fields of a call: constant ones first, then its own."""
        head = [*(self._heads.get(method) or self._prepare(method))]
        milliseconds = int(seconds * 1000) + 1
        if milliseconds <= _LONGEST_MILLISECONDS:
            limit = b"%dm" % milliseconds
        else:
            limit = b"%dS" % min(int(seconds), _LONGEST_MILLISECONDS)
        head.append(NeverIndexedHeader(b"grpc-timeout", limit))
        for name, value in metadata.items():
            if not is_metadata_text(value):
                raise rejected(method, f"`{method}`: the metadata `{name}` cannot be sent to the engine")
            if name in _INDEXED:
                head.append((name.encode(), value.encode()))
            else:
                head.append(NeverIndexedHeader(name.encode(), value.encode()))
        return head

    def _prepare(self, method: str) -> tuple[tuple[bytes, bytes], ...]:
        address = self._address
        authority = address.server_name or ("localhost" if address.path else str(address))
        head = (
            (b":method", b"POST"),
            (b":scheme", b"https" if address.tls else b"http"),
            (b":path", f"/{SERVICE}/{method}".encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", f"kiteward/{__version__}".encode()),
            *(NeverIndexedHeader(name.encode(), value.reveal().encode()) for name, value in self._constant.items()),
        )
        self._heads[method] = head
        return head


def _address(target: str, tls: ssl.SSLContext | None, server_name: str) -> Address:
    if target.startswith("unix:"):
        return Address(path=unquote(target.removeprefix("unix:")), tls=tls, server_name=server_name)
    host, _, port = target.rpartition(":")
    return Address(host=host.strip("[]"), port=int(port), tls=tls, server_name=server_name)
