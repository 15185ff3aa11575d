"""Two servers on one PostgreSQL store before one engine, which another server with the embedded engine is."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Final

from tests.replicas.in_process import started
from tests.row_policies.target import Target, serving
from tests.support import postgresql
from tests.support.gateway import quick_directory
from tests.support.listeners import LOOPBACK
from tests.support.postgresql import Cluster

from kiteward.api.health_settings import HealthSettings
from kiteward.bootstrap.server import Server
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.engine.upstream import Address, RemoteEngineSettings

_NAMES: Final = ("one", "two")


class Beside(Target):
    """Servers beside one another, to which clients connect in turn."""

    def __init__(self, servers: list[Server], upstream: Target) -> None:
        super().__init__(servers[0], upstream.engine)
        self._ports = itertools.cycle([server.port for server in servers])

    def next_port(self) -> int:
        return next(self._ports)


@contextlib.asynccontextmanager
async def serving_two(cluster: Cluster | None = None) -> AsyncIterator[Target]:
    """Start two servers on the loopback address, with all that is behind them, and stop them at the end.

    Args:
        cluster: has their database; None for one of their own.
    """
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context((cluster or stack.enter_context(postgresql.running())).database())
        upstream = await stack.enter_async_context(serving())
        directory = stack.enter_context(quick_directory())
        engine = RemoteEngineSettings(
            Address(LOOPBACK, upstream.server.port), user=ROOT, password=Secret(DEFAULT_ROOT_PASSWORD)
        )
        servers = [
            await stack.enter_async_context(
                started(directory, name, store, engine=engine, metrics=HealthSettings(enabled=False))
            )
            for name in _NAMES
        ]
        yield Beside(servers, upstream)
