"""The embedded engine under many writers at once, and what it keeps over restarts.

Tests share an engine, each with collections of its own names.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.engine import samples

from kiteward.engine.embedded.supervisor import EmbeddedEngine

WRITERS = 8

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedEngine]:
    running = await samples.start(tmp_path_factory.mktemp("engine") / "data")
    yield running
    await running.close()


async def test_eight_writers_insert_and_flush_one_collection_without_error_or_loss(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data")
    await samples.create_collection(engine, "docs", indexed=True)

    async def write(writer: int) -> None:
        for batch in range(6):
            first = writer * 10_000 + batch * 20
            await samples.insert(engine, "docs", range(first, first + 20))
            await samples.flush(engine, "docs")

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    expected = sorted(writer * 10_000 + row for writer in range(WRITERS) for row in range(120))
    assert await samples.stored_ids(engine, "docs") == expected
    await engine.close()

    again = await samples.start(tmp_path / "data")
    assert await samples.stored_ids(again, "docs") == expected
    statistics = await samples.succeed(again, "GetCollectionStatistics", collection_name="docs")
    assert {pair.key: pair.value for pair in statistics.stats}["row_count"] == str(len(expected))
    await again.close()


async def test_writers_through_an_alias_and_through_the_name_exclude_each_other(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "named", indexed=True)
    await samples.succeed(engine, "CreateAlias", collection_name="named", alias="aliased")

    async def write(writer: int) -> None:
        name = ("named", "aliased")[writer % 2]
        for row in range(10):
            await samples.insert(engine, name, [writer * 100 + row])
            await samples.flush(engine, name)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    assert len(await samples.stored_ids(engine, "named")) == WRITERS * 10


async def test_first_calls_of_many_clients_open_a_collection_once(engine: EmbeddedEngine) -> None:
    names = [f"opened_{number}" for number in range(6)]
    for name in names:
        await samples.create_collection(engine, name)
    await samples.kill(engine)
    for name in names:
        reads = [samples.stored_ids(engine, name) for _ in range(4)]
        await asyncio.gather(samples.insert(engine, name, [1]), *reads)
        await samples.insert(engine, name, [2])
        assert [await samples.stored_ids(engine, name) for _ in range(4)] == [[1, 2]] * 4


async def test_no_read_misses_a_row_while_writers_flush(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "flushed")
    await samples.insert(engine, "flushed", [0])
    written = 1
    done = asyncio.Event()

    async def write() -> None:
        nonlocal written
        for key in range(1, 150):
            await samples.insert(engine, "flushed", [key])
            written = key + 1
            await samples.flush(engine, "flushed")
        done.set()

    async def read() -> None:
        while not done.is_set():
            least = written
            found = await samples.stored_ids(engine, "flushed")
            assert len(found) >= least
            assert found == list(range(len(found)))

    await asyncio.gather(write(), *(read() for _ in range(4)))


async def test_catalogue_changes_beside_reads_and_writes_leave_no_error(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "staying")
    before = sorted((await samples.succeed(engine, "ShowCollections")).collection_names)
    done = asyncio.Event()

    async def come_and_go(name: str) -> None:
        for _ in range(12):
            await samples.create_collection(engine, name)
            await samples.succeed(engine, "CreateAlias", collection_name=name, alias=f"{name}_alias")
            await samples.insert(engine, f"{name}_alias", range(5))
            await samples.succeed(engine, "DropCollection", collection_name=name)

    async def look() -> None:
        while not done.is_set():
            listed = await samples.succeed(engine, "ShowCollections")
            assert "staying" in listed.collection_names
            for name in ("left", "right"):
                response = await samples.call(engine, "Query", collection_name=name, expr="id >= 0")
                assert response.status.code in (samples.SUCCESS, 100), response.status

    looking = [asyncio.create_task(look()) for _ in range(3)]
    await asyncio.gather(come_and_go("left"), come_and_go("right"))
    done.set()
    await asyncio.gather(*looking)
    assert sorted((await samples.succeed(engine, "ShowCollections")).collection_names) == before


async def test_abandoned_mutation_keeps_its_lock_until_it_is_done(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "abandoned", indexed=True)
    for attempt in range(5):
        ids = range(attempt * 10_000, attempt * 10_000 + 5_000)
        giving_up = asyncio.create_task(samples.insert(engine, "abandoned", ids))
        await asyncio.sleep(0.02 * attempt)
        giving_up.cancel()
        await samples.flush(engine, "abandoned")
        await samples.insert(engine, "abandoned", [1_000_000 + attempt])
        await asyncio.gather(giving_up, return_exceptions=True)
    found = await samples.stored_ids(engine, "abandoned")
    assert found[-5:] == [1_000_000 + attempt for attempt in range(5)]
    assert (len(found) - 5) % 5_000 == 0
