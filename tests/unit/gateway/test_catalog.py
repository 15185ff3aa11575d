"""What the engine has: read when it may have changed, and never half trusted."""

import asyncio

import pytest
from tests.support.engine import FakeEngine

from kiteward.domain.errors import EngineUnavailable
from kiteward.gateway.catalog import Catalog
from kiteward.milvus import messages


@pytest.fixture
def catalog(engine: FakeEngine) -> Catalog:
    engine.create("docs", "papers")
    engine.create("docs", database="other")
    engine.databases["default"].aliases.update(current="docs", best="papers")
    return Catalog(engine)


async def test_nothing_is_fresh_before_the_first_refresh(catalog: Catalog) -> None:
    assert not catalog.fresh
    await catalog.refresh()
    assert catalog.fresh


async def test_databases_and_aliases_are_known_after_a_refresh(catalog: Catalog) -> None:
    await catalog.refresh()
    assert [catalog.has_database(name) for name in ("default", "other", "missing", "")] == [True, True, False, False]
    assert catalog.resolve("default", "current") == "docs"
    assert catalog.resolve("default", "best") == "papers"
    for database, name in (("default", "docs"), ("default", "missing"), ("other", "current"), ("missing", "current")):
        assert catalog.resolve(database, name) == name


async def test_fresh_catalog_asks_nothing(catalog: Catalog, engine: FakeEngine) -> None:
    await catalog.refresh()
    engine.calls.clear()
    await catalog.refresh()
    assert engine.calls == []


async def test_reload_and_restart_see_what_changed(catalog: Catalog, engine: FakeEngine) -> None:
    await catalog.refresh()
    engine.databases["default"].aliases["current"] = "papers"
    catalog.forget(["default"])
    await catalog.refresh()
    assert catalog.resolve("default", "current") == "papers"
    del engine.databases["other"]
    engine.restart()
    assert not catalog.fresh
    await catalog.refresh()
    assert not catalog.has_database("other")


async def test_each_request_names_its_database_where_the_engine_reads_it(catalog: Catalog, engine: FakeEngine) -> None:
    await catalog.refresh()
    await catalog.collection_names("other")
    for method in ("ListAliases", "ShowCollections"):
        for call in engine.called(method):
            assert call.request.db_name == call.metadata["dbname"]
    assert {call.request.db_name for call in engine.called("ListAliases")} == {"default", "other"}


async def test_alias_that_is_dropped_while_it_is_read_is_none(catalog: Catalog, engine: FakeEngine) -> None:
    engine.answers["DescribeAlias"] = messages.failure(
        "DescribeAlias", code=1600, legacy_code=messages.ErrorCode.UnexpectedError, reason="not found"
    )
    await catalog.refresh()
    assert catalog.resolve("default", "current") == "current"


async def test_catalog_stays_stale_when_the_engine_cannot_tell(catalog: Catalog, engine: FakeEngine) -> None:
    engine.failures["ListAliases"] = EngineUnavailable("away")
    with pytest.raises(EngineUnavailable):
        await catalog.refresh()
    assert not catalog.fresh
    del engine.failures["ListAliases"]
    engine.answers["DescribeAlias"] = messages.failure(
        "DescribeAlias", code=5, legacy_code=messages.ErrorCode.UnexpectedError, reason="not now"
    )
    with pytest.raises(EngineUnavailable, match="DescribeAlias"):
        await catalog.refresh()
    assert not catalog.fresh


async def test_engine_that_restarts_during_a_refresh_is_read_again(catalog: Catalog, engine: FakeEngine) -> None:
    gate = engine.hold("ListAliases")
    refreshing = asyncio.create_task(catalog.refresh())
    await engine.reached("ListAliases")
    engine.restart()
    engine.databases["default"].aliases["current"] = "papers"
    gate.set()
    await refreshing
    assert catalog.fresh
    assert catalog.resolve("default", "current") == "papers"
    assert len(engine.called("ListDatabases")) == 2


async def test_refreshes_at_once_ask_once(catalog: Catalog, engine: FakeEngine) -> None:
    await asyncio.gather(*(catalog.refresh() for _ in range(5)))
    assert len(engine.called("ListDatabases")) == 1


async def test_catalog_that_forgets_everything_is_stale(catalog: Catalog) -> None:
    await catalog.refresh()
    catalog.forget_everything()
    assert not catalog.fresh
