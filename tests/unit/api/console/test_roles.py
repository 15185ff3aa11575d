"""The pages about one role: a role made like another one, and grants that allow nothing."""

import re
from types import SimpleNamespace
from typing import cast

from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import browsing
from tests.unit.api.console.test_identity_providers import Company

from kiteward.api.console import roles
from kiteward.api.console.language import catalogues
from kiteward.api.console.request import ConsoleRequest


async def test_a_role_is_made_like_another_one() -> None:
    async with browsing() as browser:
        await browser.harness.role("reader", ("Search", "default", "docs"), ("Query", "*", "*"))
        await browser.sign_in()
        company = Company(browser.harness, browser.client)
        assert 'href="/console/new-role?source=reader"' in (await browser.open("roles/reader")).text
        assert "new-role?source" not in (await browser.open("roles/admin")).text
        assert 'value="reader"' in (await browser.open("new-role?source=reader")).text
        text = await company.done("new-role", role_name="alike", source="reader", description="as reader")
        assert "as reader" in text
        assert await browser.harness.grants("alike") == await browser.harness.grants("reader")


async def test_a_role_that_cannot_be_copied_is_said_at_its_field() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        company = Company(browser.harness, browser.client)
        for source, told in (("ghost", "There is no role"), ("admin", "there is nothing to copy")):
            answer = await company.send("new-role", role_name="alike", source=source)
            assert answer.status_code == 422
            assert told in answer.text.partition('id="source-error"')[2].partition("</p>")[0]
            assert f'value="{source}"' in answer.text
        assert (await browser.open("roles/alike")).status_code == 404


async def test_grants_that_allow_nothing_are_marked() -> None:
    async with browsing() as browser:
        await browser.harness.role("keeper", ("BackupRBAC", "default", "docs"))
        await browser.harness.role("reader", ("Search", "default", "docs"))
        await browser.sign_in()
        assert "Allows nothing" in (await browser.open("roles/keeper")).text
        assert "Allows nothing" not in (await browser.open("roles/reader")).text


async def test_what_removes_something_names_it_in_its_title() -> None:
    async with browsing() as browser:
        await browser.harness.role("reader", ("Search", "default", "docs"))
        await browser.sign_in()
        asked = {
            "roles/reader/revoke?privilege=Search&database=default&object=docs": (
                "Revoke <code>Search</code> on <code>default.docs</code> from <code>reader</code>"
            ),
            "roles/reader/limits/delete": "Remove the limits of <code>reader</code>",
            "users/root/tags/delete?key=team": "Delete the tag <code>team</code> of <code>root</code>",
            "users/root/roles/reader/remove": "Remove the role <code>reader</code> from <code>root</code>",
        }
        for path, title in asked.items():
            assert f"<h1>{title}</h1>" in (await browser.open(path)).text, path


async def test_session_is_named_before_it_is_ended_and_one_that_is_not_there_is_not_found() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        (path,) = set(re.findall(r"/console/(sessions/[^/]+/end[?]user=root)", (await browser.open("users/root")).text))
        assert "End the session of Unknown from <code>" in (await browser.open(path)).text
        assert (await browser.open("sessions/gone/end?user=root")).status_code == 404


async def test_privilege_group_names_the_roles_that_still_have_it_before_it_is_deleted() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        company = Company(browser.harness, browser.client)
        await company.send("new-group", group_name="loaders", privileges="Load")
        assert "No role has it." in (await browser.open("groups/loaders/delete")).text
        await browser.harness.role("keeper", ("loaders", "default", "*"))
        assert "Roles that still have it: keeper" in (await browser.open("groups/loaders/delete")).text
        assert (await browser.open("groups/none/delete")).status_code == 404


def test_no_single_name_is_left_out_of_a_list() -> None:
    request = cast("ConsoleRequest", SimpleNamespace(text=catalogues()["zh"]))
    assert roles._listed(request, [f"u{number}" for number in range(21)]).endswith("、u20")
    assert roles._listed(request, [f"u{number}" for number in range(22)]).endswith("、u19\uff0c另有 2 个")
    assert roles._listed(request, []) == "无"


async def test_a_group_is_created_in_one_step_or_not_at_all() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        before = len(browser.harness.trail.events)
        for name, privileges, field in (
            ("readers", ["Query", "CreateDatabase"], "privileges"),
            ("Search", ["Query"], "group_name"),
            ("9x", ["Query"], "group_name"),
            ("", ["Query"], "group_name"),
        ):
            answer = await browser.send("new-group", group_name=name, privileges=privileges)
            assert answer.status_code == 422
            assert f'id="{field}-error"' in answer.text
        assert (await browser.open("groups/readers")).status_code == 404
        answer = await browser.send("new-group", group_name="readers", privileges=["Query", "Search"])
        assert answer.headers["location"] == "/console/groups?done=group_new"
        made = browser.harness.trail.events[before:]
        assert {each.operation for each in made if each.event.kind == "privilege_group"} == {"MakePrivilegeGroup"}


async def test_members_of_a_group_are_changed_in_one_step_or_not_at_all() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.send("new-group", group_name="readers", privileges=["Query", "Search"])
        before = len(browser.harness.trail.events)
        answer = await browser.send("groups/readers", privileges=["Query", "CreateDatabase"])
        assert (answer.status_code, "privileges of one level only" in answer.text) == (422, True)
        page = (await browser.open("groups/readers")).text
        assert [name for name in ("Query", "Search", "CreateDatabase") if f'value="{name}" checked' in page] == [
            *("Query", "Search"),
        ]
        answer = await browser.send("groups/readers", privileges=["Query", "Insert"])
        assert answer.headers["location"].startswith("/console/groups?done=group_edit&undo=")
        made = [
            each.operation for each in browser.harness.trail.events[before:] if each.event.kind == "privilege_group"
        ]
        assert {*made} == {"ChangePrivilegeGroup"}


async def test_a_built_in_group_is_shown_without_a_form() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        page = await browser.open("groups/CollectionReadOnly")
        assert (page.status_code, page.text.partition("<main")[2].count("<form")) == (200, 0)
        assert "This group is built in." in page.text
        assert '<span class="tag">Query</span>' in page.text
        answer = await browser.send("groups/CollectionReadOnly", privileges=["Query"])
        assert answer.status_code == 422
        assert (await browser.open("groups/nothing")).status_code == 404
        for name, status in (("CollectionReadOnly", 422), ("nothing", 404)):
            assert (await browser.open(f"groups/{name}/delete")).status_code == status
            assert (await browser.send(f"groups/{name}/delete")).status_code in (status, 422)


async def test_two_roles_are_compared() -> None:
    async with browsing() as browser:
        await browser.harness.role("reader", ("Search", "default", "docs"), ("Query", "*", "*"))
        await browser.harness.role("other", ("CollectionReadOnly", "default", "*"), ("Query", "*", "*"))
        await browser.harness.user("ann")
        await browser.sign_in()
        company = Company(browser.harness, browser.client)
        assert 'href="/console/compare-roles?role=reader&amp;back=' in (await browser.open("roles/reader")).text
        assert "compare-roles" not in (await browser.open("roles/admin")).text
        assert 'value="reader"' in (await browser.open("compare-roles?role=reader")).text
        text = await company.text("compare-roles?role=reader&other=other")
        first, _, rest = text.partition("Only other 1")
        second, _, both = rest.partition("Both roles 1")
        assert "Search default docs Collection CollectionReadOnly on default.*" in first.partition("Only reader 1")[2]
        assert "CollectionReadOnly" in second
        assert "Query" in both
        text = await company.text("compare-roles?role=other&other=other")
        assert ("Both roles have the same grants." in text, "Only other" in text) == (True, False)
        for query, field, told in (
            ("role=ghost&other=reader", "role", "There is no role"),
            ("role=reader&other=ghost", "other", "There is no role"),
            ("role=reader&other=admin", "other", "nothing to compare"),
        ):
            answer = await browser.open(f"compare-roles?{query}")
            assert answer.status_code == 422
            assert told in answer.text.partition(f'id="{field}-error"')[2].partition("</p>")[0]
        await browser.sign_in("ann", PASSWORD)
        assert (await browser.open("compare-roles?role=reader&other=other")).status_code == 403
