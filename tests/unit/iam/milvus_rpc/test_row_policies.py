"""Milvus's RPCs about row policies: what they store, what they refuse, and that they are effective at once."""

from typing import Any

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness

from kiteward.authz.row_policies import CompiledRowRules, PolicyType, RowAction
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, AlreadyExists, InUse, LimitReached, NotFound, RequestRefused
from kiteward.iam import row_policies

OWN = "owner == $current_principal"
QUERY, SEARCH, INSERT, DELETE, UPSERT = range(5)


@pytest.fixture
async def docs(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """The collection `docs`, of which `current` is an alias, has an owner; the role viewer holds nothing."""
    engine.create("papers")
    engine.answers["DescribeCollection"] = described(owner="VarChar", level="Int8", meta="JSON", maybe="VarChar?")
    harness.catalog.forget(["default"])
    await harness.role("viewer")
    await harness.user("vera", "viewer")
    return harness


async def create(docs: GatewayHarness, name: str = "own", *, by: str = "root", **fields: Any) -> None:
    given = {"actions": [QUERY, SEARCH], "using_expr": OWN, "collection_name": "docs", **fields}
    await docs.succeed("CreateRowPolicy", by=by, policy_name=name, **given)


def rules(docs: GatewayHarness, collection: str = "docs") -> CompiledRowRules:
    return docs.policy_cache.current().row_rules["default", collection]


async def test_a_created_policy_is_permissive_and_in_force_before_the_acknowledgement(docs: GatewayHarness) -> None:
    await create(docs, actions=[UPSERT, QUERY], check_expr=OWN, roles=["viewer", "viewer"], description="one's own")
    (policy,) = rules(docs).stored.policies
    assert (policy.name, policy.policy_type, policy.roles) == ("own", PolicyType.PERMISSIVE, ("viewer",))
    assert policy.actions == {RowAction.QUERY, RowAction.UPSERT}
    assert (policy.using_expr, policy.check_expr, policy.description) == (OWN, OWN, "one's own")
    assert not rules(docs).enabled


async def test_policies_are_listed_as_they_were_given(docs: GatewayHarness) -> None:
    await create(docs, actions=[UPSERT, QUERY], check_expr="level == 1", roles=["viewer"], description="d")
    await create(docs, "all", using_expr="true")
    listed = await docs.succeed("ListRowPolicies", collection_name="docs")
    assert (listed.db_name, listed.collection_name) == ("default", "docs")
    first, second = listed.policies
    assert (first.policy_name, list(first.actions), first.using_expr) == ("all", [QUERY, SEARCH], "true")
    assert (second.policy_name, list(second.actions), list(second.roles)) == ("own", [QUERY, UPSERT], ["viewer"])
    assert (second.using_expr, second.check_expr, second.description) == (OWN, "level == 1", "d")
    assert second.created_at > 1_700_000_000


async def test_a_collection_without_policies_lists_none_and_one_that_is_missing_is_an_error(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    assert not (await docs.succeed("ListRowPolicies", collection_name="papers")).policies
    del engine.answers["DescribeCollection"]
    for method in ("ListRowPolicies", "CreateRowPolicy"):
        fields = {"policy_name": "own", "using_expr": OWN, "actions": [QUERY]} if method[0] == "C" else {}
        with pytest.raises(RequestRefused) as refused:
            await docs.call(method, collection_name="none", **fields)
        assert refused.value.code is ErrorCode.COLLECTION_NOT_FOUND


async def test_a_dropped_policy_is_gone_and_dropping_it_again_is_an_error(docs: GatewayHarness) -> None:
    await create(docs)
    await docs.succeed("DropRowPolicy", collection_name="docs", policy_name="own")
    assert rules(docs).stored.policies == ()
    with pytest.raises(NotFound) as refused:
        await docs.call("DropRowPolicy", collection_name="docs", policy_name="own")
    assert refused.value.code is ErrorCode.ROW_POLICY_NOT_FOUND


async def test_policies_are_on_the_collection_behind_an_alias(docs: GatewayHarness) -> None:
    await create(docs, collection_name="current")
    assert [policy.name for policy in rules(docs).stored.policies] == ["own"]
    assert len((await docs.succeed("ListRowPolicies", collection_name="current")).policies) == 1
    await docs.succeed("DropRowPolicy", collection_name="current", policy_name="own")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"policy_name": "no spaces"}, ErrorCode.NAME_CHARACTER),
        ({"policy_name": ""}, ErrorCode.NAME_EMPTY),
        ({"actions": []}, ErrorCode.ROW_POLICY_WITHOUT_ACTION),
        ({"actions": [9]}, ErrorCode.ROW_POLICY_ACTION_UNKNOWN),
        ({"using_expr": ""}, ErrorCode.ROW_POLICY_EXPRESSION_MISSING),
        ({"using_expr": "  "}, ErrorCode.ROW_POLICY_EXPRESSION_MISSING),
        ({"actions": [INSERT], "using_expr": ""}, ErrorCode.ROW_POLICY_EXPRESSION_MISSING),
        ({"actions": [UPSERT]}, ErrorCode.ROW_POLICY_EXPRESSION_MISSING),
        ({"check_expr": OWN}, ErrorCode.ROW_POLICY_EXPRESSION_UNUSED),
        ({"actions": [INSERT], "check_expr": OWN}, ErrorCode.ROW_POLICY_EXPRESSION_UNUSED),
        ({"using_expr": f"{OWN} or owner == '{'x' * 16_384}'"}, ErrorCode.ROW_POLICY_EXPRESSION_TOO_LONG),
        ({"description": "x" * 1_025}, ErrorCode.DESCRIPTION_TOO_LONG),
        ({"roles": ["nobody_knows"]}, ErrorCode.ROLE_NOT_FOUND),
        ({"using_expr": "owner = 'a'"}, ErrorCode.FILTER_INVALID),
        ({"using_expr": "typo == 'a'"}, ErrorCode.ROW_POLICY_FIELD_UNKNOWN),
        ({"using_expr": "meta == 'a'"}, ErrorCode.ROW_POLICY_FIELD_TYPE),
        ({"using_expr": "maybe == 'a'"}, ErrorCode.ROW_POLICY_FIELD_NULLABLE),
        ({"actions": [INSERT], "using_expr": "", "check_expr": "level == 300"}, ErrorCode.ROW_POLICY_LITERAL_RANGE),
    ],
)
async def test_a_policy_that_breaks_a_rule_is_refused_and_stores_nothing(
    docs: GatewayHarness, fields: dict[str, Any], code: ErrorCode
) -> None:
    before = await docs.state()
    given = {"policy_name": "p", "actions": [QUERY], "using_expr": OWN, "collection_name": "docs", **fields}
    with pytest.raises(RequestRefused) as refused:
        await docs.call("CreateRowPolicy", **given)
    assert refused.value.code is code
    assert await docs.state() == before


async def test_an_unknown_action_is_refused_together_with_what_else_is_wrong(docs: GatewayHarness) -> None:
    with pytest.raises(RequestRefused) as refused:
        await create(docs, "no spaces", actions=[QUERY, 9], using_expr="owner = 'a'")
    assert [each.code for each in (refused.value, *refused.value.others)] == [
        ErrorCode.NAME_CHARACTER,
        ErrorCode.ROW_POLICY_ACTION_UNKNOWN,
        ErrorCode.FILTER_INVALID,
    ]


async def test_a_name_is_taken_once_on_a_collection(docs: GatewayHarness) -> None:
    await create(docs)
    await create(docs, collection_name="papers")
    with pytest.raises(AlreadyExists) as refused:
        await create(docs)
    assert refused.value.code is ErrorCode.ROW_POLICY_EXISTS


async def test_policies_of_a_collection_are_limited(docs: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_policies, "MOST_POLICIES", 1)
    await create(docs)
    with pytest.raises(LimitReached, match="at most 1 row policies"):
        await create(docs, "second")


@pytest.mark.parametrize(
    ("privilege", "allowed"),
    [
        ("", set()),
        ("ViewRLS", {"ListRowPolicies"}),
        ("ManageRLS", {"CreateRowPolicy", "DropRowPolicy"}),
        ("SkipRLS", set()),
        ("CollectionReadWrite", set()),
        ("CollectionAdmin", {"CreateRowPolicy", "DropRowPolicy", "ListRowPolicies"}),
    ],
)
async def test_each_rpc_needs_its_privilege_on_the_collection(
    docs: GatewayHarness, privilege: str, allowed: set[str]
) -> None:
    if privilege:
        await docs.grant("viewer", privilege, "default", "docs")
    await create(docs)
    fields = {"policy_name": "mine", "actions": [QUERY], "using_expr": OWN}
    for method, given in (
        ("CreateRowPolicy", fields),
        ("DropRowPolicy", {"policy_name": "own"}),
        ("ListRowPolicies", {}),
    ):
        for collection in ("docs", "papers"):
            if method in allowed and collection == "docs":
                await docs.succeed(method, by="vera", collection_name=collection, **given)
            else:
                with pytest.raises(AccessDenied):
                    await docs.call(method, by="vera", collection_name=collection, **given)


async def test_a_role_that_a_policy_names_is_dropped_with_force_only_and_opens_nothing(docs: GatewayHarness) -> None:
    await create(docs, roles=["viewer"])
    with pytest.raises(InUse) as refused:
        await docs.call("DropRole", role_name="viewer")
    assert refused.value.code is ErrorCode.ROLE_IN_ROW_POLICIES
    await docs.succeed("DropRole", role_name="viewer", force_drop=True)
    assert rules(docs).stored.policies == ()


async def test_changes_are_recorded_with_the_whole_policy_and_what_was_there_before(docs: GatewayHarness) -> None:
    await create(docs, roles=["viewer"], description="d")
    await docs.succeed("DropRowPolicy", collection_name="docs", policy_name="own")
    found = {event.operation: event.details for event in docs.trail.events}
    created, dropped = found["CreateRowPolicy"], found["DropRowPolicy"]
    assert [created[name] for name in ("policy", "roles", "using_expr", "description")] == ["own", ["viewer"], OWN, "d"]
    assert dropped["result"]["before"]["using_expr"] == OWN
