"""A whole server with a remote engine that is there, is away, comes and goes."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from benchmarks.peers import free_port
from tests.support import fake_upstream
from tests.support.fake_upstream import FakeMilvus, listening
from tests.support.fake_upstream import serving as upstream
from tests.support.in_process_server import ask

from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.bootstrap.serving import ready
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.engine import remote
from kiteward.engine.upstream import Address, RemoteEngineSettings, UpstreamTls
from kiteward.milvus import messages

REFUSED = "the engine cannot be reached: it refuses connections"
UNREAD = "the catalog of the remote engine has not been read yet"
PASSWORD = "Hunter2-Hunter2"
ROOT = base64.b64encode(b"root:Milvus").decode()
ACCOUNT = base64.b64encode(f"kiteward:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_CHECK_TIMEOUT", 3.0)
    monkeypatch.setattr(remote, "_CONNECT_TIMEOUT", 1.5)
    monkeypatch.setattr(remote, "_PAUSE", 0.05)
    monkeypatch.setattr(remote, "_PAUSES", (0.05,))
    monkeypatch.setattr(remote, "_LONGEST_PAUSE", 0.1)


def settings(tmp_path: Path, address: Address) -> Settings:
    engine = RemoteEngineSettings(address, user="kiteward", password=Secret(PASSWORD))
    return Settings(data_dir=tmp_path / "data", port=0, engine=engine)


@asynccontextmanager
async def serving(tmp_path: Path, address: Address) -> AsyncIterator[Server]:
    server = await Server.start(settings(tmp_path, address), hashing=TESTING)
    try:
        yield server
    finally:
        await server.stop()


async def call(server: Server, method: str, *, timeout: float = 5, **fields: Any) -> Any:
    rpc = messages.method_of(method)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        sent = channel.unary_unary(f"/{messages.SERVICE}/{method}")(
            rpc.request(**fields).SerializeToString(), metadata=[("authorization", ROOT)], timeout=timeout
        )
        return rpc.response.FromString(await sent)


async def refusal(server: Server, method: str, *, timeout: float = 5) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(server, method, timeout=timeout)
    return refused.value.code().name, str(refused.value.details())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


async def readiness(server: Server) -> tuple[int, str]:
    """Return the status, and the state of the engine that administrators see."""
    status, _, body = await ask(server.metrics_port, "/healthz/ready", authorization="Bearer root:Milvus")
    engine = json.loads(body)["engine"]
    assert engine["ready"] is (status == 200)
    return status, engine["reason"]


async def test_calls_reach_the_engine_as_the_service_account_and_never_as_the_caller(tmp_path: Path) -> None:
    milvus = FakeMilvus(accepted={ACCOUNT})
    async with upstream(milvus) as address, serving(tmp_path, address) as server:
        assert await readiness(server) == (200, "")
        assert (await call(server, "ShowCollections")).status.code == 0
        assert (await call(server, "CreateCollection", collection_name="docs")).code == 0
        assert (await call(server, "Connect")).server_info.build_tags.startswith("2.6.17+kiteward.")
        line = ready(server, settings(tmp_path, address)).splitlines()[0]
        assert line.endswith(f"is ready on http://127.0.0.1:{server.port} (engine {address}, data in {tmp_path}/data)")
    assert {metadata["authorization"] for _, _, metadata in milvus.seen} == {ACCOUNT}


async def test_server_starts_without_its_engine_says_why_it_is_not_ready_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    address = Address("127.0.0.1", port)
    async with asyncio.timeout(30), serving(tmp_path, address) as server:
        assert await readiness(server) == (503, REFUSED)
        status, _, body = await ask(server.metrics_port, "/healthz")
        assert (status, body) == (503, "not ready: engine")
        assert await refusal(server, "ShowCollections") == ("UNAVAILABLE", f"{UNREAD}: {REFUSED}")
        assert (await call(server, "ListCredUsers")).usernames == ["root"]
        # Clients connect, so that users can be managed and requests for data return the reason.
        assert (await call(server, "Connect")).status.code == 0
        health = await call(server, "CheckHealth")
        assert (health.isHealthy, list(health.reasons)) == (False, [REFUSED])
        line = ready(server, settings(tmp_path, address)).splitlines()[0]
        assert f"serves on http://127.0.0.1:{server.port} and is not ready: {REFUSED}" in line

        async def is_ready() -> bool:
            # Not `readiness`, whose status and text may differ while the state changes.
            return (await ask(server.metrics_port, "/healthz"))[0] == 200

        async with upstream(FakeMilvus(), port=port):
            await until(is_ready)
            assert (await call(server, "ShowCollections")).status.code == 0

        async def is_away() -> bool:
            return not await is_ready() and await readiness(server) == (503, REFUSED)

        await until(is_away)
    assert PASSWORD not in caplog.text


async def test_engine_that_stalls_keeps_nobody_beyond_the_deadline_and_is_reported(tmp_path: Path) -> None:
    async with upstream(FakeMilvus(stalled={"Search", "Query"})) as address, serving(tmp_path, address) as server:
        async with asyncio.timeout(3):
            code, _ = await refusal(server, "Search", timeout=0.3)
        assert code == "DEADLINE_EXCEEDED"
    async with listening(fake_upstream.silence) as address, serving(tmp_path, address) as server:
        assert await readiness(server) == (
            503,
            "the engine cannot be reached: it accepts connections and does not answer on them",
        )
        async with asyncio.timeout(3):
            code, _ = await refusal(server, "ShowCollections", timeout=0.3)
        assert code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")


async def test_wrong_password_of_the_service_account_is_said_everywhere_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with upstream(FakeMilvus(accepted=set())) as address, serving(tmp_path, address) as server:
        assert await readiness(server) == (503, remote.ACCOUNT_REJECTED)
        refused = "the engine does not accept the service account of this server"
        assert await refusal(server, "ShowCollections") == ("UNAVAILABLE", f"{UNREAD}: {refused}")
    assert f"{address} is not ready: {remote.ACCOUNT_REJECTED}" in caplog.text
    assert PASSWORD not in caplog.text
    assert ACCOUNT not in caplog.text
    assert not any(PASSWORD.encode() in file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())


async def test_rpc_that_the_engine_lacks_is_named_to_the_caller(tmp_path: Path) -> None:
    async with upstream(FakeMilvus(lacks={"ListResourceGroups"})) as address, serving(tmp_path, address) as server:
        status = (await call(server, "ListResourceGroups")).status
    assert (status.code, status.reason) == (
        10,
        "the engine does not implement `ListResourceGroups`: service unimplemented",
    )


async def test_privilege_that_the_service_account_lacks_is_not_taken_for_the_callers(tmp_path: Path) -> None:
    allowed = {"ListDatabases", "Connect", "ListAliases", "ShowCollections"}
    async with upstream(FakeMilvus(allowed=allowed)) as address, serving(tmp_path, address) as server:
        assert await refusal(server, "DescribeDatabase") == (
            "PERMISSION_DENIED",
            "the engine does not allow `DescribeDatabase` to the service account of this server",
        )


async def test_engine_whose_collections_cannot_be_read_is_not_ready(tmp_path: Path) -> None:
    allowed = {"ListDatabases", "Connect", "ListAliases"}
    denied = "the engine does not allow `ShowCollections` to the service account of this server"
    unread = f"{UNREAD}: {denied}"
    async with upstream(FakeMilvus(allowed=allowed)) as address, serving(tmp_path, address) as server:
        assert await refusal(server, "ShowCollections") == ("UNAVAILABLE", unread)
        assert await readiness(server) == (503, unread)


async def test_files_of_tls_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    engine = RemoteEngineSettings(Address("localhost", tls=True), tls=UpstreamTls(ca=tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match=r"kiteward\.engine\.tls\.ca"):
        await Server.start(Settings(data_dir=tmp_path / "data", port=0, engine=engine), hashing=TESTING)
