"""The composition root: turns settings into a running server. The only file that knows the whole graph."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, Self

from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, HashingProfile, PasswordHasher
from kiteward.config import DEFAULT_ROOT_PASSWORD, Settings
from kiteward.domain.access import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, GrantKey, Role
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import ROOT, Secret
from kiteward.domain.naming import ANY
from kiteward.domain.privileges import ObjectType
from kiteward.engine.base import Engine
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.gateway.administration.base import Tools
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.lifecycle import Lifecycle
from kiteward.gateway.pipeline import Gateway
from kiteward.gateway.snapshots import Snapshots
from kiteward.store.data_directory import DataDirectory
from kiteward.store.sql import SqlStore
from kiteward.transports.grpc.front import GrpcFront

_log = logging.getLogger("kiteward")

StartEngine = Callable[[EmbeddedEngineSettings], Awaitable[Engine]]
"""How an engine comes to life; it is stopped with `close`."""

_GRACE: Final = 30.0
"""Seconds that requests in flight may take when the server stops."""

PUBLIC_SEEDS: Final = (
    GrantKey(ObjectType.COLLECTION, ANY, ANY, "IndexDetail"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "DescribeCollection"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "ListAliases"),
)
"""What Milvus grants to `public` at each start (contract 4.7)."""


class Server:
    """A running server; made by `start`, ended by `stop`."""

    def __init__(self, stack: AsyncExitStack, gateway: Gateway, *, host: str, port: int) -> None:
        self._stack = stack
        self.gateway = gateway
        self.host = host
        self.port = port

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        hashing: HashingProfile = PRODUCTION,
        start_engine: StartEngine = EmbeddedEngine.start,
    ) -> Self:
        """Start everything in order; what was started is stopped again if a later part fails.

        Args:
            settings: what is configured.
            hashing: what a password hash costs.
            start_engine: starts what executes vector operations.

        Raises:
            ConfigurationError: the settings are unsafe, for example the default password beyond loopback.
            DataDirectoryHeld: another server holds the data directory.
            StoreError, EngineError: a part cannot start.
            OSError: the address cannot be bound.
        """
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(DataDirectory.hold(settings.data_dir))
            store = await SqlStore.open(directory.store_path)
            stack.push_async_callback(store.close)
            hasher = PasswordHasher(hashing)
            stack.callback(hasher.close)
            authenticator = Authenticator(store, hasher, root_bypass=settings.root_bypass)
            snapshots = Snapshots(store, authenticator)
            await snapshots.load()
            await _bootstrap(settings, snapshots, hasher)
            if await _has_default_password(store, hasher):
                _require_loopback(settings.host)
                _log.warning("root still has the default password; change it before anybody else can reach this server")
            engine = await start_engine(EmbeddedEngineSettings(directory.engine_path, sync_mode=settings.sync_mode))
            stack.push_async_callback(engine.close)
            catalog = Catalog(engine)
            await catalog.refresh()
            lifecycle = Lifecycle(engine, catalog, snapshots)
            await lifecycle.recover()
            tools = Tools(
                store,
                engine,
                catalog,
                hasher,
                settings.passwords,
                naming=settings.naming,
                limits=settings.limits,
                super_users=settings.super_users,
            )
            gateway = Gateway(
                authenticator, snapshots, engine=engine, catalog=catalog, lifecycle=lifecycle, tools=tools
            )
            stack.push_async_callback(gateway.drain)
            front = GrpcFront(gateway)
            stack.push_async_callback(front.stop, _GRACE)
            port = await front.start(settings.host, settings.port)
            return cls(stack.pop_all(), gateway, host=settings.host, port=port)

    async def stop(self) -> None:
        """Stop in reverse order: no new requests, those in flight finish, the engine writes down, the store closes."""
        await self._stack.aclose()


async def _bootstrap(settings: Settings, snapshots: Snapshots, hasher: PasswordHasher) -> None:
    """Create what every server has, where it is missing.

    Built-in roles, `root`, and the seeds of `public` if wanted.
    """
    async with snapshots.change() as transaction:
        for name in BUILT_IN_ROLES:
            if await transaction.roles.get(name) is None:
                await transaction.roles.put(Role(name))
        if await transaction.users.get(ROOT) is None:
            await transaction.users.add(ROOT, await hasher.hash(settings.default_root_password))
        if settings.seed_public:
            await transaction.grants.add([Grant(PUBLIC_ROLE, key, ROOT) for key in PUBLIC_SEEDS])


async def _has_default_password(store: SqlStore, hasher: PasswordHasher) -> bool:
    root = await store.user(ROOT)
    return root is not None and await hasher.verify(root.password_hash, Secret(DEFAULT_ROOT_PASSWORD))


def _require_loopback(host: str) -> None:
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: root still has the default password. Start on 127.0.0.1 "
            "and change it (MilvusClient.update_password), or start a new data directory with "
            "common.security.defaultRootPassword set"
        )


def is_loopback(host: str) -> bool:
    """Tell whether every address a host name stands for is on this machine."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  only asked about
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)


async def serve(settings: Settings) -> None:
    """Serve until cancelled, then stop cleanly."""
    server = await Server.start(settings)
    try:
        print(f"Kiteward is ready on http://{server.host}:{server.port} (data in {settings.data_dir})", flush=True)  # noqa: T201  the one line
        await asyncio.Event().wait()
    finally:
        await server.stop()
