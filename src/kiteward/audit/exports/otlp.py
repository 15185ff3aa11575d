"""Sends lines as OpenTelemetry log records, by OTLP over HTTP in JSON.

Sources: https://opentelemetry.io/docs/specs/otlp/ (requests, responses and when to repeat them) and
https://opentelemetry.io/docs/specs/otel/logs/data-model/ (log records).
"""

import gzip
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from kiteward import __version__
from kiteward.audit.exports.exporter import DeliveryFailed
from kiteward.audit.exports.settings import OtlpSettings
from kiteward.audit.reader import read

_PATIENCE: Final = 15.0
"""Seconds that a collector may take to respond."""

_SEVERITIES: Final = {"failed": (17, "ERROR"), "refused": (13, "WARN")}
_INFORMATIONAL: Final = (9, "INFO")
"""Outcome -> severity number and text."""

_MALFORMED: Final = frozenset({400, 413, 422})
"""Statuses of a request that no repetition makes better; any other failure may be one of the configuration."""

_ATTRIBUTES: Final = {
    "seq": "kiteward.audit.seq",
    "kind": "kiteward.audit.kind",
    "outcome": "kiteward.audit.outcome",
    "operation": "kiteward.audit.operation",
    "request_id": "kiteward.audit.request_id",
    "database": "db.namespace",
    "principal": "user.name",
    "error": "error.type",
}
"""Field of a line -> attribute; names of OpenTelemetry's semantic conventions where it has one."""

_LONGEST_RESPONSE: Final = 64 * 1024
_LONGEST_WAIT: Final = 300.0
"""Seconds that a collector may ask to be left alone."""


def record(line: bytes) -> dict[str, Any]:
    """Return a line of a trail as a log record. Its body is the line itself."""
    entry: Any = read(line) or {}
    number, text = _SEVERITIES.get(entry.get("outcome", ""), _INFORMATIONAL)
    at = datetime.fromisoformat(entry["time"]) if "time" in entry else None
    nanoseconds = 0 if at is None else int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000
    return {
        "timeUnixNano": str(nanoseconds),
        "observedTimeUnixNano": str(nanoseconds),
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": line.decode("ascii", "replace")},
        "eventName": f"kiteward.audit.{entry.get('kind', 'unknown')}",
        "attributes": [_attribute(name, entry[field]) for field, name in _ATTRIBUTES.items() if field in entry],
    }


def request(lines: Sequence[bytes]) -> dict[str, Any]:
    """Return the request that exports lines, grouped by the replica that they name."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault((read(line) or {}).get("replica", ""), []).append(record(line))
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _resource(replica)},
                "scopeLogs": [{"scope": {"name": "kiteward.audit", "version": __version__}, "logRecords": records}],
            }
            for replica, records in groups.items()
        ]
    }


def _resource(replica: str) -> list[Mapping[str, Any]]:
    named = {"service.name": "kiteward", "service.version": __version__, "service.instance.id": replica}
    return [_attribute(name, value) for name, value in named.items() if value]


def _attribute(name: str, value: Any) -> Mapping[str, Any]:
    typed = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}
    return {"key": name, "value": typed}


class OtlpDestination:
    """A collector. Implements `exporter.Destination`."""

    name: str = "otlp"
    most: int = 2_000
    size: int = 1024 * 1024

    def __init__(self, settings: OtlpSettings) -> None:
        """Take where it is.

        Raises:
            ConfigurationError: a certificate cannot be used.
        """
        parts = urlsplit(settings.endpoint)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = settings.headers
        self._context: ssl.SSLContext | None = settings.tls.context() if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._has_taken = False

    def send(self, lines: Sequence[bytes]) -> int:
        rejected = self._rejected(lines)
        if rejected is not None:
            return rejected
        if not self._has_taken and (len(lines) == 1 or self._rejected(lines[-1:]) is None):
            raise DeliveryFailed("the collector takes no line: is this the address for logs by OTLP over HTTP?")
        return self._send_halves(lines)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send_halves(self, lines: Sequence[bytes]) -> int:
        """Send lines that were refused together in smaller requests; what is refused alone is refused permanently."""
        if len(lines) == 1:
            return 1
        middle = len(lines) // 2
        refused = 0
        for half in (lines[:middle], lines[middle:]):
            rejected = self._rejected(half)
            refused += self._send_halves(half) if rejected is None else rejected
        return refused

    def _rejected(self, lines: Sequence[bytes]) -> int | None:
        """Send lines, and return how many of them were rejected; None if the request was, as malformed or too large.

        Raises:
            DeliveryFailed: it has to be repeated.
        """
        status, headers, body = self._post(lines)
        if status in _MALFORMED:
            return None
        if not 200 <= status < 300:  # noqa: PLR2004  success, as HTTP defines it
            raise DeliveryFailed(f"the collector answered {status}", wait=_wait_of(headers.get("Retry-After", "")))
        self._has_taken = True
        return min(_rejected(body), len(lines))

    def _post(self, lines: Sequence[bytes]) -> tuple[int, Mapping[str, str], bytes]:
        body = gzip.compress(json.dumps(request(lines)).encode(), 1)
        headers = {name: value.reveal() for name, value in self._headers}
        headers |= {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", self._target, body, headers)
            response = connection.getresponse()
            answer = response.read(_LONGEST_RESPONSE)
            if response.will_close or response.read(1):
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise DeliveryFailed(str(error) or type(error).__name__) from error
        return response.status, dict(response.headers), answer

    def _connect(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE)
        return http.client.HTTPSConnection(self._host, self._port, timeout=_PATIENCE, context=self._context)


def _wait_of(value: str) -> float:
    """Return the seconds that `Retry-After` gives; 0 if it gives none."""
    return min(float(value), _LONGEST_WAIT) if value.isascii() and value.isdecimal() else 0.0


def _rejected(body: bytes) -> int:
    """Return how many records a successful response says were rejected."""
    try:
        told = json.loads(body or b"{}")
        return max(int(told.get("partialSuccess", {}).get("rejectedLogRecords", 0)), 0)
    except (ValueError, TypeError, AttributeError):
        return 0
