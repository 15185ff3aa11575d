"""Connecting to a server: its address, TLS, and why it did not succeed, as a sentence."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from kiteward.domain.addresses import address_text

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Seconds and number of TCP's probes: they find out on an idle connection that its peer is gone."""

_UNACKNOWLEDGED: Final = 30_000
"""Milliseconds after which a connection ends whose peer does not acknowledge what was sent."""

_CERTIFICATE_PROBLEMS: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself, which is not trusted",
    19: "is signed by a certificate authority that is not trusted",
    20: "is signed by a certificate authority that is not trusted",
    21: "is signed by a certificate authority that is not trusted",
    23: "is revoked",
    62: "is for another name",
    64: "is for another address",
}
"""X.509 verification errors of OpenSSL."""


class DialError(Exception):
    """A connection was not made; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        host: name or address; empty for a Unix socket.
        port: the port.
        path: the path of a Unix socket.
        tls: how TLS is spoken; None for a connection without it.
        server_name: the name that the certificate has to be for; empty for `host`.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def __str__(self) -> str:
        """Return it as in sentences."""
        return self.path or address_text(self.host, self.port)


async def dial(address: Address, protocol: Callable[[], asyncio.Protocol], *, timeout: float) -> None:
    """Make a connection.

    Args:
        address: where to.
        protocol: makes the protocol of the connection.
        timeout: seconds for all addresses of the host together; each has its part of them.

    Raises:
        DialError: it was not made.
    """
    try:
        await _dial(address, protocol, timeout)
    except OSError as error:
        raise DialError(reason_of(address, error)) from None


async def _dial(address: Address, protocol: Callable[[], asyncio.Protocol], timeout: float) -> None:
    loop = asyncio.get_running_loop()
    connected = await _connect(address, timeout)
    try:
        if address.tls is None:
            await loop.create_connection(protocol, sock=connected)
        else:
            await loop.create_connection(
                protocol,
                sock=connected,
                ssl=address.tls,
                server_hostname=address.server_name or address.host,
                ssl_handshake_timeout=timeout,
            )
    except BaseException:
        connected.close()
        raise


async def _connect(address: Address, timeout: float) -> socket.socket:
    """Return a socket connected to the first of the host's addresses that accepts."""
    loop = asyncio.get_running_loop()
    if address.path:
        return await _connected(socket.AF_UNIX, address.path)
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, _, _, _, target in found:
        try:
            # One address that swallows what is sent to it must not take the time of the others.
            async with asyncio.timeout(timeout / len(found)):
                return await _connected(family, target)
        except OSError as error:
            failure = error
    raise failure


async def _connected(family: int, target: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if family != socket.AF_UNIX:
            _configure(made)
        await asyncio.get_running_loop().sock_connect(made, target)
    except BaseException:
        made.close()
        raise
    return made


def _configure(made: socket.socket) -> None:
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_KEEP_ALIVE, ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED)):
        option = getattr(socket, name, None)  # some systems lack them
        if option is not None:
            with suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, option, value)


def reason_of(address: Address, error: Exception) -> str:
    """Return a sentence that says why a connection was not made or ended."""
    match error:
        case ssl.SSLCertVerificationError():
            problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, f"is not valid: {error.verify_message}")
            if error.verify_code in (62, 64):
                problem += f" than `{address.server_name or address.host}`"
            return f"the certificate of {address} {problem}"
        case ssl.SSLError():
            return _tls_reason(address, error)
        case socket.gaierror():
            return f"the host name `{address.host}` cannot be resolved"
        case TimeoutError():
            return f"{address} does not answer"
        case ConnectionRefusedError() | FileNotFoundError():
            return f"nothing listens on {address}"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            hint = "; perhaps it does not speak TLS" if address.tls else "; perhaps it requires TLS"
            return f"{address} closed the connection{hint}"
        case OSError(errno=int(number)) if number > 0:
            return f"{address} cannot be reached: {os.strerror(number).lower()}"
    return f"{address} cannot be reached"


def _tls_reason(address: Address, error: ssl.SSLError) -> str:
    reason = (error.reason or "").upper()
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG"):
        return f"{address} does not speak TLS, or none of its versions that are accepted"
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
        return f"{address} refuses the TLS connection: it may require a client certificate, or another one"
    text = reason.replace("_", " ").lower() or "it ended"
    return f"the TLS handshake with {address} failed: {text}"
