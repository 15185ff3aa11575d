"""The Helm chart and the settings: every key has a place, no secret has one outside of secrets, and stops have time."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from tests.deploy import chart_schema
from tests.deploy.chart_schema import CHART, SCHEMA, SET_BY_THE_CHART

from kiteward import __version__
from kiteward.bootstrap import ports
from kiteward.config.keys import KEYS
from kiteward.engine.embedded.supervisor import EmbeddedEngineSettings

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SETS = sorted((CHART / "ci").glob("*-values.yaml"))
STOP_SECONDS = ports._GRACE + ports._FLUSH + ports._FLUSH + EmbeddedEngineSettings(Path(), {}).stop_timeout
"""Requests, their responses, the port for metrics, and the engine, one after another."""


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


def nested(key: str, value: object) -> dict[str, Any]:
    """Return a document with a value at a dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def accepts(config: dict[str, Any]) -> bool:
    return jsonschema_rs.is_valid(schema(), {"config": config})


def leaves(values: Any, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, dict) and values:
        for name, each in values.items():
            yield from leaves(each, f"{path}.{name}".lstrip("."))
    else:
        yield path, values


def test_the_schema_of_the_configuration_is_that_of_the_settings() -> None:
    assert chart_schema.with_config(SCHEMA.read_text()) == SCHEMA.read_text(), "run `make settings-table`"


def test_every_setting_has_a_place_in_the_chart() -> None:
    places = {key.name for key in chart_schema.configurable()} | SET_BY_THE_CHART
    assert {key.name for key in KEYS if not key.secret} <= places


def test_the_chart_sets_no_key_that_is_not_a_setting() -> None:
    assert {key.name for key in KEYS} >= SET_BY_THE_CHART


@pytest.mark.parametrize("key", [key.name for key in KEYS if key.secret])
def test_a_secret_is_refused_in_the_configuration(key: str) -> None:
    assert not accepts(nested(key, "Kite-ward-1"))


@pytest.mark.parametrize("key", sorted(SET_BY_THE_CHART))
def test_what_the_chart_sets_itself_is_refused_in_the_configuration(key: str) -> None:
    assert not accepts(nested(key, "value"))


def test_an_unknown_key_of_ours_is_refused_and_one_of_milvus_is_not() -> None:
    assert not accepts({"kiteward": {"passwordPolice": "strict"}})
    assert not accepts({"kiteward": {"passwordPolicy": "none"}})
    assert accepts({"kiteward": {"passwordPolicy": "strict"}, "queryNode": {"cache": {"enabled": True}}})


@pytest.mark.parametrize("path", [CHART / "values.yaml", *SETS], ids=lambda path: path.name)
def test_values_satisfy_the_schema(path: Path) -> None:
    jsonschema_rs.validate(schema(), yaml.safe_load(path.read_text()))


def test_every_value_is_described_by_the_schema() -> None:
    described = schema()["properties"]
    assert set(VALUES) == set(described) - {"global"}


def test_no_default_is_a_password() -> None:
    assert VALUES["config"] == {}
    assert VALUES["store"]["url"] == ""
    assert VALUES["extraEnv"] == []
    secrets = {path: value for path, value in leaves(VALUES) if path.endswith("existingSecret")}
    assert len(secrets) == 5
    assert set(secrets.values()) == {""}


def test_the_chart_makes_no_secret_and_no_role() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.yaml"))
    kinds = {line.removeprefix("kind: ") for line in templates.splitlines() if line.startswith("kind: ")}
    assert kinds == {
        "ConfigMap",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "StatefulSet",
    }


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == __version__


def test_a_pod_has_time_to_stop() -> None:
    assert VALUES["terminationGracePeriodSeconds"] >= VALUES["preStopSeconds"] + STOP_SECONDS
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    (demanded,) = re.findall(r"\(add \(int \.Values\.preStopSeconds\) (\d+) \| int\)", helpers)
    assert int(demanded) >= STOP_SECONDS


def test_the_alerts_of_the_chart_are_those_of_prometheus() -> None:
    alerts = CHART.parents[1] / "prometheus-alerts.yml"
    assert (CHART / "files" / "prometheus-alerts.yml").read_text() == alerts.read_text()
