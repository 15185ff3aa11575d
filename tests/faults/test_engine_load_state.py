"""Which collections are loaded, over every way an engine can stop and every RPC that changes it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.engine import samples

from kiteward.engine.embedded.supervisor import EmbeddedEngine

LOADED, NOT_LOADED = 3, 1

Restart = Callable[[EmbeddedEngine, Path], Awaitable[EmbeddedEngine]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Restarted:
    """An engine that was started again.

    Attributes:
        engine: the engine.
        expected: database -> which state its collections have to be in.
    """

    engine: EmbeddedEngine
    expected: Mapping[str, Mapping[str, int]]


async def after_a_kill(engine: EmbeddedEngine, directory: Path) -> EmbeddedEngine:
    await samples.kill(engine)
    return engine


async def after_a_restart(engine: EmbeddedEngine, directory: Path) -> EmbeddedEngine:
    await engine.close()
    return await samples.start(directory)


async def load_state(engine: EmbeddedEngine, name: str) -> int:
    return int((await samples.succeed(engine, "GetLoadState", collection_name=name)).state)


async def loaded_stays_loaded(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    return {"docs": LOADED}


async def released_stays_released(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    return {"docs": NOT_LOADED}


async def index_of_a_loaded_collection_keeps_it_loaded(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs")
    await samples.create_index(engine, "docs")
    return {"docs": LOADED}


async def never_loaded_stays_so(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    await samples.succeed(engine, "DropIndex", collection_name="docs", field_name="vector")
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    return {"docs": LOADED}


async def new_collection_does_not_inherit(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "DropCollection", collection_name="docs")
    await samples.create_collection(engine, "docs")
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    await samples.create_index(engine, "docs")
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    return {"docs": NOT_LOADED}


async def rename_takes_it_along(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "RenameCollection", oldName="docs", newName="papers")
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    return {"docs": NOT_LOADED, "papers": LOADED}


async def truncate_keeps_it(engine: EmbeddedEngine) -> dict[str, int]:
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.insert(engine, "docs", [100])
    await samples.succeed(engine, "TruncateCollection", collection_name="docs")
    return {"docs": LOADED}


HISTORIES = [
    loaded_stays_loaded,
    released_stays_released,
    index_of_a_loaded_collection_keeps_it_loaded,
    never_loaded_stays_so,
    new_collection_does_not_inherit,
    rename_takes_it_along,
    truncate_keeps_it,
]


class InDatabase(EmbeddedEngine):
    """An engine all of whose calls mean one database."""

    def __init__(self, engine: EmbeddedEngine, database: str) -> None:
        self._engine = engine
        self._metadata = {"dbname": database}

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        return await self._engine.call(method, payload, metadata={**metadata, **self._metadata}, timeout=timeout)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[after_a_kill, after_a_restart])
async def restarted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Restarted]:
    """An engine that was started again after all histories, each in a database of its own."""
    restart, directory = request.param, tmp_path_factory.mktemp("engine")
    engine = await samples.start(directory)
    expected = {}
    for history in HISTORIES:
        await samples.succeed(engine, "CreateDatabase", db_name=history.__name__)
        expected[history.__name__] = await history(InDatabase(engine, history.__name__))
    await make_searched(engine)
    await make_truncated(engine)
    engine = await restart(engine, directory)
    yield Restarted(engine, expected)
    await engine.close()


async def make_searched(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "searched", indexed=True)
    await samples.insert(engine, "searched", range(10))
    await samples.flush(engine, "searched")


async def make_truncated(engine: EmbeddedEngine) -> None:
    await samples.create_collection(engine, "truncated", indexed=True)
    await samples.succeed(engine, "CreateAlias", collection_name="truncated", alias="papers")
    await samples.insert(engine, "truncated", range(10))
    await samples.flush(engine, "truncated")
    await samples.insert(engine, "truncated", range(10, 20))
    await samples.succeed(engine, "TruncateCollection", collection_name="papers")
    assert await samples.stored_ids(engine, "truncated") == []
    await samples.insert(engine, "papers", [7])


async def test_loaded_collection_answers_the_first_search(restarted: Restarted) -> None:
    assert await samples.nearest(restarted.engine, "searched", 4) == [4]


async def test_load_state_is_the_same(restarted: Restarted) -> None:
    found = {
        database: {name: await load_state(InDatabase(restarted.engine, database), name) for name in states}
        for database, states in restarted.expected.items()
    }
    assert found == restarted.expected


async def test_truncated_collection_is_empty_and_keeps_schema_index_and_alias(restarted: Restarted) -> None:
    assert await samples.stored_ids(restarted.engine, "papers") == [7]
    assert await samples.nearest(restarted.engine, "truncated", 1) == [7]


async def test_released_collection_refuses_searches_while_rows_are_deleted_by_filter(restarted: Restarted) -> None:
    engine = restarted.engine
    await samples.create_collection(engine, "released", indexed=True)
    await samples.insert(engine, "released", range(100))
    await samples.succeed(engine, "ReleaseCollection", collection_name="released")
    await samples.succeed(engine, "Delete", collection_name="released", expr="id > 50")
    assert (await samples.search(engine, "released", 1)).status.code == 101
    await samples.succeed(engine, "LoadCollection", collection_name="released")
    assert await samples.stored_ids(engine, "released") == list(range(51))
