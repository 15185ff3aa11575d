"""The remote engine before upstreams that answer, refuse, stall, vanish and come back."""

import asyncio
import base64
import functools
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from benchmarks.peers import free_port
from tests.support import fake_upstream, http2_peer
from tests.support.fake_upstream import Certificates, FakeMilvus, Serve, listening, serving

from kiteward.domain.errors import (
    ConfigurationError,
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineLacksOperation,
    EngineUnavailable,
)
from kiteward.domain.identity import Secret
from kiteward.engine import remote
from kiteward.engine.remote import RemoteEngine
from kiteward.engine.upstream import Address, RemoteEngineSettings, UpstreamTls
from kiteward.milvus import messages

UNREACHABLE = "the engine cannot be reached"
REFUSED = f"{UNREACHABLE}: it refuses connections"
PASSWORD = "Hunter2-Hunter2"
AUTHORIZATION = base64.b64encode(f"kiteward:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_CHECK_TIMEOUT", 3.0)
    monkeypatch.setattr(remote, "_CONNECT_TIMEOUT", 1.5)
    monkeypatch.setattr(remote, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(remote, "_PAUSE", 0.05)
    monkeypatch.setattr(remote, "_PAUSES", (0.05,))


@asynccontextmanager
async def started(
    address: Address, tls: UpstreamTls | None = None, *, user: str = "kiteward"
) -> AsyncIterator[RemoteEngine]:
    password = Secret(PASSWORD if user else "")
    settings = RemoteEngineSettings(address, tls=tls or UpstreamTls(), user=user, password=password)
    engine = await RemoteEngine.start(settings)
    try:
        yield engine
    finally:
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def ask(engine: RemoteEngine, method: str = "Search", *, timeout: float | None = 5) -> bytes:
    return await engine.call(method, b"\x00\xff", metadata={"dbname": "shelf"}, timeout=timeout)


async def test_engine_that_answers_is_ready_and_tells_its_version() -> None:
    async with serving(FakeMilvus()) as address, started(address) as engine:
        health = engine.health()
        assert (health.ready, health.reason) == (True, "")
        assert (health.version, health.deploy_mode) == ("2.6.17", "CLUSTER")
        assert engine.generation == 1


@pytest.mark.parametrize("told", ["2.6\nok", "2.6\x1b[2J", "2" * 65])
async def test_version_that_is_not_one_short_line_counts_as_unknown(told: str) -> None:
    info = messages.ServerInfo(build_tags=told, deploy_mode=told)
    connected = messages.ConnectResponse(status=messages.Status(), server_info=info).SerializeToString()
    async with serving(FakeMilvus(answers={"Connect": connected})) as address, started(address) as engine:
        health = engine.health()
        assert (health.ready, health.version, health.deploy_mode) == (True, "", "")


async def test_every_call_goes_as_the_service_account_and_with_what_is_allowed_only() -> None:
    milvus = FakeMilvus(accepted={AUTHORIZATION})
    async with serving(milvus) as address, started(address) as engine:
        metadata = {"dbname": "shelf", "traceparent": "00-1-1-01", "kiteward-request-id": "abc"}
        await engine.call("Search", b"\x00\xff", metadata=metadata, timeout=5)
    assert [(method, payload) for method, payload, _ in milvus.seen if method == "Search"] == [("Search", b"\x00\xff")]
    (search,) = milvus.calls("Search")
    assert search.pop("user-agent")
    assert search == {**metadata, "authorization": AUTHORIZATION}
    assert {metadata["authorization"] for _, _, metadata in milvus.seen} == {AUTHORIZATION}


async def test_engine_that_does_not_tell_its_version_is_ready() -> None:
    async with serving(FakeMilvus(lacks={"Connect"})) as address, started(address) as engine:
        assert (engine.health().ready, engine.health().version) == (True, "")


async def test_engine_without_authorization_is_called_without_a_credential() -> None:
    milvus = FakeMilvus()
    async with serving(milvus) as address, started(address, user="") as engine:
        await ask(engine)
    assert all("authorization" not in metadata for _, _, metadata in milvus.seen)


@pytest.mark.parametrize("method", [name for name, rpc in messages.METHODS.items() if not rpc.streaming])
async def test_every_unary_call_passes_and_a_missing_one_is_named(method: str) -> None:
    milvus = FakeMilvus(answers={method: b"\x1a\x00"})
    async with serving(milvus) as address, started(address) as engine:
        assert await ask(engine, method) == b"\x1a\x00"
        milvus.lacks.add(method)
        with pytest.raises(EngineLacksOperation, match=f"`{method}`"):
            await ask(engine, method)


async def test_failure_that_the_engine_reports_is_its_answer_unchanged() -> None:
    failure = messages.failure(
        "Search",
        code=101,
        legacy_code=messages.ErrorCode.UnexpectedError,
        reason="collection not loaded[collection=docs]",
    )
    async with serving(FakeMilvus(answers={"Search": failure})) as address, started(address) as engine:
        assert await ask(engine) == failure


async def test_privilege_that_the_account_lacks_is_not_reported_as_the_callers() -> None:
    milvus = FakeMilvus(allowed={"ListDatabases", "Connect"})
    async with serving(milvus) as address, started(address) as engine:
        assert engine.health().ready
        with pytest.raises(EngineAccessDenied) as refused:
            await ask(engine, "Insert")
    assert str(refused.value) == "the engine does not allow `Insert` to the service account of this server"


@pytest.mark.parametrize(
    ("milvus", "user", "reason"),
    [
        (FakeMilvus(accepted=set()), "kiteward", remote.ACCOUNT_REJECTED),
        (FakeMilvus(accepted=set()), "", remote.ACCOUNT_MISSING),
        (FakeMilvus(allowed={"Search"}), "kiteward", remote.ACCOUNT_DENIED),
        (FakeMilvus(lacks={"ListDatabases"}), "kiteward", remote.NO_MILVUS),
        (FakeMilvus(answers={"ListDatabases": b"\xff"}), "kiteward", remote.NO_MILVUS),
        (FakeMilvus(answers={"Connect": b"\x0a\x00\xff"}), "kiteward", remote.NO_MILVUS),
        (FakeMilvus(stalled={"ListDatabases"}), "kiteward", remote.SILENT),
        (
            FakeMilvus(
                answers={
                    "ListDatabases": messages.failure(
                        "ListDatabases", code=2, legacy_code=messages.ErrorCode.UnexpectedError, reason="x"
                    )
                }
            ),
            "kiteward",
            "the remote engine refuses ListDatabases",
        ),
    ],
)
async def test_engine_that_cannot_be_used_is_not_ready_and_says_why(
    milvus: FakeMilvus, user: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(milvus) as address, started(address, user=user) as engine:
        assert (engine.health().ready, engine.health().reason) == (False, reason)
        assert engine.generation == 0
        await asyncio.sleep(0.3)
        said = [record.getMessage() for record in caplog.records if record.name == "kiteward.engine"]
        assert said == [f"{address} is not ready: {reason}"]
        assert PASSWORD not in caplog.text
        assert AUTHORIZATION not in caplog.text


async def test_wrong_password_is_unavailable_to_callers_and_a_corrected_one_is_noticed() -> None:
    milvus = FakeMilvus(accepted=set())
    async with serving(milvus) as address, started(address) as engine:
        with pytest.raises(EngineAccountRejected) as refused:
            await ask(engine)
        assert str(refused.value) == "the engine does not accept the service account of this server"
        assert isinstance(refused.value, EngineUnavailable)
        milvus.accepted = {AUTHORIZATION}
        await until(lambda: engine.health().ready)
        assert engine.generation == 1


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (fake_upstream.http1, "speaks HTTP/1, not HTTP/2"),
        (fake_upstream.silence, "accepts connections and does not answer on them"),
        (fake_upstream.hang_up, "closed the connection at once: perhaps it requires TLS"),
    ],
)
async def test_what_is_no_server_of_grpc_is_named_and_nobody_waits_beyond_the_deadline(
    serve: Serve, reason: str
) -> None:
    async with listening(serve) as address, started(address) as engine:
        assert engine.health().reason == f"{UNREACHABLE}: it {reason}"
        async with asyncio.timeout(4):  # a connection may take five
            with pytest.raises((EngineUnavailable, EngineDeadlineExceeded)):
                await ask(engine, timeout=0.5)


async def test_tls_is_verified_by_the_given_authority_and_name(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, trustme.CA())
    credentials = certificates.credentials("milvus.example")
    async with serving(FakeMilvus(), credentials=credentials) as served:
        address = Address("localhost", served.port, tls=True)
        async with started(address, UpstreamTls(certificates.ca, server_name="milvus.example")) as engine:
            assert engine.health().ready
            assert await ask(engine) == messages.success("Search")
        async with started(address, UpstreamTls(certificates.ca)) as engine:
            assert engine.health().reason == f"{UNREACHABLE}: it presents a certificate for another name"
            with pytest.raises(EngineUnavailable):
                await ask(engine)
        async with started(address) as engine:
            assert engine.health().reason.endswith("it presents a certificate whose authority is not trusted")
        async with started(Address("localhost", served.port)) as engine:
            assert "requires TLS" in engine.health().reason
        async with serving(FakeMilvus()) as plain, started(Address("localhost", plain.port, tls=True)) as engine:
            assert engine.health().reason == f"{UNREACHABLE}: it does not speak TLS"


async def test_client_certificate_is_presented(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, trustme.CA())
    credentials = certificates.credentials("localhost", requires_client=True)
    async with serving(FakeMilvus(), credentials=credentials) as served:
        address = Address("localhost", served.port, tls=True)
        async with started(address, UpstreamTls(certificates.ca, *certificates.files("kiteward"))) as engine:
            assert await ask(engine) == messages.success("Search")
        async with started(address, UpstreamTls(certificates.ca)) as engine:
            assert re.search("certificate, or (another|requires) one", engine.health().reason)


async def test_files_of_tls_that_cannot_be_used_stop_the_start() -> None:
    settings = RemoteEngineSettings(Address("localhost", tls=True), tls=UpstreamTls(ca=Path("/missing")))
    with pytest.raises(
        ConfigurationError, match=r"kiteward\.engine\.tls\.ca \(/missing\) cannot be used: No such file"
    ):
        await RemoteEngine.start(settings)


def has_generation(engine: RemoteEngine, generation: int) -> bool:
    return engine.generation == generation


async def test_restart_between_two_checks_is_noticed_by_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 60.0)
    async with http2_peer.listening() as peers:
        peers.on_request = lambda peer, number: peer.answer(number, b"")
        async with started(Address("127.0.0.1", peers.port)) as engine:
            assert engine.generation == 1
            for generation in (2, 3):
                peers.last.transport.abort()
                await until(functools.partial(has_generation, engine, generation))
                assert engine.health().ready


async def test_engine_that_is_down_at_the_start_is_used_when_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with started(Address("127.0.0.1", port)) as engine:
        assert engine.health().reason == REFUSED
        with pytest.raises(EngineUnavailable):
            await ask(engine)
        async with serving(FakeMilvus(), port=port):
            await until(lambda: engine.health().ready)
            assert await ask(engine) == messages.success("Search")
        await until(lambda: engine.health().reason == REFUSED)
        async with serving(FakeMilvus(), port=port):
            await until(lambda: engine.health().ready)
        assert engine.generation == 2
    records = [record for record in caplog.records if record.name == "kiteward.engine"]
    said = [record.getMessage().removeprefix(f"grpc://127.0.0.1:{port} ") for record in records]
    assert [line for line in said if "ended the connection" not in line] == [
        f"is not ready: {REFUSED}",
        "is ready: Milvus v2.6.17",
        f"is not ready: {REFUSED}",
        "is ready: Milvus v2.6.17",
    ]


async def test_call_that_fails_is_followed_by_a_check_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 3600.0)
    async with serving(FakeMilvus()) as address:
        engine = await RemoteEngine.start(RemoteEngineSettings(address))
        assert engine.health().ready
    with pytest.raises(EngineUnavailable):
        await ask(engine)
    await until(lambda: not engine.health().ready)
    await engine.close()


async def test_answer_that_stalls_ends_by_the_deadline_of_the_caller_or_of_the_settings() -> None:
    async with serving(FakeMilvus(stalled={"Search"})) as address:
        engine = await RemoteEngine.start(RemoteEngineSettings(address, timeout=0.2))
        async with asyncio.timeout(30):
            with pytest.raises(EngineDeadlineExceeded):
                await ask(engine, timeout=0.1)
            with pytest.raises(EngineDeadlineExceeded):
                await ask(engine, timeout=None)
        assert engine.health().ready
        await engine.close()


async def test_calls_in_flight_are_finished_when_the_engine_is_closed() -> None:
    milvus = FakeMilvus()
    held = milvus.hold("Search")
    async with serving(milvus) as address:
        engine = await RemoteEngine.start(RemoteEngineSettings(address))
        asking = asyncio.create_task(ask(engine))
        await until(lambda: bool(milvus.calls("Search")))
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        held.set()
        assert await asking == messages.success("Search")
        await closing


async def test_closed_engine_is_unavailable_and_says_so() -> None:
    async with serving(FakeMilvus()) as address:
        engine = await RemoteEngine.start(RemoteEngineSettings(address))
        await engine.close()
        await engine.close()
        assert engine.health().reason == "the remote engine is closed"
        with pytest.raises(EngineUnavailable, match="closed"):
            await ask(engine)
