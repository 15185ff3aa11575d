"""What a remote engine has: never older than allowed, read in one place, looked up before requests are authorized."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.support.shared_engine import SharedEngine

from kiteward.domain.errors import EngineUnavailable, LimitReached
from kiteward.gateway import upstream_catalog
from kiteward.gateway.catalog import NamesUnknown
from kiteward.gateway.lookups import Lookups
from kiteward.gateway.object_ids import Owner
from kiteward.gateway.upstream_catalog import UpstreamCatalog
from kiteward.milvus import messages

AGE = 100.0
"""Seconds, so long that the task does not read the catalog by itself during a test."""


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> SharedEngine:
    engine = SharedEngine()
    engine.create("docs", "papers")
    engine.create("docs", database="other")
    engine.around.alias("current", "docs")
    return engine


@pytest.fixture
async def catalog(engine: SharedEngine, clock: Clock) -> AsyncIterator[UpstreamCatalog]:
    catalog = UpstreamCatalog(engine, maximum_age=AGE, clock=clock)
    await catalog.start()
    engine.calls.clear()
    yield catalog
    await catalog.close()


async def read_again(catalog: UpstreamCatalog, clock: Clock) -> None:
    """Let the catalog become too old, and be read."""
    clock.now += AGE + 1
    await catalog.refresh()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_collections_and_aliases_are_held_from_the_start_and_used_without_a_call(
    catalog: UpstreamCatalog, engine: SharedEngine
) -> None:
    assert catalog.fresh
    assert [catalog.has_database(name) for name in ("default", "other", "", "*")] == [True, True, False, False]
    assert [catalog.resolve("default", name) for name in ("docs", "current", "", "*")] == ["docs", "docs", "", "*"]
    assert catalog.aliases_of("default", "docs") == ["current"]
    await catalog.ensure("default", "docs", "current", "", "*")
    assert engine.calls == []


async def test_name_that_is_not_held_has_to_be_looked_up(catalog: UpstreamCatalog, engine: SharedEngine) -> None:
    engine.around.alias("latest", "papers")
    with pytest.raises(NamesUnknown) as unknown:
        catalog.resolve("default", "latest")
    assert (unknown.value.database, unknown.value.names) == ("default", ("latest",))
    await catalog.ensure("default", "latest")
    assert catalog.resolve("default", "latest") == "papers"
    await catalog.ensure("default", "nothing")
    assert catalog.resolve("default", "nothing") == "nothing"
    assert [call.method for call in engine.calls] == ["HasCollection", "DescribeAlias", "HasCollection"]


async def test_database_that_is_not_held_has_to_be_looked_up(catalog: UpstreamCatalog, engine: SharedEngine) -> None:
    engine.around.create("new", "created")
    engine.around.alias("newest", "new", "created")
    for database in ("created", "nowhere"):
        with pytest.raises(NamesUnknown):
            catalog.has_database(database)
        with pytest.raises(NamesUnknown):
            catalog.resolve(database, "newest")
        await catalog.ensure(database, "newest")
    assert [catalog.has_database(name) for name in ("created", "nowhere")] == [True, False]
    assert [catalog.resolve(name, "newest") for name in ("created", "nowhere", "*")] == ["new", "newest", "newest"]


async def test_lookups_of_one_name_at_a_time_are_one_call(catalog: UpstreamCatalog, engine: SharedEngine) -> None:
    gate = engine.hold("HasCollection")
    waiting = [asyncio.create_task(catalog.ensure("default", "latest", "new")) for _ in range(20)]
    await engine.reached("HasCollection")
    waiting[0].cancel()
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert sorted(call.request.collection_name for call in engine.calls) == ["latest", "new"]


async def test_name_that_nothing_has_is_not_looked_up_again_for_a_moment(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    for _ in range(5):
        await catalog.ensure("default", "nothing")
        await catalog.ensure("nowhere", "nothing")
    assert len(engine.called("HasCollection")) == len(engine.called("ListDatabases")) == 1
    clock.now += 0.6
    with pytest.raises(NamesUnknown):
        catalog.resolve("default", "nothing")
    await catalog.ensure("default", "nothing")
    assert len(engine.called("HasCollection")) == 2
    await read_again(catalog, clock)
    await catalog.ensure("default", "nothing")
    assert len(engine.called("HasCollection")) == 3


async def test_name_that_named_nothing_a_moment_ago_is_unproven(catalog: UpstreamCatalog, clock: Clock) -> None:
    assert not catalog.unproven("default", ["docs", "nothing"], None)
    await catalog.ensure("default", "nothing")
    assert not catalog.unproven("default", ["docs"], None)
    assert not catalog.unproven("default", ["docs", "nothing"], clock.now)
    clock.now += 0.1
    assert catalog.unproven("default", ["docs", "nothing"], clock.now)
    with pytest.raises(NamesUnknown):
        catalog.resolve("default", "nothing")


async def test_user_who_names_what_nothing_has_makes_a_limited_number_of_calls(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_lookups", Lookups(per_user=3, total=4))
    for number in range(3):
        await catalog.ensure("default", f"n{number}", caller="mallory")
    for _ in range(10):
        with pytest.raises(LimitReached):
            await catalog.ensure("default", "n3", caller="mallory")
    assert len(engine.calls) == 3
    await catalog.ensure("default", "n3", caller="alice")
    await catalog.ensure("default", "n3", caller="mallory")
    await read_again(catalog, clock)
    await catalog.ensure("default", "n3", caller="mallory")
    for number in range(4, 7):
        await catalog.ensure("default", f"n{number}", caller=f"user{number}")
    with pytest.raises(LimitReached):
        await catalog.ensure("default", "n7", caller="bob")


async def test_what_is_older_than_it_may_be_is_read_once_for_all_who_wait(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    engine.around.alias("current", "papers")
    clock.now = AGE
    catalog.require_usable()
    assert catalog.resolve("default", "current") == "docs"
    clock.now = AGE + 0.01
    with pytest.raises(EngineUnavailable, match="older than 100 s"):
        catalog.require_usable()
    await asyncio.gather(*(catalog.ensure("default", "current") for _ in range(10)))
    assert catalog.resolve("default", "current") == "papers"
    assert len(engine.called("ListDatabases")) == 1


async def test_age_counts_from_the_beginning_of_a_read(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    clock.now += AGE + 1
    gate = engine.hold("ListAliases")
    refreshing = asyncio.create_task(catalog.refresh())
    await engine.reached("ListAliases")
    clock.now += 40
    gate.set()
    await refreshing
    assert catalog.state.age == 40


async def test_task_reads_again_before_the_catalog_is_too_old(engine: SharedEngine) -> None:
    catalog = UpstreamCatalog(engine, maximum_age=0.2)
    await catalog.start()
    engine.around.alias("current", "papers")
    await until(lambda: catalog.resolve("default", "current") == "papers")
    assert catalog.state.reads >= 2
    await catalog.close()


async def test_failed_read_refuses_at_once_until_the_task_succeeds(engine: SharedEngine, clock: Clock) -> None:
    catalog = UpstreamCatalog(engine, maximum_age=AGE, clock=clock)
    engine.failures["ShowCollections"] = EngineUnavailable("it is away")
    await catalog.start()
    assert str(catalog.fault) == "the catalog of the remote engine has not been read yet: it is away"
    assert catalog.state.age is None
    engine.calls.clear()
    for _ in range(5):
        with pytest.raises(EngineUnavailable, match="has not been read yet: it is away"):
            await catalog.ensure("default", "docs")
    assert engine.calls == []
    del engine.failures["ShowCollections"]
    async with asyncio.timeout(30):
        while not catalog.fresh:
            await asyncio.sleep(0.02)
    assert (catalog.fault, catalog.state.failures) == (None, 1)
    engine.failures["ShowCollections"] = EngineUnavailable("it is away")
    clock.now += AGE + 1
    with pytest.raises(EngineUnavailable, match="may be older than 100 s: it is away"):
        await catalog.refresh()
    await catalog.close()


async def test_engine_that_comes_back_is_read_before_anything_is_decided(
    catalog: UpstreamCatalog, engine: SharedEngine
) -> None:
    engine.around.alias("current", "papers")
    engine.restart()
    assert not catalog.fresh
    await catalog.ensure("default", "current")
    assert catalog.resolve("default", "current") == "papers"


@pytest.mark.parametrize("databases", [(), ("other",)])
async def test_list_without_the_default_database_is_no_list(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock, databases: tuple[str, ...]
) -> None:
    told = messages.ListDatabasesResponse(status=messages.Status(), db_names=databases)
    engine.answers["ListDatabases"] = told.SerializeToString()
    with pytest.raises(EngineUnavailable, match="lacks default"):
        await read_again(catalog, clock)


async def test_response_that_cannot_be_read_is_a_failure(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    engine.answers["ListAliases"] = b"\xff\xff"
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        await read_again(catalog, clock)
    del engine.answers["ListAliases"]
    async with asyncio.timeout(30):
        while not catalog.fresh:
            await asyncio.sleep(0.02)


async def test_database_that_is_dropped_during_a_read_is_left_out(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    clock.now += AGE + 1
    gate = engine.hold("ShowCollections")
    refreshing = asyncio.create_task(catalog.refresh())
    await engine.reached("ShowCollections")
    engine.around.drop_database("other")
    gate.set()
    await refreshing
    await catalog.ensure("other")
    assert not catalog.has_database("other")


async def test_change_of_ours_is_looked_up_again_also_if_a_read_was_in_progress(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    clock.now += AGE + 1
    gate = engine.hold("ListAliases")
    refreshing = asyncio.create_task(catalog.refresh())
    await engine.reached("ListAliases")
    catalog.forget(["default"], ["current", "papers"])
    gate.set()
    await refreshing
    for name in ("current", "papers"):
        with pytest.raises(NamesUnknown):
            catalog.resolve("default", name)
    catalog.forget(["other"])
    with pytest.raises(NamesUnknown):
        catalog.has_database("other")


async def test_change_of_a_collection_forgets_its_aliases_too(catalog: UpstreamCatalog) -> None:
    catalog.forget(["default"], ["docs"])
    for name in ("docs", "current"):
        with pytest.raises(NamesUnknown):
            catalog.resolve("default", name)
    assert catalog.resolve("default", "papers") == "papers"


async def test_lookup_that_a_change_of_ours_overtakes_is_repeated(
    catalog: UpstreamCatalog, engine: SharedEngine
) -> None:
    gate = engine.hold("HasCollection")
    looking = asyncio.create_task(catalog.ensure("default", "latest"))
    await engine.reached("HasCollection")
    catalog.forget(["default"], ["latest"])
    engine.around.alias("latest", "papers")
    gate.set()
    await looking
    assert catalog.resolve("default", "latest") == "papers"
    assert len(engine.called("HasCollection")) == 2


async def test_lookup_during_a_read_survives_it_and_an_older_one_does_not(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    for name in ("old", "young"):
        engine.around.alias(name, "docs")
    told = messages.ListAliasesResponse(status=messages.Status(), aliases=["current"])
    engine.answers["ListAliases"] = told.SerializeToString()  # as it was before they were created
    looked_up = engine.hold("HasCollection")
    old = asyncio.create_task(catalog.ensure("default", "old"))
    await engine.reached("HasCollection")
    clock.now += 1
    listed = engine.hold("ListAliases")
    catalog._wanted.set()
    await engine.reached("ListAliases")
    young = asyncio.create_task(catalog.ensure("default", "young"))
    looked_up.set()
    await asyncio.gather(old, young)
    assert [catalog.resolve("default", name) for name in ("old", "young")] == ["docs", "docs"]
    listed.set()
    await until(lambda: catalog.state.reads == 2)
    assert catalog.resolve("default", "young") == "docs"
    with pytest.raises(NamesUnknown):
        catalog.resolve("default", "old")


async def test_aliases_are_looked_up_by_descriptions_where_the_engine_cannot_list_them(
    engine: SharedEngine, clock: Clock
) -> None:
    engine.knows_aliases = False
    catalog = UpstreamCatalog(engine, maximum_age=AGE, clock=clock)
    await catalog.start()
    await catalog.ensure("default", "current", "docs", "nothing")
    assert [catalog.resolve("default", name) for name in ("current", "docs", "nothing")] == ["docs", "docs", "nothing"]
    assert len(engine.called("ListAliases")) == 1  # not once for each database
    engine.knows_aliases = True
    engine.restart()
    await catalog.refresh()
    assert catalog.aliases_of("default", "docs") == ["current"]
    await catalog.close()


async def test_ids_of_what_was_dropped_renamed_or_replaced_around_us_are_forgotten(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    engine.create("gone", "renamed", "replaced")
    await read_again(catalog, clock)
    numbers = {name: engine.id_of(name) for name in ("docs", "gone", "renamed", "replaced")}
    for name, number in numbers.items():
        catalog.ids._owners["collection", number] = catalog.ids._owners["segment", number] = Owner("default", name)
    engine.around.drop("gone")
    engine.around.rename("renamed", "other_name")
    engine.around.drop("replaced")
    engine.around.create("replaced")
    await read_again(catalog, clock)
    for field in ("collectionID", "segmentIDs"):
        found = [catalog.ids.owner(field, number) for number in numbers.values()]
        assert found == [Owner("default", "docs"), None, None, None]


async def test_cost_of_a_read_is_two_calls_a_database_and_one_an_alias(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    engine.create(*(f"c{number}" for number in range(2_000)))
    await read_again(catalog, clock)
    assert len(engine.calls) == 1 + 2 * 2 + 1


async def test_calls_of_a_read_are_limited_at_a_time(
    catalog: UpstreamCatalog, engine: SharedEngine, clock: Clock
) -> None:
    for number in range(200):
        engine.around.alias(f"a{number}", "docs")
    gate = engine.hold("DescribeAlias")
    clock.now += AGE + 1
    refreshing = asyncio.create_task(catalog.refresh())
    await engine.reached("DescribeAlias")
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(engine.called("DescribeAlias")) == upstream_catalog._CONCURRENCY
    gate.set()
    await refreshing
    assert len(catalog.aliases_of("default", "docs")) == 201


async def test_all_is_looked_up_again_where_it_is_not_known_what_others_have_changed(
    catalog: UpstreamCatalog, engine: SharedEngine
) -> None:
    await catalog.ensure("gone")
    engine.around.alias("current", "papers")
    engine.create("new", database="gone")
    catalog.forget_everything()
    for database in ("default", "other", "gone"):
        with pytest.raises(NamesUnknown):
            catalog.has_database(database)
        await catalog.ensure(database, "current")
    assert catalog.resolve("default", "current") == "papers"
    assert catalog.has_database("gone")
