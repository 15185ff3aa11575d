"""What the server tells a Prometheus about itself: counts and gauges, no name of a user, a database or a collection."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from kiteward.observe.counts import RequestCounts

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of `Metrics.text`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from; each is asked when the metrics are read.

    Attributes:
        requests: every request counted.
        connections: open connections by kind.
        refused: connections closed for a reason of the listener's.
        generation: how often the engine has come to life.
    """

    requests: RequestCounts
    connections: Callable[[], Mapping[str, int]]
    refused: Callable[[], Mapping[str, int]]
    generation: Callable[[], int]


class Metrics:
    """The metrics of one server; several in one process do not mix."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ServerCollector(sources))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _ServerCollector(Collector):
    """Turns our own counters into Prometheus' families when somebody looks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Yield every family."""
        sources = self._sources
        requests = CounterMetricFamily(
            "kiteward_requests", "Requests by operation and how they ended.", labels=("operation", "outcome")
        )
        for operation, outcome, number in sources.requests:
            requests.add_metric((operation, outcome.value), number)
        yield requests
        connections = GaugeMetricFamily(
            "kiteward_connections", "Open connections by what they carry.", labels=("kind",)
        )
        for kind, number in sources.connections().items():
            connections.add_metric((kind,), number)
        yield connections
        refused = CounterMetricFamily(
            "kiteward_connections_refused", "Connections that were closed unserved, by reason.", labels=("reason",)
        )
        for reason, number in sources.refused().items():
            refused.add_metric((reason,), number)
        yield refused
        generation = GaugeMetricFamily("kiteward_engine_generation", "How often the engine has come to life.")
        generation.add_metric((), sources.generation())
        yield generation
