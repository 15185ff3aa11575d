"""Undo, without JavaScript: what is exactly as before, what is refused and then changes nothing, and for whom."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.support.described import described
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.unit.api.console.test_app import browsing
from tests.unit.api.console.test_identity_providers import Company, shown

from kiteward.api.console.app import ConsoleApp
from kiteward.api.console.tickets import MemoryTickets, StoredTickets
from kiteward.audit.events import Outcome
from kiteward.authn.stored_sessions import StoredSessions
from kiteward.domain.errors import StoreUnavailable

HERE = "collections/default/docs"
POLICY: dict[str, str | list[str]] = {
    "policy_type": "PERMISSIVE",
    "actions": ["Query", "Search"],
    "using_expr": "owner == $current_principal",
    "roles": "reader",
    "description": "of one's own",
}
RESTRICTIVE: dict[str, Any] = {
    "collectionName": "docs",
    "policyName": "public_ones",
    "policyType": "RESTRICTIVE",
    "actions": ["Query"],
    "usingExpr": "level == 1",
}
GROUP_ROLE = "issuer=scim&group=all&match=exact&role=reader"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Undoer(Company):
    """A browser of an administrator, which finds the undo that a page offers.

    Attributes:
        keys: the ids of the API keys, of which the second is disabled.
    """

    keys: tuple[str, str]

    async def policy(self) -> Any:
        """Return everything that an undo restores: the policy as a file, and the API keys."""
        exported = await self.own("ExportPolicy")
        keys = [
            {name: value for name, value in each.items() if name != "usedAt"}
            for each in (await self.own("ListApiKeys"))["keys"]
        ]
        held = [await self.own("DescribeTags", keyId=key) for key in self.keys]
        return exported, keys, held, await self.own("ListLimits")

    async def change(self, path: str, **form: str | list[str]) -> str:
        """Make a change, and return the page that it leads to."""
        answer = await self.send(path, **form)
        assert answer.status_code == 303, shown(answer.text)
        return (await self.client.get(answer.headers["location"])).text

    async def undo(self, page: str) -> httpx.Response:
        return await self.send("undo", undo=ticket_in(page))


def ticket_in(page: str) -> str:
    """Return the ticket of the undo that a page offers; empty for none."""
    found = re.search(r'name="undo" value="([^"]+)"', page)
    return "" if found is None else found[1]


@asynccontextmanager
async def undoing(
    tickets: Any = None, *, prepare: Callable[[GatewayHarness], object] = lambda _harness: None
) -> AsyncIterator[Undoer]:
    async with browsing(prepare=prepare) as browser:
        harness = browser.harness
        harness.engine.create("docs", "logs")
        harness.engine.answers["DescribeCollection"] = described(owner="VarChar", level="Int8")
        await harness.role("reader", ("Load", "default", "docs"), ("Search", "default", "*"))
        await harness.role("writer")
        for name in ("ann", "ben", "cleo"):
            await harness.user(name, *(("reader",) if name == "ann" else ()))
        await harness.user("boss", "admin")
        undoer = Undoer(harness, browser.client)
        if tickets is not None:
            transport = httpx.ASGITransport(ConsoleApp(harness.gateway, tickets=tickets))
            undoer.client = httpx.AsyncClient(transport=transport, base_url=browser.client.base_url)
        await undoer.own("DisableUser", userName="cleo")
        made = [(await undoer.own("CreateApiKey", userName=name, description=name))["keyId"] for name in ("ann", "ben")]
        await undoer.own("DisableApiKey", keyId=made[1])
        undoer.keys = (made[0], made[1])
        await undoer.own("SetTags", userName="ann", tags={"team": "red"})
        await undoer.own("SetLimits", roleName="reader", requestsPerSecond=5.5, burst=7)
        await undoer.own("SetLimits", userName="ann", concurrentRequests=3)
        await harness.succeed("CreatePrivilegeGroup", group_name="finders")
        await undoer.own("ChangePrivilegeGroup", privilegeGroupName="finders", add=["Query", "Search"])
        await undoer.own("MakeRowPolicy", **RESTRICTIVE)
        await undoer.own("EnableRowPolicies", collectionName="docs", force=True)
        await undoer.own("GrantGroupRole", issuer="scim", group="all", roleName="reader")
        await undoer.own("GrantGroupRole", issuer="scim", group="t-*", pattern=True, roleName="reader")
        await undoer.sign_in("boss", PASSWORD)
        yield undoer


CHANGES: dict[str, tuple[str, dict[str, str | list[str]]]] = {
    "grants": (
        "matrix/preview",
        {
            "apply": "1",
            "role": "reader",
            "give": ["default|logs|Insert", "*|*|ClusterReadOnly", "default|*|Search"],
            "take": ["default|docs|Load", "default|docs|Delete"],
        },
    ),
    "a grant": ("roles/reader/revoke?privilege=Search&database=default&object=%2A&type=Collection", {}),
    "a role of a user": ("users/ben", {"role": "reader"}),
    "no role of a user": ("users/ann/roles/reader/remove", {}),
    "members": ("roles/reader", {"member": "ann ben cleo"}),
    "a member": ("roles/reader/members/ann/remove", {}),
    "a role of many": (
        "change-users",
        {"apply": "1", "change": "add_role", "role": "reader", "selected": ["ann", "ben"]},
    ),
    "no role of many": (
        "change-users",
        {"apply": "1", "change": "remove_role", "role": "reader", "selected": ["ann", "ben"]},
    ),
    "a user is enabled": ("users/cleo/enable", {}),
    "a user is disabled": ("users/ann/disable", {}),
    "users are disabled": ("change-users", {"apply": "1", "change": "disable", "selected": ["ann", "ben", "cleo"]}),
    "users are enabled": ("change-users", {"apply": "1", "change": "enable", "selected": ["ann", "cleo"]}),
    "a key is enabled": ("keys/{1}/enable", {}),
    "a key is disabled": ("keys/{0}/disable", {}),
    "keys are disabled": ("change-keys", {"apply": "1", "change": "disable", "selected": ["{0}", "{1}"]}),
    "keys are enabled": ("change-keys", {"apply": "1", "change": "enable", "selected": ["{0}", "{1}"]}),
    "a privilege group": ("groups/finders", {"privileges": ["Insert", "Search"]}),
    "the description of a user": ("users/ann/description", {"description": "in finance"}),
    "the description of a role": ("roles/reader/description", {"description": "reads"}),
    "the description of a key": ("keys/{0}/description", {"description": ""}),
    "another tag": ("users/ann/tags", {"tag_key": "team", "tag_value": "blue"}),
    "a new tag": ("keys/{0}/tags", {"tag_key": "team", "tag_value": "blue"}),
    "no tag": ("users/ann/tags/delete?key=team", {}),
    "limits of a role": ("roles/reader/limits", {"concurrent_requests": "2"}),
    "limits of a key": ("keys/{0}/limits", {"requests_per_second": "1"}),
    "no limits of a user": ("users/ann/limits/delete", {}),
    "a policy": (f"{HERE}/new-policy", {"policy_name": "own", **POLICY}),
    "the first policy of a collection": ("collections/default/logs/new-policy", {"policy_name": "own", **POLICY}),
    "another policy": (f"{HERE}/policies/public_ones", {**POLICY, "policy_type": "RESTRICTIVE"}),
    "no policy": (f"{HERE}/policies/public_ones/drop", {}),
    "policies are not enforced": (f"{HERE}/stop-enforcing", {}),
    "policies are enforced on fewer": (f"{HERE}/enforce", {}),
    "policies are enforced": ("collections/default/logs/enforce", {}),
    "a role of a group": (
        "providers/groups/new",
        {"issuer": "scim", "group": 'a "b" & c/*', "match": "pattern", "role": "writer"},
    ),
    "no role of a group": (f"providers/groups/revoke?{GROUP_ROLE}", {}),
    "no roles of groups": (
        "change-group-roles",
        {
            "apply": "1",
            "change": "revoke_role",
            "selected": [GROUP_ROLE, "issuer=scim&group=t-%2A&match=pattern&role=reader"],
        },
    ),
}


def filled(value: Any, keys: tuple[str, str]) -> Any:
    """Return a value with the ids of the keys in the places of their numbers."""
    if isinstance(value, list):
        return [filled(each, keys) for each in value]
    return value.format(*keys) if isinstance(value, str) else value


async def changed(undoer: Undoer, what: str) -> str:
    """Make one of the changes, and return the page that offers to undo it."""
    path, form = CHANGES[what]
    return await undoer.change(
        filled(path, undoer.keys), **{name: filled(each, undoer.keys) for name, each in form.items()}
    )


def made_since(undoer: Undoer, recorded: int) -> list[Any]:
    """Return what was begun after the first events: a form makes one change, so that nothing is left half-made."""
    return [each for each in undoer.harness.trail.events[recorded:] if each.outcome is Outcome.RECEIVED]


@pytest.mark.slow
async def test_what_was_changed_is_exactly_as_before_and_the_trail_says_what_was_undone() -> None:
    async with undoing() as undoer:
        for what in CHANGES:
            before = await undoer.policy()
            recorded = len(undoer.harness.trail.events)
            page = await changed(undoer, what)
            (made,) = made_since(undoer, recorded)
            assert await undoer.policy() != before, what
            answer = await undoer.undo(page)
            assert answer.status_code == 303, (what, shown(answer.text))
            undone = next(each for each in reversed(undoer.harness.trail.events) if "undoes" in str(each.details))
            assert undone.outcome is Outcome.SUCCEEDED
            assert undone.principal == "boss"
            assert undone.details["result"]["undoes"] == made.request_id != ""
            page = (await undoer.client.get(answer.headers["location"])).text
            assert "The change was undone." in shown(page)
            assert ticket_in(page) == ""
            assert await undoer.policy() == before, what


MEANWHILE: dict[str, tuple[str, dict[str, Any]]] = {
    "grants": ("ChangeGrants", {"roleName": "reader", "revoke": [{"privilege": "Insert", "collectionName": "logs"}]}),
    "a grant": ("ChangeGrants", {"roleName": "reader", "grant": [{"privilege": "Search"}]}),
    "a role of a user": ("ChangeRoleMembers", {"roleName": "reader", "remove": ["ben"]}),
    "members": ("ChangeRoleMembers", {"roleName": "reader", "remove": ["cleo"]}),
    "a member": ("ChangeRoleMembers", {"roleName": "reader", "add": ["ann"]}),
    "users are disabled": ("EnableUser", {"userName": "ben"}),
    "a user is enabled": ("DeleteUserAccount", {"userName": "cleo"}),
    "keys are disabled": ("ChangeApiKeys", {"keyIds": ["{0}"], "change": "enable"}),
    "a key is enabled": ("RevokeApiKey", {"keyId": "{1}"}),
    "the description of a key": ("AlterApiKey", {"keyId": "{0}", "description": "another"}),
    "another tag": ("SetTags", {"userName": "ann", "tags": {"team": "green"}}),
    "a new tag": ("DeleteTags", {"keyId": "{0}", "keys": ["team"]}),
    "a privilege group": ("ChangePrivilegeGroup", {"privilegeGroupName": "finders", "remove": ["Insert"]}),
    "limits of a role": ("SetLimits", {"roleName": "reader", "requestsPerSecond": 1.0}),
    "no limits of a user": ("SetLimits", {"userName": "ann", "concurrentRequests": 4}),
    "a policy": ("RemoveRowPolicy", {"collectionName": "docs", "policyName": "own"}),
    "another policy": ("ChangeRowPolicy", RESTRICTIVE),
    "no policy": ("MakeRowPolicy", RESTRICTIVE),
    "policies are enforced": ("DisableRowPolicies", {"collectionName": "logs"}),
    "a role of a group": (
        "RevokeGroupRole",
        {"issuer": "scim", "group": 'a "b" & c/*', "pattern": True, "roleName": "writer"},
    ),
    "no roles of groups": ("GrantGroupRole", {"issuer": "scim", "group": "all", "roleName": "reader"}),
}


@pytest.mark.slow
async def test_what_somebody_else_has_changed_since_then_is_not_undone() -> None:
    async with undoing() as undoer:
        for what, (operation, arguments) in MEANWHILE.items():
            page = await changed(undoer, what)
            await undoer.own(operation, **{name: filled(each, undoer.keys) for name, each in arguments.items()})
            before = await undoer.harness.state()
            answer = await undoer.undo(page)
            assert answer.status_code == 409, what
            assert "has been changed again since then" in shown(answer.text)
            assert 'class="button" href="/console/' in answer.text
            assert await undoer.harness.state() == before, what
            refused = undoer.harness.trail.events[-1]
            assert (refused.outcome, refused.details["result"]["undoes"] != "") == (Outcome.FAILED, True)


OTHERS: dict[str, tuple[str, tuple[str, dict[str, Any]]]] = {
    "another policy is changed": ("a policy", ("ChangeRowPolicy", {**RESTRICTIVE, "usingExpr": "level == 2"})),
    "another policy is created": ("no policy", ("MakeRowPolicy", {**RESTRICTIVE, "policyName": "other"})),
    "another policy is created again": ("a policy", ("MakeRowPolicy", RESTRICTIVE)),
    "they are enforced otherwise": ("no policy", ("DisableRowPolicies", {"collectionName": "docs"})),
    "they are enforced on more": (
        "policies are enforced",
        ("EnableRowPolicies", {"collectionName": "logs", "force": True}),
    ),
    "a policy is created": ("policies are not enforced", ("MakeRowPolicy", {**RESTRICTIVE, "policyName": "other"})),
}


@pytest.mark.parametrize("what", OTHERS)
async def test_what_row_policies_mean_together_is_not_undone_in_parts(what: str) -> None:
    made, (operation, arguments) = OTHERS[what]
    async with undoing() as undoer:
        page = await changed(undoer, made)
        if what == "another policy is created again":
            await undoer.own("RemoveRowPolicy", collectionName="docs", policyName="public_ones")
        await undoer.own(operation, **arguments)
        before = await undoer.harness.state()
        answer = await undoer.undo(page)
        assert answer.status_code == 409
        assert "depends on the others" in shown(answer.text)
        assert await undoer.harness.state() == before


async def test_row_policies_of_another_collection_are_something_else() -> None:
    async with undoing() as undoer:
        page = await changed(undoer, "no policy")
        await undoer.own("MakeRowPolicy", **{**RESTRICTIVE, "collectionName": "logs"})
        assert (await undoer.undo(page)).status_code == 303
        found = await undoer.own("DescribeRowPolicies", collectionName="docs")
        assert [each["policyName"] for each in found["policies"]] == ["public_ones"]


@pytest.mark.parametrize("what", ["no policy", "policies are not enforced", "policies are enforced on fewer"])
async def test_a_collection_that_was_created_again_gets_no_policies_of_the_one_before(what: str) -> None:
    async with undoing() as undoer:
        if what == "no policy":
            await undoer.own("DisableRowPolicies", collectionName="docs")
        page = await changed(undoer, what)
        await undoer.harness.succeed("DropCollection", collection_name="docs")
        undoer.harness.engine.create("docs")
        before = await undoer.harness.state()
        assert (await undoer.undo(page)).status_code == 409
        assert await undoer.harness.state() == before


@pytest.mark.parametrize("what", ["a role that was for some", "a role that was one of two"])
async def test_a_policy_of_a_role_that_is_gone_does_not_come_back_for_everybody(what: str) -> None:
    roles = "writer" if what == "a role that was for some" else "reader, writer"
    async with undoing() as undoer:
        form = {**POLICY, "policy_type": "RESTRICTIVE", "roles": roles}
        await undoer.change(f"{HERE}/policies/public_ones", **form)
        page = await undoer.change(f"{HERE}/policies/public_ones/drop")
        await undoer.own("DeleteRole", roleName="writer")
        before = await undoer.harness.state()
        answer = await undoer.undo(page)
        assert answer.status_code == 409
        assert "writer" in shown(answer.text)
        assert await undoer.harness.state() == before


async def test_the_undo_of_a_new_policy_needs_what_its_deletion_needs() -> None:
    async with undoing() as undoer:
        await undoer.harness.role("warden", ("ManageRLS", "default", "docs"), ("ViewRLS", "default", "docs"))
        await undoer.harness.role("seer", ("ViewRLS", "default", "docs"), ("DescribeCollection", "default", "docs"))
        await undoer.harness.user("wanda", "warden", "seer")
        undoer.client.cookies.clear()
        await undoer.sign_in("wanda", PASSWORD)
        page = await changed(undoer, "a policy")
        await undoer.own("ChangeRoleMembers", roleName="warden", remove=["wanda"])
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        before = await undoer.harness.state()
        assert (await undoer.post("undo", csrf=token, undo=ticket_in(page))).status_code == 403
        assert await undoer.harness.state() == before
        await undoer.own("ChangeRoleMembers", roleName="warden", add=["wanda"])
        await undoer.own("RemoveRowPolicy", collectionName="docs", policyName="own")
        page = await changed(undoer, "a policy")
        assert (await undoer.undo(page)).status_code == 303
        found = await undoer.own("DescribeRowPolicies", collectionName="docs")
        assert [each["policyName"] for each in found["policies"]] == ["public_ones"]


async def test_what_else_has_changed_meanwhile_stays() -> None:
    async with undoing() as undoer:
        page = await changed(undoer, "grants")
        await undoer.own("ChangeGrants", roleName="reader", grant=[{"privilege": "Query"}])
        await undoer.own("SetTags", userName="ann", tags={"more": "1"})
        assert (await undoer.undo(page)).status_code == 303
        text = await undoer.text("roles/reader")
        assert ("Query" in text, "Insert" in text, "Load" in text) == (True, False, True)


async def test_a_grant_that_is_granted_with_another_and_was_there_before_stays() -> None:
    async with undoing() as undoer:
        await undoer.own("ChangeGrants", roleName="writer", grant=[{"privilege": "GetLoadState"}])
        before = await undoer.policy()
        page = await undoer.change("matrix/preview", apply="1", role="writer", give="default|*|Load")
        assert "GetLoadingProgress" in await undoer.text("roles/writer")
        assert (await undoer.undo(page)).status_code == 303
        assert await undoer.policy() == before


async def test_a_grant_of_another_object_type_comes_back_as_it_was() -> None:
    async with undoing() as undoer:
        await undoer.harness.succeed(
            "OperatePrivilege",
            entity={
                "role": {"name": "writer"},
                "object": {"name": "Collection"},
                "object_name": "docs",
                "grantor": {"privilege": {"name": "*"}},
            },
            type="Grant",
        )
        before = await undoer.policy()
        page = await undoer.change("roles/writer/revoke?privilege=%2A&database=default&object=docs&type=Collection")
        assert await undoer.policy() != before
        assert (await undoer.undo(page)).status_code == 303
        assert await undoer.policy() == before


async def test_a_user_of_the_same_name_who_was_created_since_then_is_somebody_else() -> None:
    async with undoing() as undoer:
        page = await changed(undoer, "no role of a user")
        await undoer.own("DeleteUserAccount", userName="ann")
        await undoer.harness.user("ann")
        assert (await undoer.undo(page)).status_code == 409
        assert (await undoer.own("DescribeUserAccount", userName="ann"))["roles"] == []


async def test_an_undo_is_made_once_within_ten_minutes() -> None:
    clock = Clock()
    async with undoing(MemoryTickets(clock)) as undoer:
        page = await changed(undoer, "a user is disabled")
        where = f"users/ann?done=user_disable&undo={ticket_in(page)}"
        assert ticket_in((await undoer.open(where)).text) == ticket_in(page)
        clock.now += 599.0
        assert (await undoer.undo(page)).status_code == 303
        assert ticket_in((await undoer.open(where)).text) == ""
        again = await undoer.undo(page)
        assert again.status_code == 410
        assert "within ten minutes" in shown(again.text)
        page = await changed(undoer, "a user is disabled")
        clock.now += 600.0
        before = await undoer.harness.state()
        assert (await undoer.undo(page)).status_code == 410
        assert await undoer.harness.state() == before


def shared_sessions(harness: GatewayHarness) -> None:
    harness.authenticator.sessions = StoredSessions(harness.store)
    harness.authenticator.sessions.change_by(harness.policy_cache.change)
    harness.configure(sessions=harness.authenticator.sessions)


async def test_an_undo_is_for_the_session_that_made_the_change_at_whatever_server() -> None:
    async with undoing(prepare=shared_sessions) as undoer:
        harness, base = undoer.harness, undoer.client.base_url

        def at_a_server() -> httpx.AsyncClient:
            app = ConsoleApp(harness.gateway, tickets=StoredTickets(harness.store))
            return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)

        before, cookies = await undoer.policy(), dict(undoer.client.cookies)
        undoer.client = at_a_server()
        undoer.client.cookies.update(cookies)
        page = await changed(undoer, "grants")
        ticket = ticket_in(page)
        left = await harness.state()
        undoer.client = at_a_server()
        await undoer.sign_in("boss", PASSWORD)
        where = f"matrix?done=matrix&undo={ticket}"
        assert ticket_in((await undoer.open(where)).text) == ""
        assert (await undoer.undo(page)).status_code == 410
        assert await harness.state() == left
        undoer.client.cookies.clear()
        undoer.client.cookies.update(cookies)
        assert ticket_in((await undoer.open(where)).text) == ticket
        assert (await undoer.undo(page)).status_code == 303
        assert await undoer.policy() == before


async def test_an_undo_needs_the_privileges_that_its_user_has_then() -> None:
    async with undoing() as undoer:
        page = await changed(undoer, "members")
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        await undoer.own("ChangeRoleMembers", roleName="admin", remove=["boss"])
        before = await undoer.harness.state()
        answer = await undoer.post("undo", csrf=token, undo=ticket_in(page))
        assert answer.status_code == 403
        assert await undoer.harness.state() == before


async def test_an_undo_that_is_refused_for_one_of_many_changes_none_of_them() -> None:
    async with undoing() as undoer:
        await undoer.own("DisableUser", userName="ben")
        await undoer.own("DisableUser", userName="root")
        page = await undoer.change("change-users", apply="1", change="enable", selected=["ben", "root"])
        before = await undoer.harness.state()
        answer = await undoer.undo(page)
        assert answer.status_code == 409
        assert "is changed alone" in shown(answer.text)
        assert await undoer.harness.state() == before


async def test_an_undo_is_a_form_of_the_console_alone() -> None:
    async with undoing() as undoer:
        page = await changed(undoer, "a user is disabled")
        before = await undoer.harness.state()
        assert (await undoer.post("undo", undo=ticket_in(page))).status_code == 403
        foreign = {"Origin": "https://evil.example"}
        answer = await undoer.client.post("/console/undo", data={"undo": ticket_in(page)}, headers=foreign)
        assert answer.status_code == 403
        for path in ("undo", f"undo?undo={ticket_in(page)}"):
            assert (await undoer.open(path)).status_code == 410
        assert await undoer.harness.state() == before
        assert 'action="/console/undo"' in page
        assert (await undoer.undo(page)).status_code == 303


FINAL: dict[str, tuple[str, dict[str, str | list[str]]]] = {
    "a user is created": ("new-user", {"user_name": "new", "new_password": PASSWORD}),
    "a role is created": ("new-role", {"role_name": "new"}),
    "a group is created": ("new-group", {"group_name": "new", "privileges": ["Search"]}),
    "a password is reset": ("users/cleo/reset", {"new_password": PASSWORD + "!"}),
    "a user is unlocked": ("users/cleo/unlock", {}),
    "second factors are reset": ("users/cleo/reset-factors", {}),
    "a key is revoked": ("keys/{1}/revoke", {}),
    "keys are revoked": ("change-keys", {"apply": "1", "change": "revoke", "selected": ["{0}"]}),
    "a user is deleted": ("users/ann/delete", {"typed_name": "ann"}),
    "users are deleted": ("change-users", {"apply": "1", "change": "delete", "selected": ["ben"]}),
    "a role is deleted": ("roles/writer/delete", {"typed_name": "writer"}),
    "nothing changes": ("users/cleo/disable", {}),
    "a description stays": ("roles/reader/description", {"description": ""}),
}


async def test_what_does_not_come_back_offers_no_undo() -> None:
    async with undoing() as undoer:
        for what, (path, form) in FINAL.items():
            given = {name: filled(each, undoer.keys) for name, each in form.items()}
            recorded = len(undoer.harness.trail.events)
            page = await undoer.change(filled(path, undoer.keys), **given)
            assert len(made_since(undoer, recorded)) == 1, what
            assert 'class="done"' in page, what
            assert ticket_in(page) == "", what


async def test_a_preview_is_no_change_and_a_made_up_ticket_offers_nothing() -> None:
    async with undoing() as undoer:
        for path, form in (CHANGES["users are disabled"], CHANGES["grants"]):
            asked = {name: each for name, each in form.items() if name != "apply"}
            answer = await undoer.send(path, **asked)
            assert (answer.status_code, ticket_in(answer.text)) == (200, "") if "change" in form else True
        page = await undoer.open("users?done=user_enable&undo=made-up")
        assert ticket_in(page.text) == ""
        secret = await undoer.send("users/ann/reset")
        ticket = secret.headers["location"].rpartition("/")[2]
        assert (await undoer.send("undo", undo=ticket)).status_code == 410


async def test_a_change_is_made_where_its_undo_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> str:
        raise StoreUnavailable("it cannot be written")

    async with undoing() as undoer:
        monkeypatch.setattr(MemoryTickets, "put", broken)
        page = await changed(undoer, "a user is disabled")
        assert "The user was disabled." in shown(page)
        assert ticket_in(page) == ""
        monkeypatch.setattr(MemoryTickets, "waits", broken)
        assert (await undoer.open("users/ann?done=user_disable&undo=x")).status_code == 200
