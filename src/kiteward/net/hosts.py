"""Checks the `Host` of every HTTP request, on the main port and on the port for metrics.

A page of another site can reach a server on loopback through a name of that site that resolves to the server's address
(DNS rebinding). To the browser, such a request has the page's own origin. Only its `Host` reveals it.
"""

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kiteward.domain.errors import ConfigurationError
from kiteward.net.asgi import Application, Receive, Scope, Send

ANY_HOST: Final = "*"
_LOCAL: Final = "localhost"
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]{0,5})?")
_UNKNOWN: Final = 65535
_REFUSED: Final = json.dumps(
    {
        "code": _UNKNOWN,
        "message": "this server does not accept the host name of the request: "
        "use an IP address, or have the name added to kiteward.allowedHosts",
    }
).encode()
_HEADERS: Final = (
    (b"content-type", b"application/json; charset=utf-8"),
    (b"content-length", str(len(_REFUSED)).encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"connection", b"close"),
)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The host names that are allowed, in addition to IP addresses and `localhost`.

    Attributes:
        names: host names without a port, `kiteward.allowedHosts`; `*` stands for every name.

    Raises:
        ConfigurationError: one is not a host name.
    """

    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.names:
            if name != ANY_HOST and not _NAME.fullmatch(name):
                raise ConfigurationError(
                    "kiteward.allowedHosts takes `*` and host names such as `kiteward.example.org`, without a port"
                )

    def including(self, hosts: Iterable[str]) -> "AllowedHosts":
        """Return these and those of `hosts` that are names and not addresses, such as the name to listen on."""
        return AllowedHosts(frozenset({*self.names, *(host for host in hosts if _NAME.fullmatch(host))}))

    def allow(self, host: str) -> bool:
        """Return whether a request with this `Host` is served.

        IP addresses are always allowed: DNS rebinding needs a name.
        """
        if ANY_HOST in self.names:
            return True
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        literal = found["six"] or found["name"]
        return literal.lower() in {_LOCAL, *map(str.lower, self.names)} or _is_address(literal)


def only_allowed_hosts(application: Application, allowed: AllowedHosts) -> Application:
    """Return an application that serves requests with an allowed `Host` and answers 421 to all others.

    Over TLS every name is served: the client has verified that our certificate carries it.
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["scheme"] == "https" or allowed.allow(_host_of(scope)):
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": HTTPStatus.MISDIRECTED_REQUEST, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _REFUSED})

    return guarded


def _host_of(scope: Scope) -> str:
    """Return the `Host` of a request; empty, which is never allowed, where it has none or several."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return hosts[0].decode("latin-1").strip() if len(hosts) == 1 else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
