"""The privilege matrix, without JavaScript: what is covered, warnings, pages of scopes, and the preview."""

import re

import pytest
from tests.unit.api.console.test_identity_providers import Company, shown
from tests.unit.api.console.test_lists import listing


def cells(page: str) -> dict[str, str]:
    """Return the label of each box, and by what it is covered."""
    found = re.findall(r'aria-label="([^"]*, [^"]*)"(?: aria-describedby="[^"]*" title="([^"]*)")?', page)
    return dict(found)


async def test_a_cell_says_which_grant_gives_it_already(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        browser.harness.engine.create("docs", "logs")
        found = cells((await browser.open("matrix?role=reader&page=2")).text)
        by = "Given already by CollectionAdmin on default.*"
        assert found["CollectionReadOnly, default.logs"] == by
        found = cells((await browser.open("matrix?role=reader&columns=Collection&q=OC")).text)
        assert found["Search, default.docs"] == by
        assert not any("logs" in label or "*.*" in label for label in found)
        found = cells((await browser.open("matrix?role=reader")).text)
        assert (found["CollectionAdmin, default.*"], found["CollectionReadOnly, default.*"]) == ("", by)


async def test_what_lets_its_holders_give_roles_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        page = await browser.text("matrix?role=reader")
        assert "can give any role" in page.partition("What the groups contain")[2].partition("DatabaseReadOnly")[0]
        warned = await preview(browser, role="reader", grant="*|*|ClusterAdmin")
        assert "ClusterAdmin contains ManageOwnership" in warned
        assert "contains ManageOwnership" not in await preview(browser, role="reader", grant="*|*|ClusterReadOnly")
        assert "Holders may do everything" in await browser.text("matrix?role=admin")


async def preview(browser: Company, **form: str) -> str:
    answer = await browser.send("matrix/preview", database="default", columns="groups", **form)
    assert answer.status_code == 200
    return shown(answer.text)


async def test_a_preview_leads_back_to_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        where = {"role": "reader", "database": "default", "columns": "groups", "q": "o", "page": "2"}
        answer = await browser.send("matrix/preview", **where)
        assert answer.headers["location"] == (
            "/console/matrix?done=matrix_same&role=reader&database=default&columns=groups&q=o&page=2"
        )
        answer = await browser.send("matrix/preview", apply="1", give="*|*|ClusterReadOnly", **where)
        assert answer.headers["location"].startswith("/console/matrix?done=matrix&role=reader")
        assert "ClusterReadOnly" in await browser.text("roles/reader")


async def test_a_preview_says_what_changes_alone_and_all_databases_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        given = {"role": "reader", "database": "default", "columns": "groups", "grant": "*|*|ClusterReadOnly"}
        page = (await browser.send("matrix/preview", **given, had="default|*|CollectionAdmin")).text
        assert re.search(r'<p class="trail">.*?href="/console/matrix', page)
        assert "ClusterReadOnly in all databases" in shown(page)
        assert "*.*" not in shown(page)
        assert ('id="given"' in page, 'id="taken"' in page) == (True, True)
        page = (await browser.send("matrix/preview", **given)).text
        assert ('id="given"' in page, 'id="taken"' in page) == (True, False)
        page = (await browser.send("matrix/preview", **{**given, "grant": "", "had": "default|*|CollectionAdmin"})).text
        assert ('id="given"' in page, 'id="taken"' in page) == (False, True)


async def test_a_role_that_there_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        assert "There is no role ghost" in (await browser.text("matrix?role=ghost")).replace("`", "")
        assert "There is no role" not in await browser.text("matrix")


async def test_without_a_role_those_that_there_are_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        page = (await browser.open("matrix?database=default&columns=Database")).text
        assert 'href="/console/matrix?role=reader&amp;database=default&amp;columns=Database"' in page
        assert 'class="tag" href="/console/matrix' not in (await browser.open("matrix?role=reader")).text


async def test_grants_without_a_column_lead_to_the_columns_that_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        page = (await browser.open("matrix?role=reader&columns=Cluster")).text
        assert 'href="/console/matrix?role=reader&amp;database=default&amp;columns=groups&amp;q="' in page
