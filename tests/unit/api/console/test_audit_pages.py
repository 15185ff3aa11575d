"""The pages of the audit trail, in process: filters, one line, export, and what a visit leaves."""

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import Browser, browsing

from kiteward.api.console import audit_export
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.audit.reader import AuditReader

NOON = 1_795_780_800.0


def event(number: int, **parts: Any) -> AuditEvent:
    usual = {"event": Event.USER_CHANGE, "time": NOON + number, "outcome": Outcome.SUCCEEDED, "principal": "root"}
    return AuditEvent(**{**usual, "request_id": f"r{number}", "operation": "DisableUser", **parts})


EVENTS = (
    event(1, principal="emma", operation="Search", event=Event.DATA_READ, database="default", resources=("docs",)),
    event(2, outcome=Outcome.RECEIVED, request_id="r3", details={"userName": "emma"}),
    event(3, details={"userName": "emma"}),
    event(
        4,
        event=Event.AUTHENTICATION,
        outcome=Outcome.REFUSED,
        principal="",
        presented_user="=cmd|x",
        operation="ListDatabases",
        reason="no such user",
    ),
    event(
        5,
        event=Event.REFUSAL,
        outcome=Outcome.REFUSED,
        principal="emma",
        operation="DropCollection",
        privilege="DropCollection",
        decision="refused",
        reason="no role of `emma` holds DropCollection on `default.docs`",
        roles=("reader",),
    ),
)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """Root's browser, over a trail of five lines."""
    files = ChainedFiles(tmp_path, keep_days=0, clock=lambda: NOON)
    files.append(EVENTS)
    files.close()
    async with browsing(prepare=lambda harness: harness.configure(trail=AuditReader(tmp_path))) as opened:
        await opened.sign_in()
        yield opened


async def shown(browser: Browser, asked: str) -> list[int]:
    page = (await browser.open(f"audit?{asked}")).text
    return [number for number in range(1, 6) if f"/console/audit/lines/{number}?" in page]


async def test_filters_select_lines(browser: Browser) -> None:
    assert await shown(browser, "user=emma") == [1, 2, 3, 5]
    assert await shown(browser, "user=emma&user_is=by") == [1, 5]
    assert await shown(browser, "user=emma&user_is=target") == [2, 3]
    assert await shown(browser, "request_id=r3") == [2, 3]
    assert await shown(browser, "since=2026-11-27T12:00:03&until=2026-11-27T12:00:05") == [3, 4]
    assert await shown(browser, "until=2026-11-27T12:00:02Z") == [1]
    assert await shown(browser, "after=3") == [4, 5]
    assert await shown(browser, "before=3") == [1]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("since=yesterday", "Give a time such as 2026-11-29 10:30."),
        ("since=2026-11-28&until=2026-11-27", "the end must be after the start"),
        ("after=-1", "Enter a whole number, 0 or more."),
    ],
)
async def test_filter_that_cannot_be_is_refused_and_kept(browser: Browser, asked: str, told: str) -> None:
    answer = await browser.open(f"audit?{asked}")
    assert answer.status_code == 422
    assert told in answer.text


async def test_line_is_shown_in_full_with_links_from_it(browser: Browser) -> None:
    page = (await browser.open("audit/lines/5")).text
    for text in ("Line 5: DropCollection", "no role of <code>emma</code> holds", "Roles at that time", "2001"):
        assert text in page
    assert "/console/audit?request_id=r5&amp;scope=all" in page
    assert "/console/explain?line=5&amp;scope=all" in page
    assert "&#34;chain&#34;: " in page


@pytest.mark.parametrize("number", ["6", "0", "x", "9" * 40, "٣"])
async def test_line_that_does_not_exist_is_reported(browser: Browser, number: str) -> None:
    assert (await browser.open(f"audit/lines/{number}")).status_code == 404


async def test_others_get_neither_lines_nor_files(browser: Browser) -> None:
    await browser.harness.user("emma")
    browser.client.cookies.clear()
    await browser.sign_in("emma", PASSWORD)
    for path in ("audit/lines/5", "audit/export?format=csv", "audit", "unused"):
        assert (await browser.open(path)).status_code == 403, path


async def test_file_has_the_lines_of_the_search_newest_first(browser: Browser) -> None:
    answer = await browser.open("audit/export?format=jsonl&user=emma&user_is=by")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.jsonl"'
    assert [json.loads(line)["seq"] for line in answer.text.splitlines()] == [5, 1]


async def test_table_has_the_same_and_no_cell_that_a_spreadsheet_would_calculate(browser: Browser) -> None:
    answer = await browser.open("audit/export?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    head, *found = _table(answer.text)
    assert [line[head.index("seq")] for line in found] == ["5", "4", "3", "2", "1"]
    assert found[1][head.index("presented_user")] == "'=cmd|x"
    assert found[2][head.index("details")] == '{"userName": "emma"}'
    assert found[0][head.index("roles")] == "reader"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_file_is_read_page_by_page_and_says_where_it_ended(
    browser: Browser, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "_PAGE", 2)
    whole = (await browser.open(f"audit/export?format={kind}")).text
    assert len(whole.splitlines()) == 5 + (kind == "csv")
    monkeypatch.setattr(audit_export, "MOST_EXPORTED", 4)
    *_, last = (await browser.open(f"audit/export?format={kind}")).text.splitlines()
    assert "older ones are before line 2" in last


async def test_file_of_a_search_that_cannot_be_leads_to_the_page_that_says_so(browser: Browser) -> None:
    answer = await browser.open("audit/export?format=csv&outcome=rubbish")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/audit?outcome=rubbish")


async def test_visit_without_a_session_is_no_refusal_in_the_trail() -> None:
    async with browsing() as browser:
        before = len(browser.harness.trail.events)
        for path in ("audit", "account", "no-such-page", ""):
            assert (await browser.open(path)).status_code == 303
        assert browser.harness.trail.events[before:] == []
        browser.client.cookies.set("kiteward", "made-up")
        assert (await browser.open("account")).status_code == 303
        assert [each.event for each in browser.harness.trail.events[before:]] == [Event.AUTHENTICATION]


def _table(text: str) -> Sequence[list[str]]:
    return list(csv.reader(io.StringIO(text)))


async def test_the_trail_is_as_it_was_after_a_line_was_opened(browser: Browser) -> None:
    await browser.sign_in()
    address = "/console/audit?user=emma&operation=Search"
    shown = await browser.open(address.removeprefix("/console/"))
    (line,) = {html.unescape(each) for each in re.findall(r'href="(/console/audit/lines/[^"]*)"', shown.text)}
    page = await browser.open(line.removeprefix("/console/"))
    assert html.escape(f'href="{address}"', quote=False) in page.text
