"""A gateway before an engine that others change too, with a clock that a test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.gateway import GatewayHarness, opened
from tests.support.shared_engine import SharedEngine

from kiteward.gateway.upstream_catalog import UpstreamCatalog

AGE: Final = 1000.0
"""Seconds that the catalog may be old, so long that it is read only where a test wants it."""


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class SharedGateway:
    """A gateway before an engine that others change too.

    Attributes:
        harness: the gateway.
        engine: the engine.
        catalog: its catalog.
        clock: the clock of the catalog.
    """

    def __init__(self, harness: GatewayHarness, engine: SharedEngine, catalog: UpstreamCatalog, clock: Clock) -> None:
        self.harness = harness
        self.engine = engine
        self.catalog = catalog
        self.clock = clock

    async def read_again(self) -> None:
        """Let the catalog become too old, and be read."""
        self.clock.now += AGE + 1
        await self.catalog.refresh()

    def forwarded(self, method: str) -> list[str]:
        """Return the collections that were named in the calls of one RPC that reached the engine, and forget them."""
        names = [call.request.collection_name for call in self.engine.called(method)]
        self.engine.calls.clear()
        return names

    def events(self, operation: str) -> list[Any]:
        """Return the details of what the server recorded of its own under a name."""
        return [event.details for event in self.harness.trail.events if event.operation == operation]


@asynccontextmanager
async def shared_gateway(store_path: Path, engine: SharedEngine | None = None) -> AsyncIterator[SharedGateway]:
    """Run a gateway before an engine that others change too."""
    engine, clock = engine or SharedEngine(), Clock()
    catalog = UpstreamCatalog(engine, maximum_age=AGE, clock=clock)
    async with opened(store_path, engine, catalog=catalog) as harness:
        yield SharedGateway(harness, engine, catalog, clock)
