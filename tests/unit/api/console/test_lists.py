"""Lists in the console, without JavaScript: addresses, pages, filters, exports, completion, changes of many."""

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from tests.support.gateway import PASSWORD, own_call
from tests.unit.api.console.test_app import Browser, browsing
from tests.unit.api.console.test_identity_providers import Company, shown

from kiteward.api.console.lists import Asked, cell
from kiteward.iam.json_api.base import plain
from kiteward.store.records import KeyRecord


@asynccontextmanager
async def listing(monkeypatch: pytest.MonkeyPatch, *, user: str = "root") -> AsyncIterator[Company]:
    """A browser at a server with eight users, of which a page shows three."""
    monkeypatch.setattr("kiteward.api.console.lists.PAGE_SIZE", 3)
    async with browsing() as browser:
        harness = browser.harness
        await harness.role("reader", ("CollectionAdmin", "default", "*"))
        for name in ("ann", "ben", "cleo", "dan", "eve"):
            await harness.user(name, *(("reader",) if name in ("ann", "dan") else ()))
        await harness.user("boss", "admin")
        await harness.gateway.handle(own_call("DisableUser", userName="eve"))
        await browser.sign_in(user, "Milvus" if user == "root" else PASSWORD)
        yield Company(harness, browser.client)


def users_in(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/console/users/([^"?]*)[^"]*"', page)


def link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="/console/([^"]*)"', page)
    assert found is not None, rel
    return html.unescape(found[1])


async def test_a_list_in_which_nobody_can_be_selected_has_no_bar_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        bar, boxes = 'id="many"', 'name="selected"'
        page = (await browser.open("users?q=root")).text
        assert users_in(page) == ["root"]
        assert (bar in page, boxes in page, "data-all" in page) == (False, False, False)
        page = (await browser.open("users?q=ann")).text
        assert (bar in page, boxes in page, "data-all" in page) == (True, True, True)


async def test_pages_lead_on_and_back_and_keep_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        first = (await browser.open("users?sort=-userName&q=N")).text
        assert users_in(first) == ["dan", "ben", "ann"]
        first = (await browser.open("users?sort=-userName")).text
        assert "1 to 3 of 7" in first
        assert "Page 1 of 3" in first
        second = (await browser.open(link(first, "next"))).text
        assert users_in(second) == ["cleo", "boss", "ben"]
        assert users_in((await browser.open(link(second, "prev"))).text) == ["root", "eve", "dan"]
        assert 'rel="prev"' not in first
        assert 'rel="next"' not in (await browser.open("users?page=3")).text
        behind = await browser.open("users?page=9&q=n")
        assert behind.headers["location"] == "/console/users?q=n"
        for page in ("0", "-1", "x", "9" * 30):
            assert "Page 1 of 3" in (await browser.open(f"users?page={page}")).text


async def test_the_first_and_the_last_page_are_one_step_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        text = (await browser.open("users?sort=-userName")).text
        last = html.unescape(re.findall(r'href="/console/([^"]*)">Last page', text)[0])
        assert re.search(r"[?&]sort=-userName&page=[3-9]", last)
        assert "First page" not in text
        page = (await browser.open(last)).text
        assert "Last page" not in page
        assert 'rel="next"' not in page
        assert re.findall(r'href="/console/([^"]*)">First page', page) == ["users?sort=-userName"]


async def test_a_long_description_is_cut_in_lists_and_all_of_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    long, shown_brief = "x" * 500, 0
    async with listing(monkeypatch) as browser:
        await browser.send("users/ann/description", description=long)
        await browser.send("roles/reader/description", description=long)
        await browser.send("new-key", description=long, expires_in_days="1")
        for page in ("users", "users?page=2", "roles", "roles/reader", "keys"):
            text = (await browser.open(page)).text
            assert f"<td>{long}" not in text
            shown_brief += text.count(f'<span class="brief" title="{long}">{long}</span>')
        assert shown_brief == 4
        assert long in await browser.text("users/ann")


async def test_users_are_filtered_by_state_and_role_and_an_order_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listing(monkeypatch) as browser:
        assert users_in((await browser.open("users?state=disabled")).text) == ["eve"]
        assert users_in((await browser.open("users?role=reader")).text) == ["ann", "dan"]
        assert "No users match." in await browser.text("users?q=nobody")
        refused = await browser.open("users?sort=colour")
        assert refused.status_code == 422
        assert "cannot be sorted by colour" in shown(refused.text)


@pytest.mark.parametrize(
    "path",
    ["users", "keys", "roles", "groups", "collections", "limits", "providers/users", "tagged-users?key=a&value=b"],
)
async def test_every_list_is_searched_sorted_and_exported(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with listing(monkeypatch) as browser:
        and_ = "&" if "?" in path else "?"
        text = await browser.text(f"{path}{and_}q=zzz")
        assert " match." in text or "No collection" in text
        assert (await browser.open(f"{path}{and_}sort=colour")).status_code == 422
        exported = await browser.open(path.replace("?", ".csv?") if "?" in path else f"{path}.csv")
        assert exported.headers["content-type"] == "text/csv; charset=utf-8"
        assert exported.headers["content-disposition"].startswith('attachment; filename="')
        assert exported.headers["cache-control"] == "no-store"


async def test_an_export_has_the_whole_filtered_list_and_no_formula_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kiteward.api.console.lists.MOST_LISTED", 2)
    async with listing(monkeypatch) as browser:
        await browser.harness.gateway.handle(
            own_call("CreateUserAccount", userName="mal", description='=HYPERLINK("http://x","y")')
        )
        text = (await browser.open("users.csv?sort=-userName")).text
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
        assert [row["userName"] for row in rows] == ["root", "mal", "eve", "dan", "cleo", "boss", "ben", "ann"]
        assert rows[1]["description"] == '\'=HYPERLINK("http://x","y")'
        assert (rows[0]["administrator"], rows[2]["enabled"], rows[3]["roles"]) == ("true", "false", "reader")
        assert "argon2" not in text
        found = (await browser.open("users.csv?state=disabled")).text
        assert len(found.splitlines()) == 2


async def test_a_file_of_roles_says_that_all_users_hold_public(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        text = (await browser.open("roles.csv")).text
        rows = {row["roleName"]: row for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))}
        assert (rows["public"]["members"], rows["admin"]["members"].isdigit()) == ("all users", True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        (None, ""),
        (True, "true"),
        (["a", "b"], "a b"),
        (["=a"], "'=a"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (7, "7"),
    ],
)
def test_a_cell_is_no_formula(value: object, expected: str) -> None:
    assert cell(value) == expected


def test_an_address_keeps_what_is_asked() -> None:
    asked = Asked("/console/users", "a&b", "-userName", 3, {"state": "disabled", "role": ""})
    assert asked.link(page=2) == "/console/users?q=a%26b&state=disabled&sort=-userName&page=2"
    assert asked.sorting("userName", by_name=True) == "/console/users?q=a%26b&state=disabled&sort=userName"
    assert Asked("/console/users").sorting("userName", by_name=True) == "/console/users?sort=-userName"


# Changes of what is selected


async def selected(browser: Company, path: str, names: list[str], **form: str) -> tuple[int, str, str]:
    """Send what is selected; return the status, the text, and where it leads."""
    page = await browser.open("account")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    answer = await browser.client.post(
        f"/console/{path}",
        data={"csrf": token, "selected": names, **form},
        headers={"Origin": "http://kiteward.example:19530"},
    )
    return answer.status_code, shown(answer.text), answer.headers.get("location", "")


async def states(browser: Company) -> dict[str, bool]:
    found = plain(await browser.harness.gateway.handle(own_call("ListUserAccounts")))
    return {user["userName"]: user["enabled"] for user in found["users"]}


async def test_a_page_says_what_happens_to_each_and_then_all_of_it_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch, user="boss") as browser:
        names = ["ann", "eve", "root", "boss", "ghost"]
        status, text, _ = await selected(browser, "change-users", names, change="disable", back="/console/users?q=n")
        assert status == 200
        assert "ann Will be disabled" in text
        assert "eve No change" in text
        for name in ("root", "boss"):
            assert f"{name} Left out {name} is root , or your own user" in text
        assert "ghost Left out There is no user ghost" in text
        assert (await states(browser))["ann"] is True
        status, _, where = await selected(
            browser, "change-users", ["ann"], change="disable", back="/console/users?q=n", apply="1"
        )
        assert (status, where.partition("&undo=")[0]) == (303, "/console/users?q=n&done=many_disable")
        assert (await states(browser))["ann"] is False


async def test_one_that_is_refused_meanwhile_refuses_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        status, text, _ = await selected(browser, "change-users", ["ann", "ghost"], change="delete", apply="1")
        assert status == 422
        assert "There is no user ghost" in text
        assert "ann" in await states(browser)


async def test_roles_are_given_and_taken_from_many_and_admin_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        _, text, _ = await selected(browser, "change-users", ["ben", "cleo"], change="add_role", role="admin")
        assert "Add the role admin" in text
        assert "may do everything" in text
        form = {"change": "add_role", "role": "reader", "apply": "1"}
        assert (await selected(browser, "change-users", ["ben", "ann"], **form))[0] == 303
        assert users_in((await browser.open("users?role=reader")).text) == ["ann", "ben", "dan"]
        form["change"] = "remove_role"
        back = "/console/roles/reader?q=n"
        where = (await selected(browser, "change-users", ["ann"], back=back, **form))[2]
        assert where.partition("&undo=")[0] == "/console/roles/reader?q=n&done=many_remove_role"
        assert users_in((await browser.open("users?role=reader")).text) == ["ben", "dan"]


async def test_a_role_that_is_no_part_of_a_change_is_not_in_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        _, text, _ = await selected(browser, "change-users", ["ann"], change="disable", role="reader")
        assert "Disable users What will happen" in text


@pytest.mark.parametrize(
    ("names", "form", "told"),
    [
        (["ann"], {"change": "rename"}, "Choose what to do."),
        (["ann"], {"change": "add_role"}, "Enter the role."),
        (["ann"], {"change": "add_role", "role": "ghost"}, "There is no role ghost"),
    ],
)
async def test_what_the_form_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, names: list[str], form: dict[str, str], told: str
) -> None:
    async with listing(monkeypatch) as browser:
        _, text, _ = await selected(browser, "change-users", names, **form)
        assert told in text


@pytest.mark.parametrize(
    ("path", "form", "wrong"),
    [
        ("change-users", {"change": "add_role"}, "role"),
        ("change-users", {"change": "remove_role", "role": "ghost"}, "role"),
        ("change-users", {"change": "add_role", "role": "9 lives"}, "role"),
        ("change-users", {"change": "add_role", "role": "ghost", "apply": "1"}, "role"),
        ("change-users", {"change": "rename"}, "change"),
        ("change-keys", {"change": ""}, "change"),
        ("change-group-roles", {"change": ""}, "change"),
    ],
)
async def test_what_the_form_lacks_is_asked_for_there_and_the_selection_is_kept(
    monkeypatch: pytest.MonkeyPatch, path: str, form: dict[str, str], wrong: str
) -> None:
    async with listing(monkeypatch) as browser:
        status, text, _ = await selected(browser, path, ["ann", "ben"], back="/console/users?q=n", **form)
        assert status == 422
        assert "2 selected" in text
        assert "can do what" not in text
        answer = await browser.send(path, selected="ann", **form)
        assert f'aria-describedby="{wrong}-error" aria-invalid="true"' in " ".join(answer.text.split())
        assert '<input type="hidden" name="selected" value="ann">' in answer.text
        assert "Continue</button>" in answer.text


async def test_what_was_asked_for_again_is_then_shown_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        _, text, _ = await selected(browser, "change-users", ["ann", "ben"], change="add_role", role="reader")
        assert "ann No change" in text
        assert "ben Will get the role" in text


async def test_a_change_of_nothing_leads_back_to_the_list_which_reports_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listing(monkeypatch) as browser:
        status, _, where = await selected(browser, "change-users", [], change="disable", back="/console/users?q=n")
        assert (status, where) == (303, "/console/users?q=n&done=none_selected")
        page = (await browser.open("users?q=n&done=none_selected")).text
        assert '<p class="note" role="status">Nothing was selected.</p>' in page


async def test_a_change_of_some_is_in_the_section_of_their_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        for back, trail in (("/console/users?q=n", "Users"), ("/console/roles/reader", "Roles \u203a reader")):
            form = {"change": "add_role", "role": "reader", "back": back}
            _, text, _ = await selected(browser, "change-users", ["ann"], **form)
            assert trail in text


@pytest.mark.parametrize("back", ["https://evil.example/console/users", "//evil.example", "/console/audit", "http://["])
async def test_a_change_leads_back_to_our_own_lists_only(monkeypatch: pytest.MonkeyPatch, back: str) -> None:
    async with listing(monkeypatch) as browser:
        _, _, where = await selected(browser, "change-users", ["ann"], change="disable", apply="1", back=back)
        assert where.partition("&undo=")[0] == "/console/users?done=many_disable"


async def test_keys_show_whether_they_are_accepted_and_many_are_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        made = [
            plain(await browser.harness.gateway.handle(own_call("CreateApiKey", userName=name)))["keyId"]
            for name in ("ann", "eve")
        ]
        page = await browser.text("keys?user=eve")
        assert "User disabled or locked" in page
        assert made[0] not in page
        assert made[1] in await browser.text("keys?state=blocked")
        assert "No API keys match." in await browser.text("keys?ends=7")
        _, told, _ = await selected(browser, "change-keys", [*made, "gone"], change="revoke")
        assert all(f"{key} {name}" in told for key, name in zip(made, ("ann", "eve"), strict=True))
        assert (await selected(browser, "change-keys", made, change="revoke", apply="1"))[0] == 303
        assert "No API keys." in await browser.text("keys")


@pytest.mark.parametrize("page", ["keys", "account"])
async def test_a_key_has_the_same_state_and_actions_wherever_it_is_listed(
    monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    async with listing(monkeypatch) as browser:
        ended = KeyRecord("k1", "root", "0" * 64, "ended", 0.0, "root", expires_at=1.0)
        async with browser.harness.policy_cache.change() as transaction:
            await transaction.keys.add(ended)
        shown_key = (await browser.open(page)).text.partition("<code>k1</code>")[2].partition("</tr>")[0]
        assert "Expired" in shown_key
        for action in ("description", "tags", "rotate", "disable", "revoke"):
            assert f'href="/console/keys/k1/{action}?back=' in shown_key, action


# Members of a role, badges, wording


async def test_members_are_searched_added_and_removed_on_the_page_of_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        for _ in range(2):  # the second time, they are members already
            assert "The users are members of the role." in await browser.done("roles/reader", member="ben, cleo")
        assert users_in((await browser.open("roles/reader")).text) == ["ann", "ben", "cleo"]
        assert users_in((await browser.open("roles/reader?q=DA")).text) == ["dan"]
        assert "There is no user ghost" in await browser.reported("roles/reader", member="ghost")
        assert "This field is required" in await browser.reported("roles/reader", member=" ")
        assert "ben can no longer do what reader allows" in await browser.text("roles/reader/members/ben/remove")
        assert "The user is no longer a member." in await browser.done("roles/reader/members/ben/remove")
        assert users_in((await browser.open("roles/reader")).text) == ["ann", "cleo", "dan"]


async def test_root_is_shown_as_the_administrator_that_it_is_and_its_deletion_is_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listing(monkeypatch) as browser:
        text = await browser.text("users?q=root")
        assert "Administrator" in text
        assert "None needed: root may do everything." in text
        assert "None needed" in await browser.text("users/root")
        assert "None needed" in await browser.text("account")
        refused = await browser.open("users/root/delete")
        assert refused.status_code == 422
        assert "The user root cannot be deleted." in shown(refused.text)
        assert "<button" not in refused.text.partition("<main")[2]


async def test_the_view_of_a_user_speaks_of_that_user(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        await browser.harness.gateway.handle(own_call("EnableUser", userName="eve"))
        text = await browser.text("users/eve/view")
        assert "that you may see" not in text


async def test_a_number_below_zero_is_told_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        refused = await browser.reported("new-key", user_name="ann", expires_in_days="-5")
        assert "Enter a whole number, 0 or more." in refused


async def test_many_roles_are_typed_and_few_are_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        assert 'type="checkbox" name="roles" value="reader"' in (await browser.open("new-user")).text
        monkeypatch.setattr("kiteward.api.console.roles._MOST_BOXES", 2)
        page = (await browser.open("new-user")).text
        assert 'id="roles" name="roles" type="text"' in page
        assert 'data-completes="roles"' in page
        answer = await browser.send("new-user", user_name="zoe", new_password=PASSWORD, roles="reader, admin")
        assert answer.status_code == 303
        assert "admin reader" in await browser.text("users?q=zoe")


# Completion


async def names(browser: Browser, path: str) -> list[str]:
    answer = await browser.open(f"names/{path}")
    assert answer.status_code == 200
    found: list[str] = answer.json()["names"]
    return found


async def test_names_are_offered_as_far_as_the_user_may_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch) as browser:
        assert await names(browser, "users?q=AN") == ["ann", "dan"]
        assert await names(browser, "roles?q=read") == ["reader"]
        assert await names(browser, "privileges?q=CollectionRe") == ["CollectionReadOnly", "CollectionReadWrite"]
        assert "ClusterAdmin" in await names(browser, "groups?q=")
        assert await names(browser, "databases?q=def") == ["default"]
        for path in ("secrets", "users?q=%00", "collections?database=ghost"):
            assert await names(browser, path) == []
        monkeypatch.setattr("kiteward.api.console.completion.MOST_OFFERED", 2)
        assert len(await names(browser, "privileges?q=")) == 2


async def test_users_who_administer_nothing_are_offered_no_users_and_no_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch, user="ben") as browser:
        assert await names(browser, "users?q=") == []
        assert await names(browser, "roles?q=") == []
        browser.client.cookies.clear()
        assert (await browser.open("names/users?q=")).status_code == 303


@pytest.mark.parametrize(
    "path", ["users", "users.csv", "roles", "roles.csv", "limits.csv", "providers/users.csv", "providers/groups.csv"]
)
async def test_lists_for_administrators_are_refused_to_others(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with listing(monkeypatch, user="ben") as browser:
        assert (await browser.open(path)).status_code == 403
        assert (await selected(browser, "change-users", ["ann"], change="delete", apply="1"))[0] == 403
        group_role = ["issuer=scim&group=a&match=exact&role=reader"]
        assert (await selected(browser, "change-group-roles", group_role, change="revoke_role", apply="1"))[0] == 403


@pytest.mark.parametrize(("asked", "told"), [("keys?user=ghost", "no user"), ("users?role=ghost", "no role")])
async def test_a_filter_by_what_does_not_exist_is_said_in_the_list(
    monkeypatch: pytest.MonkeyPatch, asked: str, told: str
) -> None:
    async with listing(monkeypatch) as browser:
        answer = await browser.open(asked)
        assert answer.status_code == 422
        assert f"There is {told} <code>ghost</code>" in answer.text
        assert 'value="ghost"' in answer.text


@pytest.mark.parametrize(
    ("user", "label"), [("root", "Key, user or description contains"), ("ben", "Key or description contains")]
)
async def test_keys_are_searched_by_user_only_where_there_are_those_of_others(
    monkeypatch: pytest.MonkeyPatch, user: str, label: str
) -> None:
    async with listing(monkeypatch, user=user) as browser:
        assert label in (await browser.open("keys")).text


async def test_users_export_their_own_keys_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(monkeypatch, user="ben") as browser:
        for name in ("ann", "ben"):
            await browser.harness.gateway.handle(own_call("CreateApiKey", userName=name, description=f"of {name}"))
        text = (await browser.open("keys.csv")).text
        assert ("of ben" in text, "of ann" in text) == (True, False)
        assert "kw_" not in text
