"""Previews of row policies: how many rows somebody sees, through which policies, and who may ask."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import opened
from tests.unit.iam.json_api.conftest import Own

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, NotFound, RequestRefused
from kiteward.filters import matches
from kiteward.iam.row_preview import MOST_COUNTED, MOST_KEYS

ROWS: dict[str, dict[str, str]] = {
    "1": {"owner": "alice", "team": "blue"},
    "2": {"owner": "alice", "team": "red"},
    "3": {"owner": "bob", "team": "blue"},
    "4": {"owner": "bob", "team": "red"},
}
DOCS = {"collectionName": "docs"}
POLICY: dict[str, Any] = {**DOCS, "policyName": "own", "actions": ["Query"], "usingExpr": "owner == $current_principal"}
TEAM: dict[str, Any] = {**POLICY, "policyName": "team", "usingExpr": "team == $current_principal_tags['team']"}


class RowsInMemory:
    """Implements `Rows` over plain values."""

    async def count(self, _database: str, _name: str, rule: BoundRule) -> int:
        return sum(matches(rule.expression, row) for row in ROWS.values())

    async def keys(self, _database: str, _name: str, rule: BoundRule, wanted: Sequence[str]) -> frozenset[str]:
        return frozenset(key for key in wanted if key in ROWS and matches(rule.expression, ROWS[key]))


@pytest.fixture
async def docs(store_path: Path) -> AsyncIterator[Own]:
    engine = FakeEngine()
    engine.create("docs")
    engine.answers["DescribeCollection"] = described(owner="VarChar", team="VarChar")
    async with opened(store_path, engine) as harness:
        harness.configure(rows=RowsInMemory())
        await harness.role("viewer", ("Query", "default", "docs"))
        await harness.role("keeper", ("ManageRLS", "default", "docs"), ("Query", "default", "docs"))
        await harness.user("alice", "viewer")
        await harness.user("bob")
        await harness.user("carol", "keeper")
        yield Own(harness)


def effects(answer: dict[str, Any]) -> dict[str, int | None]:
    return {each["policyName"]: each["rows"] for each in answer["policies"]}


async def test_it_counts_what_is_visible_and_what_each_permissive_policy_shows(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    await docs("MakeRowPolicy", **TEAM)
    await docs("SetTags", userName="alice", tags={"team": "blue"})
    answer = await docs("PreviewRows", **DOCS, userName="alice")
    assert (answer["totalRows"], answer["visibleRows"], effects(answer)) == (4, 3, {"own": 2, "team": 2})
    assert (answer["userName"], answer["action"], answer["bypassed"], answer["refusal"]) == (
        "alice",
        "Query",
        False,
        [],
    )


async def test_a_restrictive_policy_is_counted_by_what_it_takes_away(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    await docs("MakeRowPolicy", **{**TEAM, "policyType": "RESTRICTIVE"})
    await docs("SetTags", userName="alice", tags={"team": "blue"})
    answer = await docs("PreviewRows", **DOCS, userName="alice")
    assert (answer["visibleRows"], effects(answer)) == (1, {"own": 1, "team": 1})


async def test_it_says_of_each_key_whether_it_is_seen_and_why(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    await docs("MakeRowPolicy", **{**TEAM, "policyType": "RESTRICTIVE"})
    await docs("SetTags", userName="alice", tags={"team": "blue"})
    answer = await docs("PreviewRows", **DOCS, userName="alice", primaryKeys=[1, "2", 3, 9])
    assert [tuple(each.values()) for each in answer["keys"]] == [
        ("1", True, True, ["own"], []),
        ("2", True, False, ["own"], ["team"]),
        ("3", True, False, [], []),
        ("9", False, False, [], []),
    ]


async def test_it_is_as_if_policies_were_enforced_and_says_whether_they_are(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    before = await docs("PreviewRows", **DOCS, userName="alice")
    await docs("EnableRowPolicies", **DOCS)
    after = await docs("PreviewRows", **DOCS, userName="alice")
    assert (before["enabled"], after["enabled"]) == (False, True)
    assert before["visibleRows"] == after["visibleRows"] == 2


async def test_without_a_policy_nobody_sees_a_row(docs: Own) -> None:
    answer = await docs("PreviewRows", **DOCS, userName="alice")
    assert (answer["totalRows"], answer["visibleRows"], answer["policies"]) == (4, 0, [])


async def test_who_bypasses_the_policies_sees_every_row_unless_they_are_forced(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    answer = await docs("PreviewRows", **DOCS)
    assert (answer["userName"], answer["bypassed"], answer["visibleRows"], answer["policies"]) == ("root", True, 4, [])
    await docs("EnableRowPolicies", **DOCS, force=True)
    answer = await docs("PreviewRows", **DOCS)
    assert (answer["bypassed"], answer["visibleRows"]) == (False, 0)


async def test_it_is_about_the_action_in_question_and_says_why_that_is_refused(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    answer = await docs("PreviewRows", **DOCS, userName="alice", action="Delete")
    assert (answer["visibleRows"], answer["refusal"][0]["code"]) == (0, "privilege_missing_on")
    with pytest.raises(RequestRefused, match="choose from Query, Search, Delete, Upsert") as refused:
        await docs("PreviewRows", **DOCS, userName="alice", action="Insert")
    assert (refused.value.code, refused.value.field) == (ErrorCode.ROW_POLICY_ACTION_UNKNOWN, "action")


async def test_a_disabled_user_is_previewed_with_the_reason_why_it_sees_nothing_at_present(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    await docs("DisableUser", userName="alice")
    answer = await docs("PreviewRows", **DOCS, userName="alice")
    assert (answer["visibleRows"], answer["refusal"][0]["code"]) == (2, "user_disabled")


async def test_an_api_key_is_previewed_with_its_own_tags(docs: Own) -> None:
    await docs("MakeRowPolicy", **TEAM)
    await docs("SetTags", userName="alice", tags={"team": "green"})
    made = await docs("CreateApiKey", userName="alice")
    await docs("SetTags", keyId=made["keyId"], tags={"team": "blue"})
    answer = await docs("PreviewRows", **DOCS, keyId=made["keyId"])
    assert (answer["userName"], answer["keyId"], answer["visibleRows"]) == ("alice", made["keyId"], 2)
    assert (await docs("PreviewRows", **DOCS, userName="alice"))["visibleRows"] == 0


async def test_more_policies_than_are_counted_are_listed_without_numbers(docs: Own) -> None:
    for number in range(MOST_COUNTED + 1):
        await docs("MakeRowPolicy", **{**POLICY, "policyName": f"p{number:03}"})
    counted = [each["rows"] for each in (await docs("PreviewRows", **DOCS, userName="alice"))["policies"]]
    assert counted == [2] * MOST_COUNTED + [None]


async def test_too_many_keys_are_refused_with_the_limit(docs: Own) -> None:
    with pytest.raises(RequestRefused, match=str(MOST_KEYS)) as refused:
        await docs("PreviewRows", **DOCS, primaryKeys=list(range(MOST_KEYS + 1)))
    assert (refused.value.code, refused.value.field) == (ErrorCode.PREVIEW_KEYS_LIMIT, "primaryKeys")


async def test_it_needs_the_privilege_to_manage_policies_and_the_one_to_query(docs: Own) -> None:
    await docs.harness.role("manager", ("ManageRLS", "default", "docs"))
    await docs.harness.user("dave", "manager")
    with pytest.raises(AccessDenied, match="ManageRLS"):
        await docs("PreviewRows", by="alice", **DOCS)
    with pytest.raises(AccessDenied, match="Query"):
        await docs("PreviewRows", by="dave", **DOCS)


async def test_about_others_it_needs_the_privilege_to_see_users(docs: Own) -> None:
    await docs("MakeRowPolicy", **POLICY)
    assert (await docs("PreviewRows", by="carol", **DOCS))["visibleRows"] == 0
    with pytest.raises(AccessDenied, match="SelectUser"):
        await docs("PreviewRows", by="carol", **DOCS, userName="alice")
    await docs.harness.grant("keeper", "SelectUser", "*", "*")
    assert (await docs("PreviewRows", by="carol", **DOCS, userName="alice"))["visibleRows"] == 2


async def test_unknown_users_and_keys_are_named_in_the_refusal(docs: Own) -> None:
    with pytest.raises(NotFound) as refused:
        await docs("PreviewRows", **DOCS, userName="ghost")
    assert refused.value.field == "userName"
    with pytest.raises(NotFound) as refused:
        await docs("PreviewRows", **DOCS, keyId="ghost")
    assert refused.value.field == "keyId"
