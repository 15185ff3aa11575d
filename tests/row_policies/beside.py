"""Two servers on one PostgreSQL store before one engine, which another server with the embedded engine is."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Final

from tests.row_policies.target import Target, serving
from tests.support import postgresql
from tests.support.gateway import quick_directory
from tests.support.listeners import LOOPBACK

from kiteward.api.health_settings import HealthSettings
from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.engine.upstream import Address, RemoteEngineSettings
from kiteward.gateway.replicas.settings import ReplicaSettings

_NAMES: Final = ("one", "two")


class Beside(Target):
    """Servers beside one another, to which clients connect in turn."""

    def __init__(self, servers: list[Server], upstream: Target) -> None:
        super().__init__(servers[0], upstream.engine)
        self._ports = itertools.cycle([server.port for server in servers])

    def next_port(self) -> int:
        return next(self._ports)


@contextlib.asynccontextmanager
async def serving_two() -> AsyncIterator[Target]:
    """Start two servers on the loopback address, with all that is behind them, and stop them at the end."""
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(stack.enter_context(postgresql.running()).database())
        upstream = await stack.enter_async_context(serving())
        directory = stack.enter_context(quick_directory())
        engine = RemoteEngineSettings(
            Address(LOOPBACK, upstream.server.port), user=ROOT, password=Secret(DEFAULT_ROOT_PASSWORD)
        )
        servers = []
        for name in _NAMES:
            settings = Settings(
                data_dir=directory / name,
                port=0,
                metrics=HealthSettings(enabled=False),
                store=store,
                engine=engine,
                replicas=ReplicaSettings(name=name),
            )
            servers.append(await Server.start(settings, hashing=TESTING))
            stack.push_async_callback(servers[-1].stop)
        yield Beside(servers, upstream)
