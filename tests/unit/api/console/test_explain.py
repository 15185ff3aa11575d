"""What an explanation advises, to administrators and to others."""

import re
import time
from pathlib import Path
from typing import Any

from tests.support.described import described
from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import browsing
from tests.unit.api.console.test_identity_providers import Company

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.audit.reader import AuditReader

ASKED = "explain?user=ann&privilege=Insert&collection=docs&database=default"
FOR_ADMINISTRATORS = "No role allows it yet: create one"
FOR_OTHERS = "Ask an administrator what would allow this."
ABOUT_ANYBODY = "Whether a user or API key may do something"
ABOUT_ONESELF = "Whether you may do something"


async def test_who_cannot_create_a_role_is_advised_to_ask_an_administrator() -> None:
    async with browsing() as browser:
        browser.harness.engine.create("docs")
        await browser.harness.user("ann")
        await browser.sign_in()
        page = (await browser.open(ASKED)).text
        assert (FOR_ADMINISTRATORS in page, FOR_OTHERS in page) == (True, False)
        assert (ABOUT_ANYBODY in page, ABOUT_ONESELF in page) == (True, False)
        browser.client.cookies.clear()
        await browser.sign_in("ann", PASSWORD)
        page = (await browser.open(ASKED)).text
        assert (FOR_ADMINISTRATORS in page, FOR_OTHERS in page) == (False, True)
        assert (ABOUT_ANYBODY in page, ABOUT_ONESELF in page) == (False, True)


def text_of(page: str) -> str:
    return " ".join(re.sub("<[^>]*>", "", page[page.index("<main") :]).split())


async def test_lines_of_our_own_operations_are_explained_in_whole_sentences(tmp_path: Path) -> None:
    about: dict[str, Any] = {
        "operation": "EnableRowPolicies",
        "principal": "ann",
        "details": {"collectionName": "docs"},
    }
    reason = "no role of `ann` holds ManageRLS on `default.docs`"
    refused: dict[str, Any] = {"privilege": "ManageRLS", "decision": "refused", "reason": reason}
    key: dict[str, Any] = {
        "operation": "CreateApiKey",
        "principal": "ann",
        "decision": "allowed",
        "reason": "any authenticated user may",
    }
    files = ChainedFiles(tmp_path / "audit", keep_days=0)
    files.append(
        [
            AuditEvent(Event.ROW_POLICY_CHANGE, time.time(), Outcome.RECEIVED, **about),
            AuditEvent(
                Event.ROW_POLICY_CHANGE,
                time.time(),
                Outcome.REFUSED,
                database="default",
                resources=("docs",),
                **about,
                **refused,
            ),
            AuditEvent(Event.KEY_CHANGE, time.time(), Outcome.SUCCEEDED, **key),
        ]
    )
    files.close()
    reader = AuditReader(tmp_path / "audit")
    async with browsing(prepare=lambda harness: harness.configure(trail=reader)) as browser:
        browser.harness.engine.create("docs")
        await browser.harness.user("ann")
        await browser.sign_in()
        received, refusal, made = [text_of((await browser.open(f"explain?line={n}")).text) for n in (1, 2, 3)]
        listed = (await browser.open("audit")).text
    assert "ann, EnableRowPolicies: this line has no decision: the last line of the same request has it." in received
    assert ("Recorded at" in received, "Decided at" in received, "Decided at" in refusal) == (True, False, True)
    assert "Refused Today: ann, EnableRowPolicies on default.docs" in received
    assert "The privilege ManageRLS is missing on default.docs." in refusal
    assert f"ann, EnableRowPolicies on default.docs: {reason.replace('`', '')}" in refusal
    assert "Today the decision would be the same." in refusal
    assert "Allowed Today: ann, CreateApiKey By the policy" in made
    assert "Users may do this for themselves, with what is theirs." in made
    assert [number in listed for number in ("line=1&", "line=2&", "line=3&")] == [False, True, True]


async def test_row_policies_say_which_rows_a_privilege_reaches() -> None:
    async with browsing() as browser:
        harness = browser.harness
        harness.engine.create("docs")
        harness.engine.answers["DescribeCollection"] = described(owner="VarChar")
        await harness.role("reader", ("Query", "default", "docs"), ("Delete", "default", "docs"))
        await harness.user("ann", "reader")
        own = Company(harness, browser.client).own
        policy = {"policyName": "own", "actions": ["Query"], "usingExpr": "owner == $current_principal"}
        await own("MakeRowPolicy", collectionName="docs", **policy)
        await own("EnableRowPolicies", collectionName="docs")
        await browser.sign_in()
        asked = "explain?collection=docs&user="
        some = text_of((await browser.open(f"{asked}ann&privilege=Query")).text)
        assert "Row policies let it reach only some rows. existing rows: own Permissive owner == &#34;ann&#34;" in some
        none = text_of((await browser.open(f"{asked}ann&privilege=Delete")).text)
        assert "Allowed ann, Delete on default.docs" in none
        assert "Row policies let it reach no row." in none
        assert "Row policies do not apply to it." in text_of((await browser.open(f"{asked}root&privilege=Query")).text)
        browser.client.cookies.clear()
        await browser.sign_in("ann", PASSWORD)
        hers = text_of((await browser.open(f"{asked}ann&privilege=Query")).text)
        assert "Row policies let it reach only some rows. existing rows: own Permissive Allowed through" in hers
