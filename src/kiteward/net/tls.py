"""TLS: certificates, which are read again when their files change, and handshakes, limited in time and number."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.pem_files import no_passphrase, why_unusable
from kiteward.net.plain_http import answered_in_plain

_log = logging.getLogger("kiteward.tls")

ALPN: Final = ("http/1.1", "h2")
"""Protocols in order of preference: browsers and curl offer both and get REST, gRPC clients offer only `h2`."""

_OUT_OF_FILES: Final = 0.1
"""Seconds without accepting after the limit of open files was reached."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files of certificates and keys (`common.security.tlsMode` 1 and 2, `tls.*`).

    Attributes:
        certificate: the server's certificate with its chain, PEM; `tls.serverPemPath`.
        key: its private key, PEM; `tls.serverKeyPath`.
        client_ca: authorities that must have signed the certificates of clients, PEM; `tls.caPemPath` in mode 2. None
            requires no client certificates.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def files(self) -> tuple[Path, ...]:
        """Return all files."""
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ()))


class ServerTls:
    """The TLS context of new handshakes, as `context`.

    INVARIANT: the context is always made from one complete set of files; unusable files leave the previous context.
    """

    def __init__(self, settings: TlsSettings) -> None:
        """Read the files.

        Raises:
            ConfigurationError: a file cannot be read, or the files do not match; the message names the files.
        """
        self._settings = settings
        self._stamp = self._stamped()
        self._refused: object = None
        self.context = _context(settings)

    def renew(self) -> bool:
        """Read the files again if they have changed, and return whether new handshakes use a new context."""
        stamp = self._stamped()
        if stamp in (self._stamp, self._refused):
            return False
        try:
            context = _context(self._settings)
        except ConfigurationError as error:
            # Perhaps only one of the files is written yet: the stamp differs once both are.
            self._refused = stamp
            _log.error("keeping the certificate in use: %s", error)
            return False
        self._stamp, self._refused, self.context = stamp, None, context
        _log.info("new connections use the certificate that is now in %s", self._settings.certificate)
        return True

    def _stamped(self) -> object:
        """Return a value that differs when a file has changed."""
        stamps = []
        for path in self._settings.files():
            try:
                status = path.stat()
                stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"tls.serverPemPath ({settings.certificate}) and tls.serverKeyPath ({settings.key}) cannot be used: "
            f"{why_unusable(error)}. They must be readable PEM files: a key without a passphrase, and its certificate"
        ) from error
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"tls.caPemPath ({settings.client_ca}) cannot be used: {why_unusable(error)}. "
                "It must be a readable PEM file with the CA certificates for clients"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsAcceptor:
    """Accepts connections on one listening socket and hands them on after the handshake.

    When there are too many handshakes, a new one aborts the oldest, as `ListenerLimits.undecided` does.
    """

    def __init__(
        self,
        listening: socket.socket,
        tls: ServerTls,
        connected: Callable[[], asyncio.Protocol],
        *,
        seconds: float,
        at_once: int,
        failed: Callable[[], None],
    ) -> None:
        """Start accepting.

        Args:
            listening: the bound socket.
            tls: gives the context of each handshake.
            connected: makes the protocol of a connection.
            seconds: how long a handshake may take.
            at_once: how many handshakes may be in progress.
            failed: called for each handshake that failed.
        """
        self._listening = listening
        self._tls = tls
        self._connected = connected
        self._seconds = seconds
        self._at_once = at_once
        self._failed = failed
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._accepting = asyncio.create_task(self._accept(), name="tls-acceptor")

    def close(self) -> None:
        """Accept no more connections, and abort the handshakes in progress."""
        self._accepting.cancel()
        for task in list(self._handshakes):
            task.cancel()
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_OUT_OF_FILES)
                continue
            if len(self._handshakes) >= self._at_once:
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]
                oldest.cancel()
            task = loop.create_task(self._handshake(accepted))
            self._handshakes[task] = None
            task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._handshakes.pop(task, None)

    async def _handshake(self, accepted: socket.socket) -> None:
        done = False
        try:
            if await answered_in_plain(accepted, self._seconds):
                return
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connected, accepted, ssl=self._tls.context, ssl_handshake_timeout=self._seconds
            )
            done = True
        except (OSError, TimeoutError):
            pass  # the client speaks no TLS that we support, or is gone; it is counted
        finally:
            if not done:
                self._failed()  # where a transport owns the socket by now, that has closed it
