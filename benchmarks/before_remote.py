"""Serve before a remote upstream with v0.1, which has no setting for it and is composed by hand.

It runs in an environment of that version. The upstream's address comes from `UPSTREAM`, everything else is configured
as that version's `kiteward serve` is.
"""

import asyncio
import contextlib
import importlib
import os
import signal
from collections.abc import Mapping

import uvloop

from kiteward.engine.base import EngineHealth
from kiteward.engine.channel import EngineChannel

# Modules that are elsewhere now.
Server = importlib.import_module("kiteward.runtime.server").Server
load = importlib.import_module("kiteward.config").load


class RemoteEngine:
    """An upstream that does not restart. Implements the `Engine` of v0.1."""

    generation = 1

    def __init__(self, target: str) -> None:
        self._channel = EngineChannel(target)

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request and return the response bytes."""
        return await self._channel.call(method, payload, metadata=metadata, timeout=timeout)

    def health(self) -> EngineHealth:
        """Return that calls reach the upstream."""
        return EngineHealth(ready=True)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


async def _start(_settings: object) -> RemoteEngine:
    return RemoteEngine(os.environ["UPSTREAM"])


async def _serve() -> None:
    serving = asyncio.current_task()
    assert serving is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    server = await Server.start(load(None), start_engine=_start)
    print(f"ready on {server.host}:{server.port}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(_serve())
