"""Finds out what is wrong with the way to a remote engine: one sentence for its operator.

The connection that serves calls reports only that it cannot be made. Here one is made by hand, which sends nothing but
a TLS handshake and the first bytes of HTTP/2, and no credential. The sentences do not contain the address: clients may
read them, and need not know what is behind this server.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final

from kiteward.engine.upstream import Address, UpstreamTls

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client begins HTTP/2: the preface and empty SETTINGS."""

_FRAME_HEAD: Final = 9
_SETTINGS_FRAME: Final = 4
_TLS_ALERT: Final = b"\x15\x03"

_REPORT_SECONDS: Final = 0.5
"""Seconds to wait for what a server says first."""

REFUSED: Final = "the remote engine refuses connections"
UNRESOLVED: Final = "the host name of the remote engine cannot be resolved"
SILENT: Final = "the remote engine accepts connections and does not respond"
CLOSING: Final = "the remote engine closes connections at once"
UNREACHABLE: Final = "the remote engine cannot be reached over the network"
HTTP1: Final = "the remote engine speaks HTTP/1 and not gRPC: kiteward.engine.address must name the gRPC port of Milvus"
NOT_HTTP2: Final = "the remote engine does not speak gRPC: kiteward.engine.address must name the gRPC port of Milvus"
NEEDS_TLS: Final = "the remote engine requires TLS: kiteward.engine.address must begin with grpcs://"
NO_TLS: Final = "the remote engine does not speak TLS: kiteward.engine.address must begin with grpc://"
WRONG_NAME: Final = (
    "the certificate of the remote engine is for another name: kiteward.engine.tls.serverName must be a name in it"
)
EXPIRED: Final = "the certificate of the remote engine has expired or is not valid yet"
UNTRUSTED: Final = (
    "the certificate of the remote engine is not signed by an authority that is trusted here: kiteward.engine.tls.ca "
    "must name the right one"
)
CLIENT_CERTIFICATE: Final = (
    "the remote engine ends connections after the TLS handshake, as servers do that require another client "
    "certificate: kiteward.engine.tls.certificate and kiteward.engine.tls.key must name one that it accepts"
)
HANDSHAKE: Final = "the TLS handshake with the remote engine failed"

_TIME_OF_CERTIFICATE: Final = frozenset({9, 10})
"""OpenSSL's codes for a certificate that is not valid yet, or not any more."""

_NAME_OF_CERTIFICATE: Final = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another host name or IP address."""


async def fault(address: Address, tls: UpstreamTls, *, timeout: float) -> str:
    """Return why no connection for gRPC can be made to an address, or empty if one can.

    Args:
        address: the remote engine.
        tls: how its certificate is verified.
        timeout: seconds that each step may take: to connect, to shake hands, to be greeted.

    Raises:
        ConfigurationError: the files of `tls` cannot be used.
    """
    context = tls.context() if address.tls else None
    # Sockets that block report how a handshake fails, even after it has ended on our side; asyncio's do not.
    return await asyncio.to_thread(_fault, address, context, tls.server_name or address.host, timeout)


def _fault(address: Address, context: ssl.SSLContext | None, server_name: str, timeout: float) -> str:
    try:
        connection = socket.create_connection((address.host, address.port), timeout)
    except OSError as error:
        return _of_error(error)
    came = b""
    with connection:
        try:
            came = _greeting(connection, context, server_name)
        except TimeoutError:
            return SILENT
        except ConnectionError:
            pass  # as an end of the stream
        except OSError as error:
            return _of_error(error)
    if len(came) >= _FRAME_HEAD and came[3] == _SETTINGS_FRAME:
        return ""
    if came.startswith(b"HTTP/"):
        return HTTP1
    if context is None and (came.startswith(_TLS_ALERT) or (not came and _speaks_tls(address, timeout))):
        return NEEDS_TLS
    if came:
        return NOT_HTTP2
    return CLOSING if context is None else CLIENT_CERTIFICATE


def _greeting(connection: socket.socket, context: ssl.SSLContext | None, server_name: str) -> bytes:
    """Begin HTTP/2 on a connection, and return the first bytes of the response; fewer if it ends."""
    if context is None:
        connection.sendall(_PREFACE)
        return _read(connection)
    timeout = connection.gettimeout()
    with context.wrap_socket(connection, server_hostname=server_name) as secured:
        # A refused client certificate is reported after the handshake. Data that crosses the report would destroy it.
        secured.settimeout(_REPORT_SECONDS)
        with suppress(TimeoutError):
            return _read(secured)
        secured.settimeout(timeout)
        secured.sendall(_PREFACE)
        return _read(secured)


def _read(connection: socket.socket) -> bytes:
    came = connection.recv(_FRAME_HEAD)
    while came and len(came) < _FRAME_HEAD and (more := connection.recv(_FRAME_HEAD - len(came))):
        came += more
    return came


def _speaks_tls(address: Address, timeout: float) -> bool:
    """Return whether an address completes a TLS handshake. Its certificate does not matter: nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with suppress(OSError), socket.create_connection((address.host, address.port), timeout) as connection:
        context.wrap_socket(connection).close()
        return True
    return False


def _of_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_OF_CERTIFICATE:
            return WRONG_NAME
        return EXPIRED if error.verify_code in _TIME_OF_CERTIFICATE else UNTRUSTED
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
            return NO_TLS
        return CLIENT_CERTIFICATE if "ALERT" in reason else HANDSHAKE
    if isinstance(error, socket.gaierror):
        return UNRESOLVED
    return REFUSED if isinstance(error, ConnectionRefusedError) else UNREACHABLE
