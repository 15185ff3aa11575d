"""The port for health and metrics. Unauthenticated clients get nothing private from it.

`/healthz` is Milvus' own. `/healthz/live` is 200 while every process of the server responds. `/healthz/ready` is 200
while requests can be answered, else 503; administrators also get the state of each component.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from kiteward.api.rest.credentials import presented_credential
from kiteward.domain.addresses import address_text
from kiteward.domain.errors import AuthenticationError, KitewardError
from kiteward.domain.identity import PresentedCredential
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api.base import Arguments, encoded
from kiteward.iam.json_api.server import ServerState
from kiteward.net.asgi import Application, Receive, Scope, Send

_PATIENCE: Final = 2.0
"""Seconds in which the components must report their state."""

_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_PLAIN: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type and body of a response."""

MissingParts = Callable[[], Awaitable[tuple[str, ...]]]
"""Returns the components of the server that are not ready, each in one word."""


class Reports(Protocol):
    """What the port reports of the server."""

    async def missing(self) -> tuple[str, ...]:
        """Return the components of the server that are not ready, each in one word."""
        ...

    async def silent(self) -> tuple[str, ...]:
        """Return the processes of the server that do not respond in time, besides the one that is asked."""
        ...

    async def metrics(self) -> bytes:
        """Return the body of `/metrics`."""
        ...


@dataclass(frozen=True, slots=True)
class OwnReports:
    """What a server of one process reports. Implements `Reports`.

    Attributes:
        missing_parts: returns its components that are not ready.
        metrics_text: returns its metrics.
    """

    missing_parts: MissingParts
    metrics_text: Callable[[], bytes]

    async def missing(self) -> tuple[str, ...]:
        return await self.missing_parts()

    async def silent(self) -> tuple[str, ...]:
        return ()

    async def metrics(self) -> bytes:
        return self.metrics_text()


Described = Callable[[PresentedCredential | AuthenticationError, str], Awaitable[bytes]]
"""Returns the state of the components as JSON; raises KitewardError for callers who are not administrators.

Takes the presented credential and the caller's address.
"""


def described_by(gateway: Gateway) -> Described:
    """Return a function that requests the state of the server from a gateway, with the caller's credential."""

    async def described(credential: PresentedCredential | AuthenticationError, address: str) -> bytes:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        client = GatewayClient(gateway, credential, transport="health", address=address, deadline=deadline)
        return encoded(await client.invoke("DescribeServer", Arguments(), ServerState))

    return described


def build_app(reports: Reports, described: Described, *, metrics_type: str) -> Application:
    """Return the ASGI application of the port.

    Args:
        reports: what it reports.
        described: called for `/healthz/ready` when a credential is presented.
        metrics_type: the content type of the metrics.
    """
    health = _Health(reports, described)

    async def numbers(_scope: Scope) -> Answer:
        return 200, metrics_type, await reports.metrics()

    routes = {
        "/healthz": health.milvus,
        "/healthz/live": health.live,
        "/healthz/ready": health.ready,
        "/metrics": numbers,
    }

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        route = routes.get(scope["path"])
        if route is None:
            await _answer(send, 404, _PLAIN, b"not found")
        elif scope["method"] != "GET":
            await _answer(send, 405, _PLAIN, b"method not allowed", allow=b"GET")
        else:
            await _answer(send, *await route(scope))

    return application


class _Health:
    """Answers the paths below `/healthz`."""

    def __init__(self, reports: Reports, described: Described) -> None:
        self._reports = reports
        self._described = described

    async def milvus(self, _scope: Scope) -> Answer:
        words = await self._missing_in_time()
        return (503, _PLAIN, f"not ready: {', '.join(words)}".encode()) if words else (200, _PLAIN, b"OK")

    async def live(self, _scope: Scope) -> Answer:
        silent = await self._reports.silent()
        return (503, _PLAIN, f"no response: {', '.join(silent)}".encode()) if silent else (200, _PLAIN, b"live")

    async def ready(self, scope: Scope) -> Answer:
        status, word = (503, b"not ready") if await self._missing_in_time() else (200, b"ready")
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if headers:
            address = address_text(*scope["client"]) if scope["client"] else ""
            # Other callers get what unauthenticated ones get: a probe with an old password must not report unreadiness.
            with contextlib.suppress(KitewardError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    return status, _JSON, await self._described(presented_credential(headers), address)
        return status, _PLAIN, word

    async def _missing_in_time(self) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._reports.missing()
        except TimeoutError:
            return ("timeout",)


async def _answer(send: Send, status: int, kind: str, body: bytes, *, allow: bytes | None = None) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        *_HEADERS,
        *([] if allow is None else [(b"allow", allow)]),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
