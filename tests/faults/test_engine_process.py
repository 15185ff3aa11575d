"""The embedded engine when processes die: its own, or the server's.

A start takes more than a second, so that tests which need no engine of their own share one, each with a collection of
its own name.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.engine import samples

from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.embedded.supervisor import EmbeddedEngine

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared engine has its data."""
    return tmp_path_factory.mktemp("engine") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(directory: Path) -> AsyncIterator[EmbeddedEngine]:
    """The shared engine, which does not pause for long between its restarts."""
    running = await samples.start(directory, longest_pause=0.5)
    yield running
    await running.close()


def more_than(rows: list[int], count: int) -> bool:
    return len(rows) > count


async def test_killed_child_comes_back_by_itself(engine: EmbeddedEngine) -> None:
    before = engine.generation
    await samples.kill(engine)
    await samples.kill(engine)
    assert engine.generation == before + 2
    await samples.succeed(engine, "AllocTimestamp")


async def test_calls_are_unavailable_while_the_child_is_down(engine: EmbeddedEngine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await samples.until(lambda: not engine.health().ready)
    with pytest.raises(EngineUnavailable, match="killed by SIGKILL"):
        await engine.call("AllocTimestamp", b"", metadata={}, timeout=5)
    assert "SIGKILL" in engine.health().reason
    await samples.until(lambda: engine.health().ready)


async def test_call_in_flight_when_the_child_dies_is_unavailable(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "in_flight")
    calling = asyncio.create_task(samples.insert(engine, "in_flight", range(30_000)))
    await asyncio.sleep(0.1)
    assert not calling.done()
    await samples.kill(engine)
    with pytest.raises(EngineUnavailable):
        await calling


async def test_no_acknowledged_row_is_lost_when_the_child_is_killed_during_writes(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "written", indexed=True)
    acknowledged: list[int] = []
    stopped = asyncio.Event()

    async def write(first: int) -> None:
        for start in range(first, first + 10_000_000, 8):
            if stopped.is_set():
                return
            ids = range(start, start + 8)
            try:
                await samples.insert(engine, "written", ids)
                acknowledged.extend(ids)
                if start % 80 == 0:
                    await samples.flush(engine, "written")
            except EngineUnavailable:
                await asyncio.sleep(0.02)

    writers = [asyncio.create_task(write(writer * 10_000_000)) for writer in range(4)]
    for _ in range(3):
        enough = len(acknowledged) + 200
        await samples.until(partial(more_than, acknowledged, enough))
        await samples.kill(engine)
    stopped.set()
    await asyncio.gather(*writers)
    found = await samples.stored_ids(engine, "written")
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)


async def test_acknowledged_deletions_survive_a_kill(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "deleted")
    await samples.insert(engine, "deleted", range(10))
    await samples.flush(engine, "deleted")
    await samples.succeed(engine, "Delete", collection_name="deleted", expr="id in [1, 2]")
    await samples.succeed(engine, "Delete", collection_name="deleted", expr="id > 7")
    await samples.kill(engine)
    assert await samples.stored_ids(engine, "deleted") == [0, 3, 4, 5, 6, 7]


async def test_loaded_collection_is_loaded_after_a_kill(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "loaded", indexed=True)
    await samples.insert(engine, "loaded", range(10))
    await samples.kill(engine)
    assert await samples.nearest(engine, "loaded", 3) == [3]


async def test_index_file_torn_by_a_kill_is_built_again(engine: EmbeddedEngine, directory: Path) -> None:
    await samples.create_collection(engine, "torn", indexed=True)
    await samples.insert(engine, "torn", range(10))
    await samples.flush(engine, "torn")
    indexes = directory / "collections/torn/partitions/_default/indexes"
    await samples.until(lambda: indexes.is_dir() and any(indexes.iterdir()))
    for file in indexes.iterdir():
        file.write_bytes(file.read_bytes()[:20])
    await samples.kill(engine)
    assert await samples.nearest(engine, "torn", 3) == [3]


async def test_directory_left_by_a_kill_does_not_block_its_name(engine: EmbeddedEngine, directory: Path) -> None:
    (directory / "collections/left/wal").mkdir(parents=True)
    await samples.create_collection(engine, "left")
    await samples.insert(engine, "left", [1])
    assert await samples.stored_ids(engine, "left") == [1]


async def test_alias_left_by_a_kill_in_a_drop_is_not_inherited(engine: EmbeddedEngine, directory: Path) -> None:
    (directory / "aliases.json").write_text('{"papers": "dropped"}')
    await samples.kill(engine)
    await samples.create_collection(engine, "dropped")
    assert list((await samples.succeed(engine, "ListAliases", collection_name="dropped")).aliases) == []


async def test_failing_restarts_pause_longer_and_longer(
    engine: EmbeddedEngine, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="kiteward.engine")
    databases = directory / "databases"
    databases.rmdir()
    databases.write_text("in the way")
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await samples.until(lambda: caplog.text.count("restarting the engine failed") >= 3)
    with pytest.raises(EngineUnavailable, match="exit status 1"):
        await engine.call("AllocTimestamp", b"", metadata={}, timeout=5)
    databases.unlink()
    await samples.until(lambda: engine.health().ready)
    await samples.succeed(engine, "AllocTimestamp")


async def test_engine_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "databases").write_text("in the way")
    with pytest.raises(EngineUnavailable, match=r"did not start: exit status 1.*FileExistsError"):
        await samples.start(tmp_path)


async def test_second_server_on_the_same_data_is_refused(engine: EmbeddedEngine, directory: Path) -> None:
    with pytest.raises(EngineUnavailable, match="in use by another process"):
        await samples.start(directory, lock_timeout=0.2)
    await samples.succeed(engine, "AllocTimestamp")


async def test_interrupt_from_the_terminal_does_not_end_the_child(engine: EmbeddedEngine) -> None:
    assert engine.pid is not None
    before = engine.generation
    assert os.getsid(engine.pid) != os.getsid(0)
    os.kill(engine.pid, signal.SIGINT)
    await samples.succeed(engine, "AllocTimestamp")
    assert engine.generation == before


async def test_death_of_the_server_ends_the_child_and_frees_the_data(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, pathlib, sys
        from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
        from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

        async def serve():
            engine = await EmbeddedEngine.start(EmbeddedEngineSettings(pathlib.Path(sys.argv[1]), ENGINE_RPCS))
            print(engine.pid, flush=True)
            await asyncio.sleep(600)

        asyncio.run(serve())
        """
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "data"), stdout=subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    child = int(await server.stdout.readline())
    assert samples.is_alive(child)
    server.kill()
    await server.wait()
    successor = await samples.start(tmp_path / "data")
    assert not samples.is_alive(child)
    await successor.close()


async def test_mutation_in_progress_is_finished_when_the_engine_closes(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data")
    await samples.create_collection(engine, "docs")
    inserting = asyncio.create_task(samples.insert(engine, "docs", range(20_000)))
    await asyncio.sleep(0.1)
    await engine.close()
    await inserting
    again = await samples.start(tmp_path / "data")
    assert len(await samples.stored_ids(again, "docs")) == 20_000
    await again.close()


async def test_close_leaves_no_process_and_no_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = await samples.start(tmp_path / "data")
    pid = engine.pid
    assert pid is not None
    await engine.close()
    assert "killing it" not in caplog.text
    assert not samples.is_alive(pid)
    assert engine.pid is None
    assert not {path.name for path in await asyncio.to_thread(lambda: list((tmp_path / "data").iterdir()))} - {
        ".database-staging",
        "LOCK",
        "collections",
        "databases",
    }
