"""Objects of a remote engine change around us: nobody reaches what was not authorized but in one case, stated here."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import own_call
from tests.support.shared_engine import SharedEngine
from tests.unit.gateway.shared import AGE, SharedGateway, shared_gateway

from kiteward.domain.errors import AccessDenied, DatabaseNotFound, EngineUnavailable, LimitReached
from kiteward.gateway.lookups import Lookups


@pytest.fixture
async def gateway(store_path: Path) -> AsyncIterator[SharedGateway]:
    """`reader` may query `docs` alone; `payroll` is what it must not reach."""
    engine = SharedEngine()
    engine.create("docs", "payroll")
    engine.around.alias("current", "docs")
    async with shared_gateway(store_path, engine) as gateway:
        await gateway.harness.role("reading", ("Query", "default", "docs"), ("DescribeCollection", "default", "docs"))
        await gateway.harness.user("reader", "reading")
        engine.calls.clear()
        yield gateway


async def query(gateway: SharedGateway, name: str, *, by: str = "reader", database: str = "") -> list[str]:
    """Query a collection or alias, and return what was forwarded."""
    await gateway.harness.call("Query", by=by, collection_name=name, db_name=database)
    return gateway.forwarded("Query")


async def test_alias_that_is_not_known_yet_is_judged_as_its_collection(gateway: SharedGateway) -> None:
    """Also if a grant names it, and it named nothing a moment ago."""
    gateway.engine.around.alias("latest", "payroll")
    await gateway.harness.grant("reading", "Query", "default", "unused")
    gateway.engine.around.alias("unused", "payroll")
    for name in ("latest", "unused"):
        with pytest.raises(AccessDenied):
            await query(gateway, name)
    gateway.engine.around.alias("newest", "docs")
    assert await query(gateway, "newest") == ["docs"]
    assert await query(gateway, "newest") == ["docs"]


async def test_grant_on_an_alias_that_is_not_known_yet_is_on_its_collection(gateway: SharedGateway) -> None:
    gateway.engine.around.alias("latest", "payroll")
    await gateway.harness.grant("reading", "Insert", "default", "latest")
    assert ("Collection", "default", "payroll", "Insert") in await gateway.harness.grants("reading")
    await gateway.harness.revoke("reading", "Insert", "default", "latest")
    assert ("Collection", "default", "payroll", "Insert") not in await gateway.harness.grants("reading")


@pytest.mark.parametrize("changed", ["moved", "dropped", "made a collection"])
async def test_stale_alias_still_names_the_collection_that_was_judged(gateway: SharedGateway, changed: str) -> None:
    around = gateway.engine.around
    if changed == "moved":
        around.alias("current", "payroll")
    else:
        around.drop_alias("current")
    if changed == "made a collection":
        around.create("current")
    assert await query(gateway, "current") == ["docs"]
    await gateway.read_again()
    with pytest.raises(AccessDenied):
        await query(gateway, "current")


async def test_renamed_or_dropped_collection_leads_to_nothing(gateway: SharedGateway) -> None:
    gateway.engine.around.rename("docs", "archive")
    assert await query(gateway, "docs") == ["docs"]  # which the engine does not find
    with pytest.raises(AccessDenied):
        await query(gateway, "archive")
    await gateway.read_again()
    assert await query(gateway, "docs") == ["docs"]
    with pytest.raises(AccessDenied):
        await query(gateway, "archive")
    assert gateway.engine.databases["default"].collections == ["archive", "payroll"]


async def test_name_that_became_an_alias_is_judged_anew_once_the_catalog_is_too_old(gateway: SharedGateway) -> None:
    """This is the window that remains: within the age, such a name is forwarded as it was authorized."""
    gateway.engine.around.drop("docs")
    gateway.engine.around.alias("docs", "payroll")
    gateway.clock.now = AGE
    assert await query(gateway, "docs") == ["docs"]
    gateway.clock.now = AGE + 0.01
    with pytest.raises(AccessDenied):
        await query(gateway, "docs")
    assert gateway.forwarded("Query") == []


async def test_description_of_what_became_an_alias_is_withheld(gateway: SharedGateway) -> None:
    gateway.engine.around.drop("docs")
    gateway.engine.around.alias("docs", "payroll")
    with pytest.raises(EngineUnavailable, match="docs was just made an alias"):
        await gateway.harness.call("DescribeCollection", by="reader", collection_name="docs")
    with pytest.raises(AccessDenied):
        await query(gateway, "docs")  # it was looked up again
    status = await gateway.harness.status("DescribeCollection", by="reader", collection_name="docs")
    assert status.code == 100
    assert gateway.catalog.ids.owner("collectionID", gateway.engine.id_of("payroll")) is None


async def test_database_that_was_dropped_or_created_around_us_is_so_here(gateway: SharedGateway) -> None:
    gateway.engine.around.create("docs", "created")
    await gateway.harness.grant("reading", "Query", "created", "docs")
    gateway.engine.calls.clear()
    assert await query(gateway, "docs", database="created") == ["docs"]
    gateway.engine.around.drop_database("created")
    await gateway.read_again()
    with pytest.raises(DatabaseNotFound):
        await query(gateway, "docs", database="created")


async def test_catalog_that_is_too_old_refuses_what_needs_it_and_nothing_else(gateway: SharedGateway) -> None:
    gateway.engine.failures["ShowCollections"] = EngineUnavailable("it is away")
    gateway.clock.now = AGE + 1
    with pytest.raises(EngineUnavailable, match="may be older than 1000 s: it is away"):
        await query(gateway, "docs")
    assert gateway.forwarded("Query") == []
    assert list((await gateway.harness.call("ListCredUsers")).usernames) == ["reader", "root"]
    assert await gateway.harness.gateway.missing_components() == ("engine",)
    described: Any = await gateway.harness.gateway.handle(own_call("DescribeServer"))
    assert described.engine.reason == "the catalog of the remote engine may be older than 1000 s: it is away"
    del gateway.engine.failures["ShowCollections"]
    async with asyncio.timeout(30):
        while not gateway.catalog.fresh:
            await asyncio.sleep(0.02)
    assert await query(gateway, "docs") == ["docs"]
    assert await gateway.harness.gateway.missing_components() == ()


async def test_names_are_not_looked_up_for_who_is_refused_whatever_they_are(gateway: SharedGateway) -> None:
    await gateway.harness.user("nobody")
    gateway.engine.calls.clear()
    for database in ("", "other"):
        with pytest.raises(AccessDenied):
            await query(gateway, "something", by="nobody", database=database)
    status = await gateway.harness.status("DescribeCollection", by="nobody", collection_name="something")
    assert status.code == 100
    listed = await gateway.harness.call("ShowCollections", by="nobody", db_name="other")
    assert list(listed.collection_names) == []
    assert gateway.engine.calls == []


async def test_user_who_names_what_nothing_has_does_not_flood_the_engine(
    gateway: SharedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.catalog, "_lookups", Lookups(per_user=5))
    names = [f"n{number}" for number in range(50)]
    refused = await asyncio.gather(*(query(gateway, name) for name in names), return_exceptions=True)
    assert {type(each) for each in refused} == {AccessDenied, LimitReached}
    assert len(gateway.engine.calls) == 5
    assert await query(gateway, "docs") == ["docs"]


async def test_alias_that_is_not_known_yet_is_not_listed_to_who_may_not_see_all(gateway: SharedGateway) -> None:
    gateway.engine.around.alias("latest", "payroll")
    await gateway.harness.grant("reading", "ListAliases", "default", "docs")
    listed = await gateway.harness.call("ListAliases", by="reader")
    assert list(listed.aliases) == ["current"]


async def test_several_names_of_a_request_are_looked_up_before_it_is_judged(gateway: SharedGateway) -> None:
    await gateway.harness.grant("reading", "Flush", "default", "docs")
    for alias, target in (("a", "docs"), ("b", "docs"), ("c", "payroll")):
        gateway.engine.around.alias(alias, target)
    await gateway.harness.call("Flush", by="reader", collection_names=["a", "docs", "b"])
    assert [list(call.request.collection_names) for call in gateway.engine.called("Flush")] == [["docs"] * 3]
    with pytest.raises(AccessDenied):
        await gateway.harness.call("Flush", by="reader", collection_names=["a", "c"])
