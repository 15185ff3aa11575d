"""The port for those who watch the server: two paths, nothing private."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import httpx
import pytest
from tests.support.gateway import encoded, presented
from tests.support.in_process_server import ask, serving
from tests.support.listeners import LOOPBACK, call, refused

from kiteward.api.health import build_app
from kiteward.api.health_settings import DEFAULT_PORT, HealthSettings
from kiteward.audit.writer import AuditState, AuditWriter
from kiteward.config.loading import settings_from
from kiteward.domain import errors
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.engine.base import EngineHealth
from kiteward.gateway.call import Call
from kiteward.milvus import messages
from kiteward.telemetry.counters import Outcome, RequestCounts, outcome_of


async def test_a_ready_server_says_ok(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        status, headers, body = await ask(server.metrics_port, "/healthz")
        assert (status, body) == (200, "OK")
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


async def test_a_process_of_the_server_that_does_not_respond_is_named() -> None:
    class Reports:
        async def missing(self) -> tuple[str, ...]:
            return ()

        async def silent(self) -> tuple[str, ...]:
            return ("worker 2",)

        async def metrics(self) -> bytes:
            return b""

    async def described(_credential: object, _address: str) -> bytes:
        return b""

    app = build_app(Reports(), described, metrics_type="text/plain")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        answer = await client.get("/healthz/live")
    assert (answer.status_code, answer.text) == (503, "no response: worker 2")


async def test_an_engine_that_is_away_is_named_in_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as (server, engine):
        monkeypatch.setattr(engine, "health", lambda: EngineHealth(ready=False, reason="secret path /data"))
        assert (await ask(server.metrics_port, "/healthz"))[::2] == (503, "not ready: engine")


async def test_a_store_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: str) -> None:
        raise errors.StoreUnavailable("disk /dev/secret is gone")

    async with serving(tmp_path) as (server, _):
        with monkeypatch.context() as patch:
            patch.setattr(server.gateway._services.store, "user", fail)
            assert (await ask(server.metrics_port, "/healthz"))[::2] == (503, "not ready: store")


async def test_a_policy_that_was_lost_is_loaded_again_by_asking(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        server.gateway._authorizer._policy_cache._current = None
        assert (await ask(server.metrics_port, "/healthz"))[0] == 200


async def test_a_part_that_does_not_answer_makes_the_server_unready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("kiteward.api.health._PATIENCE", 0.1)
    async with serving(tmp_path) as (server, _):
        with monkeypatch.context() as patch:
            patch.setattr(server.gateway._services.store, "user", hang)
            assert (await ask(server.metrics_port, "/healthz"))[::2] == (503, "not ready: timeout")


async def test_live_and_ready_differ(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, engine):
        assert (await ask(server.metrics_port, "/healthz/live"))[::2] == (200, "live")
        assert (await ask(server.metrics_port, "/healthz/ready"))[::2] == (200, "ready")
        engine.ready = EngineHealth(ready=False, reason="secret path /data")
        assert (await ask(server.metrics_port, "/healthz/live"))[::2] == (200, "live")
        assert (await ask(server.metrics_port, "/healthz/ready"))[::2] == (503, "not ready")
        engine.ready = EngineHealth(ready=True)
        assert (await ask(server.metrics_port, "/healthz/ready"))[::2] == (200, "ready")


async def test_a_store_that_cannot_be_read_makes_the_server_unready_and_leaves_it_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: str) -> None:
        raise errors.StoreUnavailable("disk /dev/secret is gone")

    async with serving(tmp_path) as (server, _):
        administrator = {"authorization": "Bearer root:Milvus"}
        assert (await ask(server.metrics_port, "/healthz/ready", **administrator))[0] == 200
        with monkeypatch.context() as patch:
            patch.setattr(server.gateway._services.store, "user", fail)
            assert (await ask(server.metrics_port, "/healthz/live"))[0] == 200
            assert (await ask(server.metrics_port, "/healthz/ready"))[::2] == (503, "not ready")
            status, _, body = await ask(server.metrics_port, "/healthz/ready", **administrator)
        assert status == 503
        assert json.loads(body)["store"] == {
            "ready": False,
            "reason": "disk /dev/secret is gone",
            "details": [{"code": "store_unavailable", "parameters": {}, "quoted": ""}],
        }


async def test_an_administrator_gets_the_state_of_each_part(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, engine):
        engine.ready = EngineHealth(ready=False, reason="it was killed")
        status, headers, body = await ask(server.metrics_port, "/healthz/ready", authorization="Bearer root:Milvus")
        assert (status, headers["content-type"]) == (503, "application/json; charset=utf-8")
        told = json.loads(body)
        revision = told.pop("revision")
        assert revision == server.gateway._authorizer._policy_cache.revision()
        assert {name: told[name] for name in ("ready", "store", "engine", "audit")} == {
            "ready": False,
            "store": {"ready": True, "reason": "", "details": []},
            "engine": {
                "ready": False,
                "reason": "it was killed",
                "details": [{"code": "engine_unavailable", "parameters": {}, "quoted": ""}],
            },
            "audit": {"ready": True, "reason": "", "details": []},
        }


async def test_an_audit_trail_that_cannot_be_written_makes_the_server_unready_and_administrators_get_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as (server, _):
        with monkeypatch.context() as patch:
            patch.setattr(AuditWriter, "state", lambda _trail: AuditState(working=False))
            assert (await ask(server.metrics_port, "/healthz/ready"))[::2] == (503, "not ready")
            status, _, body = await ask(server.metrics_port, "/healthz/ready", authorization="Bearer root:Milvus")
        assert status == 503
        assert json.loads(body)["audit"] == {
            "ready": False,
            "reason": "the audit trail cannot be written",
            "details": [{"code": "audit_not_writable", "parameters": {}, "quoted": ""}],
        }


@pytest.mark.parametrize(
    "header", ["Bearer alice:Password-1", "Bearer root:guess-1", "Bearer kw_nokey", "nonsense", ""]
)
async def test_whoever_is_no_administrator_gets_one_word(tmp_path: Path, header: str) -> None:
    async with serving(tmp_path) as (server, engine):
        made = messages.method_of("CreateCredential").request(username="alice", password=encoded("Password-1"))
        await server.gateway.handle(Call("CreateCredential", made.SerializeToString(), presented("root")))
        engine.ready = EngineHealth(ready=False, reason="secret path /data")
        answered = await ask(server.metrics_port, "/healthz/ready", authorization=header)
        assert answered[::2] == (503, "not ready")


async def test_guessing_there_waits_as_everywhere(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        for _ in range(8):
            await ask(server.metrics_port, "/healthz/ready", authorization="Bearer root:guess-1")
        assert server.gateway._authorizer._authenticator._authenticator.counts["password", "throttled"] > 0


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/healthz?x=/metrics/..", "//healthz", "/v2/vectordb/users/list", "/docs"]
)
async def test_no_other_path_is_served(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as (server, _):
        status, _, _ = await ask(server.metrics_port, path)
        assert status == (200 if path.startswith("/healthz?") else 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_no_other_method_is_served(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as (server, _):
        status, headers, _ = await ask(server.metrics_port, "/metrics", method)
        assert (status, headers["allow"]) == (405, "get")


async def test_grpc_is_not_served_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        assert server.metrics_port is not None
        assert (await refused(call(server.metrics_port, timeout=2))).name in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


async def test_the_main_port_does_not_serve_metrics(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        assert (await ask(server.port, "/metrics"))[0] == 404
        assert (await ask(server.port, "/healthz"))[0] == 404


async def test_metrics_count_and_name_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        right = PasswordCredential("root", Secret("Milvus"))
        await server.gateway.handle(Call("GetVersion", b"", right))
        with contextlib.suppress(errors.KitewardError):
            await server.gateway.handle(Call("GetVersion", b"", PasswordCredential("mallory", Secret("guess-me-1"))))
        for name in ("Evil{}\n", "ClientHeartbeat"):
            with contextlib.suppress(errors.KitewardError):
                await server.gateway.handle(Call(name, b"", right))
        status, headers, body = await ask(server.metrics_port, "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        for line in (
            'kiteward_requests_total{operation="GetVersion",outcome="ok"} 1.0',
            'kiteward_requests_total{operation="GetVersion",outcome="unauthenticated"} 1.0',
            'kiteward_requests_total{operation="other",outcome="refused"} 1.0',
            'kiteward_requests_total{operation="ClientHeartbeat",outcome="refused"} 1.0',
            'kiteward_connections{kind="grpc"} 0.0',
            f"kiteward_engine_generation {server.gateway._services.engine.generation:.1f}",
        ):
            assert line in body
        for private in ("root", "mallory", "guess", "Evil", str(tmp_path)):
            assert private not in body


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, HealthSettings(enabled=False)) as (server, _):
        assert server.metrics_port is None


async def test_a_taken_port_stops_the_start_and_says_which_key_to_set(tmp_path: Path) -> None:
    async with serving(tmp_path / "one") as (server, _):
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*kiteward\.metrics\.port"):
            async with serving(tmp_path / "two", HealthSettings(port=server.metrics_port)):
                pass


async def test_both_ports_are_closed_after_the_stop(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, _):
        pass
    for port in (server.port, server.metrics_port):
        with pytest.raises(OSError):  # noqa: PT011  whatever the system says to a closed port
            await asyncio.open_connection(LOOPBACK, port)


def test_the_port_follows_the_configuration() -> None:
    assert HealthSettings().port_beside(19530) == DEFAULT_PORT
    assert HealthSettings().port_beside(0) == 0
    assert HealthSettings(port=0).port_beside(19530) == 0
    document = {"kiteward": {"metrics": {"host": "0.0.0.0", "port": 9, "enabled": "true"}}}
    assert settings_from(document).metrics == HealthSettings(host="0.0.0.0", port=9)
    assert settings_from({}).metrics == HealthSettings()
    with pytest.raises(errors.ConfigurationError, match=r"kiteward\.metrics\.port"):
        settings_from({"kiteward": {"metrics": {"port": -1}}})


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.PasswordRejected("no"), Outcome.UNAUTHENTICATED),
        (errors.AccessDenied(), Outcome.DENIED),
        (errors.OperationRefused(), Outcome.REFUSED),
        (errors.CollectionNotFound(), Outcome.INVALID),
        (errors.EngineUnavailable(), Outcome.UNAVAILABLE),
        (errors.NotReady(), Outcome.UNAVAILABLE),
        (asyncio.CancelledError(), Outcome.CANCELLED),
        (ValueError(), Outcome.FAILED),
    ],
)
def test_every_end_of_a_request_has_its_outcome(error: BaseException, outcome: Outcome) -> None:
    assert outcome_of(error) is outcome


def test_counting_costs_less_than_a_microsecond() -> None:
    counts = RequestCounts()

    def one_round() -> float:
        used = time.thread_time()  # of the processor, which others use too
        for _ in range(10_000):
            counts.count("Search", Outcome.OK)
        return (time.thread_time() - used) / 10_000

    assert min(one_round() for _ in range(20)) < 1e-6
    assert list(counts) == [("Search", Outcome.OK, 200_000)]
