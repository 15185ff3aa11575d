"""The collections of one database at a time, and databases: switching, searching, creating, dropping."""

import re

from tests.unit.api.console.explorer.exploring import exploring, shown
from tests.unit.api.console.test_app import Browser

from kiteward.api.console.lists import PAGE_SIZE


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
        page = shown((await browser.open("collections")).text)
        assert re.search(r"docs\s+Loaded\s+1970-01-01 00:00", page)
        assert "docs,true,1970-01-01T00:00:00.1" in (await browser.open("collections.csv")).text


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
