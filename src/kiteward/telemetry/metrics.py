"""The metrics of the server for Prometheus: counters and gauges, without names of users, databases or collections.

Nothing is counted here: the server counts in plain numbers, and this turns them into Prometheus' families when they
are read. Every label has few values, all of them defined by the server.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from kiteward.audit.exports.exporter import ExportState
from kiteward.audit.writer import AuditState
from kiteward.telemetry.counters import CatalogState, ReplicaState
from kiteward.telemetry.latency import BOUNDS, Histogram
from kiteward.telemetry.telemetry import Telemetry

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of `Metrics.text`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the metrics; each is read when the metrics are.

    Attributes:
        telemetry: requests, decisions and times.
        authentications: (kind, result) -> how often.
        connections: open connections by kind.
        refused: connections closed for a reason of the listener's.
        held: bytes held for clients by kind: how many, how many there may be, and how often there was no room.
        generation: how often the engine was started.
        engine_ready: whether a call sent now would reach the engine.
        limited: (kind of limit, whose limit) -> requests that it refused.
        catalog: the state of the catalog of a remote engine; None for the embedded one.
        revision: the revision of the policy in force; None while there is none.
        audit: the state of the audit trail.
        exports: how far the exporters of the audit trail are.
        replica: the state of this server among others on the same store; None if the store is a file.
    """

    telemetry: Telemetry
    authentications: Callable[[], Mapping[tuple[str, str], int]]
    connections: Callable[[], Mapping[str, int]]
    refused: Callable[[], Mapping[str, int]]
    held: Callable[[], Mapping[str, tuple[int, int, int]]]
    generation: Callable[[], int]
    engine_ready: Callable[[], bool]
    revision: Callable[[], int | None]
    audit: Callable[[], AuditState]
    limited: Callable[[], Mapping[tuple[str, str], int]]
    catalog: Callable[[], CatalogState | None] = lambda: None
    exports: Callable[[], Sequence[ExportState]] = tuple
    replica: Callable[[], ReplicaState | None] = lambda: None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What is known of one worker of a server.

    Attributes:
        up: whether it serves and responds.
        restarts: how often it was started again.
    """

    up: bool
    restarts: int


class Metrics:
    """The metrics of one process; several in one process do not mix."""

    def __init__(self, sources: Sources, *, worker: int | None = None) -> None:
        """Set up.

        Args:
            sources: what they read.
            worker: the number of this worker, with which every sample is labelled; None for a server of one process.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_ServerCollector(sources))
        ProcessCollector(registry=registry)
        self._registry: Collector = registry if worker is None else _Labelled(registry, str(worker))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def merged(texts: Sequence[bytes], workers: Mapping[int, WorkerState]) -> bytes:
    """Return the metrics of all workers of a server as one text: each family once, as the format requires.

    Args:
        texts: the metrics of each worker that responds.
        workers: number -> what is known of it.
    """
    families: dict[str, list[str]] = {}
    for text in (*texts, generate_latest(_WorkersCollector(workers))):
        lines: list[str] = []
        for line in text.decode().splitlines(keepends=True):
            if line.startswith("# HELP "):
                lines = families.setdefault(line, [])
            elif not (lines and line.startswith("# TYPE ")):
                lines.append(line)
    return "".join("".join((head, *lines)) for head, lines in families.items()).encode()


class _Labelled(Collector):
    """Adds the label of a worker to all samples of a registry."""

    def __init__(self, registry: CollectorRegistry, worker: str) -> None:
        self._registry = registry
        self._worker = worker

    def collect(self) -> Iterable[Metric]:
        """Yield every family."""
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={"worker": self._worker, **sample.labels}) for sample in family.samples
            ]
            yield family


class _WorkersCollector(Collector):
    """Converts what is known of the workers to Prometheus' families."""

    def __init__(self, workers: Mapping[int, WorkerState]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        """Yield every family."""
        up = GaugeMetricFamily("kiteward_worker_up", "1 while the worker serves and responds.", labels=("worker",))
        for number, state in self._workers.items():
            up.add_metric((str(number),), state.up)
        yield up
        yield _counter(
            "kiteward_worker_restarts",
            "How often the worker was started again.",
            ("worker",),
            (((str(number),), state.restarts) for number, state in self._workers.items()),
        )


class _ServerCollector(Collector):
    """Converts the counters of the server to Prometheus' families when they are read."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Yield every family."""
        yield from self._requests()
        yield from self._connections()
        yield from self._held()
        yield from self._parts()
        yield from _exports(self._sources.exports())

    def _requests(self) -> Iterator[Metric]:
        telemetry = self._sources.telemetry
        yield _counter(
            "kiteward_requests",
            "Requests by operation and outcome.",
            ("operation", "outcome"),
            (((operation, outcome.value), number) for operation, outcome, number in telemetry.requests),
        )
        yield _counter(
            "kiteward_decisions",
            "Authorization decisions.",
            ("decision",),
            (((decision,), number) for decision, number in telemetry.decisions.items()),
        )
        yield _counter(
            "kiteward_authentications",
            "Presented credentials, by kind and result; `remembered` is a cache hit.",
            ("kind", "result"),
            self._sources.authentications().items(),
        )
        yield _counter(
            "kiteward_requests_limited",
            "Requests refused because a limit of their caller was reached, by kind of limit and by whose it is.",
            ("limit", "holder"),
            self._sources.limited().items(),
        )
        yield _histogram(
            "kiteward_stage_duration_seconds", "Duration of requests by stage.", "stage", telemetry.stages.items()
        )
        yield _histogram(
            "kiteward_store_duration_seconds", "Duration of store operations.", "work", telemetry.store.items()
        )

    def _connections(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily("kiteward_connections", "Open connections by protocol.", labels=("kind",))
        for kind, number in self._sources.connections().items():
            connections.add_metric((kind,), number)
        yield connections
        yield _counter(
            "kiteward_connections_refused",
            "Connections closed without being served, by reason.",
            ("reason",),
            (((reason,), number) for reason, number in self._sources.refused().items()),
        )

    def _held(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("kiteward_held_bytes", "Bytes held for clients.", labels=("kind",))
        limits = GaugeMetricFamily("kiteward_held_bytes_limit", "Limit on bytes held for clients.", labels=("kind",))
        help_text = self._sources.held()
        for kind, (now, limit, _) in help_text.items():
            held.add_metric((kind,), now)
            limits.add_metric((kind,), limit)
        yield held
        yield limits
        yield _counter(
            "kiteward_held_bytes_refused",
            "Reservations refused because the limit on held bytes was reached.",
            ("kind",),
            (((kind,), refused) for kind, (_, _, refused) in help_text.items()),
        )

    def _parts(self) -> Iterator[Metric]:
        sources = self._sources
        generation, audit, revision = sources.generation(), sources.audit(), sources.revision()
        yield _gauge("kiteward_engine_up", "1 while the engine accepts calls, else 0.", sources.engine_ready())
        yield _gauge(
            "kiteward_engine_generation",
            "Starts of the engine; of a remote one, how often it became ready or was reconnected to.",
            generation,
        )
        yield _counter("kiteward_engine_restarts", "Restarts of the engine.", (), [((), max(0, generation - 1))])
        yield from _catalog(sources.catalog())
        yield from _replica(sources.replica(), sources.telemetry.acknowledgements)
        if revision is not None:
            yield _gauge("kiteward_policy_revision", "The revision of the policy in force.", revision)
        yield _gauge("kiteward_audit_queue", "Audit events that wait to be written.", audit.queued)
        yield _gauge("kiteward_audit_queue_bytes", "Approximate memory of these events.", audit.queued_bytes)
        yield _counter("kiteward_audit_lost", "Audit events that were lost.", (), [((), audit.lost)])


def _catalog(state: CatalogState | None) -> Iterator[Metric]:
    if state is None:
        return
    if state.age is not None:
        yield _gauge("kiteward_catalog_age_seconds", "Age of the catalog of the remote engine.", state.age)
    yield _counter("kiteward_catalog_reads", "Reads of the catalog of the remote engine.", (), [((), state.reads)])
    yield _counter("kiteward_catalog_read_failures", "Reads of it that failed.", (), [((), state.failures)])
    yield _counter("kiteward_catalog_lookups", "Names that were looked up in the engine.", (), [((), state.lookups)])


def _exports(states: Sequence[ExportState]) -> Iterator[Metric]:
    if not states:
        return
    waiting = GaugeMetricFamily(
        "kiteward_audit_export_waiting", "Lines of the audit trail that a receiver does not have.", labels=("to",)
    )
    working = GaugeMetricFamily("kiteward_audit_export_up", "1 unless the last attempt failed, else 0.", labels=("to",))
    for state in states:
        waiting.add_metric((state.destination,), state.waiting)
        working.add_metric((state.destination,), state.working)
    yield from (waiting, working)
    for name, help_text in (
        ("sent", "Lines of the audit trail that a receiver has taken."),
        ("lost", "Lines of the audit trail that did not reach a receiver."),
        ("failures", "Attempts to send the audit trail that failed."),
    ):
        numbers = [((state.destination,), getattr(state, name)) for state in states]
        yield _counter(f"kiteward_audit_export_{name}", help_text, ("to",), numbers)


def _replica(state: ReplicaState | None, acknowledgements: Histogram) -> Iterator[Metric]:
    if state is None:
        return
    yield _gauge(
        "kiteward_replica_lease_seconds",
        "Time for which this server may decide without hearing from the store; 0 when it refuses requests.",
        state.lease,
    )
    yield _gauge("kiteward_replica_lag", "Revisions that were still to be applied at the last renewal.", state.lag)
    yield _gauge("kiteward_replica_listening", "1 while changes of other servers arrive at once.", state.listening)
    yield _counter(
        "kiteward_replica_leases_waited_out",
        "Servers that a change waited for until their leases ended.",
        (),
        [((), state.late)],
    )
    family = HistogramMetricFamily(
        "kiteward_replica_acknowledgement_seconds", "Time for which changes waited for other servers."
    )
    family.add_metric((), _buckets(acknowledgements), acknowledgements.total)
    yield family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, help_text)
    family.add_metric((), value)
    return family


def _counter(
    name: str, help_text: str, labels: tuple[str, ...], numbers: Iterable[tuple[tuple[str, ...], int]]
) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, number in numbers:
        family.add_metric(values, number)
    return family


def _histogram(name: str, help_text: str, label: str, histograms: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=(label,))
    for value, histogram in histograms:
        family.add_metric((value,), _buckets(histogram), histogram.total)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, int]]:
    return [(str(bound), number) for bound, number in zip((*BOUNDS, "+Inf"), histogram.cumulative(), strict=True)]
