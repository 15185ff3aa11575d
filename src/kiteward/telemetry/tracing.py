"""Traces by OpenTelemetry. Only imported where tracing is on; needs the extra `tracing`.

Spans name operations and stages, never a user, a collection or what a caller sent.
"""

import time
from collections.abc import Mapping
from contextvars import Token
from typing import Final

from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kiteward import __version__

_PATIENCE: Final = 5.0
"""Seconds that a collector may take to accept what is sent."""

_FORMAT: Final = TraceContextTextMapPropagator()


class OtlpTracing:
    """Sends spans to a collector, from a thread of its own. Implements `kiteward.telemetry.telemetry.Tracing`."""

    def __init__(self, endpoint: str, percent: int) -> None:
        """Start the exporter.

        Args:
            endpoint: address of a collector that takes OTLP over HTTP.
            percent: how many of the requests are traced whose callers do not say whether they are.
        """
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(percent / 100)),
            resource=Resource({"service.name": "kiteward", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_PATIENCE)))
        self._tracer = self._provider.get_tracer("kiteward", __version__)

    def request(self, operation: str, request_id: str, carried: Mapping[str, str]) -> "OtlpSpan":
        """Begin the span of a request, in the trace that its caller names; what follows in this context is below it."""
        span = self._tracer.start_span(
            f"handle {operation}",
            _FORMAT.extract(carried, context=Context()),
            kind=trace.SpanKind.SERVER,
            attributes={"rpc.method": operation, "kiteward.request_id": request_id},
        )
        return OtlpSpan(span, current.attach(trace.set_span_in_context(span)))

    def engine(self, method: str) -> "OtlpSpan":
        """Begin the span of a call to the engine, below the request of this context."""
        return OtlpSpan(
            self._tracer.start_span("engine", kind=trace.SpanKind.CLIENT, attributes={"rpc.method": method})
            if trace.get_current_span().get_span_context().is_valid
            else trace.INVALID_SPAN
        )

    def observe(self, stage: str, seconds: float) -> None:
        """Add the span of a stage that has just ended."""
        if trace.get_current_span().is_recording():
            now = time.time_ns()
            self._tracer.start_span(stage, start_time=now - int(seconds * 1e9)).end(now)

    def close(self) -> None:
        """Send the remaining spans, if the collector accepts them. Blocks."""
        self._provider.shutdown()


class OtlpSpan:
    """One span. Implements `kiteward.telemetry.telemetry.Span`."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span, token: "Token[Context] | None" = None) -> None:
        self._span = span
        self._token = token

    def carried(self) -> dict[str, str]:
        """Return the metadata that lets the next one continue the trace; none where there is no trace."""
        carried: dict[str, str] = {}
        _FORMAT.inject(carried, trace.set_span_in_context(self._span))
        return carried

    def end(self, outcome: str, *, failed: bool) -> None:
        """End the span. See `kiteward.telemetry.telemetry.Span.end`."""
        self._span.set_attribute("kiteward.outcome", outcome)
        if failed:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
        if self._token is not None:
            current.detach(self._token)
