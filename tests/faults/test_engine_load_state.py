"""Which collections are loaded, over every way an engine can stop and every RPC that changes it."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.engine import samples

from kiteward.engine.embedded.supervisor import EmbeddedEngine

LOADED, NOT_LOADED = 3, 1

Restart = Callable[[EmbeddedEngine, Path], Awaitable[EmbeddedEngine]]


async def after_a_kill(engine: EmbeddedEngine, directory: Path) -> EmbeddedEngine:
    before, pid = engine.generation, engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await samples.until(lambda: engine.generation > before)
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


@pytest.mark.parametrize("restart", [after_a_kill, after_a_restart])
async def test_load_state_is_the_same(restart: Restart, tmp_path: Path) -> None:
    engine = await samples.start(tmp_path)
    expected = []
    for number, history in enumerate(HISTORIES):
        database = f"database_{number}"
        await samples.succeed(engine, "CreateDatabase", db_name=database)
        expected.append((database, history.__name__, await history(InDatabase(engine, database))))
    engine = await restart(engine, tmp_path)
    found = [
        (database, history, {name: await load_state(InDatabase(engine, database), name) for name in states})
        for database, history, states in expected
    ]
    await engine.close()
    assert found == expected


class InDatabase(EmbeddedEngine):
    """An engine all of whose calls mean one database."""

    def __init__(self, engine: EmbeddedEngine, database: str) -> None:
        self._engine = engine
        self._metadata = {"dbname": database}

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        return await self._engine.call(method, payload, metadata={**metadata, **self._metadata}, timeout=timeout)


@pytest.mark.parametrize("restart", [after_a_kill, after_a_restart])
async def test_loaded_collection_answers_the_first_search(restart: Restart, tmp_path: Path) -> None:
    engine = await samples.start(tmp_path)
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.insert(engine, "docs", range(10))
    await samples.flush(engine, "docs")
    engine = await restart(engine, tmp_path)
    assert await samples.nearest(engine, "docs", 4) == [4]
    await engine.close()


async def test_released_collection_refuses_searches_while_rows_are_deleted_by_filter(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path)
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.insert(engine, "docs", range(100))
    await samples.succeed(engine, "ReleaseCollection", collection_name="docs")
    await samples.succeed(engine, "Delete", collection_name="docs", expr="id > 50")
    assert (await samples.search(engine, "docs", 1)).status.code == 101
    await samples.succeed(engine, "LoadCollection", collection_name="docs")
    assert await samples.stored_ids(engine, "docs") == list(range(51))
    await engine.close()


async def test_truncated_collection_is_empty_and_keeps_schema_index_and_alias(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path)
    await samples.create_collection(engine, "docs", indexed=True)
    await samples.succeed(engine, "CreateAlias", collection_name="docs", alias="papers")
    await samples.insert(engine, "docs", range(10))
    await samples.flush(engine, "docs")
    await samples.insert(engine, "docs", range(10, 20))
    await samples.succeed(engine, "TruncateCollection", collection_name="papers")
    assert await samples.stored_ids(engine, "docs") == []
    await samples.insert(engine, "papers", [7])
    engine = await after_a_restart(engine, tmp_path)
    assert await samples.stored_ids(engine, "papers") == [7]
    assert await samples.nearest(engine, "docs", 1) == [7]
    await engine.close()
