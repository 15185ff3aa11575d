"""Rows: pages by primary key and back, filters, columns, sorting, one row in full, and hostile contents."""

import html
import re
from urllib.parse import parse_qs, urlparse

import pytest
from tests.support.engine import EngineCall
from tests.unit.api.console.explorer.exploring import HERE, HOSTILE, exploring, indexed, links_to, rows, schema, shown

from kiteward.api.console.explorer.asked import PAGE
from kiteward.api.console.explorer.reading import MOST_SORTED
from kiteward.milvus import messages


def next_page(page: str) -> str:
    """Return the path of the next page, which `Next page` leads to; empty at the end."""
    return path_of(page, "Next page")


def path_of(page: str, link: str) -> str:
    """Return the path that a link between pages leads to; empty where there is none."""
    found = re.search(rf'<a[^>]* href="/console/([^"]*)">{link}', page)
    return html.unescape(found[1]) if found else ""


@pytest.mark.parametrize(
    ("kind", "keys", "last", "beyond"),
    [
        ("Int64", [2**53 + number for number in range(PAGE + 1)], str(2**53 + PAGE - 1), f"id > {2**53 + PAGE - 1}"),
        ("VarChar", [f'k"\\{number:03}' for number in range(PAGE + 1)], 'k"\\049', r'id > "k\"\\049"'),
    ],
)
async def test_the_next_page_begins_behind_the_last_key(kind: str, keys: list[object], last: str, beyond: str) -> None:
    changed = {"DescribeCollection": schema(kind), "Query": rows(keys)}
    async with exploring("Query", answers=lambda answers: answers.update(changed)) as browser:
        engine = browser.harness.engine
        page = await browser.open(f"{HERE}/rows?filter=title != 'x' or id < 5")
        following = next_page(page.text)
        assert parse_qs(urlparse(following).query)["after"] == [last]
        assert engine.called("Query")[-1].request.expr == "title != 'x' or id < 5"
        assert next_page((await browser.open(following)).text) == ""
        asked = engine.called("Query")[-2].request
        assert asked.expr == f"(title != 'x' or id < 5) and {beyond}"
        parameters = {pair.key: pair.value for pair in asked.query_params}
        assert parameters["limit"] == str(PAGE + 1)
        assert parameters["iterator"] == "True"
        assert "offset" not in parameters


async def test_a_row_whose_key_is_an_empty_text_can_end_a_page_and_be_opened() -> None:
    changed = {"DescribeCollection": schema("VarChar"), "Query": rows([""])}
    async with exploring("Query", answers=lambda answers: answers.update(changed)) as browser:
        await browser.open(f"{HERE}/rows?after=")
        assert browser.harness.engine.called("Query")[-1].request.expr == 'id > ""'
        assert (await browser.open(f"{HERE}/row?key=")).status_code == 200
        assert browser.harness.engine.called("Query")[-1].request.expr == 'id in [""]'


async def test_what_is_no_key_is_refused() -> None:
    async with exploring("Query") as browser:
        for after in ("abc", "1; drop", "9" * 30):
            assert (await browser.open(f"{HERE}/rows?after={after}")).status_code == 422
            assert (await browser.open(f"{HERE}/row?key={after}")).status_code == 404
        assert not browser.harness.engine.called("Query")


async def test_a_filter_that_the_engine_refuses_is_shown_at_its_field_and_stays() -> None:
    refused = messages.QueryResults(status=messages.Status(code=1100, reason="cannot parse <b>here</b>"))
    async with exploring("Query") as browser:
        browser.harness.engine.answers["Query"] = refused.SerializeToString()
        page = await browser.open(f"{HERE}/rows?filter=price >")
        assert page.status_code == 422
        assert 'id="filter-error"' in page.text
        assert "The filter is not valid." in page.text
        assert "cannot parse &lt;b&gt;here&lt;/b&gt;" in page.text
        assert 'value="price &gt;"' in page.text
        page = await browser.open(f"{HERE}/rows")
        assert (page.status_code, 'id="filter-error"' in page.text) == (422, False)
        assert "cannot parse" in page.text


async def test_a_collection_that_is_not_loaded_says_so_and_offers_to_load_it_to_whom_may() -> None:
    refused = messages.QueryResults(status=messages.Status(code=101, reason="collection not loaded"))
    for privileges, offered in ((("Query",), False), (("Query", "Load"), True)):
        async with exploring(*privileges) as browser:
            browser.harness.engine.answers["Query"] = refused.SerializeToString()
            page = await browser.open(f"{HERE}/rows?filter=id > 1")
            assert "The collection is not loaded." in shown(page.text)
            assert links_to(page.text, f"{HERE}/load") is offered


async def test_loading_is_not_offered_beside_another_refusal() -> None:
    refused = messages.QueryResults(status=messages.Status(code=1100, reason="no such partition"))
    hits = messages.SearchResults(status=messages.Status(code=1100, reason="no such partition"))
    async with exploring("Query", "Search", "Load") as browser:
        answers = browser.harness.engine.answers
        answers |= {"Query": refused.SerializeToString(), "Search": hits.SerializeToString()}
        for page in (
            await browser.open(f"{HERE}/rows"),
            await browser.send(f"{HERE}/search", field="vector", vector="[1, 2, 3, 4]", limit="5"),
        ):
            assert "no such partition" in shown(page.text)
            assert not links_to(page.text, f"{HERE}/load")


async def test_contents_are_shown_as_text() -> None:
    titles = [HOSTILE, "x" * 60_000, "bell\x07\u202eevil"]
    answers = {"Query": rows([1, 2, 3], titles), "DescribeIndex": indexed()}
    async with exploring("Query", answers=lambda held: held.update(answers)) as browser:
        listed = (await browser.open(f"{HERE}/rows")).text
        one = (await browser.open(f"{HERE}/row?key=1")).text
        assert re.search(r'/rows" aria-current="true">Rows<', one)
        described = (await browser.open(HERE)).text
        for page in (listed, one, described):
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert" in page
        assert len(listed) < 20_000
        assert "60,000 characters" in listed
        assert "bell\\u0007\\u202eevil" in listed


async def test_vectors_are_shown_only_when_chosen_and_short() -> None:
    async with exploring("Query") as browser:
        await browser.open(f"{HERE}/rows")
        assert [*browser.harness.engine.called("Query")[-1].request.output_fields] == ["id", "title", "$meta"]
        page = await browser.open(f"{HERE}/rows?column=vector&column=nonsense")
        assert [*browser.harness.engine.called("Query")[-1].request.output_fields] == ["id", "vector"]
        assert "[0.25, 0.5, 0.75, 1.0] dimension 4" in shown(page.text)


def keys_of(page: str) -> list[str]:
    """Return the keys of the rows of a page."""
    return re.findall(r"row\?key=(\d+)", page)


async def test_the_page_before_begins_where_it_began() -> None:
    async with exploring("Query") as browser:
        engine = browser.harness.engine
        asked = []
        path = f"{HERE}/rows?size=20"
        for start in (0, 20, 40):
            engine.answers["Query"] = rows([*range(start, start + 21)])
            page = (await browser.open(path)).text
            asked.append(engine.called("Query")[-1].request.expr)
            path = next_page(page)
        assert asked == ["", "id > 19", "id > 39"]
        assert "Page 3" in shown(page)
        back = []
        for _ in range(2):
            page = (await browser.open(path_of(page, "Previous page"))).text
            back.append(engine.called("Query")[-1].request.expr)
        assert back == ["id > 19", ""]
        assert path_of(page, "Previous page") == ""
        assert "Page 1" in shown(page)


async def test_an_answer_with_fewer_or_more_rows_than_asked_for_is_not_the_end() -> None:
    async with exploring("Query") as browser:
        engine, act = browser.harness.engine, browser.harness.engine.acts["Query"]
        engine.answers["Query"] = rows([*range(50)])
        sizes = [9, 30, 4, 50]

        def uneven(call: EngineCall) -> bytes:
            if " in [" in call.request.expr:
                return act(call)
            found = messages.QueryResults.FromString(act(call)).fields_data
            return rows([*found[0].scalars.long_data.data][: sizes[len(engine.called("Query")) % 4]])

        engine.acts["Query"] = uneven
        found, path = [], f"{HERE}/rows?size=20"
        while path:
            page = (await browser.open(path)).text
            found += keys_of(page)
            path = next_page(page)
        assert found == [str(key) for key in range(50)]
        assert keys_of((await browser.open(f"{HERE}/rows?sort=title&size=100")).text) == sorted(
            found, key=lambda key: f"title {key}"
        )


async def test_what_is_remembered_of_the_pages_before_is_bounded() -> None:
    async with exploring("Query", answers=lambda answers: answers.update(long_keys())) as browser:
        path = f"{HERE}/rows"
        for number in range(2, 6):
            path = next_page((await browser.open(path)).text)
            assert f"page={number}" in path
        assert len(path) < 3_000
        page = (await browser.open(path)).text
        for _ in range(2):
            page = (await browser.open(path_of(page, "Previous page"))).text
        assert path_of(page, "Previous page") == ""
        assert path_of(page, "First page") == f"{HERE}/rows?column=id&column=title&column=%24meta"


def long_keys() -> dict[str, bytes]:
    """Return what the engine answers about a collection whose keys are long texts."""
    keys = [f"{number:03}{'k' * 700}" for number in range(6 * PAGE)]
    return {"DescribeCollection": schema("VarChar"), "Query": rows(keys)}


async def test_all_that_matches_is_sorted_and_pages_of_it_are_read_by_their_keys() -> None:
    titles = [f"{(number * 7) % 30:02}" for number in range(30)]
    answers = {"Query": rows([*range(30)], titles)}
    async with exploring("Query", answers=lambda held: held.update(answers)) as browser:
        path = f"{HERE}/rows?filter=id >= 0&sort=title&order=desc&size=20"
        page = (await browser.open(path)).text
        ordered = [str(key) for key in sorted(range(30), key=lambda key: titles[key], reverse=True)]
        assert keys_of(page) == ordered[:20]
        assert "Sorted by title: rows 1 to 20 of 30." in shown(page)
        assert 'aria-sort="descending"' in page
        read, _end, shown_ones = (call.request for call in browser.harness.engine.called("Query")[-3:])
        assert (read.expr, [*read.output_fields]) == ("id >= 0", ["id", "title"])
        assert shown_ones.expr == f"id in [{', '.join(ordered[:20])}]"
        page = (await browser.open(next_page(page))).text
        assert keys_of(page) == ordered[20:]
        assert "rows 21 to 30 of 30" in shown(page)
        assert next_page(page) == ""
        page = (await browser.open(path_of(page, "Previous page"))).text
        assert keys_of(page) == ordered[:20]
        page = (await browser.open(f"{HERE}/rows?order=desc&size=20")).text
        assert keys_of(page) == [str(key) for key in range(29, 9, -1)]
        assert keys_of((await browser.open(f"{HERE}/rows?sort=vector")).text) == [str(key) for key in range(30)]


async def test_too_many_rows_are_sorted_within_the_page_and_the_page_says_so() -> None:
    answers = {"Query": rows([*range(MOST_SORTED + 1)])}
    async with exploring("Query", answers=lambda held: held.update(answers)) as browser:
        page = (await browser.open(f"{HERE}/rows?sort=title&order=desc&size=20")).text
        assert "More than 10,000 rows match" in shown(page)
        assert "Only the rows of this page are sorted." in shown(page)
        assert keys_of(page) == sorted(map(str, range(20)), reverse=True)
        assert [call.request.expr for call in browser.harness.engine.called("Query")] == ["", ""]
        await browser.open(next_page(page))
        assert [call.request.expr for call in browser.harness.engine.called("Query")] == ["", "", "id > 19"]


async def test_one_row_has_its_values_in_full_and_a_missing_one_is_not_found() -> None:
    long = "x" * 2_000
    async with exploring("Query", answers=lambda held: held.update({"Query": rows([7], [long])})) as browser:
        page = await browser.open(f"{HERE}/row?key=7")
        assert browser.harness.engine.called("Query")[-1].request.expr == "id in [7]"
        assert long in page.text
        assert "[0.25, 0.5, 0.75, 1.0]" in page.text
        browser.harness.engine.answers["Query"] = rows([])
        assert (await browser.open(f"{HERE}/row?key=8")).status_code == 404


UNFIT_ROWS = (
    ("", "not valid JSON from line 1, column 1"),
    ('{"id": 1,\n]', "line 2, column 1"),
    ("[" * 100_000, "nested too deeply"),
    ('{"id": 1, "title": "a", "vector": [1, 2]}', "expected 4 numbers"),
    ('{"id": "x", "title": "a", "vector": [1, 2, 3, 4]}', "expected an integer"),
    ('{"title": "a", "vector": [1, 2, 3, 4]}', "field `id` is missing"),
    ("[]", "at least one object"),
)


async def test_rows_that_do_not_fit_are_shown_and_what_was_typed_stays() -> None:
    async with exploring("Insert") as browser:
        for data, said in UNFIT_ROWS:
            answer = await browser.send(f"{HERE}/insert", data=data)
            assert answer.status_code == 422, data
            assert said in html.unescape(answer.text).replace("<code>", "`").replace("</code>", "`")
            assert html.escape(data, quote=False).replace('"', "&#34;")[:50] in answer.text
        assert not browser.harness.engine.called("Insert")


async def test_rows_are_inserted_as_typed() -> None:
    async with exploring("Insert") as browser:
        form = (await browser.open(f"{HERE}/insert")).text
        assert "[\n    0.5,\n" in form
        assert "the embedded engine replaces the row; Milvus keeps both." in form
        row = '{"id": "9007199254740993", "title": null, "vector": [1, 2, 3, 4], "more": 1}'
        answer = await browser.send(f"{HERE}/insert", data=row)
        assert answer.status_code == 303
        sent = browser.harness.engine.called("Insert")[0].request
        assert sent.num_rows == 1
        (key,) = [field for field in sent.fields_data if field.field_name == "id"]
        assert [*key.scalars.long_data.data] == [2**53 + 1]
