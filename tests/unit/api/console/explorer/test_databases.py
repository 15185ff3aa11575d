"""The collections of one database at a time, and databases: switching, searching, creating, dropping."""

import re
from typing import Final

import pytest
from tests.unit.api.console.explorer.exploring import HERE, exploring, shown
from tests.unit.api.console.test_app import Browser
from tests.unit.gateway.row_access.protected import policy, protect

from kiteward.api.console.lists import PAGE_SIZE
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, milvus_pb2

HIDDEN: Final = "Not shown to you"


def counted(rows: str) -> bytes:
    """Return the answer to GetCollectionStatistics."""
    found = milvus_pb2.GetCollectionStatisticsResponse(status=messages.Status())
    found.stats.add(key="row_count", value=rows)
    return bytes(found.SerializeToString())


def loaded() -> bytes:
    """Return the answer to GetLoadState: loaded."""
    state = common_pb2.LoadState.LoadStateLoaded
    return bytes(milvus_pb2.GetLoadStateResponse(status=messages.Status(), state=state).SerializeToString())


def found(rows: int) -> bytes:
    """Return the answer to a query that counts."""
    answer = messages.QueryResults(status=messages.Status(), output_fields=["count(*)"])
    answer.fields_data.add(field_name="count(*)").scalars.long_data.data.append(rows)
    return bytes(answer.SerializeToString())


def cells(page: str, name: str) -> dict[str, str]:
    """Return what the list shows of a collection."""
    row = next(each for each in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f"/{name}?" in each)
    texts = [re.sub(r"<[^>]+>", "", each).strip() for each in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
    return dict(zip(("state", "rows", "policies"), texts, strict=False))


def fact(page: str, label: str) -> str:
    """Return a fact of the page of a collection."""
    value = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", page, re.DOTALL)
    assert value is not None
    return re.sub(r"<[^>]+>", "", value[1]).strip()


async def research(browser: Browser, *names: str) -> None:
    """Create a database with collections."""
    await browser.harness.succeed("CreateDatabase", db_name="research")
    for name in names:
        await browser.harness.succeed("CreateCollection", db_name="research", collection_name=name)


async def test_collections_are_listed_by_database_and_found_by_a_part_of_their_name() -> None:
    async with exploring() as browser:
        await research(browser, "Papers", "posters")
        for number in range(PAGE_SIZE + 5):
            browser.harness.engine.create(f"c{number:03}")
        await browser.harness.catalog.ensure("default", "c000", caller="root")
        page = (await browser.open("collections")).text
        assert len(re.findall(r'<a href="/console/collections/default/c', page)) == PAGE_SIZE
        assert f"1 to {PAGE_SIZE} of {PAGE_SIZE + 6}" in shown(page)
        assert re.search(r"<option selected>default</option>\s*<option>research</option>", page)
        assert "/collections/default/c054" in (await browser.open("collections?q=C054")).text
        page = (await browser.open("collections?database=research&q=paper")).text
        assert "/console/collections/research/Papers" in page
        assert "posters" not in page
        assert "No collection" in (await browser.open("collections?q=<b>")).text
        assert (await browser.open("collections?database=nowhere")).status_code == 404


async def test_collections_are_listed_with_their_state_and_when_they_were_created() -> None:
    async with exploring() as browser:
        browser.harness.engine.answers["GetCollectionStatistics"] = counted("1234")
        page = shown((await browser.open("collections")).text)
        assert re.search(
            r"docs\s+<script>alert\(\"x\"\)</script>\s+Loaded\s+1,234\s+Not enforced\s+1970-01-01 00:00", page
        )
        exported = (await browser.open("collections.csv")).text
        assert ",loaded,1234,false,1970-01-01T00:00:00.1" in exported


FACTS = {
    "IndexDetail": {},
    "GetLoadState": {"state": "Loaded"},
    "GetStatistics": {"rows": "1,234"},
    "Query": {"rows": "1,234"},
    "ViewRLS": {"policies": "Not enforced"},
}
"""A privilege on the collection -> what it shows in the list besides name, description and creation."""


@pytest.mark.parametrize("privilege", FACTS)
async def test_the_list_shows_of_a_collection_what_its_page_shows(privilege: str) -> None:
    async with exploring(privilege) as browser:
        engine = browser.harness.engine
        engine.answers |= {"GetCollectionStatistics": counted("1234"), "GetLoadState": loaded(), "Query": found(1234)}
        listed = cells((await browser.open("collections")).text, "docs")
        page = (await browser.open(HERE)).text
        shown_there = {
            "state": fact(page, "Load state"),
            "rows": fact(page, "Rows"),
            "policies": "Not enforced" if ">Not enforced<" in page else HIDDEN,
        }
        assert listed == {"state": HIDDEN, "rows": HIDDEN, "policies": HIDDEN, **FACTS[privilege]}
        assert listed == shown_there


async def test_rows_that_row_policies_keep_from_the_reader_are_not_counted_in_the_list() -> None:
    async with exploring("Query", "GetStatistics", "ViewRLS") as browser:
        browser.harness.engine.answers["GetCollectionStatistics"] = counted("1234")
        await protect(browser.harness, policy("own", 'title == "x"'))
        assert cells((await browser.open("collections")).text, "docs") == {
            "state": HIDDEN,
            "rows": HIDDEN,
            "policies": "Enforced",
        }


async def test_a_long_list_asks_the_engine_about_the_collections_of_the_page_only() -> None:
    async with exploring() as browser:
        for number in range(PAGE_SIZE + 5):
            browser.harness.engine.create(f"c{number:03}")
        await browser.harness.catalog.ensure("default", "c000", caller="root")
        await browser.open("collections?page=2")
        asked = browser.harness.engine.called("GetCollectionStatistics")
        assert len(asked) == 6
        assert len(browser.harness.engine.called("ShowCollections")) < 6


async def test_the_database_that_is_always_there_is_not_offered_to_be_dropped() -> None:
    async with exploring() as browser:
        opened = await browser.open("databases/default/drop")
        assert (opened.status_code, "The database <code>default</code> cannot be dropped." in opened.text) == (
            422,
            True,
        )
        assert (await browser.send("databases/default/drop", typed_name="default")).status_code == 422
        assert not browser.harness.engine.called("DropDatabase")


async def test_a_user_sees_the_databases_of_its_grants_alone() -> None:
    async with exploring("Query") as browser:
        await research(browser, "papers")
        page = (await browser.open("collections")).text
        assert "research" not in page
        assert (await browser.open("collections?database=research")).status_code == 404


async def test_a_database_is_created_and_dropped_when_its_name_is_typed() -> None:
    async with exploring() as browser:
        databases = browser.harness.engine.databases
        assert (await browser.send("new-database", database_name="")).status_code == 422
        assert 'id="database_name-error"' in (await browser.send("new-database", database_name="a b")).text
        answer = await browser.send("new-database", database_name="fresh")
        assert answer.headers["location"] == "/console/collections?done=explorer_new_database&database=fresh"
        assert "/console/databases/fresh/drop" in (await browser.open("collections?database=fresh")).text
        assert (await browser.send("databases/fresh/drop", typed_name="other")).status_code == 422
        assert "fresh" in databases
        assert (await browser.send("databases/fresh/drop", typed_name="fresh")).status_code == 303
        assert "fresh" not in databases
        assert (await browser.open("databases/fresh/drop")).status_code == 404


async def test_a_database_with_collections_is_kept_and_the_reason_is_shown() -> None:
    async with exploring() as browser:
        await research(browser, "papers")
        answer = await browser.send("databases/research/drop", typed_name="research")
        assert (answer.status_code, "is not empty" in answer.text) == (422, True)


async def test_the_page_of_a_missing_database_leads_to_the_collections_wherever_it_was_named() -> None:
    async with exploring() as browser:
        for path in ("collections?database=nosuch", "collections/nosuch/docs", "databases/nosuch/drop"):
            page = await browser.open(path)
            assert (page.status_code, '<a class="button" href="/console/collections">' in page.text) == (404, True), (
                path
            )
