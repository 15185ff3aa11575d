"""What a server sends to other systems: the audit trail and traces."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from kiteward.audit.exports.exporter import Destination, Exporter
from kiteward.audit.exports.otlp import OtlpDestination
from kiteward.audit.exports.syslog import SyslogDestination
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.telemetry.telemetry import Tracing


def make_exporters(stack: AsyncExitStack, settings: Settings) -> Sequence[Exporter]:
    """Return the exporters of the audit trail, which are not started yet; `stack` stops them.

    Called before the trail is opened, so that they can send its last line.

    Raises:
        ConfigurationError: a certificate cannot be used.
    """
    audit = settings.audit
    destinations: list[Destination] = []
    if audit.enabled and audit.syslog is not None:
        destinations.append(SyslogDestination(audit.syslog))
    if audit.enabled and audit.otlp is not None:
        destinations.append(OtlpDestination(audit.otlp))
    exporters = [Exporter(audit.place(settings.data_dir), destination) for destination in destinations]
    for exporter in exporters:
        stack.push_async_callback(asyncio.to_thread, exporter.close)
    return exporters


def start_tracing(stack: AsyncExitStack, settings: Settings) -> Tracing | None:
    """Start the export of traces; `stack` stops it.

    Returns:
        The exporter, or None when tracing is disabled.

    Raises:
        ConfigurationError: the packages for tracing are not installed.
    """
    if not settings.tracing.endpoint:
        return None
    try:
        from kiteward.telemetry.tracing import OtlpTracing  # noqa: PLC0415  an extra brings what it needs
    except ImportError as error:
        raise ConfigurationError(
            "kiteward.tracing.endpoint is set, but OpenTelemetry is not installed: pip install 'kiteward[tracing]', "
            "or leave the key out"
        ) from error
    tracing = OtlpTracing(settings.tracing.endpoint, settings.tracing.percent)
    stack.push_async_callback(asyncio.to_thread, tracing.close)
    return tracing
