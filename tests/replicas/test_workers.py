"""A real server of three workers on one port: it acts as one server, also when one of them or the parent is killed."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.replicas.workers import WorkerServer, runs, serving
from tests.replicas.world import COLLECTION, NOT_AUTHENTICATED, UNAVAILABLE
from tests.support import postgresql, server

from kiteward.domain.errors import DataDirectoryHeld
from kiteward.store.data_directory import DataDirectory

WORKERS = 3

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # Processes that are killed leave connections half open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, cluster: postgresql.Cluster) -> AsyncIterator[WorkerServer]:
    async with serving(tmp_path_factory.mktemp("workers"), cluster, workers=WORKERS) as running:
        yield running


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def all_serve(served: WorkerServer) -> None:
    """Wait until every worker serves."""

    async def serve() -> bool:
        ups = [await served.sample("kiteward_worker_up", number) for number in range(1, WORKERS + 1)]
        return ups == [1] * WORKERS and (await served.page("/healthz"))[0] == 200

    await until(serve)


async def a_key(served: WorkerServer, user: str) -> tuple[str, dict[str, str]]:
    """Return an API key that every worker has accepted, and the body that revokes it."""
    one, *_ = served.workers()
    await served.data(one, "kiteward/users/create", {"userName": user, "password": "Some-password-1"})
    created = await served.data(one, "kiteward/api_keys/create", {"userName": user})
    for worker in served.workers():
        await served.data(worker, "kiteward/whoami/describe", by=created["key"])
    return created["key"], {"keyId": created["keyId"]}


async def refuse(served: WorkerServer, key: str) -> None:
    """Check that every worker refuses a key. One that has no lease refuses everything."""
    for worker in served.workers():
        answer = await served.ask(worker, "kiteward/whoami/describe", by=key)
        assert answer["code"] in (NOT_AUTHENTICATED, UNAVAILABLE), answer


def command(served: WorkerServer, *arguments: str, data_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command with the configuration of the server."""
    directory = data_dir or served.running.data_dir
    config = directory.with_name("of-a-command.yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(served.config, encoding="utf-8")
    line = [sys.executable, "-m", "kiteward", *arguments, "--config", str(config), "--data-dir", str(directory)]
    return subprocess.run(line, capture_output=True, text=True, timeout=server.START_WITHIN, check=False)


async def test_server_is_ready_once_and_each_worker_is_a_replica(
    served: WorkerServer, cluster: postgresql.Cluster
) -> None:
    log = served.running.log()
    assert len(re.findall(r"^Kiteward is ready on .* \(3 workers, engine ", log, re.MULTILINE)) == 1
    assert len(served.workers()) == WORKERS
    names = cluster.sql("SELECT name FROM replicas ORDER BY name", database=served.database.database)
    assert names.split() == ["here/1", "here/2", "here/3"]
    assert await served.page("/healthz") == (200, "OK")
    assert await served.page("/healthz/live") == (200, "live")


async def test_revocation_through_one_worker_is_refused_by_all_when_it_is_acknowledged(served: WorkerServer) -> None:
    for place, worker in enumerate(served.workers()):
        key, body = await a_key(served, f"revoked{place}")
        await served.data(worker, "kiteward/api_keys/revoke", body)
        await refuse(served, key)


async def test_metrics_are_those_of_all_workers(served: WorkerServer) -> None:
    for worker in served.workers():
        await served.data(worker, "kiteward/whoami/describe")
    for _ in range(WORKERS):
        for number in range(1, WORKERS + 1):
            assert await served.sample("kiteward_worker_up", number) == 1
            assert await served.sample("kiteward_engine_up", number) == 1
            assert await served.sample("process_resident_memory_bytes", number) > 0


async def test_trail_of_all_workers_is_one_chain(served: WorkerServer) -> None:
    for worker in served.workers():
        await served.ask(worker, "kiteward/whoami/describe", by="root:Not-the-password-1")

    async def all_are_written() -> bool:
        found = await asyncio.to_thread(
            command, served, "audit", "search", "--scope", "replica", "--kind", "authentication", "--json"
        )
        return all(f'"replica": "here/{number}"' in found.stdout for number in range(1, WORKERS + 1))

    await until(all_are_written)
    verified = await asyncio.to_thread(command, served, "audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "(here/1, here/2, here/3)" in verified.stdout.splitlines()[0]

    async def all_are_stored() -> bool:
        found = await asyncio.to_thread(command, served, "audit", "search", "--kind", "authentication", "--json")
        return all(f'"replica": "here/{number}"' in found.stdout for number in range(1, WORKERS + 1))

    await until(all_are_stored)


async def test_second_server_is_refused(served: WorkerServer, tmp_path: Path) -> None:
    port = str(served.running.port)
    held = await asyncio.to_thread(command, served, "serve", "--port", "0")
    assert (held.returncode, held.stderr.count("is in use by another server")) == (1, 1), held.stderr
    for workers in ("1", "2"):
        own = tmp_path / workers / "data"
        other = await asyncio.to_thread(command, served, "serve", "--workers", workers, "--port", port, data_dir=own)
        said = f"kiteward: cannot listen on 127.0.0.1:{port if workers == '2' else served.metrics_port}: is another"
        assert other.returncode == 1
        assert other.stderr.splitlines()[-1].startswith(said), other.stderr
        assert "is ready on" not in other.stdout
    own = tmp_path / "third" / "data"
    metrics = await asyncio.to_thread(command, served, "serve", "--workers", "2", "--port", "0", data_dir=own)
    assert metrics.returncode == 1
    assert metrics.stderr.splitlines()[-1].endswith("(kiteward.metrics.port sets another port for health and metrics)")
    await all_serve(served)


async def test_killed_worker_leaves_the_others_serving_and_comes_back(served: WorkerServer) -> None:
    key, body = await a_key(served, "survivor")
    one, two, three = served.workers()
    before = await served.sample("kiteward_worker_restarts_total", 2)
    os.kill(two, signal.SIGKILL)
    for worker in (one, three):
        await served.data(worker, "kiteward/whoami/describe", by=key)

    async def came_back() -> bool:
        return len(served.workers()) == WORKERS and two not in served.workers()

    await until(came_back)
    await all_serve(served)
    assert await served.sample("kiteward_worker_restarts_total", 2) == before + 1
    (new,) = {*served.workers()} - {one, three}
    await served.data(new, "kiteward/whoami/describe", by=key)
    await served.data(new, "kiteward/api_keys/revoke", body)
    await refuse(served, key)
    assert "worker 2 has ended: by SIGKILL; it is started again in 1 s" in served.running.log()


async def test_worker_that_is_told_to_stop_is_replaced(served: WorkerServer) -> None:
    await all_serve(served)
    one, *others = served.workers()
    os.kill(one, signal.SIGTERM)

    async def replaced() -> bool:
        return len(served.workers()) == WORKERS and one not in served.workers()

    await until(replaced)
    assert set(others) <= set(served.workers())
    await all_serve(served)
    assert "worker 1 has ended: in order; it is started again in 1 s" in served.running.log()


async def test_worker_that_hangs_makes_the_server_unready_and_is_named(served: WorkerServer) -> None:
    await all_serve(served)
    hanging = served.workers()[-1]
    os.kill(hanging, signal.SIGSTOP)
    try:

        async def named() -> bool:
            with contextlib.suppress(TimeoutError):  # the system may have given the connection to the worker that hangs
                async with asyncio.timeout(5):
                    status, text = await served.page("/healthz/live")
                    return status == 503 and re.fullmatch(r"no response: worker \d", text) is not None
            return False

        await until(named)
    finally:
        os.kill(hanging, signal.SIGCONT)
    await all_serve(served)


async def test_stop_lets_requests_of_all_workers_finish(tmp_path: Path, cluster: postgresql.Cluster) -> None:
    async with serving(tmp_path, cluster, workers=2) as served:
        first, second = served.workers()
        query = {"collectionName": COLLECTION, "filter": "id == 1", "outputFields": ["id"]}
        described = {"collectionName": COLLECTION}
        held = [served.engine.hold(operation) for operation in ("GetCollectionStatistics", "Query")]
        asking = [
            asyncio.create_task(served.ask(first, "vectordb/collections/get_stats", described)),
            asyncio.create_task(served.ask(second, "vectordb/entities/query", query)),
        ]

        async def arrived() -> bool:
            return all(served.engine.calls(operation) for operation in ("GetCollectionStatistics", "Query"))

        await until(arrived)
        served.running.process.send_signal(signal.SIGTERM)

        async def refuses() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", served.running.port)
            except ConnectionRefusedError:
                return True
            writer.transport.abort()
            return False

        await until(refuses)
        # The one that stores the last lines of both has nothing left to do, and waits.
        held[0].set()
        assert (await asking[0])["code"] == 0

        async def noted() -> bool:
            trails = served.running.data_dir.glob("audit/**/*.jsonl")
            return any('"Stop"' in trail.read_text("utf-8") for trail in trails)

        await until(noted)
        held[1].set()
        assert (await asking[1])["code"] == 0
        assert await asyncio.to_thread(served.running.process.wait, server.STOP_WITHIN) == 0
        left = cluster.sql("SELECT count(*) FROM replicas", database=served.database.database)
        assert left == "0"
        # The last lines of both are stored for other replicas too.
        found = await asyncio.to_thread(command, served, "audit", "search", "--operation", "Stop", "--json")
        assert [f'"replica": "here/{number}"' in found.stdout for number in (1, 2)] == [True, True]
        verified = await asyncio.to_thread(command, served, "audit", "verify")
        assert verified.returncode == 0, verified.stdout


async def test_workers_end_when_the_parent_is_killed_and_another_server_waits_for_them(
    tmp_path: Path, cluster: postgresql.Cluster
) -> None:
    async with serving(tmp_path, cluster, workers=2) as served:
        workers = served.workers()
        held = served.engine.hold("Query")
        question = {"collectionName": COLLECTION, "filter": "id == 1", "outputFields": ["id"]}
        asking = asyncio.create_task(served.ask(workers[1], "vectordb/entities/query", question))

        async def arrived() -> bool:
            return len(served.engine.calls("Query")) == 1

        await until(arrived)
        served.running.process.kill()
        served.running.process.wait()
        with pytest.raises(DataDirectoryHeld):
            DataDirectory.hold(served.running.data_dir)
        held.set()
        assert (await asking)["code"] == 0

        async def ended() -> bool:
            return not any(map(runs, workers))

        await until(ended)
        again = await asyncio.to_thread(server.start, served.running.data_dir, config=served.config)
        assert await asyncio.to_thread(again.stop) == 0
