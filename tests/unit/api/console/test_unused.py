"""The page of unused access: what it lists, and how a grant is revoked from there."""

import html
import time
from pathlib import Path

import pytest
from tests.unit.api.console.test_app import browsing

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.audit.reader import AuditReader

DAY = 86_400.0


async def test_unused_grant_is_revoked_after_a_preview(tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path, keep_days=0)
    files.append([AuditEvent(Event.STARTED, 1_795_780_800.0, Outcome.SUCCEEDED)])
    files.close()
    async with browsing(prepare=lambda harness: harness.configure(trail=AuditReader(tmp_path))) as browser:
        store = browser.harness.store
        clock, store._clock = store._clock, lambda: time.time() - 2 * DAY
        await browser.harness.role("reader", ("Search", "default", "docs"), ("Query", "default", "docs"))
        store._clock = clock
        await browser.sign_in()
        page = html.unescape((await browser.open("unused?days=1")).text)
        assert 'name="had" value="default|docs|Search"' in page
        assert "Every enabled user has signed in, or was created, since then." in page
        asked = {"role": "reader", "database": "default", "columns": "groups", "had": "default|docs|Search"}
        preview = html.unescape((await browser.send("matrix/preview", **asked)).text)
        assert 'name="take" value="default|docs|Search"' in preview
        assert len(await browser.harness.grants("reader")) == 2
        given = {**asked, "take": "default|docs|Search", "apply": "1"}
        assert (await browser.send("matrix/preview", **given)).status_code == 303
        assert [grant[-1] for grant in await browser.harness.grants("reader")] == ["Query"]


async def test_what_was_made_within_the_period_is_left_out_and_counted(tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path, keep_days=0)
    files.append([AuditEvent(Event.STARTED, 1_795_780_800.0, Outcome.SUCCEEDED)])
    files.close()
    async with browsing(prepare=lambda harness: harness.configure(trail=AuditReader(tmp_path))) as browser:
        await browser.harness.role("reader", ("Search", "default", "docs"), ("Query", "default", "docs"))
        await browser.sign_in()
        await browser.send("new-key", description="just now", expires_in_days="9")
        page = html.unescape((await browser.open("unused?days=1")).text)
        assert "default|docs|Search" not in page
        assert "just now" not in page
        assert "/revoke" not in page
        assert "made since then and cannot be said to be unused: grants: 2, API keys: 1." in page


async def test_where_nothing_is_unused_nothing_is_said_to_be_used(tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path, keep_days=0)
    files.append([AuditEvent(Event.STARTED, 1_795_780_800.0, Outcome.SUCCEEDED)])
    files.close()
    async with browsing(prepare=lambda harness: harness.configure(trail=AuditReader(tmp_path))) as browser:
        await browser.sign_in()
        page = html.unescape((await browser.open("unused?days=1")).text)
        assert "No unused grants." in page
        assert "No unused API keys." in page
        assert "was used" not in page


async def test_without_a_trail_the_page_says_why_it_is_empty() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        answer = await browser.open("unused")
        assert (answer.status_code, "audit" in answer.text) == (422, True)


@pytest.mark.parametrize("days", ["0", "3651", "x", "-1", "99999999999", "00001999999999", "٣"])
async def test_days_that_cannot_be_are_refused_at_their_field(days: str) -> None:
    async with browsing() as browser:
        await browser.sign_in()
        answer = await browser.open(f"unused?days={days}")
        assert (answer.status_code, "from 1 to 3650" in answer.text) == (422, True)
