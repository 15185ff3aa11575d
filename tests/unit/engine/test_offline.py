"""The engine of the command line: names from the files of the embedded engine, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.offline import OfflineEngine
from kiteward.milvus import messages


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for place in ("collections/docs", "collections/unfinished", "databases/team/collections/papers"):
        (tmp_path / place).mkdir(parents=True)
        if "unfinished" not in place:
            (tmp_path / place / "schema.json").write_text("{}")
    (tmp_path / "aliases.json").write_text(json.dumps({"current": "docs"}))
    return tmp_path


async def ask(engine: OfflineEngine, method: str, request: Any, response: type[Any], database: str = "") -> Any:
    answer = await engine.call(method, request.SerializeToString(), metadata={"dbname": database}, timeout=1)
    return response.FromString(answer)


async def test_databases_collections_and_aliases_are_listed(directory: Path) -> None:
    engine = OfflineEngine(directory)
    databases = await ask(engine, "ListDatabases", messages.ListDatabasesRequest(), messages.ListDatabasesResponse)
    assert list(databases.db_names) == ["default", "team"]
    for database, names in (("", ["docs"]), ("team", ["papers"]), ("none", []), ("..", [])):
        shown = await ask(
            engine, "ShowCollections", messages.ShowCollectionsRequest(), messages.ShowCollectionsResponse, database
        )
        assert list(shown.collection_names) == names
    aliases = await ask(engine, "ListAliases", messages.ListAliasesRequest(), messages.ListAliasesResponse)
    assert list(aliases.aliases) == ["current"]
    for alias, collection, code in (("current", "docs", 0), ("docs", "", 1600)):
        asked = messages.DescribeAliasRequest(alias=alias)
        described = await ask(engine, "DescribeAlias", asked, messages.DescribeAliasResponse)
        assert (described.collection, described.status.code) == (collection, code)


async def test_everything_else_and_a_remote_engine_are_not_there(directory: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no engine here"):
        await ask(OfflineEngine(directory), "Search", messages.SearchRequest(), messages.SearchResults)
    with pytest.raises(EngineUnavailable, match="no engine here"):
        await ask(OfflineEngine(None), "ListDatabases", messages.ListDatabasesRequest(), messages.ListDatabasesResponse)


@pytest.mark.parametrize("content", ["nonsense", "[]", '{"current": 1}'])
async def test_files_that_cannot_be_read_are_said_to_be(directory: Path, content: str) -> None:
    (directory / "aliases.json").write_text(content)
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        await ask(OfflineEngine(directory), "ListAliases", messages.ListAliasesRequest(), messages.ListAliasesResponse)
