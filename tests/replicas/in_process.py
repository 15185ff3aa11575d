"""Servers on one PostgreSQL that are all in this process, which costs no starts: for what is about the shared store."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.replicas.world import NAMES, Peer, answers, clients_of
from tests.support import fake_upstream
from tests.support.fake_upstream import FakeMilvus

from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.engine.upstream import RemoteEngineSettings
from kiteward.gateway.replicas.settings import ReplicaSettings
from kiteward.store.postgresql.settings import PostgresqlSettings


@contextlib.asynccontextmanager
async def started(
    directory: Path, name: str, store: PostgresqlSettings, *, engine: RemoteEngineSettings, lease: int = 3, **more: Any
) -> AsyncIterator[Server]:
    """Start a server among others, and stop it at the end.

    Args:
        directory: for its files.
        name: its name among the others.
        store: what it shares with them.
        engine: likewise.
        lease: seconds of its lease.
        more: further settings.
    """
    settings = Settings(
        data_dir=directory / name,
        port=0,
        store=store,
        engine=engine,
        replicas=ReplicaSettings(name=name, lease=lease),
        **more,
    )
    server = await Server.start(settings, hashing=TESTING)
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def serving(directory: Path, store: PostgresqlSettings, *, lease: int = 10) -> AsyncIterator[Sequence[Peer]]:
    """Run three servers before one engine for as long as the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(fake_upstream.serving(FakeMilvus(answers=answers())))
        peers = []
        for name in NAMES:
            server = await stack.enter_async_context(
                started(directory, name, store, engine=RemoteEngineSettings(address), lease=lease)
            )
            assert server.metrics_port is not None
            rest, channel = await clients_of(stack, server.port)
            peers.append(Peer(name, server.port, server.metrics_port, rest, channel))
        yield peers
