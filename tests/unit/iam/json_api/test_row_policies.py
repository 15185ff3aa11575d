"""Row policies by our own operations: restrictive ones, enforcing, warnings, and explanations."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import opened
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, NotFound, RequestRefused
from kiteward.gateway.collection_definitions import CollectionDefinitions

OWN = "owner == $current_principal"
GIVEN: dict[str, Any] = {
    "collectionName": "docs",
    "policyName": "own",
    "actions": ["Search", "Query"],
    "usingExpr": OWN,
}
DOCS = {"collectionName": "docs"}


@pytest.fixture
async def docs(store_path: Path) -> AsyncIterator[Own]:
    engine = FakeEngine()
    engine.create("docs")
    engine.answers["DescribeCollection"] = described(owner="VarChar", team="VarChar")
    async with opened(store_path, engine) as harness:
        await harness.role("viewer", ("Query", "default", "docs"), ("Upsert", "default", "docs"))
        await harness.user("alice", "viewer")
        yield Own(harness)


def codes(answer: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


async def test_a_created_policy_is_returned_with_the_collection(docs: Own) -> None:
    answer = await docs("MakeRowPolicy", **GIVEN, roles=["viewer"], policyType="RESTRICTIVE", description="d")
    (policy,) = answer["policies"]
    assert policy.pop("createdAt")
    assert policy == {
        "policyName": "own",
        "policyType": "RESTRICTIVE",
        "actions": ["Query", "Search"],
        "roles": ["viewer"],
        "usingExpr": OWN,
        "checkExpr": "",
        "description": "d",
        "fault": "",
    }
    assert (answer["dbName"], answer["collectionName"]) == ("default", "docs")
    (listed,) = (await docs("DescribeRowPolicies", **DOCS))["policies"]
    assert listed.items() > policy.items()


async def test_a_policy_is_changed_as_a_whole_and_must_exist(docs: Own) -> None:
    with pytest.raises(NotFound):
        await docs("ChangeRowPolicy", **GIVEN)
    await docs("MakeRowPolicy", **GIVEN, description="d")
    answer = await docs("ChangeRowPolicy", **{**GIVEN, "usingExpr": "true"})
    assert [(each["usingExpr"], each["description"]) for each in answer["policies"]] == [("true", "")]
    assert docs.harness.trail.events[-1].details["result"]["before"]["using_expr"] == OWN


async def test_a_policy_is_removed(docs: Own) -> None:
    await docs("MakeRowPolicy", **GIVEN)
    assert (await docs("RemoveRowPolicy", **DOCS, policyName="own"))["policies"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"actions": ["query"]}, ErrorCode.ROW_POLICY_ACTION_UNKNOWN),
        ({"policyType": "permissive"}, ErrorCode.ROW_POLICY_TYPE_UNKNOWN),
    ],
)
async def test_unknown_actions_and_types_are_refused_with_those_there_are(
    docs: Own, given: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(RequestRefused, match="choose from") as refused:
        await docs("MakeRowPolicy", **{**GIVEN, **given})
    assert refused.value.code is code


@pytest.mark.parametrize("operation", ["MakeRowPolicy", "ChangeRowPolicy"])
async def test_all_that_is_wrong_is_refused_at_once(docs: Own, operation: str) -> None:
    wrong = {
        "policyName": "no spaces",
        "policyType": "permissive",
        "actions": ["Query", "query"],
        "description": "x" * 1_025,
    }
    with pytest.raises(RequestRefused) as refused:
        await docs(operation, **{**GIVEN, **wrong, "usingExpr": "", "checkExpr": "owner = 'a'"})
    found = {each.field: each.code for each in (refused.value, *refused.value.others)}
    assert found == {
        "policyName": ErrorCode.NAME_CHARACTER,
        "description": ErrorCode.DESCRIPTION_TOO_LONG,
        "actions": ErrorCode.ROW_POLICY_ACTION_UNKNOWN,
        "policyType": ErrorCode.ROW_POLICY_TYPE_UNKNOWN,
        "usingExpr": ErrorCode.ROW_POLICY_EXPRESSION_MISSING,
        "checkExpr": ErrorCode.FILTER_INVALID,  # the unknown action may be one that uses it
    }


async def test_enforcing_is_effective_at_once_and_ends_with_disabling(docs: Own) -> None:
    await docs("MakeRowPolicy", **GIVEN)
    on = await docs("EnableRowPolicies", **DOCS, force=True)
    assert (on["enabled"], on["force"]) == (True, True)
    assert docs.harness.policy_cache.current().protected("default", "docs") is not None
    off = await docs("DisableRowPolicies", **DOCS)
    assert (off["enabled"], off["force"]) == (False, False)
    assert docs.harness.policy_cache.current().protected("default", "docs") is None


async def test_what_is_allowed_and_perhaps_not_meant_is_warned_of(docs: Own) -> None:
    assert codes(await docs("MakeRowPolicy", **GIVEN)) == ["row_policies_not_enforced"]
    assert codes(await docs("EnableRowPolicies", **DOCS)) == []
    hidden = await docs("RemoveRowPolicy", **DOCS, policyName="own")
    assert codes(hidden) == ["row_policies_hide_all"]
    assert docs.harness.trail.events[-1].details["result"]["warnings"] == ["row_policies_hide_all"]
    assert codes(await docs("EnableRowPolicies", **DOCS, force=True)) == ["row_policies_hide_from_all"]
    assert codes(await docs("MakeRowPolicy", **GIVEN, policyType="RESTRICTIVE")) == ["row_policies_hide_from_all"]


async def test_an_engine_that_others_write_to_is_warned_of(docs: Own) -> None:
    harness = docs.harness
    harness.configure(collections=CollectionDefinitions(harness.engine, harness.ddl, shared=True))
    await docs("MakeRowPolicy", **GIVEN)
    assert codes(await docs("EnableRowPolicies", **DOCS)) == ["row_policies_shared_engine"]


async def test_policies_of_a_collection_that_vanished_are_still_listed_dropped_and_disabled(docs: Own) -> None:
    await docs("MakeRowPolicy", **GIVEN)
    await docs("EnableRowPolicies", **DOCS)
    del docs.harness.engine.answers["DescribeCollection"]
    docs.harness.engine.databases["default"].collections.clear()
    assert (await docs("DescribeRowPolicies", **DOCS))["enabled"]
    await docs("RemoveRowPolicy", **DOCS, policyName="own")
    assert not (await docs("DisableRowPolicies", **DOCS))["enabled"]
    with pytest.raises(RequestRefused) as refused:
        await docs("EnableRowPolicies", **DOCS)
    assert refused.value.code is ErrorCode.COLLECTION_NOT_FOUND


async def test_nobody_manages_them_without_the_privilege(docs: Own) -> None:
    for operation, given in (
        ("MakeRowPolicy", GIVEN),
        ("ChangeRowPolicy", GIVEN),
        ("RemoveRowPolicy", {**DOCS, "policyName": "own"}),
        ("EnableRowPolicies", DOCS),
        ("DisableRowPolicies", DOCS),
        ("DescribeRowPolicies", DOCS),
    ):
        with pytest.raises(AccessDenied, match="RLS"):
            await docs(operation, by="alice", **given)
        assert docs.harness.policy_cache.current().row_rules == {}


async def test_a_refusal_names_the_collection_as_its_caller_did(docs: Own) -> None:
    docs.harness.engine.databases["default"].aliases["current"] = "docs"
    for operation in ("EnableRowPolicies", "DescribeRowPolicies", "PreviewRows"):
        for name in ("docs", "current", "nothing"):
            with pytest.raises(AccessDenied) as refused:
                await docs(operation, by="alice", collectionName=name)
            privilege = "ViewRLS" if operation == "DescribeRowPolicies" else "ManageRLS"
            parameters = {"privilege": privilege, "object": f"default.{name}"}
            assert list(refused.value.details) == [ErrorDetail(ErrorCode.PRIVILEGE_MISSING_ON, parameters)]
            assert str(refused.value) == f"Privilege{privilege}: permission deny to alice on `default.{name}`"


async def test_the_rpcs_of_milvus_are_refused_with_its_text(docs: Own) -> None:
    with pytest.raises(AccessDenied, match="PrivilegeManageRLS: permission deny to alice in the `default` database"):
        await docs.harness.call("DropRowPolicy", by="alice", collection_name="docs", policy_name="own")


# Explanations


async def test_an_explanation_names_the_policies_that_apply_with_the_values_of_the_user(docs: Own) -> None:
    team = {**GIVEN, "policyName": "team", "usingExpr": "team == $current_principal_tags['team']"}
    await docs("MakeRowPolicy", **GIVEN)
    await docs("MakeRowPolicy", **team, policyType="RESTRICTIVE")
    await docs("MakeRowPolicy", **{**GIVEN, "policyName": "others", "roles": ["public"], "actions": ["Delete"]})
    asked = {"userName": "alice", "operation": "Query", **DOCS}
    assert (await docs("ExplainAccess", **asked))["rows"] is None
    await docs("EnableRowPolicies", **DOCS)
    hidden = (await docs("ExplainAccess", **asked))["rows"]
    assert (hidden["noRow"], [each["rows"] for each in hidden["using"]]) == (True, ['owner == "alice"', "false"])
    await docs("SetTags", userName="alice", tags={"team": "a"})
    rows = (await docs("ExplainAccess", **asked))["rows"]
    assert (rows["bypassed"], rows["everyRow"], rows["noRow"], rows["check"]) == (False, False, False, [])
    assert rows["using"] == [
        {"policyName": "own", "policyType": "PERMISSIVE", "rows": 'owner == "alice"'},
        {"policyName": "team", "policyType": "RESTRICTIVE", "rows": 'team == "a"'},
    ]
    mine = (await docs("ExplainAccess", by="alice", operation="Query", **DOCS))["rows"]
    assert [(each["policyName"], each["rows"]) for each in mine["using"]] == [("own", ""), ("team", "")]


async def test_an_explanation_of_a_write_names_both_kinds_and_of_who_bypasses_none(docs: Own) -> None:
    await docs("MakeRowPolicy", **{**GIVEN, "actions": ["Upsert"]}, checkExpr="true")
    await docs("EnableRowPolicies", **DOCS)
    rows = (await docs("ExplainAccess", userName="alice", operation="Upsert", **DOCS))["rows"]
    assert [each["rows"] for each in (*rows["using"], *rows["check"])] == ['owner == "alice"', "true"]
    root = (await docs("ExplainAccess", operation="Upsert", **DOCS))["rows"]
    assert root == {"bypassed": True, "everyRow": False, "noRow": False, "using": [], "check": []}
    assert (await docs("ExplainAccess", userName="alice", operation="Delete", **DOCS))["rows"] is None
