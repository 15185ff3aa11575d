"""What Prometheus says of the alerts and the scrape configuration, and what the alerts ask for."""

import re
from pathlib import Path

import pytest
from tests.deploy import tools
from tests.support import toolchains

pytestmark = pytest.mark.timeout(1800)

DIRECTORY = Path(__file__).resolve().parents[2] / "deploy"


def test_prometheus_accepts_the_alerts() -> None:
    rules = DIRECTORY / "prometheus-alerts.yml"
    printed = toolchains.run([*tools.promtool(), "check", "rules", "--lint-fatal", str(rules)], cwd=DIRECTORY)
    assert f"SUCCESS: {rules.read_text().count('- alert:')} rules found" in printed


def test_prometheus_accepts_the_scrape_configuration() -> None:
    printed = toolchains.run([*tools.promtool(), "check", "config", str(DIRECTORY / "prometheus.yml")], cwd=DIRECTORY)
    assert "SUCCESS" in printed


def test_every_metric_of_the_alerts_is_one_that_the_documents_list() -> None:
    asked = set(re.findall(r"\b(kiteward_\w+)", (DIRECTORY / "prometheus-alerts.yml").read_text()))
    listed = set(re.findall(r"`(kiteward_\w+)`", (DIRECTORY.parent / "docs" / "operations.md").read_text()))
    assert asked
    assert asked <= listed
