"""A whole server in this process, with a fake engine behind it, and its port for health and metrics."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.engine import FakeEngine
from tests.support.listeners import connected, ended

from kiteward.api.health_settings import HealthSettings
from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server, StartEngine
from kiteward.config.settings import Settings


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path, metrics: HealthSettings | None = None, *, start_engine: StartEngine | None = None, **more: Any
) -> AsyncIterator[tuple[Server, FakeEngine]]:
    """Start a server on ports of the system's choice, and stop it at the end.

    Args:
        tmp_path: where its data directory is made.
        metrics: its port for health and metrics.
        start_engine: starts another engine than the fake one.
        more: further settings.
    """
    engine = FakeEngine()

    async def start(_: object) -> FakeEngine:
        return engine

    settings = Settings(data_dir=tmp_path / "data", port=0, metrics=metrics or HealthSettings(), **more)
    server = await Server.start(settings, hashing=TESTING, start_engine=start_engine or start)
    try:
        yield server, engine
    finally:
        await server.stop()


async def ask(
    port: int | None, path: str, method: str = "GET", *, host: str = "localhost", **sent: str
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of one answer; `sent` are further headers."""
    assert port is not None
    async with connected(port) as (reader, writer):
        more = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n".encode())
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body.decode()
