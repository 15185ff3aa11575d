"""The composition root: turns settings into a running server. The only file that knows the whole graph."""

import asyncio
import base64
import contextlib
import ipaddress
import logging
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from kiteward import __version__
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, HashingProfile, PasswordHasher
from kiteward.authn.sessions import Sessions
from kiteward.config import Settings
from kiteward.domain.access import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, GrantKey, Role
from kiteward.domain.audit import Event
from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.domain.naming import ANY
from kiteward.domain.privileges import ObjectType
from kiteward.engine.absent import AbsentEngine
from kiteward.engine.base import Engine
from kiteward.engine.channel import EngineChannel
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.gateway.administration.base import Tools
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.importing import Moved, Source, bring
from kiteward.gateway.lifecycle import Lifecycle
from kiteward.gateway.pipeline import Gateway
from kiteward.gateway.recording import Recorder
from kiteward.gateway.snapshots import Snapshots
from kiteward.gateway.watched import WatchedEngine
from kiteward.observe.audit.reading import TrailReader
from kiteward.observe.audit.trail import open_sink
from kiteward.observe.metrics import CONTENT_TYPE, Metrics, Sources
from kiteward.observe.watch import Tracing, Watch
from kiteward.store.data_directory import DataDirectory
from kiteward.store.sql import SqlStore
from kiteward.transports import health
from kiteward.transports.asgi import Application, Receive, Scope, Send
from kiteward.transports.binding import socket_directory
from kiteward.transports.console.app import ROOT_PATH as CONSOLE_PATH
from kiteward.transports.console.app import build_console
from kiteward.transports.grpc.front import GrpcFront
from kiteward.transports.listener import Listener, ListenerLimits, affordable_connections
from kiteward.transports.pump_process import PumpProcess
from kiteward.transports.rest.app import build_app
from kiteward.transports.rest.server import HttpServer
from kiteward.transports.tls import ServerTls

_log = logging.getLogger("kiteward")

StartEngine = Callable[[EmbeddedEngineSettings], Awaitable[Engine]]
"""How an engine comes to life; it is stopped with `close`."""

_GRACE: Final = 30.0
"""Seconds that requests in flight may take when the server stops."""

_FLUSH: Final = 5.0
"""Seconds that clients may then take to read their answers."""

_FILES: Final = 32_768
"""Files that the process asks to be allowed to open."""

_FOLLOW_SECONDS: Final = 0.25
"""How soon it is noticed that another process has changed the store."""

_RENEW_SECONDS: Final = 1.0
"""How soon it is noticed that certificate files have changed."""

_NOTE_SECONDS: Final = 5.0
"""How long it may take until it is written down that a user or key was seen."""

_LEFT_OUT_SECONDS: Final = 1.0
"""How soon the audit trail says how many strangers were left out of it."""

_METRICS_LIMITS: Final = ListenerLimits(connections=256, undecided=64, per_address=256)

PUBLIC_SEEDS: Final = (
    GrantKey(ObjectType.COLLECTION, ANY, ANY, "IndexDetail"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "DescribeCollection"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "ListAliases"),
)
"""What Milvus grants to `public` at each start (contract 4.7)."""


class Server:
    """A running server; made by `start`, ended by `stop`.

    Attributes:
        gateway: answers every request.
        host: the address listened on.
        port: the port in use.
        metrics_port: the port of `/healthz` and `/metrics`, None when there is none.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        gateway: Gateway,
        doors: "_Doors",
        *,
        host: str,
        port: int,
        metrics_port: int | None,
    ) -> None:
        self._stack = stack
        self._doors = doors
        self.gateway = gateway
        self.host = host
        self.port = port
        self.metrics_port = metrics_port

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
            recorder = _open_recorder(stack, settings)
            recorder.note_own(Event.STARTED, "Start", version=__version__)
            stack.callback(recorder.note_own, Event.STOPPED, "Stop")
            watch = Watch(_tracing(stack, settings))
            store = await SqlStore.open(directory.store_path, noted=watch.store_took)
            stack.push_async_callback(store.close)
            hasher = PasswordHasher(hashing)
            stack.callback(hasher.close)
            if not settings.authorization:
                _require_loopback_without_authorization(settings.host)
                _log.warning(
                    "common.security.authorizationEnabled is false: everybody on this machine may do everything"
                )
            authenticator = Authenticator(
                store,
                hasher,
                root_bypass=settings.root_bypass,
                open_to_anybody=not settings.authorization,
                sessions=Sessions(settings.console.sessions),
            )
            stack.push_async_callback(authenticator.close)
            snapshots = Snapshots(store, authenticator, recorder)
            await snapshots.load()
            await _bootstrap(settings, snapshots, hasher, recorder)
            if await _has_default_password(store, hasher):
                _require_loopback(settings.host)
                _log.warning("root still has the default password; change it before anybody else can reach this server")
            stack.push_async_callback(_note_uses, store, authenticator)
            _repeat(stack, _FOLLOW_SECONDS, "followed what others changed", snapshots.follow_others)
            _repeat(stack, _NOTE_SECONDS, "noted who was seen", lambda: _note_uses(store, authenticator))
            started = await start_engine(EmbeddedEngineSettings(directory.engine_path, sync_mode=settings.sync_mode))
            stack.push_async_callback(started.close)
            engine = WatchedEngine(started, watch)
            catalog = Catalog(engine)
            await catalog.refresh()
            lifecycle = Lifecycle(engine, catalog, snapshots, recorder)
            await lifecycle.recover()
            tools = _tools(
                settings,
                store,
                engine,
                catalog=catalog,
                hasher=hasher,
                recorder=recorder,
                sessions=authenticator.sessions,
            )
            gateway = Gateway(
                authenticator,
                snapshots,
                engine=engine,
                catalog=catalog,
                lifecycle=lifecycle,
                tools=tools,
                recorder=recorder,
                watch=watch,
            )
            _repeat(stack, _LEFT_OUT_SECONDS, "told who was left out of the audit trail", recorder.flush)
            stack.push_async_callback(gateway.drain)
            doors = _Doors(gateway, settings)
            sources = Sources(
                watch,
                authentications=lambda: authenticator.counts,
                connections=doors.listener.open_connections,
                refused=lambda: doors.listener.refused,
                generation=lambda: engine.generation,
                engine_ready=lambda: engine.health().ready,
                revision=snapshots.revision,
                audit=recorder.state,
            )
            metrics_port = await _open_metrics(stack, settings, sources, doors)
            port = await doors.open(stack)
            return cls(stack.pop_all(), gateway, doors, host=settings.host, port=port, metrics_port=metrics_port)

    async def stop(self) -> None:
        """Stop in reverse order: no new requests, those in flight finish, the engine writes down, the store closes."""
        await self._stack.aclose()


class _Doors:
    """The one port and the doors behind it: gRPC, REST and the console."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.gateway = gateway
        self._settings = settings
        self._open = False
        self._app = build_app(gateway, settings.rest) if settings.rest.enabled else None
        self._http = HttpServer(_with_console(self._app, gateway, settings)) if self._app is not None else None
        limits = ListenerLimits()
        self.tls = ServerTls(settings.tls) if settings.tls is not None else None
        self.listener = Listener(
            self._http,
            replace(limits, connections=affordable_connections(limits.connections)),
            pump=PumpProcess(),
            tls=self.tls,
        )
        self._front = GrpcFront(gateway, self.listener.address_of)

    async def open(self, stack: AsyncExitStack) -> int:
        """Take requests, and return the port in use; `stack` closes the doors.

        Raises:
            OSError: the address cannot be bound.
        """
        front = stack.enter_context(socket_directory(self._settings.data_dir.absolute() / "sockets")) / "front"
        stack.push_async_callback(self._close)
        await self._front.start_behind(front)
        port = await self.listener.start(self._settings.host, self._settings.port, front=front)
        self._open = True
        if self.tls is not None:
            _repeat(stack, _RENEW_SECONDS, "looked at the certificate", self._renew_tls)
        return port

    async def _renew_tls(self) -> None:
        if self.tls is not None:
            self.tls.renew()

    async def missing_parts(self) -> tuple[str, ...]:
        """Return what keeps requests from being answered, `stopping` included."""
        return await self.gateway.missing_parts() if self._open else ("stopping",)

    async def _close(self) -> None:
        """Take no more connections and no more requests, let those in flight finish."""
        self._open = False
        self.listener.stop_accepting()
        stops = [self._front.stop(_GRACE)] + ([] if self._http is None else [self._http.stop(_GRACE)])
        await asyncio.gather(*stops)
        await self.listener.close(_FLUSH)
        if self._app is not None:
            self._app.close()


def _with_console(rest: Application, gateway: Gateway, settings: Settings) -> Application:
    """Return what serves HTTP: REST, and the console below its path.

    Where everybody is let in nobody can sign in, so that there is no console either.
    """
    if not (settings.console.enabled and settings.authorization):
        return rest
    console = build_console(gateway)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        inside = path == CONSOLE_PATH or path.startswith(f"{CONSOLE_PATH}/")
        await (console if inside else rest)(scope, receive, send)

    return application


async def _open_metrics(stack: AsyncExitStack, settings: Settings, sources: Sources, doors: _Doors) -> int | None:
    """Open the port for those who watch the server, if there is to be one, and return it.

    Raises:
        OSError: the address cannot be bound.
    """
    wanted = settings.metrics
    if not wanted.enabled:
        return None
    app = health.build_app(
        doors.missing_parts, health.described_by(doors.gateway), Metrics(sources).text, metrics_type=CONTENT_TYPE
    )
    http = HttpServer(app)
    listener = Listener(http, _METRICS_LIMITS)
    stack.push_async_callback(listener.close, 0.0)
    stack.push_async_callback(http.stop, _FLUSH)
    stack.callback(listener.stop_accepting)
    try:
        port = await listener.start(wanted.host, wanted.port_beside(settings.port))
    except OSError as error:
        raise OSError(f"{error} (kiteward.metrics.port sets another port for health and metrics)") from error
    _log.info("health and metrics are on http://%s:%d", wanted.host, port)
    return port


@contextlib.asynccontextmanager
async def open_local(
    settings: Settings, *, create: bool = False, hashing: HashingProfile = PRODUCTION
) -> AsyncIterator[Gateway]:
    """Open a gateway on the store alone, for the operator of this machine's command line (`LocalCredential`).

    A server may be running on the same store: it follows what is changed here within a second.

    Args:
        settings: what is configured; `default_root_password` becomes that of a `root` which is created.
        create: whether the data directory may be new.
        hashing: what a password hash costs.

    Raises:
        ConfigurationError: there is no data directory.
        StoreError: the store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        if not create and not (settings.data_dir / "store.db").is_file():
            raise ConfigurationError(f"there is no server's data in {settings.data_dir}: give its --data-dir")
        # A running server holds the directory; the store itself takes writers of several processes in turn.
        with contextlib.suppress(DataDirectoryHeld):
            stack.enter_context(DataDirectory.hold(settings.data_dir))
        recorder = _open_recorder(stack, settings)
        store = await SqlStore.open(DataDirectory(settings.data_dir.absolute()).store_path)
        stack.push_async_callback(store.close)
        hasher = PasswordHasher(hashing)
        stack.callback(hasher.close)
        authenticator = Authenticator(store, hasher, root_bypass=settings.root_bypass, local=True)
        stack.push_async_callback(authenticator.close)
        snapshots = Snapshots(store, authenticator, recorder)
        await snapshots.load()
        await _bootstrap(settings, snapshots, hasher, recorder)
        engine = AbsentEngine()
        catalog = Catalog(engine)
        gateway = Gateway(
            authenticator,
            snapshots,
            engine=engine,
            catalog=catalog,
            lifecycle=Lifecycle(engine, catalog, snapshots, recorder),
            tools=_tools(
                settings,
                store,
                engine,
                catalog=catalog,
                hasher=hasher,
                recorder=recorder,
                sessions=authenticator.sessions,
            ),
            recorder=recorder,
        )
        stack.push_async_callback(gateway.drain)
        yield gateway


async def import_from(settings: Settings, uri: str, token: Secret, *, dry_run: bool) -> Moved:
    """Bring users, roles, grants and groups from a running Milvus into the store of this configuration.

    Args:
        settings: where to.
        uri: where from.
        token: `user:password` of an administrator there.
        dry_run: whether to tell only what would be done.

    Raises:
        ConfigurationError: the source cannot be read, or there is no data directory.
        RequestRefused: something cannot be here; nothing was brought.
    """
    authorization = Secret(base64.b64encode(token.reveal().encode()).decode())
    channel = EngineChannel.to(uri)
    hasher = PasswordHasher()
    try:
        async with open_local(settings) as gateway:
            return await bring(Source(channel, authorization), gateway, hasher, dry_run=dry_run)
    finally:
        hasher.close()
        await channel.close()


def _open_recorder(stack: AsyncExitStack, settings: Settings) -> Recorder:
    """Open the audit trail before anything that could have to be recorded; it is closed after all that.

    Raises:
        ConfigurationError: the trail cannot be written.
    """
    if not settings.audit.enabled:
        _log.warning("kiteward.audit.enabled is false: nothing is recorded")
    sink = open_sink(settings.audit, settings.data_dir)
    stack.push_async_callback(sink.close)
    return Recorder(sink, data_operations=settings.audit.data_operations)


def _tracing(stack: AsyncExitStack, settings: Settings) -> Tracing | None:
    """Return where traces go, None where they are off.

    Raises:
        ConfigurationError: what they need is not installed.
    """
    if not settings.tracing.endpoint:
        return None
    try:
        from kiteward.observe.tracing import OtlpTracing  # noqa: PLC0415  an extra brings what it needs
    except ImportError as error:
        raise ConfigurationError(
            "kiteward.tracing.endpoint is set, but OpenTelemetry is not installed: pip install 'kiteward[tracing]', "
            "or leave the key out"
        ) from error
    tracing = OtlpTracing(settings.tracing.endpoint, settings.tracing.percent)
    stack.push_async_callback(asyncio.to_thread, tracing.close)
    return tracing


def _tools(
    settings: Settings,
    store: SqlStore,
    engine: Engine,
    *,
    catalog: Catalog,
    hasher: PasswordHasher,
    recorder: Recorder,
    sessions: Sessions,
) -> Tools:
    return Tools(
        store,
        engine,
        catalog,
        hasher,
        settings.passwords,
        naming=settings.naming,
        limits=settings.limits,
        super_users=settings.super_users,
        root_bypass=settings.root_bypass,
        key_rules=settings.key_rules,
        trail=TrailReader(settings.audit.place(settings.data_dir)) if settings.audit.enabled else None,
        audit=recorder.state,
        sessions=sessions,
    )


async def _note_uses(store: SqlStore, authenticator: Authenticator) -> None:
    users, keys = authenticator.taken_uses()
    if not (users or keys):
        return
    try:
        await store.note_use(users=users, keys=keys)
    except BaseException:
        authenticator.give_back_uses(users, keys)
        raise


def _repeat(stack: AsyncExitStack, seconds: float, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work again and again until the server stops; a failure is logged once until it works again."""

    async def again() -> None:
        failing = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
                failing = False
            except Exception:  # noqa: BLE001  whatever it was, revocations by others must go on being followed
                if not failing:
                    _log.exception("could not have %s; trying again", what)
                failing = True

    task = asyncio.create_task(again(), name=what)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def _bootstrap(settings: Settings, snapshots: Snapshots, hasher: PasswordHasher, recorder: Recorder) -> None:
    """Create what every server has, where it is missing.

    Built-in roles, `root`, and the seeds of `public` if wanted.
    """
    made: dict[str, list[str]] = {}
    async with snapshots.change() as transaction:
        for name in BUILT_IN_ROLES:
            if await transaction.roles.get(name) is None:
                await transaction.roles.put(Role(name))
                made.setdefault("roles", []).append(name)
        if await transaction.users.get(ROOT) is None:
            await transaction.users.add(ROOT, await hasher.hash(settings.default_root_password))
            made["users"] = [ROOT]
        held = {grant.key for grant in await transaction.grants.of_role(PUBLIC_ROLE)}
        seeds = [key for key in PUBLIC_SEEDS if settings.seed_public and key not in held]
        if seeds:
            await transaction.grants.add([Grant(PUBLIC_ROLE, key, ROOT) for key in seeds])
            made |= {"granted_to": [PUBLIC_ROLE], "granted": [key.privilege for key in seeds]}
    if made:
        recorder.note_own(Event.POLICY_CHANGE, "Bootstrap", **made)


async def root_has_default_password(store_path: Path) -> bool:
    """Tell whether `root` still has the default password in a store, which is brought up to date by this.

    Raises:
        StoreError: it cannot be read.
    """
    store = await SqlStore.open(store_path)
    hasher = PasswordHasher()
    try:
        return await _has_default_password(store, hasher)
    finally:
        hasher.close()
        await store.close()


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


def _require_loopback_without_authorization(host: str) -> None:
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: common.security.authorizationEnabled is false. Without authentication "
            "Kiteward serves on this machine only: set it to true, or set kiteward.host to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Tell whether every address a host name stands for is on this machine."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  only asked about
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)


def _allow_many_files() -> None:
    """Let the process open as many files as it may: each connection takes some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings) -> None:
    """Serve until cancelled, then stop cleanly."""
    _allow_many_files()
    server = await Server.start(settings)
    try:
        scheme = "http" if settings.tls is None else "https"
        print(f"Kiteward is ready on {scheme}://{server.host}:{server.port} (data in {settings.data_dir})", flush=True)  # noqa: T201  the one line
        await asyncio.Event().wait()
    finally:
        await server.stop()
