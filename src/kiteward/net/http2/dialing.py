"""Connecting to a server: its address, TLS, and why it did not succeed.

A cause says what the server does, as a predicate: for callers after "it", for operators after the address.
"""

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

_UNTRUSTED: Final = "whose authority is not trusted"
_CERTIFICATE_PROBLEMS: Final = {
    9: "that is not valid yet",
    10: "that has expired",
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    23: "that is revoked",
    62: "for another name",
    64: "for another address",
}
"""X.509 verification errors of OpenSSL."""

_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_CLIENT_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")
"""Parts of OpenSSL's reasons."""


class DialError(Exception):
    """A connection was not made; the message says what the server does instead."""


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
        """Return it as operators write it."""
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
    except (OSError, ValueError) as error:  # names that are not host names are ValueErrors
        raise DialError(cause_of(address, error)) from None


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


def cause_of(address: Address, error: Exception) -> str:
    """Return what a server does for which a connection is not made."""
    match error:
        case ssl.SSLCertVerificationError():
            problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, f"that is not valid: {error.verify_message}")
            return f"presents a certificate {problem}"
        case socket.gaierror() | UnicodeError():
            return "has a host name that cannot be resolved"
        case ConnectionRefusedError() | FileNotFoundError():
            return "refuses connections"
    return cause_of_end(error, "does not speak TLS" if address.tls else "")


def cause_of_end(error: Exception | None, hint: str) -> str:
    """Return what a server does for which a connection ends.

    Args:
        error: of the transport.
        hint: what may be the reason if the server just closes it; empty where nothing is to be guessed.
    """
    match error:
        case ssl.SSLError():
            return _tls_cause(error)
        case TimeoutError():
            return "does not answer"
        case None | ConnectionError():
            return "closed the connection" + (f" at once: perhaps it {hint}" if hint else "")
        case OSError(errno=int(number)) if number > 0:
            return f"cannot be reached: {os.strerror(number).lower()}"
    return "cannot be reached"


def _tls_cause(error: ssl.SSLError) -> str:
    reason = (error.reason or "").upper()
    if reason in _NOT_TLS:
        return "does not speak TLS"
    if any(part in reason for part in _CLIENT_CERTIFICATE):
        return "refuses our certificate, or requires one"
    return f"ended the TLS handshake: {reason.replace('_', ' ').lower() or 'no reason given'}"


def foreign_protocol(data: bytes) -> str:
    """Return what a server does whose first bytes are not HTTP/2; empty if they may be."""
    if data[:5] == b"HTTP/":
        return "speaks HTTP/1, not HTTP/2"
    if data[:2] == b"\x15\x03":
        return "requires TLS"
    return ""
