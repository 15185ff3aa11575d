"""Explanations of access: administrators get them about every user, others about themselves."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, presented
from tests.unit.iam.json_api.conftest import Own, key

from kiteward.audit.reader import AuditReader
from kiteward.audit.writer import AuditWriter
from kiteward.domain.errors import AccessDenied, EngineUnavailable, InvalidArgument, NotFound, PasswordRejected
from kiteward.domain.moments import written
from kiteward.gateway.audit_recorder import Recorder


@pytest.fixture
async def team(store_path: Path) -> AsyncIterator[Own]:
    """Alice searches `docs` by her role, bob reads everything by a group, carol may do nothing."""
    engine = FakeEngine()
    engine.create("docs", "papers")
    engine.databases["default"].aliases["current"] = "docs"
    async with opened(store_path, engine) as harness:
        await harness.group("seekers", "Search", "Query")
        await harness.role("reader", ("Search", "default", "docs"))
        await harness.role("seeker", ("seekers", "default", "*"))
        await harness.user("alice", "reader")
        await harness.user("bob", "seeker")
        await harness.user("carol")
        yield Own(harness)
        for trail in TRAILS:
            await trail.close()
        TRAILS.clear()


TRAILS: Final[list[AuditWriter]] = []
"""The trails that a test has opened."""


def writing(directory: Path) -> Recorder:
    """Return what records in files, which are closed behind the test."""
    TRAILS.append(AuditWriter.open(directory))
    return Recorder(TRAILS[-1])


def ways(answer: Any) -> list[tuple[str, str, str]]:
    return [(way["role"], way["privilege"], way["objectName"]) for way in answer["ways"]]


async def test_explanation_names_the_grant_behind_a_privilege(team: Own) -> None:
    answer = await team("ExplainAccess", userName="alice", privilege="Search", collectionName="docs")
    assert (answer["allowed"], ways(answer)) == (True, [("reader", "Search", "docs")])
    answer = await team("ExplainAccess", userName="bob", privilege="Search", collectionName="docs")
    assert (answer["allowed"], ways(answer)) == (True, [("seeker", "seekers", "*")])


async def test_explanation_of_a_refusal_names_what_would_allow_it(team: Own) -> None:
    answer = await team("ExplainAccess", userName="alice", privilege="Query", collectionName="docs")
    assert (answer["allowed"], answer["reason"]) == (False, "no role of `alice` holds Query on `default.docs`")
    grant, binding = answer["remedies"]
    assert grant == {"role": "reader", "dbName": "default", "objectName": "docs", "privilege": "Query"}
    assert (binding["role"], binding["privilege"]) == ("seeker", None)


async def test_explanation_looks_behind_aliases_as_requests_do(team: Own) -> None:
    answer = await team("ExplainAccess", userName="alice", privilege="Search", collectionName="current")
    assert (answer["allowed"], answer["collectionName"]) == (True, "docs")


async def test_others_read_the_name_as_they_gave_it_and_no_remedies(team: Own) -> None:
    own = await team("ExplainAccess", by="alice", privilege="Search", collectionName="current")
    assert (own["allowed"], own["collectionName"], ways(own)) == (True, "current", [("reader", "Search", "docs")])
    hidden = await team("ExplainAccess", by="carol", privilege="Search", collectionName="current")
    absent = await team("ExplainAccess", by="carol", privilege="Search", collectionName="nothing")
    assert hidden["reason"] == "no role of `carol` holds Search on `default.current`"
    assert hidden["remedies"] == absent["remedies"] == []
    assert (hidden["advised"], (await team("ExplainAccess", userName="carol", privilege="Search"))["advised"]) == (
        False,
        True,
    )
    assert hidden["details"][0]["parameters"] == {"privilege": "Search", "object": "default.current"}
    changed = {"collectionName": "nothing", "reason": hidden["reason"].replace("current", "nothing")}
    changed["details"] = [{**hidden["details"][0], "parameters": {"privilege": "Search", "object": "default.nothing"}}]
    assert {**hidden, **changed} == absent


async def test_restricted_key_of_an_administrator_is_explained_to_without_remedies(team: Own) -> None:
    made = await team("CreateApiKey", roles=["reader"])
    answer = await team("ExplainAccess", by=made["key"], privilege="Query", collectionName="current")
    assert (answer["allowed"], answer["collectionName"], answer["remedies"]) == (False, "current", [])


async def test_name_of_a_user_is_no_alias(team: Own) -> None:
    answer = await team("ExplainAccess", privilege="SelectUser", collectionName="current")
    assert answer["collectionName"] == "current"


async def test_operation_is_explained_by_what_it_needs(team: Own) -> None:
    seen = await team("ExplainAccess", userName="alice", operation="DescribeCollection", collectionName="docs")
    assert (seen["allowed"], seen["privilege"]) == (True, "DescribeCollection")
    # A privilege by itself is another question than the operation, which any privilege on the collection opens.
    held = await team("ExplainAccess", userName="alice", privilege="DescribeCollection", collectionName="docs")
    assert not held["allowed"]
    assert (await team("ExplainAccess", userName="carol", operation="ListDatabases"))["allowed"]


@pytest.mark.parametrize(
    ("operation", "name", "privilege", "reason"),
    [
        ("MakeRowPolicy", "docs", "ManageRLS", "no role of `carol` holds ManageRLS on `default.docs`"),
        ("PreviewRows", "docs", "ManageRLS", "no role of `carol` holds ManageRLS on `default.docs`"),
        ("SetTags", "bob", "UpdateUser", "no role of `carol` holds UpdateUser on `*.bob`"),
        ("SetTags", "carol", "UpdateUser", "only administrators do this as `carol` to `carol`"),
        ("DescribeTags", "carol", "SelectUser", None),
        ("MakePrivilegeGroup", "", "CreatePrivilegeGroup", "no role of `carol` holds CreatePrivilegeGroup on `*.*`"),
        ("DescribeUserAccount", "carol", None, None),
        ("DescribeUserAccount", "bob", None, "`carol` does not hold the role `admin`"),
        ("DisableUser", "", None, "`carol` does not hold the role `admin`"),
        ("WhoAmI", "", None, None),
    ],
)
async def test_operation_of_our_own_is_explained_by_what_decides_it(
    team: Own, operation: str, name: str, privilege: str | None, reason: str | None
) -> None:
    answer = await team("ExplainAccess", userName="carol", operation=operation, collectionName=name)
    assert (answer["allowed"], answer["privilege"]) == (reason is None, privilege)
    assert reason is None or answer["reason"].startswith(reason)
    by_role = [remedy["role"] for remedy in answer["remedies"]]
    assert by_role == (["admin"] if reason and privilege is None else [])
    own = await team("ExplainAccess", by="carol", operation=operation, collectionName=name)
    assert (own["allowed"], own["reason"], own["remedies"]) == (answer["allowed"], answer["reason"], [])
    assert (await team("ExplainAccess", userName="root", operation=operation, collectionName=name))["allowed"]


async def test_preview_is_explained_by_the_first_privilege_that_is_missing(team: Own) -> None:
    await team.harness.grant("reader", "ManageRLS", "default", "docs")
    asked = {"userName": "alice", "operation": "PreviewRows", "collectionName": "docs"}
    assert (await team("ExplainAccess", **asked))["privilege"] == "Query"
    await team.harness.grant("reader", "Query", "default", "docs")
    answer = await team("ExplainAccess", **asked)
    assert (answer["allowed"], answer["privilege"], ways(answer)) == (
        True,
        "ManageRLS",
        [("reader", "ManageRLS", "docs")],
    )


async def test_user_who_may_not_sign_in_is_refused_whatever_its_roles_say(team: Own) -> None:
    await team("DisableUser", userName="alice")
    answer = await team("ExplainAccess", userName="alice", privilege="Search", collectionName="docs")
    assert (answer["allowed"], answer["closed"]) == (False, "the user is disabled")
    assert ways(answer) == [("reader", "Search", "docs")]
    assert (answer["held"], answer["opening"]) == (True, {"operation": "EnableUser", "name": "alice"})


async def test_what_makes_a_key_ineffective_is_named_with_its_remedy(team: Own) -> None:
    made = await team("CreateApiKey", userName="alice")
    asked = {"keyId": made["keyId"], "privilege": "Search", "collectionName": "docs"}
    await team("DisableApiKey", keyId=made["keyId"])
    assert (await team("ExplainAccess", **asked))["opening"] == {"operation": "EnableApiKey", "name": made["keyId"]}
    await team("DisableUser", userName="alice")
    assert (await team("ExplainAccess", **asked))["opening"] == {"operation": "EnableUser", "name": "alice"}


async def test_collection_that_does_not_exist_is_said_not_to_exist_to_administrators_alone(team: Own) -> None:
    for name, there in (("docs", True), ("current", True), ("nothing", False), ("*", None)):
        about = {"privilege": "Search", "collectionName": name}
        assert (await team("ExplainAccess", userName="alice", **about))["exists"] is there
        assert (await team("ExplainAccess", by="alice", **about))["exists"] is None
        assert (await team("ListCollectionAccess", collectionName=name))["exists"] is there
    gone = await team("ListCollectionAccess", collectionName="docs", dbName="nowhere")
    assert gone["exists"] is False
    on_a_user = await team("ExplainAccess", userName="alice", privilege="SelectUser", collectionName="bob")
    assert on_a_user["exists"] is None


async def test_api_key_is_explained_by_its_own_roles(team: Own) -> None:
    await team.harness.succeed("OperateUserRole", username="alice", role_name="seeker")
    made = await team("CreateApiKey", userName="alice", roles=["seeker"])
    narrow = await team("ExplainAccess", keyId=made["keyId"], privilege="Search", collectionName="docs")
    assert ways(narrow) == [("seeker", "seekers", "*")]
    await team("DisableApiKey", keyId=made["keyId"])
    closed = await team("ExplainAccess", keyId=made["keyId"], privilege="Search", collectionName="docs")
    assert (closed["allowed"], closed["closed"]) == (False, "the API key is disabled")


async def test_everybody_may_ask_about_themselves_and_about_nobody_else(team: Own) -> None:
    answer = await team("ExplainAccess", by="alice", privilege="Search", collectionName="docs")
    assert (answer["userName"], answer["allowed"]) == ("alice", True)
    made = await team("CreateApiKey", userName="bob")
    with pytest.raises(AccessDenied):
        await team("ExplainAccess", by="alice", userName="bob", privilege="Search")
    with pytest.raises(NotFound):
        await team("ExplainAccess", by="alice", keyId=made["keyId"], privilege="Search")
    with pytest.raises(AccessDenied):
        await team("ListCollectionAccess", by="alice", collectionName="docs")
    with pytest.raises(AccessDenied):
        await team("ListUnusedAccess", by="alice", since="2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "either `privilege` or `operation`"),
        ({"privilege": "Search", "operation": "Search"}, "either `privilege` or `operation`"),
        ({"privilege": "search"}, "no such privilege: search; did you mean Search?"),
        ({"operation": "Searching"}, "no such operation: Searching; did you mean Search?"),
        ({"operation": "CalcDistance"}, "CalcDistance is not supported here"),
        ({"userName": "a", "keyId": "b", "privilege": "Search"}, "either `userName` or `keyId`"),
    ],
)
async def test_question_that_makes_no_sense_is_refused_with_what_would(
    team: Own, asked: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await team("ExplainAccess", **asked)
    assert told in str(refused.value)


async def test_unknown_user_is_reported(team: Own) -> None:
    with pytest.raises(NotFound, match="user not found: nobody"):
        await team("ExplainAccess", userName="nobody", privilege="Search")


async def test_everybody_who_can_touch_a_collection_is_listed_with_the_way(team: Own) -> None:
    made = await team("CreateApiKey", userName="alice")
    answer = await team("ListCollectionAccess", collectionName="docs")
    found = {holder["userName"]: holder for holder in answer["holders"]}
    assert set(found) == {"alice", "bob", "root"}
    assert (found["alice"]["privileges"], ways(found["alice"])) == (["Search"], [("reader", "Search", "docs")])
    assert (found["bob"]["privileges"], found["bob"]["keyIds"]) == (["Search", "Query"], [])
    assert found["alice"]["keyIds"] == [made["keyId"]]
    assert (found["root"]["administrator"], found["root"]["ways"]) == (True, [])
    assert answer["next"] == ""


async def test_list_of_who_can_touch_a_collection_comes_in_pages(team: Own) -> None:
    names, after = [], ""
    while True:
        answer = await team("ListCollectionAccess", collectionName="papers", after=after, limit=1)
        names += [holder["userName"] for holder in answer["holders"]]
        after = answer["next"]
        if not after:
            break
    assert names == ["bob", "root"]


async def test_everything_somebody_may_do_is_reported(team: Own) -> None:
    await team.harness.grant("reader", "CreateOwnership", "*", "*")
    answer = await team("DescribeUserAccess", userName="alice")
    assert answer["collections"] == [{"dbName": "default", "collectionName": "docs", "privileges": ["Search"]}]
    assert (answer["cluster"], answer["administrator"]) == (["CreateOwnership"], False)
    mine = await team("DescribeUserAccess", by="alice")
    assert mine == answer
    root = await team("DescribeUserAccess", userName="root")
    assert (root["administrator"], root["collections"], root["cluster"]) == (True, [], [])


async def test_grants_on_collections_that_do_not_exist_are_listed(team: Own) -> None:
    harness: GatewayHarness = team.harness
    harness.engine.create("there")
    await harness.role(
        "planning", ("Query", "default", "there"), ("Query", "default", "not_yet"), ("Query", "default", "*")
    )
    harness.engine.databases["default"].collections.remove("there")
    answer = await team("ListMissingAccess")
    listed = [(grant["role"], grant["dbName"], grant["objectName"]) for grant in answer["grants"]]
    assert [each for each in listed if each[0] == "planning"] == [
        ("planning", "default", "not_yet"),
        ("planning", "default", "there"),
    ]
    assert answer["complete"] is True
    harness.engine.failures["HasCollection"] = EngineUnavailable("away")
    answer = await team("ListMissingAccess")
    assert (answer["grants"], answer["complete"]) == ([], False)
    with pytest.raises(AccessDenied):
        await team("ListMissingAccess", by="alice")


async def test_grants_and_keys_nobody_has_used_are_reported_by_the_trail(team: Own, tmp_path: Path) -> None:
    harness: GatewayHarness = team.harness
    await harness.grant("reader", "Insert", "default", "docs")
    await harness.grant("reader", "ManageRLS", "default", "docs")
    made = await team("CreateApiKey", userName="alice")
    trail = AuditWriter.open(tmp_path / "audit")
    harness.recorder = Recorder(trail)
    harness.configure(trail=AuditReader(tmp_path / "audit"))
    since = datetime.now(UTC).isoformat()
    await harness.call("Search", by="alice", collection_name="docs")
    await harness.call("Query", by="bob", collection_name="docs")
    await team("DisableRowPolicies", by="alice", collectionName="docs")
    await trail.close()
    harness.recorder = writing(tmp_path / "other")
    harness.configure()
    answer = await team("ListUnusedAccess", since=since)
    assert [(grant["role"], grant["privilege"]) for grant in answer["grants"]] == [("reader", "Insert")]
    assert [key["keyId"] for key in answer["keys"]] == [made["keyId"]]
    assert (answer["newerGrants"], answer["newerKeys"]) == (0, 0)
    assert answer["recordedSince"] is not None
    elsewhere = datetime.now(timezone(timedelta(hours=2)))
    answer = await team("ListUnusedAccess", since=elsewhere.isoformat())
    assert answer["recordedSince"] == written(elsewhere)
    hour_ago = datetime.fromtimestamp(time.time() - 3_600, UTC).isoformat()
    answer = await team("ListUnusedAccess", since=hour_ago)
    assert (answer["grants"], answer["keys"]) == ([], [])
    assert (answer["newerGrants"], answer["newerKeys"]) == (1, 1)
    with pytest.raises(InvalidArgument, match="`since` must not be in the future"):
        await team("ListUnusedAccess", since=(elsewhere + timedelta(hours=1)).isoformat())
    harness.configure(trail=None)
    with pytest.raises(InvalidArgument, match="no audit trail"):
        await team("ListUnusedAccess", since=since)


async def lines_of(team: Own, tmp_path: Path, work: Any) -> None:
    """Record what `work` does, and everything that comes after it, in a trail of its own."""
    harness: GatewayHarness = team.harness
    harness.recorder = writing(tmp_path / "audit")
    harness.configure(trail=AuditReader(tmp_path / "audit"))
    await work()
    await harness.user("dora")  # a change waits until everything before it is written


async def test_line_is_explained_by_what_held_then_and_by_what_holds_today(team: Own, tmp_path: Path) -> None:
    async def refused() -> None:
        with pytest.raises(AccessDenied):
            await team.harness.call("Query", by="alice", collection_name="docs")

    await lines_of(team, tmp_path, refused)
    (line,) = (await team("SearchAudit", userName="alice", outcome="refused"))["lines"]
    assert line["roles"] == ["reader"]
    same = await team("ExplainAuditLine", seq=line["seq"])
    assert (same["line"], same["today"]["allowed"], same["differs"]) == (line, False, False)
    await team.harness.grant("reader", "Query", "default", "docs")
    other = await team("ExplainAuditLine", seq=line["seq"])
    assert other["line"]["reason"] == "no role of `alice` holds Query on `default.docs`"
    assert (other["today"]["allowed"], other["differs"]) == (True, True)


async def test_line_of_an_operation_of_our_own_is_explained_too(team: Own, tmp_path: Path) -> None:
    made = await team("CreateApiKey", userName="bob")

    async def tried() -> None:
        for operation, given in (
            ("EnableRowPolicies", {"collectionName": "docs"}),
            ("CreateApiKey", {"userName": "bob"}),
            ("SetTags", {"userName": "bob", "tags": {"a": "b"}}),
            ("DescribeUserAccess", {"userName": "bob"}),
        ):
            with pytest.raises(AccessDenied):
                await team(operation, by="alice", **given)
        await team("DescribeTags", by="alice")
        await team("ExplainAccess", by="alice", privilege="Query", collectionName="docs")
        with pytest.raises(NotFound):
            await team("RevokeApiKey", by="alice", keyId=made["keyId"])

    await lines_of(team, tmp_path, tried)
    explained = {}
    for line in (await team("SearchAudit", byUserName="alice"))["lines"]:
        answer = await team("ExplainAuditLine", seq=line["seq"])
        today = answer["today"] and answer["today"]["allowed"]
        assert not answer["differs"], line
        assert line.get("decision") in (None, "allowed" if today else "refused"), line
        explained[line["operation"], line["outcome"]] = today
    assert explained == {
        ("EnableRowPolicies", "received"): False,
        ("EnableRowPolicies", "refused"): False,
        ("CreateApiKey", "received"): False,
        ("CreateApiKey", "refused"): False,
        ("SetTags", "received"): False,
        ("SetTags", "refused"): False,
        ("DescribeUserAccess", "refused"): False,
        ("DescribeTags", "succeeded"): True,
        ("ExplainAccess", "succeeded"): True,
        # Whose the key was is not in the line.
        ("RevokeApiKey", "received"): None,
        ("RevokeApiKey", "failed"): None,
    }
    (refused,) = (await team("SearchAudit", operation="EnableRowPolicies", outcome="refused"))["lines"]
    await team.harness.grant("reader", "ManageRLS", "default", "docs")
    answer = await team("ExplainAuditLine", seq=refused["seq"])
    assert (answer["differs"], answer["today"]["privilege"]) == (True, "ManageRLS")


async def test_line_of_a_deleted_user_is_explained_too(team: Own, tmp_path: Path) -> None:
    async def allowed() -> None:
        await team.harness.call("Search", by="alice", collection_name="docs")
        made = await team("CreateApiKey", userName="bob", roles=[])
        with pytest.raises(AccessDenied):
            await team.harness.call("Search", by=key(made["key"]), collection_name="docs")
        await team("RevokeApiKey", keyId=made["keyId"])

    await lines_of(team, tmp_path, allowed)
    await team("DeleteUserAccount", userName="alice")
    by_key, by_user = (await team("SearchAudit", operation="Search"))["lines"]
    answer = await team("ExplainAuditLine", seq=by_user["seq"])
    assert (answer["line"]["decision"], answer["today"]) == ("allowed", None)
    assert (answer["gone"], answer["differs"]) == ("user not found: alice", True)
    # A key is explained as the key, which may less than its user.
    answer = await team("ExplainAuditLine", seq=by_key["seq"])
    assert (answer["gone"].partition(":")[0], answer["differs"]) == ("API key not found", False)


async def test_line_that_is_not_there_is_reported_and_one_that_nothing_decided_has_no_today(
    team: Own, tmp_path: Path
) -> None:
    async def unknown() -> None:
        with pytest.raises(PasswordRejected):
            await team("WhoAmI", by=presented("alice", "wrong"))

    await lines_of(team, tmp_path, unknown)
    with pytest.raises(NotFound, match="no line 4711"):
        await team("ExplainAuditLine", seq=4711)
    (line,) = (await team("SearchAudit", kind="authentication"))["lines"]
    answer = await team("ExplainAuditLine", seq=line["seq"])
    assert (answer["today"], answer["gone"], answer["differs"]) == (None, "", False)
    with pytest.raises(AccessDenied):
        await team("ExplainAuditLine", by="alice", seq=line["seq"])


async def test_trail_tells_who_asked_for_what_exists_and_may_not_be_seen(team: Own, tmp_path: Path) -> None:
    async def asked() -> None:
        for name in ("papers", "nothing", "docs"):
            for operation in ("HasCollection", "DescribeCollection"):
                await team.harness.call(operation, by="alice", collection_name=name)

    await lines_of(team, tmp_path, asked)
    answer = await team("SearchAudit", kind="refusal", collectionName="papers")
    assert [line["operation"] for line in answer["lines"]] == ["DescribeCollection", "HasCollection"]
    assert answer["hidden"] == [line["seq"] for line in answer["lines"]]
    for line in answer["lines"]:
        reason = "no role of `alice` holds DescribeCollection on `default.papers`"
        assert line["reason"] == f"{reason}; answered as if it did not exist"
    missing = await team("SearchAudit", kind="refusal", collectionName="nothing")
    assert (len(missing["lines"]), missing["hidden"]) == (2, [])
    assert (await team("SearchAudit", kind="refusal", collectionName="docs"))["lines"] == []


async def test_audit_trail_is_searched_by_administrators_alone(team: Own, tmp_path: Path) -> None:
    harness: GatewayHarness = team.harness
    trail = AuditWriter.open(tmp_path / "audit")
    harness.recorder = Recorder(trail)
    harness.configure(trail=AuditReader(tmp_path / "audit"))
    await harness.call("Search", by="alice", collection_name="docs")
    with pytest.raises(AccessDenied):
        await harness.call("Search", by="alice", collection_name="papers")
    await harness.user("dora")  # a change waits until everything before it is written
    answer = await team("SearchAudit", userName="alice", limit=1)
    assert [(line["operation"], line["outcome"]) for line in answer["lines"]] == [("Search", "refused")]
    more = await team("SearchAudit", userName="alice", before=answer["before"])
    assert [line["outcome"] for line in more["lines"]] == ["succeeded"]
    with pytest.raises(AccessDenied):
        await team("SearchAudit", by="alice")
    await trail.close()
    harness.configure(trail=None)
    with pytest.raises(InvalidArgument, match="no audit trail"):
        await team("SearchAudit")
