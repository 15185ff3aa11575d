"""Counts and times of every request, cheap enough for each call."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Final, Protocol

from kiteward.telemetry.counters import Outcome, RequestCounts
from kiteward.telemetry.latency import Histogram


class Stage(StrEnum):
    """A part of a request that takes time."""

    AUTHENTICATE = "authenticate"
    DECIDE = "decide"
    ENGINE = "engine"
    WHOLE = "whole"

    __hash__ = str.__hash__


_FAILED: Final = frozenset({Outcome.FAILED, Outcome.UNAVAILABLE})
"""Outcomes that are not the caller's doing."""


_SHOWN: Final = frozenset({Stage.AUTHENTICATE, Stage.DECIDE})
"""Stages whose spans are added when they have ended; the others have spans of their own from the beginning."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where traces go.

    Attributes:
        endpoint: a collector that takes OTLP over HTTP; empty turns traces off.
        percent: how many of the requests are traced whose callers do not say whether they are.
    """

    endpoint: str = ""
    percent: int = 100


class Span(Protocol):
    """A piece of a trace that has begun."""

    def carried(self) -> dict[str, str]:
        """Return the metadata that lets the next one continue the trace."""
        ...

    def end(self, outcome: str, *, failed: bool) -> None:
        """End the span.

        Args:
            outcome: how the work ended, in one word.
            failed: whether that counts as an error.
        """
        ...


class Tracing(Protocol):
    """Where traces go. See `kiteward.telemetry.tracing`, which needs an extra."""

    def request(self, operation: str, request_id: str, carried: Mapping[str, str]) -> Span:
        """Begin the span of a request; what follows in this context is below it."""
        ...

    def engine(self, method: str) -> Span:
        """Begin the span of a call to the engine."""
        ...

    def observe(self, stage: str, seconds: float) -> None:
        """Add the span of a stage that has just ended."""
        ...


class Telemetry:
    """Records requests, their stages and their decisions; metrics read them.

    Attributes:
        requests: every request, by operation and outcome.
        decisions: how often it was `allowed` and how often `refused`.
        stages: how long each stage took. A request that was queued is authenticated and decided on again.
        store: how long each `read` and `commit` of the store took.
        acknowledgements: how long each change waited for other servers, after its commit.
        tracing: where traces go, None where they are off.
    """

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self.requests = RequestCounts()
        self.decisions = Counter({"allowed": 0, "refused": 0})
        self.stages = {stage: Histogram() for stage in Stage}
        self.store = {"read": Histogram(), "commit": Histogram()}
        self.acknowledgements = Histogram()

    def start_request(self, operation: str, request_id: str, carried: Mapping[str, str]) -> "RequestSpan":
        """Start to record a request.

        Args:
            operation: its operation, which exists.
            request_id: its id, for the span.
            carried: its caller's metadata, which may name a trace.
        """
        span = None if self.tracing is None else self.tracing.request(operation, request_id, carried)
        return RequestSpan(self, operation, span)

    def observe_store(self, what: str, seconds: float) -> None:
        """Record the duration of a `read` or `commit`, in seconds."""
        self.store[what].add(seconds)

    def observe_acknowledgement(self, seconds: float) -> None:
        """Record for how many seconds a change waited for other servers."""
        self.acknowledgements.add(seconds)

    def observe(self, stage: Stage, begun: float) -> None:
        """Record a stage that began at `begun`, of `time.perf_counter`, and has ended now."""
        seconds = perf_counter() - begun
        self.stages[stage].add(seconds)
        if self.tracing is not None and stage in _SHOWN:
            self.tracing.observe(stage.value, seconds)

    def observe_decision(self, begun: float, *, allowed: bool) -> None:
        """Record a decision that began at `begun`, of `time.perf_counter`, and has been made now."""
        self.observe(Stage.DECIDE, begun)
        self.decisions["allowed" if allowed else "refused"] += 1


class RequestSpan:
    """One request that is being recorded."""

    __slots__ = ("_begun", "_operation", "_span", "_telemetry")

    def __init__(self, telemetry: Telemetry, operation: str, span: Span | None) -> None:
        self._telemetry = telemetry
        self._operation = operation
        self._span = span
        self._begun = perf_counter()

    def end(self, outcome: Outcome) -> None:
        """Record the outcome, and end the span of the request."""
        self._telemetry.requests.count(self._operation, outcome)
        self._telemetry.observe(Stage.WHOLE, self._begun)
        if self._span is not None:
            self._span.end(outcome.value, failed=outcome in _FAILED)
