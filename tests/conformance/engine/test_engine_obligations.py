"""What `kiteward.engine.base.Engine` obliges every implementation to, run against each of them.

Tests share an engine, each with collections of its own names, but for those that close theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine import samples

from kiteward.domain.errors import (
    EngineDeadlineExceeded,
    EngineLacksOperation,
    EngineRejected,
    EngineUnavailable,
)
from kiteward.engine.base import Engine

Start = Callable[[Path], Awaitable[Engine]]

STARTERS: Mapping[str, Start] = {"embedded": samples.start}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=STARTERS, scope="module", loop_scope="module")
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    running = await STARTERS[request.param](tmp_path_factory.mktemp("engine") / "data")
    yield running
    await running.close()


async def test_call_returns_the_response_bytes_of_the_engine(engine: Engine) -> None:
    answer = await engine.call("AllocTimestamp", b"", metadata={}, timeout=60)
    assert milvus_pb2.AllocTimestampResponse.FromString(answer).timestamp


async def test_rows_written_are_found_by_query_and_search(engine: Engine) -> None:
    await samples.create_collection(engine, "found", indexed=True)
    await samples.insert(engine, "found", range(20))
    assert await samples.stored_ids(engine, "found") == list(range(20))
    assert await samples.nearest(engine, "found", 7) == [7]


async def test_a_fact_the_engine_decides_is_an_answer_and_no_error(engine: Engine) -> None:
    response = await samples.call(engine, "DescribeCollection", collection_name="absent")
    assert response.status.code == 100


async def test_metadata_reaches_the_engine(engine: Engine) -> None:
    await samples.succeed(engine, "CreateDatabase", db_name="shelf")
    await samples.create_collection(engine, "docs", db_name="shelf")
    there = await samples.call(engine, "ShowCollections", metadata={"dbname": "shelf"})
    here = await samples.call(engine, "ShowCollections")
    assert list(there.collection_names) == ["docs"]
    assert "docs" not in here.collection_names


async def test_a_database_in_the_request_overrules_the_one_in_the_metadata(engine: Engine) -> None:
    await samples.succeed(engine, "CreateDatabase", db_name="other_shelf")
    await samples.create_collection(engine, "docs", db_name="other_shelf")
    answer = await samples.call(engine, "ShowCollections", db_name="other_shelf", metadata={"dbname": "default"})
    assert list(answer.collection_names) == ["docs"]


@pytest.mark.parametrize("method", ["Search", "Insert", "CreateCollection", "Flush"])
async def test_unreadable_request_is_rejected_and_the_engine_lives_on(engine: Engine, method: str) -> None:
    before = engine.generation
    with pytest.raises(EngineRejected, match="cannot read"):
        await engine.call(method, b"\xff\xff\xff", metadata={}, timeout=60)
    assert engine.health().ready
    assert engine.generation == before


@pytest.mark.parametrize("method", ["NoSuchOperation", "CreateCredential", "CreateResourceGroup"])
async def test_operation_the_engine_lacks_is_named(engine: Engine, method: str) -> None:
    with pytest.raises(EngineLacksOperation, match=method):
        await engine.call(method, b"", metadata={}, timeout=60)


async def test_operation_the_engine_lacks_in_part_is_named(engine: Engine) -> None:
    with pytest.raises(EngineLacksOperation, match="LoadPartitions"):
        await engine.call("LoadPartitions", b"", metadata={}, timeout=60)


async def test_call_ends_by_its_deadline(engine: Engine) -> None:
    await samples.create_collection(engine, "late")
    payload = milvus_pb2.InsertRequest(collection_name="late", **samples.rows(range(50_000))).SerializeToString()
    with pytest.raises(EngineDeadlineExceeded):
        await engine.call("Insert", payload, metadata={}, timeout=0.02)


async def test_cancelled_call_ends_at_once_and_leaves_the_engine_usable(engine: Engine) -> None:
    await samples.create_collection(engine, "cancelled")
    payload = milvus_pb2.InsertRequest(collection_name="cancelled", **samples.rows(range(20_000))).SerializeToString()
    calling = asyncio.create_task(engine.call("Insert", payload, metadata={}, timeout=30))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await samples.insert(engine, "cancelled", [30_000])
    assert 30_000 in await samples.stored_ids(engine, "cancelled")


async def test_message_of_100_mib_passes(engine: Engine) -> None:
    payload = milvus_pb2.ShowCollectionsRequest(collection_names=["x" * (100 * 1024 * 1024)]).SerializeToString()
    answer = await engine.call("ShowCollections", payload, metadata={}, timeout=30)
    assert milvus_pb2.ShowCollectionsResponse.FromString(answer).status.code == samples.SUCCESS


async def test_message_over_256_mib_is_rejected_and_the_engine_lives_on(engine: Engine) -> None:
    before = engine.generation
    with pytest.raises(EngineRejected, match="larger"):
        await engine.call("ShowCollections", bytes(256 * 1024 * 1024 + 1), metadata={}, timeout=30)
    assert await engine.call("AllocTimestamp", b"", metadata={}, timeout=60)
    assert engine.generation == before


@pytest.mark.parametrize("start", STARTERS.values(), ids=list(STARTERS))
async def test_closed_engine_is_unavailable_says_so_and_may_be_closed_again(start: Start, tmp_path: Path) -> None:
    engine = await start(tmp_path / "data")
    await engine.close()
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.call("AllocTimestamp", b"", metadata={}, timeout=60)
    assert engine.health().ready is False
    assert engine.health().reason
    await engine.close()
