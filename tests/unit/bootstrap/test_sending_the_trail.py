"""A server that sends its audit trail: from the first line to the last, over restarts, and as its metrics say."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.audit_lines import lines
from tests.support.in_process_server import ask, serving
from tests.support.otlp_collector import Collector, collecting

from kiteward.api.health_settings import HealthSettings
from kiteward.audit.exports.settings import OtlpSettings
from kiteward.audit.settings import AuditSettings
from kiteward.gateway.replicas.settings import ReplicaSettings


def settings(collector: Collector) -> dict[str, Any]:
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/logs"
    return {
        "audit": AuditSettings(otlp=OtlpSettings(endpoint)),
        "replicas": ReplicaSettings("host-a"),
        "metrics": HealthSettings(port=0),
    }


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.05)


def sent(collector: Collector) -> list[dict[str, Any]]:
    return [json.loads(body) for body in collector.bodies]


async def test_every_line_is_sent_the_last_included(tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(tmp_path, **settings(collector)) as (server, _):
            await until(lambda: len(collector.bodies) > 0)
            async with asyncio.timeout(60):
                while 'kiteward_audit_export_waiting{to="otlp"} 0.0' not in (
                    text := (await ask(server.metrics_port, "/metrics"))[2]
                ):
                    await asyncio.sleep(0.05)
            assert 'kiteward_audit_export_up{to="otlp"} 1.0' in text
            assert 'kiteward_audit_export_lost_total{to="otlp"} 0.0' in text
        written = lines(tmp_path / "data" / "audit")
        assert sent(collector) == written
        assert (written[-1]["operation"], {line["replica"] for line in written}) == ("Stop", {"host-a"})


async def test_server_starts_serves_and_stops_without_its_collector_and_goes_on_later(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.status = 503
        async with serving(tmp_path, **settings(collector)) as (server, _):
            async with asyncio.timeout(60):
                while 'kiteward_audit_export_up{to="otlp"} 0.0' not in (await ask(server.metrics_port, "/metrics"))[2]:
                    await asyncio.sleep(0.05)
        assert collector.bodies == []
        collector.status = 200
        async with serving(tmp_path, **settings(collector)):
            pass
        assert sent(collector) == lines(tmp_path / "data" / "audit")
