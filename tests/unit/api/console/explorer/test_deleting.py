"""Deleting rows: one, or those that are selected, by one request, and what row policies keep is said."""

import html
import json
import re

from tests.unit.api.console.explorer.exploring import HERE, exploring, rows, schema, shown

from kiteward.milvus import messages

BACK = f"/console/{HERE}/rows?sort=title&column=id&column=title&done=insert"


def deleted(count: int) -> bytes:
    return messages.MutationResult(delete_cnt=count).SerializeToString()


async def test_a_row_is_deleted_by_its_key_alone() -> None:
    async with exploring(
        "Query", "Delete", answers=lambda held: held.update(Query=rows([]), Delete=deleted(1))
    ) as browser:
        answer = await browser.send(f"{HERE}/row/delete?key=7", confirm="")
        assert answer.headers["location"] == f"/console/{HERE}/rows?done=explorer_delete"
        (call,) = browser.harness.engine.called("Delete")
        assert (call.request.collection_name, call.request.expr) == ("docs", "id in [7]")


async def test_selected_rows_are_shown_with_their_number_and_deleted_by_one_request() -> None:
    keys = ["<b>", "a\nb", 'q"\\']
    answers = {"DescribeCollection": schema("VarChar"), "Query": rows(keys), "Delete": deleted(3)}
    async with exploring("Query", "Delete", answers=lambda held: held.update(answers)) as browser:
        engine = browser.harness.engine
        page = (await browser.open(f"{HERE}/rows")).text
        boxes = [html.unescape(each) for each in re.findall(r'name="selected" value="([^"]*)" form', page)]
        assert [json.loads(each) for each in boxes] == keys
        page = (await browser.send(f"{HERE}/rows/delete", selected=boxes, back=BACK)).text
        assert "Number of rows to delete: 3" in shown(page)
        assert "<b>" not in page
        assert not engine.called("Delete")
        again = [html.unescape(each) for each in re.findall(r'name="selected" value="([^"]*)"', page)]
        assert again == [json.dumps(key) for key in keys]
        engine.answers["Query"] = rows([])
        answer = await browser.send(f"{HERE}/rows/delete", selected=again, back=BACK, apply="1")
        back = f"/console/{HERE}/rows?sort=title&column=id&column=title&done=explorer_delete_rows"
        assert answer.headers["location"] == back
        (call,) = engine.called("Delete")
        assert call.request.expr == r'id in ["<b>", "a\nb", "q\"\\"]'


async def test_rows_that_are_still_there_and_refusals_are_said() -> None:
    async with exploring("Query", "Delete") as browser:
        answer = await browser.send(f"{HERE}/rows/delete", selected=["1", "2", "3"], apply="1")
        assert answer.status_code == 422
        assert "2 of 3 rows are still there: row policies decide" in shown(answer.text)
        refused = messages.MutationResult(status=messages.Status(code=1100, reason="cannot <i>delete</i>"))
        browser.harness.engine.answers["Delete"] = refused.SerializeToString()
        answer = await browser.send(f"{HERE}/rows/delete", selected=["1"], apply="1")
        assert (answer.status_code, "cannot &lt;i&gt;delete" in answer.text) == (422, True)


async def test_rows_that_are_hidden_and_rows_that_do_not_exist_are_said_alike_not_to_be_deleted() -> None:
    answers = {"Query": rows([]), "Delete": deleted(1)}
    async with exploring("Query", "Delete", answers=lambda held: held.update(answers)) as browser:
        answer = await browser.send(f"{HERE}/rows/delete", selected=["1", "2"], apply="1")
        assert answer.status_code == 422
        told = "{} rows were deleted. The others do not exist, or you may not delete them."
        assert told.format("1 of 2") in shown(answer.text)
        browser.harness.engine.answers["Delete"] = deleted(0)
        answer = await browser.send(f"{HERE}/row/delete?key=7", confirm="")
        assert answer.status_code == 422
        assert told.format("0 of 1") in shown(answer.text)


async def test_nothing_selected_and_what_is_no_key_delete_nothing() -> None:
    async with exploring("Query", "Delete") as browser:
        answer = await browser.send(f"{HERE}/rows/delete", apply="1")
        assert (answer.status_code, "No rows were selected." in shown(answer.text)) == (422, True)
        answer = await browser.send(f"{HERE}/rows/delete", selected=["1", "[2]"], apply="1")
        assert answer.status_code == 404
        assert not browser.harness.engine.called("Delete")


async def test_rows_are_selected_only_by_those_who_may_delete() -> None:
    async with exploring("Query") as browser:
        assert 'name="selected"' not in (await browser.open(f"{HERE}/rows")).text
        answer = await browser.send(f"{HERE}/rows/delete", selected=["1"], apply="1")
        assert answer.status_code == 403
        assert not browser.harness.engine.called("Delete")


async def test_the_way_back_leads_to_the_rows_of_the_collection_alone() -> None:
    async with exploring("Query", "Delete") as browser:
        for back in ("//evil.example/console", "/console/users", f"https://evil.example/console/{HERE}/rows", "//["):
            page = (await browser.send(f"{HERE}/rows/delete", selected=["1"], back=back)).text
            assert f'name="back" value="/console/{HERE}/rows"' in page
