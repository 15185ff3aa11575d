"""What lies in `deploy/` speaks of metrics that exist, by labels that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.support.gateway import presented
from tests.support.in_process_server import ask, serving
from tests.support.listeners import connected, ended
from tests.support.metrics import sources

from kiteward.audit.exports.exporter import ExportState
from kiteward.gateway.call import Call
from kiteward.telemetry.counters import ReplicaState
from kiteward.telemetry.metrics import Metrics, WorkerState, merged
from kiteward.telemetry.telemetry import Telemetry

DEPLOY = Path(__file__).parents[3] / "deploy"

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
UNITS = {"reqps", "cps", "s", "percentunit", "bytes", "none"}

Known = dict[str, set[str]]


@pytest.fixture
async def known(tmp_path: Path) -> Known:
    """Every sample that a server gives, one of workers that sends its audit trail too, with its labels."""
    async with serving(tmp_path) as (server, _):
        await server.gateway.handle(Call("GetVersion", b"", presented("root")))
        async with connected(server.port) as (reader, writer):
            writer.write(b"neither of the two\r\n\r\n")
            await ended(reader)
        _, _, text = await ask(server.metrics_port, "/metrics")
    found: Known = {"up": set()}
    for family in text_string_to_metric_families(text + _of_a_server_among_others()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _of_a_server_among_others() -> str:
    telemetry = Telemetry()
    telemetry.observe_acknowledgement(0.02)
    given = sources(
        telemetry,
        limited=lambda: {("rate", "user"): 4},
        exports=lambda: [ExportState("syslog")],
        replica=lambda: ReplicaState(lease=1.5, lag=2, listening=True, late=3),
    )
    workers = {1: WorkerState(up=True, restarts=2)}
    return merged([Metrics(given, worker=1).text()], workers).decode()


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))


def queries() -> Iterator[tuple[str, str]]:
    """Yield every query with its place."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text("utf-8"))["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


def words(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every metric of a query with the labels it is asked for by."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\bby \([^)]*\)', "", query)
    for name, labels in re.findall(r"\b([a-z]\w*)\b(?!\s*\()(\{[^}]*\})?", bare):
        yield name, set(re.findall(r"(\w+)\s*=", labels))


async def test_every_query_asks_for_what_exists(known: Known) -> None:
    asked: set[str] = set()
    for place, query in queries():
        metrics = dict(words(query))
        assert metrics, f"{place}: no metric in {query}"
        for name, labels in metrics.items():
            assert name in known, f"{place}: there is no {name}"
            assert labels <= known[name] | SCRAPED, f"{place}: {name} has no {labels - known[name] - SCRAPED}"
            if name.endswith(("_total", "_bucket", "_sum", "_count")):
                assert re.search(rf"(rate|increase)\({name}\b", query), f"{place}: a counter is no number of its own"
        together = set().union(*(known[name] for name in metrics)) | SCRAPED
        for group in re.findall(r"by \(([^)]*)\)", query):
            assert set(re.split(r",\s*", group)) <= together, f"{place}: by {group}"
        asked |= metrics.keys()
    ours = {_family(name) for name in known if name.startswith("kiteward_")}
    assert ours - {_family(name) for name in asked} == set(), "metrics that nobody looks at"


def _family(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


async def test_the_variables_of_the_dashboard_are_filled_by_what_exists(known: Known) -> None:
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            assert re.findall(r"kiteward_\w+", variable["definition"])[0] in known


def test_panels_have_units_and_do_not_cover_one_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
        if panel["type"] == "row":
            continue
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS
        expressions = " ".join(target["expr"] for target in panel["targets"])
        assert (unit == "s") == bool(re.search(r"_seconds(_bucket|_sum|_count)?\b", expressions))
        assert (unit == "bytes") == ("_bytes" in expressions)


def test_the_example_reads_the_port_that_the_server_opens() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9091"]}]
    assert "metrics_path" not in job


@pytest.mark.parametrize("query", ["kiteward_no_such_total", 'sum(rate(kiteward_no_such_total{job="x"}[5m]))'])
def test_a_name_that_does_not_exist_would_be_found(query: str) -> None:
    assert [name for name, _ in words(query)] == ["kiteward_no_such_total"]
