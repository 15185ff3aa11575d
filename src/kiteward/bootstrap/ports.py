"""The ports of a server: the main port with gRPC, REST and the console, and the port for health and metrics."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from kiteward.api import health
from kiteward.api.console.app import ROOT_PATH as CONSOLE_PATH
from kiteward.api.console.app import build_console
from kiteward.api.console.sign_in_options import SignInOptions
from kiteward.api.console.tickets import Tickets
from kiteward.api.grpc.service import GrpcService
from kiteward.api.health import Reports
from kiteward.api.rest.app import RestApp, build_app
from kiteward.bootstrap.components import repeat
from kiteward.config.settings import Settings
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.net.asgi import Application, Receive, Scope, Send, wants_page
from kiteward.net.budget import Budget
from kiteward.net.hosts import only_allowed_hosts
from kiteward.net.http1.server import HttpServer
from kiteward.net.listener import Listener, ListenerLimits, affordable_connections
from kiteward.net.tls import ServerTls
from kiteward.telemetry.metrics import CONTENT_TYPE

_log = logging.getLogger("kiteward")

_GRACE: Final = 30.0
"""Seconds that requests in flight may take when the server stops."""


_FLUSH: Final = 5.0
"""Seconds that clients have after that to read their responses."""


_RENEW_SECONDS: Final = 1.0
"""Seconds between two checks whether certificate files have changed."""


ANOTHER_METRICS_PORT: Final = " (kiteward.metrics.port sets another port for health and metrics)"
"""The end of the sentence that says why the port for health and metrics cannot be opened."""

_METRICS_LIMITS: Final = ListenerLimits(connections=256, undecided=64, per_address=256)


class PublicPort:
    """The main port and the services behind it: gRPC, REST and the console.

    Attributes:
        gateway: answers every request.
        budget: counts the bytes that are held for clients of all services.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        *,
        tickets: Tickets | None = None,
        sign_in: SignInOptions | None = None,
    ) -> None:
        """Take what answers requests; nothing is accepted yet.

        Args:
            gateway: answers every request.
            settings: the configuration.
            tickets: as of `build_console`.
            sign_in: as of `build_console`.
        """
        self.gateway = gateway
        self._settings = settings
        self._open = False
        self.budget = Budget(settings.byte_limits)
        self._app = _rest_app(gateway, settings, self.budget)
        self._http = (
            _http_server(
                with_console(self._app, gateway, settings, tickets=tickets, sign_in=sign_in),
                settings,
                budget=self.budget,
            )
            if self._app is not None
            else None
        )
        limits = ListenerLimits().share(settings.workers)
        self.tls = ServerTls(settings.tls) if settings.tls is not None else None
        self._grpc = GrpcService(gateway, budget=self.budget)
        self.listener = Listener(
            http=self._http,
            grpc=self._grpc,
            limits=replace(limits, connections=affordable_connections(limits.connections)),
            tls=self.tls,
        )

    async def open(self, stack: AsyncExitStack, port: int) -> int:
        """Accept requests and return the port in use; `stack` closes the port and its services.

        Args:
            stack: closes them.
            port: the port to listen on; 0 lets the system choose.

        Raises:
            OSError: the address cannot be bound.
        """
        stack.push_async_callback(self._close)
        port = await self.listener.start(self._settings.host, port, shared=self._settings.workers > 1)
        self._open = True
        if self.tls is not None:
            repeat(stack, _RENEW_SECONDS, "checking the certificate files", self._renew_tls)
        return port

    async def _renew_tls(self) -> None:
        if self.tls is not None:
            self.tls.renew()

    async def missing_components(self) -> tuple[str, ...]:
        """Return the components because of which requests cannot be answered, and `stopping` during a stop."""
        return await self.gateway.missing_components() if self._open else ("stopping",)

    async def _close(self) -> None:
        """Accept no more connections and requests, and wait for those in flight."""
        self._open = False
        self.listener.stop_accepting()
        stops = [self._grpc.stop(_GRACE)] + ([] if self._http is None else [self._http.stop(_GRACE)])
        await asyncio.gather(*stops)
        await self.listener.close(_FLUSH)
        if self._app is not None:
            self._app.close()


def _rest_app(gateway: Gateway, settings: Settings, budget: Budget) -> RestApp | None:
    """Return the REST API, if it is served; the operations are loaded now in any case, not by the first request."""
    for table in (OPERATIONS, ADMIN_OPERATIONS):
        len(table)
    if not settings.rest.enabled:
        return None
    return build_app(gateway, settings.rest, budget=budget, offers_scim=settings.scim.enabled)


def _http_server(application: Application, settings: Settings, *, budget: Budget | None = None) -> HttpServer:
    """Return a server for an application on HTTP/1.x that accepts only the host names of this server."""
    hosts = settings.hosts.including((settings.host, settings.metrics.host))
    return HttpServer(only_allowed_hosts(application, hosts), budget=budget)


def with_console(
    rest: Application,
    gateway: Gateway,
    settings: Settings,
    *,
    tickets: Tickets | None = None,
    sign_in: SignInOptions | None = None,
) -> Application:
    """Return the application for HTTP: REST, and the console below its path and for browsers that request `/`.

    Without authorization nobody can sign in, so that there is no console either.

    Args:
        rest: the REST API.
        gateway: answers the requests of both.
        settings: the configuration.
        tickets: as of `build_console`.
        sign_in: as of `build_console`.
    """
    if not (settings.console.enabled and settings.authorization):
        return rest
    console = build_console(gateway, tickets=tickets, sign_in=sign_in, embedded_engine=settings.engine is None)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        inside = path == CONSOLE_PATH or path.startswith(f"{CONSOLE_PATH}/") or wants_page(scope)
        await (console if inside else rest)(scope, receive, send)

    return application


async def open_metrics(
    stack: AsyncExitStack, settings: Settings, reports: Reports, public_port: PublicPort
) -> int | None:
    """Open the port for health and metrics and return it, or None when it is disabled.

    Args:
        stack: closes the port.
        settings: the configuration.
        reports: what is reported there.
        public_port: the main port.

    Raises:
        OSError: the address cannot be bound.
    """
    wanted = settings.metrics
    if not wanted.enabled:
        return None
    app = health.build_app(reports, health.described_by(public_port.gateway), metrics_type=CONTENT_TYPE)
    http = _http_server(app, settings)
    listener = Listener(http=http, limits=_METRICS_LIMITS)
    stack.push_async_callback(listener.close, 0.0)
    stack.push_async_callback(http.stop, _FLUSH)
    stack.callback(listener.stop_accepting)
    try:
        port = await listener.start(wanted.host, wanted.port_beside(settings.port), shared=settings.workers > 1)
    except OSError as error:
        raise OSError(f"{error}{ANOTHER_METRICS_PORT}") from error
    _log.info("health and metrics are on http://%s:%d", wanted.host, port)
    return port
