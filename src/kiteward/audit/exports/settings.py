"""Where the lines of the trail are sent."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.domain.pem_files import no_passphrase


@dataclass(frozen=True, slots=True)
class ExportTls:
    """How a receiver is verified, and what it is shown.

    Attributes:
        ca: CA that signs its certificate; None takes those of the system.
        certificate: client certificate with its chain; None presents none.
        key: private key of that certificate.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context for connections, TLS 1.2 at least.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, password=no_passphrase)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "the certificates for sending the audit trail cannot be used: give PEM files that this user can read, "
                "a certificate with its own key, no passphrase"
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class SyslogSettings:
    """A receiver of syslog over TLS.

    Attributes:
        host: its host, `kiteward.audit.syslog.address`.
        port: its port.
        server_name: the name for which its certificate must be; `kiteward.audit.syslog.tls.serverName`.
        tls: `kiteward.audit.syslog.tls`.
    """

    host: str
    port: int
    server_name: str
    tls: ExportTls = field(default_factory=ExportTls)


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """A collector that takes logs by OTLP over HTTP.

    Attributes:
        endpoint: its address, `kiteward.audit.otlp.endpoint`.
        headers: headers of every request, `kiteward.audit.otlp.headers`: name -> value.
        tls: `kiteward.audit.otlp.tls`.
    """

    endpoint: str
    headers: tuple[tuple[str, Secret], ...] = ()
    tls: ExportTls = field(default_factory=ExportTls)
