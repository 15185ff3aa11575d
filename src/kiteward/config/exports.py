"""Reads the settings about sending the audit trail to other systems."""

import ipaddress
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kiteward.audit.exports.settings import ExportTls, OtlpSettings, SyslogSettings
from kiteward.config import export_keys as keys
from kiteward.config.key import Key
from kiteward.config.reader import Reader
from kiteward.config.sources import password_in
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

_SYSLOG_PORT: Final = 6514
"""The port of syslog over TLS (RFC 5425 section 4.1)."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")


def syslog(reader: Reader) -> SyslogSettings | None:
    """Return the receiver of syslog, or None if there is none.

    Raises:
        ConfigurationError: the address is none, or the files of TLS contradict one another.
    """
    address = reader.get(keys.SYSLOG_ADDRESS)
    files = _Files(reader, keys.SYSLOG_TLS_CA, keys.SYSLOG_TLS_CERTIFICATE, keys.SYSLOG_TLS_KEY)
    server_name = reader.get(keys.SYSLOG_TLS_SERVER_NAME)
    if not address:
        return None
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port or _SYSLOG_PORT
        valid = bool(host) and parts.netloc == address and "@" not in address
    except ValueError:
        host, port, valid = None, 0, False
    if host is None or not valid:
        raise ConfigurationError(f"{keys.SYSLOG_ADDRESS.name} must be like logs.example or logs.example:6514")
    return SyslogSettings(host, port, server_name or host, files.checked())


def otlp(reader: Reader) -> OtlpSettings | None:
    """Return the collector of logs, or None if there is none.

    Raises:
        ConfigurationError: the address is none, the headers cannot be read, or settings contradict one another.
    """
    endpoint = reader.get(keys.OTLP_ENDPOINT)
    files = _Files(reader, keys.OTLP_TLS_CA, keys.OTLP_TLS_CERTIFICATE, keys.OTLP_TLS_KEY)
    text, path = reader.get(keys.OTLP_HEADERS), reader.get(keys.OTLP_HEADERS_FILE)
    if not endpoint:
        return None
    tls = files.checked()
    _require_endpoint(endpoint, tls)
    if text and path:
        raise ConfigurationError(
            f"{keys.OTLP_HEADERS.name} and {keys.OTLP_HEADERS_FILE.name} are both set: set one of them"
        )
    if path:
        text = password_in(path, keys.OTLP_HEADERS_FILE.name)
    return OtlpSettings(endpoint, _headers(text), tls)


def _require_endpoint(endpoint: str, tls: ExportTls) -> None:
    """Require an address of a collector that is reached safely.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        valid = valid and "@" not in parts.netloc and not parts.fragment and endpoint.isascii() and " " not in endpoint
    except ValueError:
        parts, valid = urlsplit(""), False
    if not valid:
        raise ConfigurationError(
            f"{keys.OTLP_ENDPOINT.name} must be like https://collector.example:4318/v1/logs, without a password in it"
        )
    if parts.scheme == "https":
        return
    if not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{keys.OTLP_ENDPOINT.name} is without TLS and not on this machine: let it begin with https://"
        )
    if tls != ExportTls():
        raise ConfigurationError(
            f"kiteward.audit.otlp.tls is set and {keys.OTLP_ENDPOINT.name} is without TLS: let it begin with https://, "
            "or leave kiteward.audit.otlp.tls out"
        )


class _Files:
    """The files of TLS for one receiver."""

    def __init__(self, reader: Reader, ca: Key[str], certificate: Key[str], key: Key[str]) -> None:
        self._keys = certificate.name, key.name
        self._paths = [Path(name) if name else None for name in map(reader.get, (ca, certificate, key))]

    def checked(self) -> ExportTls:
        """Return them.

        Raises:
            ConfigurationError: a certificate is without its key, or a key without its certificate.
        """
        if (self._paths[1] is None) != (self._paths[2] is None):
            raise ConfigurationError(f"{' and '.join(self._keys)} belong together: set both or none")
        return ExportTls(*self._paths)


def _headers(text: str) -> tuple[tuple[str, Secret], ...]:
    headers = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in each.partition("="))
        if not (equals and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ConfigurationError(f"{keys.OTLP_HEADERS.name} must be like name=value,name=value")
        headers.append((name, Secret(value)))
    return tuple(headers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
