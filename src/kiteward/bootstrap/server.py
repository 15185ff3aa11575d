"""A running server: starts its parts in order and stops them in reverse."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final, Self

from kiteward import __version__
from kiteward.api.console.tickets import StoredTickets
from kiteward.api.health import OwnReports
from kiteward.audit.events import Event
from kiteward.audit.exports.exporter import Exporter
from kiteward.audit.shared import StoreExport
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, HashingProfile, PasswordHasher
from kiteward.authn.sessions import MemorySessions
from kiteward.authn.shared_throttle import RULES
from kiteward.authn.stored_sessions import StoredSessions
from kiteward.bootstrap.activity import services_of_server
from kiteward.bootstrap.backup.control import listen_for_backups
from kiteward.bootstrap.command_socket import listen_for_commands
from kiteward.bootstrap.components import (
    AccessControl,
    dialect_of,
    load_access_control,
    open_recorder,
    record_last_used,
    repeat,
)
from kiteward.bootstrap.exports import make_exporters, start_tracing
from kiteward.bootstrap.issuers import open_issuers, open_sign_in, sign_in_rules
from kiteward.bootstrap.ports import PublicPort, open_metrics
from kiteward.bootstrap.second_factors import open_factors
from kiteward.bootstrap.sharing import follow_catalog, join, open_sharing, state_of
from kiteward.bootstrap.start_checks import (
    DEFAULT_IN_PLACE,
    require_loopback_for_weak_root,
    require_loopback_without_authorization,
)
from kiteward.bootstrap.store import await_store
from kiteward.bootstrap.workers.place import Place
from kiteward.config.engine_keys import EMBEDDED
from kiteward.config.settings import Settings
from kiteward.config.store_keys import FILE
from kiteward.engine.base import Engine
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.engine.remote import RemoteEngine
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.instrumentation import InstrumentedEngine
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS
from kiteward.gateway.replicas.membership import Membership
from kiteward.gateway.request_entry import RequestEntry
from kiteward.gateway.request_limiter import RequestLimiter
from kiteward.gateway.upstream_catalog import UpstreamCatalog
from kiteward.gateway.vanished_grants import VanishedGrants
from kiteward.store.base import Store
from kiteward.store.data_directory import DataDirectory
from kiteward.telemetry.metrics import Metrics, Sources
from kiteward.telemetry.telemetry import Telemetry

_log = logging.getLogger("kiteward")

StartEngine = Callable[[EmbeddedEngineSettings], Awaitable[Engine]]
"""Starts an embedded engine, which is stopped with `close`."""

_FOLLOW_SECONDS: Final = 0.25
"""Seconds between two checks whether another process has changed the store."""

_EXPIRE_SECONDS: Final = 300.0
"""Seconds between two removals of wrong passwords that no longer count."""

_NOTE_SECONDS: Final = 5.0
"""Seconds between two updates of when users and keys were last used."""

_VANISHED_SECONDS: Final = 1.0
"""Seconds between two checks whether collections have vanished from a remote engine."""

_LEFT_OUT_SECONDS: Final = 1.0
"""Seconds between two audit events that count the unauthenticated requests left out of the audit trail."""


class Server:
    """A running server; created by `start`, ended by `stop`.

    Attributes:
        gateway: answers every request.
        host: the address listened on.
        port: the port in use.
        metrics_port: the port of `/healthz` and `/metrics`, None when there is none.
        default_password: whether `root` had the default password when it started.
        engine_fault: why the engine was not ready when it started, or empty.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        gateway: Gateway,
        public_port: PublicPort,
        *,
        host: str,
        port: int,
        metrics_port: int | None,
        default_password: bool = False,
        engine_fault: str = "",
    ) -> None:
        self._stack = stack
        self._doors = public_port
        self.gateway = gateway
        self.host = host
        self.port = port
        self.metrics_port = metrics_port
        self.default_password = default_password
        self.engine_fault = engine_fault

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        hashing: HashingProfile = PRODUCTION,
        start_engine: StartEngine = EmbeddedEngine.start,
        place: Place | None = None,
    ) -> Self:
        """Start all parts in order; if one fails, those already started are stopped again.

        Args:
            settings: the configuration.
            hashing: the cost of a password hash.
            start_engine: starts the engine, if it is embedded.
            place: its place among the workers of a server; None for a server of one process.

        Raises:
            ConfigurationError: the settings are unsafe. StoreError, EngineError, OSError: a part cannot start.
        """
        async with AsyncExitStack() as stack:
            directory, telemetry = _data_directory(stack, settings, place), Telemetry(start_tracing(stack, settings))
            access = await _open_access_control(stack, settings, telemetry, hashing=hashing, place=place)
            membership = await join(stack, access.sharing, access.policy_cache)
            weakness = await require_loopback_for_weak_root(access.store, access.hasher, settings)
            engine = await _start_engine(stack, settings, start_engine, telemetry)
            gateway, catalog = await _start_gateway(stack, settings, access, engine=engine, membership=membership)
            public_port = _public_port(stack, gateway, settings, access.store)
            sources = _sources(access, engine, gateway, public_port, catalog=catalog, membership=membership)
            port, metrics_port = await _open_ports(stack, settings, sources, public_port, place=place)
            directory.keep()
            return cls(
                stack.pop_all(),
                gateway,
                public_port,
                host=settings.host,
                port=port,
                metrics_port=metrics_port,
                default_password=weakness == DEFAULT_IN_PLACE,
                engine_fault=engine.health().reason,
            )

    async def stop(self) -> None:
        """Stop in reverse order: refuse new requests, wait for those in flight, stop the engine, close the store."""
        await self._stack.aclose()


def _data_directory(stack: AsyncExitStack, settings: Settings, place: Place | None) -> DataDirectory:
    """Return the data directory, which is held until `stack` closes. That of workers their parent holds."""
    if place is not None:
        return DataDirectory(settings.data_dir)
    return stack.enter_context(DataDirectory.hold(settings.data_dir))


def _public_port(stack: AsyncExitStack, gateway: Gateway, settings: Settings, store: Store) -> PublicPort:
    """Return the main port, which is not open yet; `stack` closes what it asks identity providers with."""
    tickets = StoredTickets(store) if store.shared else None
    return PublicPort(gateway, settings, tickets=tickets, sign_in=open_sign_in(stack, settings))


async def _open_ports(
    stack: AsyncExitStack, settings: Settings, sources: Sources, public_port: PublicPort, *, place: Place | None
) -> tuple[int, int | None]:
    """Open the socket for commands and both ports; return these: the main one, and the one for health and metrics.

    That of a worker for health and metrics is closed first: while it stops, others report for the server.
    """
    await listen_for_commands(stack, settings, public_port.gateway, place=place)
    metrics = Metrics(sources, worker=None if place is None else place.number)
    own = OwnReports(public_port.missing_components, metrics.text)
    if place is None:
        metrics_port = await open_metrics(stack, settings, own, public_port)
        return await public_port.open(stack, settings.port), metrics_port
    settings = await place.ports(settings)
    port = await public_port.open(stack, settings.port)
    return port, await open_metrics(stack, settings, await place.reports(stack, settings, own), public_port)


def _start_recorder(
    stack: AsyncExitStack, settings: Settings, store: Store, exporters: Sequence[Exporter], *, place: Place | None
) -> tuple[Recorder, StoreExport | None]:
    """Open the audit trail as `open_recorder`, and record the start, and the stop when `stack` closes."""
    recorder, export = open_recorder(stack, settings, store, place=place)

    def note_lost(destination: str, lines: int) -> None:
        recorder.note_system_event(Event.EXPORT_LOST, "Export", to=destination, lines=lines)

    for exporter in exporters:
        exporter.start(note_lost)
    recorder.note_system_event(Event.STARTED, "Start", **_settings_for_the_record(settings))
    stack.callback(recorder.note_system_event, Event.STOPPED, "Stop")
    stack.callback(recorder.close)
    return recorder, export


async def _open_access_control(
    stack: AsyncExitStack,
    settings: Settings,
    telemetry: Telemetry,
    *,
    hashing: HashingProfile,
    place: Place | None,
) -> AccessControl:
    """Open the audit trail, the store and what uses them; `stack` closes all of it. Raises as `Server.start`."""
    exporters = make_exporters(stack, settings)
    store = await await_store(settings, observer=telemetry.observe_store)
    stack.push_async_callback(store.close)
    recorder, export = _start_recorder(stack, settings, store, exporters, place=place)
    hasher = PasswordHasher(hashing)
    stack.callback(hasher.close)
    await hasher.prepare()
    if not settings.authorization:
        require_loopback_without_authorization(settings.host)
        _log.warning("common.security.authorizationEnabled is false: everybody on this machine may do everything")
    authenticator = _authenticator(stack, settings, store, hasher)
    stack.push_async_callback(authenticator.close)
    sharing = open_sharing(stack, settings, store, telemetry)
    access = await load_access_control(
        settings, store, authenticator, hasher=hasher, recorder=recorder, sharing=sharing
    )
    return replace(access, exports=lambda: [each.state() for each in (*exporters, export) if each is not None])


def _authenticator(stack: AsyncExitStack, settings: Settings, store: Store, hasher: PasswordHasher) -> Authenticator:
    """Return what authenticates callers; `stack` closes what asks identity providers."""
    rules = settings.console.sessions
    tokens = open_issuers(stack, settings, store)
    return Authenticator(
        store,
        hasher,
        root_bypass=settings.root_bypass,
        local=True,  # from its socket in the data directory
        open_to_anybody=not settings.authorization,
        attempts=store.attempts if store.shared else None,
        sessions=(StoredSessions(store, rules) if store.shared else MemorySessions(rules)),
        tokens=tokens,
        sign_in=replace(sign_in_rules(settings, tokens), factors=open_factors(settings, store)),
    )


def _start_periodic_work(stack: AsyncExitStack, access: AccessControl) -> None:
    """Until `stack` closes, apply changes that other processes made and update the last-used times periodically."""

    async def record() -> None:
        await record_last_used(access.store, access.authenticator)

    stack.push_async_callback(record)
    if access.store.shared:
        repeat(stack, _EXPIRE_SECONDS, "removing old sign-in failures", lambda: access.store.attempts.expire(RULES))
    if access.sharing.replicas is None:
        repeat(stack, _FOLLOW_SECONDS, "applying changes of other processes", access.policy_cache.follow_others)
    repeat(stack, _NOTE_SECONDS, "updating last-seen times", record)
    repeat(stack, _LEFT_OUT_SECONDS, "recording the number of omitted audit events", access.recorder.flush)


async def _start_engine(
    stack: AsyncExitStack, settings: Settings, start: StartEngine, telemetry: Telemetry
) -> InstrumentedEngine:
    """Start the engine and measure its calls; `stack` closes it."""
    engine: Engine
    if settings.engine is None:
        path = DataDirectory(settings.data_dir.absolute()).engine_path
        engine = await start(EmbeddedEngineSettings(path, ENGINE_RPCS, sync_mode=settings.sync_mode))
    else:
        engine = await RemoteEngine.start(settings.engine)
    stack.push_async_callback(engine.close)
    await listen_for_backups(stack, settings, engine)
    return InstrumentedEngine(engine, telemetry)


def _catalog(settings: Settings, engine: Engine) -> Catalog:
    """Return the catalog of the engine, which holds nothing yet."""
    if settings.engine is None:
        return Catalog(engine)
    return UpstreamCatalog(engine, maximum_age=settings.engine.catalog.maximum_age)


def _watched(settings: Settings, access: AccessControl, *, catalog: Catalog, ddl: DdlExecutor) -> VanishedGrants | None:
    """Return what resolves what becomes of the grants of collections that vanish around us, for a remote engine."""
    if settings.engine is None or not isinstance(catalog, UpstreamCatalog):
        return None
    return VanishedGrants(
        catalog,
        access.policy_cache,
        ddl=ddl,
        recorder=access.recorder,
        after=settings.engine.catalog.vanished_after,
        removes=settings.engine.catalog.remove_vanished_grants,
    )


async def _start_gateway(
    stack: AsyncExitStack,
    settings: Settings,
    access: AccessControl,
    *,
    engine: InstrumentedEngine,
    membership: Membership | None,
) -> tuple[Gateway, Catalog]:
    """Finish the catalogue changes that a crash interrupted, and return gateway and catalog; `stack` ends them.

    The periodic work of the server starts here as well.
    """
    _start_periodic_work(stack, access)
    catalog = _catalog(settings, engine)
    locks, among = access.sharing.collection_locks(), access.sharing.turn(access.policy_cache)
    ddl = DdlExecutor(engine, catalog, access.policy_cache, access.recorder, among=among)
    vanished = _watched(settings, access, catalog=catalog, ddl=ddl)
    stack.push_async_callback(catalog.close)
    await catalog.start()
    follow_catalog(stack, access.policy_cache, membership, catalog=catalog, ddl=ddl, locks=locks)
    await ddl.recover()
    if vanished is not None:
        repeat(stack, _VANISHED_SECONDS, "resolving the grants of what has vanished", vanished.act)
    limiter = RequestLimiter(settings.request_limits, replicas=settings.limit_replicas)
    gateway = Gateway(
        access.authenticator,
        access.policy_cache,
        engine=engine,
        catalog=catalog,
        ddl=ddl,
        services=services_of_server(stack, settings, access, engine=engine, catalog=catalog, ddl=ddl),
        recorder=access.recorder,
        admission=settings.admission,
        dialect=dialect_of(settings),
        telemetry=engine.telemetry,
        entry=RequestEntry(limiter, settings.engine_requests),
        locks=locks,
    )
    stack.push_async_callback(gateway.drain)
    return gateway, catalog


def _sources(
    access: AccessControl,
    engine: InstrumentedEngine,
    gateway: Gateway,
    public_port: PublicPort,
    *,
    catalog: Catalog,
    membership: Membership | None,
) -> Sources:
    """Return the sources that the metrics read."""
    listener = public_port.listener
    return Sources(
        gateway.telemetry,
        authentications=lambda: access.authenticator.counts,
        connections=listener.open_connections,
        refused=lambda: listener.refused,
        held=public_port.budget.usage,
        generation=lambda: engine.generation,
        engine_ready=lambda: engine.health().ready,
        revision=access.policy_cache.revision,
        audit=access.recorder.state,
        catalog=lambda: catalog.state,
        exports=access.exports,
        replica=lambda: state_of(access.sharing, membership),
        limited=lambda: gateway.entry.limiter.refused,
    )


def _settings_for_the_record(settings: Settings) -> dict[str, object]:
    """Return the settings that concern authentication and authorization, for the audit event of the start."""
    return {
        "version": __version__,
        "host": settings.host,
        "port": settings.port,
        "authorization": settings.authorization,
        "rootBypass": settings.root_bypass,
        "publicSeeds": settings.seed_public,
        "superUsers": sorted(settings.super_users),
        "passwordPolicy": settings.passwords.name,
        "secondFactor": settings.console.factors.required_of,
        "tls": settings.tls is not None,
        "store": FILE if settings.store is None else str(settings.store),
        "engine": EMBEDDED if settings.engine is None else str(settings.engine.address),
        "dataOperations": settings.audit.data_operations,
        "localSignIn": settings.console.local_sign_in.value,
        "issuers": [each.name for each in settings.issuers],
    }
