"""A gateway on the store alone, for the command line on this machine."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, HashingProfile, PasswordHasher
from kiteward.bootstrap.components import (
    AccessControl,
    dialect_of,
    load_access_control,
    make_services,
    open_recorder,
)
from kiteward.bootstrap.sharing import open_for_command
from kiteward.bootstrap.start_checks import require_first_password
from kiteward.bootstrap.store import open_store
from kiteward.bootstrap.system_user import system_user
from kiteward.config.settings import Settings
from kiteward.config.store_keys import STORE_URL
from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld
from kiteward.domain.identity import ROOT, LocalCredential
from kiteward.engine.offline import OfflineEngine
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.gateway import Gateway
from kiteward.store.data_directory import STORE_FILE, DataDirectory


@contextlib.asynccontextmanager
async def open_local(
    settings: Settings, *, create: bool = False, hashing: HashingProfile = PRODUCTION
) -> AsyncIterator[Gateway]:
    """Open a gateway on the store alone, for the operator of this machine's command line (`LocalCredential`).

    A server may be running on the same store: it applies changes made here within a second. A server of the same data
    directory is asked instead (`command_socket.py`).

    Args:
        settings: the configuration; a `root` that is created gets `default_root_password`.
        create: whether to create the data directory, which must not be initialised yet.
        hashing: the cost of a password hash.

    Raises:
        ConfigurationError: there is no data directory, or the store is empty; or with `create`, it is not.
        DataDirectoryHeld: with `create`, a server holds the data directory.
        StoreError: the store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        directory = _data_directory(stack, settings, create=create)
        access = await _open_access_control(stack, settings, create=create, hashing=hashing)
        engine = OfflineEngine(directory.engine_path if settings.engine is None else None)
        catalog = Catalog(engine)
        ddl = DdlExecutor(engine, catalog, access.policy_cache, access.recorder)
        gateway = Gateway(
            access.authenticator,
            access.policy_cache,
            engine=engine,
            catalog=catalog,
            ddl=ddl,
            services=make_services(settings, access, engine, catalog, ddl=ddl),
            recorder=access.recorder,
            dialect=dialect_of(settings),
        )
        stack.push_async_callback(gateway.drain)
        directory.keep()
        yield gateway


def local_client(gateway: Gateway, user: int | None = None) -> GatewayClient:
    """Return a client for the operator of this machine; audit events name the user of the operating system.

    Args:
        gateway: handles the requests.
        user: the number of that user; None for the one who runs this process.
    """
    return GatewayClient(gateway, LocalCredential(), transport="local", user_agent=f"system user {system_user(user)}")


def _data_directory(stack: AsyncExitStack, settings: Settings, *, create: bool) -> DataDirectory:
    """Return the data directory, locked unless a server holds it. Raises as `open_local`."""
    if not create and settings.store is None and not (settings.data_dir / STORE_FILE).is_file():
        raise ConfigurationError(
            f"{settings.data_dir} is not a data directory: give --data-dir, or a server by --server or `kiteward login`"
        )
    if create:
        require_first_password(settings)
    try:
        # The store itself serialises writers of several processes.
        return stack.enter_context(DataDirectory.hold(settings.data_dir))
    except DataDirectoryHeld:  # by a running server
        if create:
            raise
        return DataDirectory(settings.data_dir.absolute())


async def _open_access_control(
    stack: AsyncExitStack, settings: Settings, *, create: bool, hashing: HashingProfile
) -> AccessControl:
    """Open the audit trail, the store and what uses them; `stack` closes all of it. Raises as `open_local`."""
    store = await open_store(settings)
    stack.push_async_callback(store.close)
    initialized = await store.user(ROOT) is not None
    place, other = f"the data directory {settings.data_dir}", "--data-dir"
    if settings.store is not None:
        place, other = f"the store at {settings.store}", STORE_URL.name
    if create and initialized:
        raise ConfigurationError(
            f"{place} is already initialized: create an administrator with `kiteward users create NAME --role admin`, "
            f"or choose another {other}"
        )
    if not create and not initialized:
        raise ConfigurationError(f"{place} has no users yet: run `kiteward init` or start the server first")
    recorder, _ = open_recorder(stack, settings, store)
    hasher = PasswordHasher(hashing)
    stack.callback(hasher.close)
    authenticator = Authenticator(store, hasher, root_bypass=settings.root_bypass, local=True)
    stack.push_async_callback(authenticator.close)
    sharing = open_for_command(stack, settings, store)
    return await load_access_control(settings, store, authenticator, hasher=hasher, recorder=recorder, sharing=sharing)
