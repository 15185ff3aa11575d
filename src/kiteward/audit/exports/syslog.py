"""Sends lines as syslog messages (RFC 5424) over TLS (RFC 5425), each with its length before it.

Syslog acknowledges nothing. A batch counts as received when the receiver's system has acknowledged every byte and the
connection has stayed open for a moment: a receiver that rejects a certificate closes it then.
"""

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from kiteward import __version__
from kiteward.audit.exports.exporter import DeliveryFailed
from kiteward.audit.exports.settings import SyslogSettings
from kiteward.audit.reader import read

_LOG_AUDIT: Final = 13
"""The facility (RFC 5424 table 1)."""

_SEVERITIES: Final = {"failed": 3, "refused": 4}
"""Outcome -> severity, error and warning (RFC 5424 table 2)."""

_INFORMATIONAL: Final = 6
_LARGEST_SEQUENCE: Final = 2**31 - 1
"""`sequenceId` of the element `meta` starts from 1 after it (RFC 5424 section 7.3.1)."""

_PATIENCE: Final = 15.0
"""Seconds that the receiver has for a connection, and for acknowledging a batch."""

_SETTLED: Final = 0.5
"""Seconds that a connection has to stay open after a batch was acknowledged."""

_UNACKNOWLEDGED: Final = 0x5411
"""SIOCOUTQ of Linux: bytes that the other side has not acknowledged."""


def message(line: bytes) -> bytes:
    """Return a line of a trail as a syslog message. Its text is the line itself."""
    entry: Any = read(line) or {}
    severity = _SEVERITIES.get(entry.get("outcome", ""), _INFORMATIONAL)
    seq = (int(entry.get("seq", 1)) - 1) % _LARGEST_SEQUENCE + 1
    header = (
        f"<{_LOG_AUDIT * 8 + severity}>1 {entry.get('time', '-')} {_printable(entry.get('replica', ''))} kiteward - "
        f'{entry.get("kind", "-")} [meta sequenceId="{seq}"][origin software="kiteward" swVersion="{__version__}"] '
    )
    return header.encode("ascii") + line


def _printable(name: str) -> str:
    """Return a name as HOSTNAME: printable ASCII without spaces, at most 255 characters."""
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in name)[:255] or "-"


class SyslogDestination:
    """A receiver of syslog over TLS. Implements `exporter.Destination`."""

    name: str = "syslog"
    most: int = 10_000
    size: int = 4 * 1024 * 1024

    def __init__(self, settings: SyslogSettings) -> None:
        """Take where it is.

        Raises:
            ConfigurationError: a certificate cannot be used.
        """
        self._settings = settings
        self._context = settings.tls.context()
        self._connection: ssl.SSLSocket | None = None

    def send(self, lines: Sequence[bytes]) -> int:
        try:
            connection = self._connection or self._connect()
            messages = map(message, lines)
            connection.sendall(b"".join(b"%d %b" % (len(each), each) for each in messages))
            self._wait(connection)
        except (OSError, ValueError) as error:
            self.close()
            raise DeliveryFailed(str(error) or type(error).__name__) from error
        return 0

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(OSError, ValueError):
            connection.unwrap()
        connection.close()

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection((self._settings.host, self._settings.port), timeout=_PATIENCE)
        try:
            self._connection = self._context.wrap_socket(plain, server_hostname=self._settings.server_name)
        except BaseException:
            plain.close()
            raise
        # With TLS 1.3, a client certificate is rejected after the handshake, from the client's view.
        self._require_open(self._connection, _SETTLED)
        return self._connection

    def _wait(self, connection: ssl.SSLSocket) -> None:
        """Return when the receiver's system has everything.

        Raises:
            OSError: it does not acknowledge it, or closes the connection.
        """
        until = time.monotonic() + _PATIENCE
        while _unacknowledged(connection):
            self._require_open(connection, 0.01)
            if time.monotonic() > until:
                raise TimeoutError("the receiver does not read")
        self._require_open(connection, _SETTLED)

    def _require_open(self, connection: ssl.SSLSocket, seconds: float) -> None:
        """Return when a connection was open for some time.

        Raises:
            OSError: it was closed.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not (connection.pending() or _is_readable(connection, left)):
                return
            connection.settimeout(0.0)
            try:
                # A receiver sends nothing but TLS' own messages, of which a read returns none.
                if not connection.recv(4096):
                    raise ConnectionResetError("the receiver closed the connection")
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            finally:
                connection.settimeout(_PATIENCE)


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    """Return whether there is something to read within some time."""
    readable = select.poll()  # `select.select` cannot take a descriptor beyond 1023
    readable.register(connection, select.POLLIN)
    return bool(readable.poll(seconds * 1000))


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the other side has not acknowledged; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    answer = fcntl.ioctl(connection.fileno(), _UNACKNOWLEDGED, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
