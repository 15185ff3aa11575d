"""The port for those who watch the server: `/healthz` and `/metrics`, nothing private, nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from kiteward.transports.asgi import Application, Receive, Scope, Send

_PATIENCE: Final = 2.0
"""Seconds in which a part must say how it is."""

_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_PLAIN: Final = "text/plain; charset=utf-8"

MissingParts = Callable[[], Awaitable[tuple[str, ...]]]
"""Tells which parts of the server are not ready, each in one word."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Where the port is.

    Attributes:
        enabled: whether there is one; `kiteward.metrics.enabled`.
        host: address to listen on; `kiteward.metrics.host`.
        port: `kiteward.metrics.port`; 0 lets the system choose. None is 9091, as Milvus has it, unless the system
            chooses the server's own port too.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int | None = None

    def port_beside(self, port: int) -> int:
        """Return the port to listen on, beside a server that was given `port`."""
        if self.port is not None:
            return self.port
        return DEFAULT_PORT if port else 0


DEFAULT_PORT: Final = 9091


def build_app(missing: MissingParts, metrics: Callable[[], bytes], *, metrics_type: str) -> Application:
    """Return the application.

    Args:
        missing: asked for `/healthz`.
        metrics: the body of `/metrics`.
        metrics_type: its content type.
    """

    async def health() -> tuple[int, str, bytes]:
        try:
            async with asyncio.timeout(_PATIENCE):
                words = await missing()
        except TimeoutError:
            words = ("timeout",)
        return (503, _PLAIN, f"not ready: {', '.join(words)}".encode()) if words else (200, _PLAIN, b"OK")

    async def numbers() -> tuple[int, str, bytes]:
        return 200, metrics_type, metrics()

    routes = {"/healthz": health, "/metrics": numbers}

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        route = routes.get(scope["path"])
        if route is None:
            await _answer(send, 404, _PLAIN, b"not found")
        elif scope["method"] != "GET":
            await _answer(send, 405, _PLAIN, b"method not allowed", allow=b"GET")
        else:
            await _answer(send, *await route())

    return application


async def _answer(send: Send, status: int, kind: str, body: bytes, *, allow: bytes | None = None) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        *_HEADERS,
        *([] if allow is None else [(b"allow", allow)]),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
