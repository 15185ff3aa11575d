"""Policy as code: a file is exported, planned and applied, with the rules of single changes."""

import asyncio
from typing import Any

import pytest
from tests.support.described import described
from tests.support.gateway import presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.audit.events import Event, Outcome
from kiteward.domain.errors import AccessDenied, EngineUnavailable, InvalidArgument, PasswordRejected

READER = {
    "description": "reads",
    "grants": [{"privilege": "Search", "collection": "docs"}],
    "limits": {"burst": 5, "requestsPerSecond": 2},
}
ALICE = {"description": "a person", "roles": ["reader"], "tags": {"team": "red"}, "limits": {"concurrentRequests": 3}}
RULE = {"actions": ["Query", "Search"], "roles": ["reader"], "using": "owner == $current_principal"}
ROWS = {"collection": "docs", "enforced": True, "policies": {"own": RULE}}


def policy(**sections: Any) -> dict[str, Any]:
    return {"version": 1, **sections}


def whole() -> dict[str, Any]:
    return policy(
        privilegeGroups={"team": {"privileges": ["Search", "Query"]}},
        roles={"reader": READER, "keeper": {"grants": [{"privilege": "team", "collection": "docs"}]}},
        users={"alice": ALICE, "carol": {"enabled": False}},
        rowPolicies=[ROWS],
        groupRoles=[{"issuer": "scim", "group": "staff-*", "role": "reader", "pattern": True}],
    )


@pytest.fixture
def empty(own: Own) -> Own:
    """A gateway with nothing but the collections that files name."""
    own.harness.engine.create("docs", "other")
    own.harness.engine.answers["DescribeCollection"] = described(owner="VarChar")
    return own


@pytest.fixture
async def filled(empty: Own) -> Own:
    """The same with a whole file applied."""
    await empty("ApplyPolicy", policy=whole())
    empty.harness.trail.events.clear()
    return empty


def shown(answer: dict[str, Any]) -> list[str]:
    return [f"{change['action']} {change['kind']} {change['name']}" for change in answer["changes"]]


def parts(answer: dict[str, Any]) -> list[str]:
    """What differs, without the objects."""
    return [f"{each['action']} {each['what']}" for change in answer["changes"] for each in change["differences"]]


def places(answer: dict[str, Any]) -> list[str]:
    return [fault["path"] for fault in answer["faults"]]


async def test_a_file_becomes_true_and_then_changes_nothing(empty: Own) -> None:
    before = await empty.harness.state()
    planned = await empty("PlanPolicy", policy=whole())
    assert planned["faults"] == []
    assert await empty.harness.state() == before
    done = await empty("ApplyPolicy", policy=whole(), expect=planned["digest"])
    assert done["changes"] == planned["changes"]
    assert shown(done) == [
        "add privilegeGroup team",
        "add role keeper",
        "add role reader",
        "add user alice",
        "add user carol",
        "add rowPolicies default.docs",
        "add groupRole reader for pattern staff-* of scim",
    ]
    assert (await empty("PlanPolicy", policy=whole()))["changes"] == []
    assert (await empty("ApplyPolicy", policy=whole()))["changes"] == []
    exported = (await empty("ExportPolicy"))["policy"]
    assert exported["roles"]["reader"]["limits"] == {"requestsPerSecond": 2.0, "burst": 5}
    assert exported["users"]["alice"]["tags"] == {"team": "red"}
    assert exported["users"]["carol"]["enabled"] is False
    assert exported["rowPolicies"][0]["policies"]["own"]["using"] == RULE["using"]
    assert (await empty("PlanPolicy", policy=exported))["changes"] == []


async def test_what_a_file_leaves_out_is_left_alone_and_what_it_names_is_complete(filled: Own) -> None:
    assert (await filled("ApplyPolicy", policy=policy()))["changes"] == []
    assert (await filled("ApplyPolicy", policy=policy(users={"alice": {}, "carol": {}})))["changes"] == []
    alice = {"roles": [], "tags": {"team": "blue", "site": "x"}, "limits": {}}
    done = await filled("ApplyPolicy", policy=policy(users={"alice": alice, "carol": {"enabled": True}}))
    assert parts(done) == [
        "add tag site",
        "change tag team",
        "remove limits",
        "remove role reader",
        "change enabled",
    ]
    exported = (await filled("ExportPolicy", sections=["users"]))["policy"]
    assert set(exported) == {"version", "users"}
    assert exported["users"]["alice"] == {"description": "a person", "enabled": True, **alice}
    assert exported["users"]["carol"]["enabled"] is True


async def test_grants_and_members_of_groups_are_replaced(filled: Own) -> None:
    grants = [{"privilege": "Load", "collection": "docs"}, {"privilege": "Query", "database": "*"}]
    changed = policy(
        privilegeGroups={"team": {"privileges": ["CreateDatabase"]}},
        roles={"reader": {"grants": grants}, "keeper": {"grants": []}},
    )
    done = await filled("ApplyPolicy", policy=changed)
    assert parts(done) == [
        "remove privilege Query",
        "remove privilege Search",
        "add privilege CreateDatabase",
        "remove grant team on default.docs",
        "remove grant Search on default.docs",
        "add grant Query on *.*",
        "add grant GetLoadState on default.docs",
        "add grant GetLoadingProgress on default.docs",
        "add grant Load on default.docs",
    ]
    assert {each[3] for each in await filled.harness.grants("reader")} == {
        "Load",
        "Query",
        "GetLoadState",
        "GetLoadingProgress",
    }
    assert (await filled("ApplyPolicy", policy=changed))["changes"] == []


async def test_a_grant_on_an_alias_is_on_its_collection_and_stays(filled: Own) -> None:
    await filled.harness.succeed("CreateAlias", collection_name="docs", alias="papers")
    by_alias = policy(roles={"reader": {"grants": [{"privilege": "Search", "collection": "papers"}]}, "keeper": {}})
    assert (await filled("PlanPolicy", policy=by_alias))["changes"] == []


async def test_deletions_are_planned_and_have_to_be_allowed(filled: Own) -> None:
    nothing: dict[str, Any] = policy(privilegeGroups={}, roles={}, users={}, rowPolicies=[], groupRoles=[])
    planned = await filled("PlanPolicy", policy=nothing)
    assert planned["faults"] == []
    assert {change["kind"] for change in planned["changes"] if change["deletion"]} == {
        "privilegeGroup",
        "role",
        "user",
        "rowPolicies",
    }
    before = await filled.harness.state()
    with pytest.raises(InvalidArgument, match=r"this would delete 6, .* user alice"):
        await filled("ApplyPolicy", policy=nothing)
    assert await filled.harness.state() == before
    await filled("ApplyPolicy", policy=nothing, allowDeletions=True)
    left = (await filled("ExportPolicy"))["policy"]
    assert (left["users"], left["rowPolicies"], left["groupRoles"]) == ({}, [], [])
    assert sorted(left["roles"]) == ["admin", "public"]


async def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_changed(empty: Own) -> None:
    wrong = policy(
        privilegeGroups={"team": {"privileges": ["Serch", "Query"]}, "Search": {"privileges": []}},
        roles={
            "reader": {"grants": [{"privilege": "Query"}, {"privilege": "Nope"}, {"privilege": "ClusterAdmin"}]},
            "no good": {},
            "admin": {"description": "mine"},
        },
        users={
            "root": {"enabled": False},
            "alice": {"roles": ["reader", "ghost"], "limits": {"burst": 5}},
            "bob": {"tags": {"": "x"}},
            "dora": {"scim": True},
            "emil": {"identity": {"issuer": "https://nowhere"}},
        },
        rowPolicies=[{"collection": "docs", "policies": {"own": {"actions": ["Query"], "using": "nobody == 1"}}}],
        groupRoles=[{"issuer": "https://nowhere", "group": "g", "role": "reader"}],
    )
    before = await empty.harness.state()
    planned = await empty("PlanPolicy", policy=wrong)
    assert places(planned) == [
        "privilegeGroups.Search",
        "privilegeGroups.team.privileges[0]",
        "roles.admin",
        "roles.no good",
        "users.alice.roles[1]",
        "users.alice",
        "users.bob.tags",
        "users.dora",
        "users.emil",
        "users.root",
        "roles.reader.grants[1]",
        "roles.reader.grants[2]",
        "rowPolicies[0].policies.own",
        "groupRoles[0]",
    ]
    with pytest.raises(InvalidArgument, match=r"nothing was changed: .*`users\.root`: `root` is not changed") as caught:
        await empty("ApplyPolicy", policy=wrong, allowDeletions=True)
    assert len(caught.value.details) >= len(planned["faults"])
    assert await empty.harness.state() == before


async def test_the_last_administrator_stays(own: Own) -> None:
    await own.harness.user("boss", "admin")
    own.harness.configure(root_bypass=False)
    planned = await own("PlanPolicy", by="boss", policy=policy(users={"boss": {"roles": []}}))
    assert places(planned) == ["users.boss.roles"]
    planned = await own("PlanPolicy", by="boss", policy=policy(users={"boss": {"enabled": False}}))
    assert places(planned) == ["users.boss.enabled"]
    planned = await own("PlanPolicy", by="boss", policy=policy(users={}))
    assert places(planned) == ["users"]
    handed = policy(users={"boss": {"roles": []}, "next": {"roles": ["admin"]}})
    await own("ApplyPolicy", by="boss", policy=handed)
    assert (await own.harness.store.bindings("admin"))["admin"] == ("next",)


async def test_what_was_reviewed_is_what_is_applied(filled: Own) -> None:
    planned = await filled("PlanPolicy", policy=policy(users={"alice": {"roles": []}, "carol": {}}))
    await filled.harness.succeed("OperateUserRole", username="alice", role_name="keeper")
    with pytest.raises(InvalidArgument, match="something else than the plan that was reviewed"):
        await filled(
            "ApplyPolicy", policy=policy(users={"alice": {"roles": []}, "carol": {}}), expect=planned["digest"]
        )
    record = await filled.harness.store.user("alice")
    assert record is not None
    assert record.roles == ("keeper", "reader")


async def test_of_two_that_were_reviewed_at_once_one_is_applied(filled: Own) -> None:
    both = [policy(users={"alice": {"tags": {"team": colour}}, "carol": {}}) for colour in ("blue", "green")]
    plans = [await filled("PlanPolicy", policy=each) for each in both]
    calls = (
        filled("ApplyPolicy", policy=each, expect=planned["digest"]) for each, planned in zip(both, plans, strict=True)
    )
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in ended] == [dict, InvalidArgument]
    record = await filled.harness.store.user("alice")
    assert record is not None
    assert record.tags == {"team": "blue"}


async def test_a_new_user_has_no_password_unless_one_for_one_use_is_asked_for(empty: Own) -> None:
    await empty("ApplyPolicy", policy=policy(users={"alice": {}}))
    record = await empty.harness.store.user("alice")
    assert record is not None
    assert not record.has_password
    done = await empty("ApplyPolicy", policy=policy(users={"alice": {}, "bob": {}}), oneTimePasswords=True)
    assert [each["userName"] for each in done["passwords"]] == ["bob"]
    password = done["passwords"][0]["password"]
    assert (await empty("WhoAmI", by=presented("bob", password)))["oneTimePassword"]
    with pytest.raises(PasswordRejected):
        await empty("WhoAmI", by=presented("alice", ""))
    assert password not in str(empty.harness.trail.events)


async def test_each_change_has_an_event_of_its_own_in_the_same_request(filled: Own) -> None:
    await filled("ApplyPolicy", policy=policy(users={"alice": {"roles": ["keeper"], "enabled": False}, "carol": {}}))
    received, *events = filled.harness.trail.events
    assert (received.event, received.operation, received.outcome) == (
        Event.POLICY_CHANGE,
        "ApplyPolicy",
        Outcome.RECEIVED,
    )
    assert received.details["policy"]["users"]["alice"]["roles"] == ["keeper"]
    assert [(each.event, each.operation, each.outcome) for each in events] == [
        (Event.ROLE_CHANGE, "OperateUserRole", Outcome.SUCCEEDED),
        (Event.ROLE_CHANGE, "OperateUserRole", Outcome.SUCCEEDED),
        (Event.USER_CHANGE, "DisableUser", Outcome.SUCCEEDED),
        (Event.POLICY_CHANGE, "ApplyPolicy", Outcome.SUCCEEDED),
    ]
    assert [each.details for each in events[:3]] == [
        {"user": "alice", "role": "keeper"},
        {"user": "alice", "role": "reader", "removed": 1},
        {"userName": "alice"},
    ]
    assert len({each.request_id for each in (received, *events)}) == 1


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"actions": ["Insert"]}, "`check`"),
        ({"actions": ["Query"], "using": "nobody == 1"}, "`using`"),
        ({"actions": ["Insert"], "check": "owner ="}, "`check`"),
    ],
)
async def test_faults_of_an_expression_name_it_as_the_file_does(empty: Own, rule: dict[str, Any], told: str) -> None:
    rows = [{"collection": "docs", "policies": {"own": rule}}]
    (fault,) = (await empty("PlanPolicy", policy=policy(rowPolicies=rows)))["faults"]
    assert told in fault["message"]
    assert "_expr" not in fault["message"]


async def test_a_file_that_is_refused_leaves_no_event_of_a_change(filled: Own) -> None:
    with pytest.raises(InvalidArgument):
        await filled("ApplyPolicy", policy=policy(users={"alice": {"roles": []}, "root": {}, "carol": {}}))
    assert [(each.operation, each.outcome) for each in filled.harness.trail.events] == [
        ("ApplyPolicy", Outcome.RECEIVED),
        ("ApplyPolicy", Outcome.FAILED),
    ]


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [("ExportPolicy", {}), ("PlanPolicy", {"policy": policy()}), ("ApplyPolicy", {"policy": policy()})],
)
async def test_only_administrators_export_plan_and_apply(own: Own, operation: str, arguments: dict[str, Any]) -> None:
    await own.harness.role("reader", ("*", "*", "*"))
    await own.harness.user("mallory", "reader")
    with pytest.raises(AccessDenied):
        await own(operation, by="mallory", **arguments)


async def test_row_policies_need_their_collection_and_are_dropped_without_it(filled: Own) -> None:
    del filled.harness.engine.answers["DescribeCollection"]
    rows = [ROWS, {"collection": "nowhere", "policies": {"own": RULE}}]
    assert places(await filled("PlanPolicy", policy=policy(rowPolicies=rows))) == ["rowPolicies[1].policies.own"]
    assert (await filled("PlanPolicy", policy=policy(rowPolicies=[ROWS])))["changes"] == []
    same_twice = [ROWS, {**ROWS, "database": "default"}]
    assert places(await filled("PlanPolicy", policy=policy(rowPolicies=same_twice))) == ["rowPolicies[1]"]
    gone = await filled("ApplyPolicy", policy=policy(rowPolicies=[]), allowDeletions=True)
    assert parts(gone) == ["remove policy own", "change enforced"]


async def test_warnings_about_row_policies_are_those_of_what_was_applied(
    empty: Own, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = policy(rowPolicies=[{"collection": "docs", "enforced": True}])
    await empty("PlanPolicy", policy=hidden)
    assert "row policies of" not in caplog.text
    await empty("ApplyPolicy", policy=hidden)
    assert caplog.text.count("row policies of default.docs: row_policies_hide_all") == 1
    assert empty.harness.trail.events[-1].details["result"]["warnings"] == ["default.docs: row_policies_hide_all"]
    caplog.clear()
    await empty("ApplyPolicy", policy=whole())
    assert "row policies of" not in caplog.text


async def test_a_role_that_row_policies_name_is_not_dropped(filled: Own) -> None:
    planned = await filled("PlanPolicy", policy=policy(roles={"keeper": {}}))
    assert places(planned) == ["roles"]
    assert "names the role reader" in planned["faults"][0]["message"]


async def test_values_that_no_reader_of_json_refuses_are_told(own: Own) -> None:
    assert places(await own("PlanPolicy", policy={"version": 2})) == ["version"]
    with pytest.raises(InvalidArgument, match="no such section: user"):
        await own("ExportPolicy", sections=["user"])


async def test_what_has_no_effect_is_a_warning_with_its_place(empty: Own) -> None:
    grants = [
        {"privilege": "Search", "collection": "nothing"},
        {"privilege": "BackupRBAC", "collection": "docs"},
        {"privilege": "Search", "collection": "docs"},
        {"privilege": "Search", "database": "*"},
        {"privilege": "SelectUser", "collection": "somebody", "objectType": "User"},
    ]
    roles = {
        "reader": {"grants": grants},
        "spare": {"grants": grants[2:3]},
        "blank": {},
        "mapped": {"grants": grants[2:3]},
    }
    given = policy(
        roles=roles | {"public": {"grants": grants[2:3]}},
        users={"alice": {"roles": ["reader"]}},
        groupRoles=[{"issuer": "scim", "group": "staff", "role": "mapped"}],
    )
    expected = [
        ("roles.reader.grants[0]", "Search allows nothing yet: the collection default.nothing does not exist"),
        (
            "roles.reader.grants[1]",
            "BackupRBAC on default.docs allows nothing: it applies to the whole instance, so grant it on *.*",
        ),
        ("roles.spare", "nobody holds the role spare: its grants allow nothing"),
    ]
    planned = await empty("PlanPolicy", policy=given)
    assert not planned["faults"]
    for answer in (planned, await empty("ApplyPolicy", policy=given), await empty("PlanPolicy", policy=given)):
        assert [(each["path"], each["message"]) for each in answer["warnings"]] == expected
    del given["groupRoles"]
    given["users"] = {"bob": {"roles": ["spare"]}}
    warned = [each["path"] for each in (await empty("PlanPolicy", policy=given))["warnings"]]
    assert warned == ["roles.reader.grants[0]", "roles.reader.grants[1]", "roles.reader"]


async def test_nothing_is_doubted_that_the_engine_does_not_tell(empty: Own) -> None:
    given = policy(roles={"public": {"grants": [{"privilege": "Search", "collection": "nothing"}]}})
    await empty("ApplyPolicy", policy=given)
    empty.harness.engine.failures["HasCollection"] = EngineUnavailable("away")
    assert (await empty("PlanPolicy", policy=given))["warnings"] == []
