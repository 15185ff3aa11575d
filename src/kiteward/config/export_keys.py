"""The rows of settings about sending the audit trail to other systems."""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import Text

OTLP_ENDPOINT: Final[Key[str]] = Key(
    "kiteward.audit.otlp.endpoint",
    Text("URL"),
    "",
    "collector that takes the audit trail as OTLP logs, as https://collector:4318/v1/logs; http on loopback only",
    unset="none",
)
OTLP_HEADERS: Final[Key[str]] = Key(
    "kiteward.audit.otlp.headers",
    Text("text"),
    "",
    "headers of requests to the collector, as name=value,name=value",
    secret=True,
)
OTLP_HEADERS_FILE: Final[Key[str]] = Key(
    "kiteward.audit.otlp.headersFile", Text("path"), "", "instead: a file that holds them"
)
OTLP_TLS_CA: Final[Key[str]] = Key(
    "kiteward.audit.otlp.tls.ca",
    Text("path"),
    "",
    "CA that signs the certificate of the collector",
    unset="those of the system",
)
OTLP_TLS_CERTIFICATE: Final[Key[str]] = Key(
    "kiteward.audit.otlp.tls.certificate", Text("path"), "", "client certificate for the collector, with its chain"
)
OTLP_TLS_KEY: Final[Key[str]] = Key(
    "kiteward.audit.otlp.tls.key", Text("path"), "", "private key of that certificate, without a passphrase"
)
SYSLOG_ADDRESS: Final[Key[str]] = Key(
    "kiteward.audit.syslog.address",
    Text("address"),
    "",
    "receiver that takes the audit trail as syslog over TLS, as host or host:port; 6514 is the usual port",
    unset="none",
)
SYSLOG_TLS_CA: Final[Key[str]] = Key(
    "kiteward.audit.syslog.tls.ca",
    Text("path"),
    "",
    "CA that signs the certificate of the receiver",
    unset="those of the system",
)
SYSLOG_TLS_CERTIFICATE: Final[Key[str]] = Key(
    "kiteward.audit.syslog.tls.certificate", Text("path"), "", "client certificate for the receiver, with its chain"
)
SYSLOG_TLS_KEY: Final[Key[str]] = Key(
    "kiteward.audit.syslog.tls.key", Text("path"), "", "private key of that certificate, without a passphrase"
)
SYSLOG_TLS_SERVER_NAME: Final[Key[str]] = Key(
    "kiteward.audit.syslog.tls.serverName",
    Text("name"),
    "",
    "name for which the certificate of the receiver must be",
    unset="the host of the address",
)
