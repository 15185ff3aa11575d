"""What the metrics say: each moves when its thing happens, and nothing that callers choose becomes a label."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.gateway import encoded, least_arguments, presented
from tests.support.in_process_server import ask, serving
from tests.support.listeners import GET_VERSION, LOOPBACK, PATIENCE
from tests.support.metrics import sources

from kiteward.audit.exports.exporter import ExportState
from kiteward.audit.writer import AuditState
from kiteward.bootstrap.server import Server
from kiteward.domain import errors
from kiteward.domain.errors import CredentialMissing
from kiteward.domain.identity import KeyCredential, Secret
from kiteward.engine.base import EngineHealth
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.milvus import messages
from kiteward.telemetry.counters import OTHER, CatalogState, Outcome, ReplicaState
from kiteward.telemetry.latency import BOUNDS, Histogram
from kiteward.telemetry.metrics import Metrics
from kiteward.telemetry.telemetry import Stage, Telemetry

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def samples(server: Server) -> Samples:
    """Return every sample by its name and labels."""
    return parsed((await ask(server.metrics_port, "/metrics"))[2])


def parsed(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def send(server: Server, operation: str, credential: Any = None, **fields: Any) -> None:
    """Send a request through the gateway, and ignore its outcome."""
    rpc = messages.METHODS.get(operation)
    payload: Any = rpc.request(**fields).SerializeToString() if rpc else b""
    if operation in ADMIN_OPERATIONS:
        payload = least_arguments(operation)
    with contextlib.suppress(errors.KitewardError):
        await server.gateway.handle(Call(operation, payload, credential or presented("root"), address="10.0.0.1:1"))


async def moved(server: Server, before: Samples) -> set[tuple[str, ...]]:
    """Return what has grown since: each as its name and the values of its labels."""
    after = await samples(server)
    return {
        (name, *(value for _, value in labels))
        for (name, labels), value in after.items()
        if value > before.get((name, labels), 0.0)
    }


async def test_whatever_is_called_the_labels_are_few_and_none_is_made_by_a_caller(tmp_path: Path) -> None:
    named = [*OPERATIONS, *ADMIN_OPERATIONS, *(f"Strange{number}" for number in range(200)), "Evil{}\n", ""]
    async with serving(tmp_path) as (server, _):
        for operation in named:
            await send(server, operation)
            await send(server, operation, CredentialMissing("none"))
        await send(server, "Search", collection_name="secret_docs")
        await send(server, "GetVersion", presented("mallory", "guess-me-1"))
        found = await samples(server)
    allowed: dict[str, set[str]] = {
        "operation": OPERATIONS.keys() | ADMIN_OPERATIONS.keys() | {OTHER},
        "outcome": {str(outcome) for outcome in Outcome},
        "decision": {"allowed", "refused"},
        "kind": {
            *("password", "api_key", "token", "none"),
            *("grpc", "http", "undecided"),
            *("unauthenticated", "authenticated"),
        },
        "result": {"remembered", "verified", "refused", "throttled"},
        "reason": {"stopping", "connections", "address", "undecided", "handshake", "garbage"},
        "stage": {str(stage) for stage in Stage},
        "work": {"read", "commit"},
        "limit": {"rate", "concurrent"},
        "holder": {"user", "role", "api_key", "default"},
        "le": {str(bound) for bound in BOUNDS} | {"+Inf"},
    }
    strange = {
        (name, label, value)
        for name, labels in found
        for label, value in labels
        if value not in allowed.get(label, set())
    }
    assert not strange
    assert found["kiteward_requests_total", (("operation", OTHER), ("outcome", "refused"))] == 404
    assert len(found) < len(OPERATIONS) * len(Outcome)


async def test_each_metric_moves_when_the_thing_happens(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, engine):
        before = await samples(server)
        await send(server, "CreateCredential", username="alice", password=encoded("Password-1"))
        grown = await moved(server, before)
        assert {
            ("kiteward_requests_total", "CreateCredential", "ok"),
            ("kiteward_authentications_total", "password", "verified"),
            ("kiteward_authentications_total", "password", "remembered"),
            ("kiteward_decisions_total", "allowed"),
            ("kiteward_policy_revision",),
            ("kiteward_stage_duration_seconds_count", "authenticate"),
            ("kiteward_stage_duration_seconds_count", "decide"),
            ("kiteward_stage_duration_seconds_sum", "whole"),
            ("kiteward_store_duration_seconds_count", "read"),
            ("kiteward_store_duration_seconds_count", "commit"),
        } <= grown
        assert ("kiteward_decisions_total", "refused") not in grown
        assert ("kiteward_stage_duration_seconds_count", "engine") not in grown

        before = await samples(server)
        await send(server, "GetCollectionStatistics", collection_name="docs")
        assert ("kiteward_stage_duration_seconds_count", "engine") in await moved(server, before)

        before = await samples(server)
        await send(server, "CreateCollection", presented("alice"), collection_name="docs")
        grown = await moved(server, before)
        assert {
            ("kiteward_decisions_total", "refused"),
            ("kiteward_requests_total", "CreateCollection", "denied"),
        } <= grown

        before = await samples(server)
        await send(
            server, next(each.name for each in ADMIN_OPERATIONS.values() if each.administrators), presented("alice")
        )
        assert ("kiteward_decisions_total", "refused") in await moved(server, before)

        before = await samples(server)
        await send(server, "GetVersion", KeyCredential(Secret("kw_no_such_key")))
        await send(server, "GetVersion", CredentialMissing("none"))
        for _ in range(7):
            await send(server, "GetVersion", presented("alice", "Password-2"))
        assert {
            ("kiteward_authentications_total", "api_key", "refused"),
            ("kiteward_authentications_total", "none", "refused"),
            ("kiteward_authentications_total", "password", "refused"),
            ("kiteward_authentications_total", "password", "throttled"),
            ("kiteward_requests_total", "GetVersion", "unauthenticated"),
        } <= await moved(server, before)

        before = await samples(server)
        engine.restart()
        assert {("kiteward_engine_restarts_total",), ("kiteward_engine_generation",)} <= await moved(server, before)
        assert before["kiteward_engine_up", ()] == 1
        engine.ready = EngineHealth(ready=False, reason="away")
        assert (await samples(server))["kiteward_engine_up", ()] == 0


async def test_a_connection_that_is_open_is_counted_as_what_it_carries(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{server.port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(GET_VERSION)(b"", timeout=PATIENCE)
            assert (await samples(server))["kiteward_connections", (("kind", "grpc"),)] == 1
        async with asyncio.timeout(PATIENCE):
            while (await samples(server))["kiteward_connections", (("kind", "grpc"),)]:
                await asyncio.sleep(0.01)


def test_exporters_of_the_audit_trail_say_how_far_they_are() -> None:
    states = [ExportState("syslog", sent=5, lost=1, failures=2, waiting=7, working=False), ExportState("store")]
    metrics = Metrics(sources(exports=lambda: states))
    found = parsed(metrics.text().decode())
    syslog, store = (("to", "syslog"),), (("to", "store"),)
    names = ("sent_total", "lost_total", "failures_total", "waiting", "up")
    assert [found[f"kiteward_audit_export_{name}", syslog] for name in names] == [5, 1, 2, 7, 0]
    assert [found[f"kiteward_audit_export_{name}", store] for name in names] == [0, 0, 0, 0, 1]
    states.clear()
    assert ("kiteward_audit_export_up", syslog) not in parsed(metrics.text().decode())


def test_the_audit_trail_says_how_it_keeps_up_and_the_budget_what_is_held() -> None:
    loads = iter([AuditState(), AuditState(queued=7, lost=2, queued_bytes=900)])
    metrics = Metrics(
        sources(
            held=lambda: {"authenticated": (5, 10, 3)}, audit=lambda: next(loads), limited=lambda: {("rate", "user"): 4}
        )
    )
    first, second = (parsed(metrics.text().decode()) for _ in range(2))
    assert (first["kiteward_audit_queue", ()], first["kiteward_audit_lost_total", ()]) == (0, 0)
    assert (second["kiteward_audit_queue", ()], second["kiteward_audit_lost_total", ()]) == (7, 2)
    assert second["kiteward_audit_queue_bytes", ()] == 900
    assert ("kiteward_policy_revision", ()) not in first
    kind = (("kind", "authenticated"),)
    assert (first["kiteward_held_bytes", kind], first["kiteward_held_bytes_limit", kind]) == (5, 10)
    assert first["kiteward_held_bytes_refused_total", kind] == 3
    assert second["kiteward_engine_restarts_total", ()] == 0
    assert first["kiteward_requests_limited_total", (("holder", "user"), ("limit", "rate"))] == 4


def test_a_duration_is_in_every_bucket_that_is_wide_enough() -> None:
    histogram = Histogram()
    for seconds in (0.0, BOUNDS[0], BOUNDS[3], 1e6):
        histogram.add(seconds)
    counts = histogram.cumulative()
    assert [counts[0], counts[2], counts[3], counts[-2], counts[-1]] == [2, 2, 3, 3, 4]
    assert histogram.total == pytest.approx(1e6, rel=1e-3)


def test_watching_a_request_costs_a_few_microseconds() -> None:
    telemetry = Telemetry()

    def one_round() -> float:
        begin, used = time.perf_counter(), time.thread_time()
        for _ in range(5_000):
            span = telemetry.start_request("Search", "id", {})
            telemetry.observe(Stage.AUTHENTICATE, begin)
            telemetry.observe(Stage.DECIDE, begin)
            telemetry.observe(Stage.ENGINE, begin)
            span.end(Outcome.OK)
        return (time.thread_time() - used) / 5_000  # of the processor, which others use too

    cost = min(one_round() for _ in range(20))
    print(f"{cost * 1e6:.2f} µs")
    assert cost < 10e-6


def test_the_catalog_of_a_remote_engine_says_how_old_it_is() -> None:
    states = iter([None, CatalogState(None, 0, 3, 0), CatalogState(1.5, 7, 3, 12)])
    metrics = Metrics(sources(catalog=lambda: next(states)))
    embedded, unread, read = (parsed(metrics.text().decode()) for _ in range(3))
    assert not [name for name, _ in embedded if name.startswith("kiteward_catalog")]
    assert ("kiteward_catalog_age_seconds", ()) not in unread
    assert unread["kiteward_catalog_read_failures_total", ()] == 3
    assert read["kiteward_catalog_age_seconds", ()] == 1.5
    assert (read["kiteward_catalog_reads_total", ()], read["kiteward_catalog_lookups_total", ()]) == (7, 12)


def test_a_server_among_others_says_how_it_keeps_up() -> None:
    states = iter([None, ReplicaState(lease=1.5, lag=2, listening=True, late=3)])
    telemetry = Telemetry()
    telemetry.observe_acknowledgement(0.02)
    metrics = Metrics(sources(telemetry, replica=lambda: next(states)))
    alone, among_others = (parsed(metrics.text().decode()) for _ in range(2))
    assert not [name for name, _ in alone if name.startswith("kiteward_replica")]
    assert among_others["kiteward_replica_lease_seconds", ()] == 1.5
    assert among_others["kiteward_replica_lag", ()] == 2
    assert among_others["kiteward_replica_listening", ()] == 1
    assert among_others["kiteward_replica_leases_waited_out_total", ()] == 3
    assert among_others["kiteward_replica_acknowledgement_seconds_count", ()] == 1
    assert among_others["kiteward_replica_acknowledgement_seconds_sum", ()] == 0.02
