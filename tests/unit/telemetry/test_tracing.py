"""Traces, as a collector and the engine receive them."""

import asyncio
import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.support import raw_grpc
from tests.support.engine import FakeEngine
from tests.support.in_process_server import serving
from tests.support.listeners import LOOPBACK, PATIENCE

from kiteward.bootstrap.server import Server
from kiteward.domain.errors import ConfigurationError
from kiteward.engine.metadata import TRACE_KEYS
from kiteward.milvus import messages
from kiteward.telemetry.telemetry import TracingSettings

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACED = f"00-{TRACE}-{PARENT}-01"
UNTRACED = f"00-{TRACE}-{PARENT}-00"
METHOD = "GetCollectionStatistics"


class Collector:
    """Takes spans as a collector does.

    Attributes:
        endpoint: its address.
        bodies: what was sent.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                bodies.append(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the library has it
                """Log nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.endpoint = f"http://{LOOPBACK}:{self._server.server_port}/v1/traces"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[Any]:
        """Return every span that was sent, in the order they began."""
        found = [
            span
            for body in self.bodies
            for each in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in each.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


async def over_grpc(server: Server, **metadata: str) -> None:
    """Ask for what the engine answers."""
    method = messages.method_of(METHOD)
    sent = [("authorization", raw_grpc.authorization("root:Milvus")), *metadata.items()]
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{server.port}") as channel:
        request = method.request(collection_name="secret_docs").SerializeToString()
        await channel.unary_unary(method.path)(request, metadata=sent, timeout=PATIENCE)


async def over_rest(server: Server, **headers: str) -> None:
    """Likewise."""
    async with httpx.AsyncClient() as client:
        await client.post(
            f"http://{LOOPBACK}:{server.port}/v2/vectordb/collections/get_stats",
            json={"collectionName": "secret_docs"},
            headers={"authorization": "Bearer root:Milvus", **headers},
        )


def trace_context(engine: FakeEngine) -> dict[str, str]:
    """Return the trace context that the engine received."""
    return {key: value for key, value in engine.called(METHOD)[-1].metadata.items() if key in TRACE_KEYS}


@pytest.mark.parametrize("ask", [over_grpc, over_rest])
async def test_the_trace_of_the_caller_goes_on_to_the_engine(tmp_path: Path, collector: Collector, ask: Any) -> None:
    async with serving(tmp_path, tracing=TracingSettings(collector.endpoint, percent=0)) as (server, engine):
        engine.create("secret_docs")
        await ask(server, traceparent=TRACED, tracestate="vendor=1")
        carried = trace_context(engine)
    spans = {span.name: span for span in collector.spans()}
    handled = spans[f"handle {METHOD}"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert handled.parent_span_id.hex() == PARENT
    for name in ("authenticate", "decide", "engine"):
        assert spans[name].parent_span_id == handled.span_id
        assert handled.start_time_unix_nano <= spans[name].start_time_unix_nano + 1_000_000
        assert spans[name].end_time_unix_nano <= handled.end_time_unix_nano + 1_000_000
    assert carried == {"traceparent": f"00-{TRACE}-{spans['engine'].span_id.hex()}-01", "tracestate": "vendor=1"}
    for private in (b"root", b"secret_docs", b"127.0.0.1"):
        assert not any(private in body for body in collector.bodies)


async def test_a_caller_who_is_not_traced_is_not_and_the_trace_goes_on(tmp_path: Path, collector: Collector) -> None:
    async with serving(tmp_path, tracing=TracingSettings(collector.endpoint)) as (server, engine):
        await over_grpc(server, traceparent=UNTRACED)
        carried = trace_context(engine)["traceparent"]
    assert carried.startswith(f"00-{TRACE}-")
    assert carried.endswith("-00")
    assert collector.spans() == []


async def test_without_a_trace_of_the_caller_one_begins_for_as_many_as_are_wanted(
    tmp_path: Path, collector: Collector
) -> None:
    async with serving(tmp_path / "all", tracing=TracingSettings(collector.endpoint)) as (server, engine):
        await over_grpc(server, traceparent="nonsense")
        flags = int(trace_context(engine)["traceparent"].rpartition("-")[2], 16)
        assert flags & 1, "sampled"
    (handled,) = [span for span in collector.spans() if span.name == f"handle {METHOD}"]
    assert handled.parent_span_id == b""
    collector.bodies.clear()
    async with serving(tmp_path / "none", tracing=TracingSettings(collector.endpoint, percent=0)) as (server, _):
        await over_grpc(server)
    assert collector.spans() == []


async def test_requests_at_once_stay_in_their_own_traces(tmp_path: Path, collector: Collector) -> None:
    traces = [f"{number:032x}" for number in range(1, 21)]
    async with serving(tmp_path, tracing=TracingSettings(collector.endpoint)) as (server, _):
        await asyncio.gather(*(over_grpc(server, traceparent=f"00-{each}-{PARENT}-01") for each in traces))
    spans = collector.spans()
    handled = {span.span_id: span.trace_id for span in spans if span.name.startswith("handle")}
    assert sorted(trace.hex() for trace in handled.values()) == traces
    inner = [span for span in spans if not span.name.startswith("handle")]
    assert len(inner) == 3 * len(traces)
    assert all(handled[span.parent_span_id] == span.trace_id for span in inner)


async def test_a_failure_of_ours_is_marked_without_its_text(tmp_path: Path, collector: Collector) -> None:
    async with serving(tmp_path, tracing=TracingSettings(collector.endpoint)) as (server, engine):
        engine.failures[METHOD] = RuntimeError("secret")
        with pytest.raises(grpc.aio.AioRpcError):
            await over_grpc(server)
    (handled,) = [span for span in collector.spans() if span.name.startswith("handle")]
    assert handled.status.code == handled.status.STATUS_CODE_ERROR
    assert {each.key: each.value.string_value for each in handled.attributes}["kiteward.outcome"] == "failed"
    assert not any(b"secret" in body or b"RuntimeError" in body for body in collector.bodies)


@pytest.mark.slow
async def test_a_collector_that_is_away_delays_neither_requests_nor_the_stop(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        async with serving(tmp_path, tracing=TracingSettings("http://127.0.0.1:9/v1/traces")) as (server, _):
            await over_grpc(server)


async def test_off_the_engine_gets_the_trace_of_the_caller_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, engine):
        await over_grpc(server, traceparent=TRACED)
        assert trace_context(engine) == {"traceparent": TRACED}
        await over_grpc(server)
        assert trace_context(engine) == {}


async def test_turned_on_without_the_extra_the_server_does_not_start_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "kiteward.telemetry.tracing", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"kiteward\.tracing\.endpoint is set.*pip install 'kiteward\[tracing\]'"
    ):
        async with serving(tmp_path, tracing=TracingSettings("http://127.0.0.1:9/")):
            pass


def test_off_nothing_of_it_is_loaded() -> None:
    program = "import sys, kiteward.cli.main; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
