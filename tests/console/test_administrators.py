"""What administrators do about users, roles, grants and the rest: as root, and as a holder of the role admin."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import Console

BOTH = pytest.mark.parametrize("who", ["root", "boss"])


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").first).to_have_text(text)


def preview_and_apply(page: Page) -> None:
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_role("button", name="Apply changes").click()
    said(page, "The grants were changed.")


@BOTH
def test_a_user_is_created_and_a_form_that_cannot_be_taken_keeps_what_was_typed(console: Console, who: str) -> None:
    with console.signed_in(who) as page:
        page.get_by_role("link", name="Users").click()
        page.get_by_role("link", name="New user").click()
        page.get_by_label("User name").fill("reader")
        page.get_by_label("Description").fill("kept as typed")
        page.get_by_role("checkbox", name="docs_reader").check()
        page.get_by_role("button", name="Create user").click()
        expect(page.locator("#user_name-error")).to_have_text("There is a user reader already.")
        expect(page.get_by_label("Description")).to_have_value("kept as typed")
        expect(page.get_by_role("checkbox", name="docs_reader")).to_be_checked()
        page.get_by_label("User name").fill(f"made_by_{who}")
        page.get_by_role("button", name="Create user").click()
        with console.signed_in(f"made_by_{who}", page.locator("#secret").inner_text()) as theirs:
            expect(theirs.get_by_role("main")).to_contain_text("docs_reader")


def test_reason_stands_at_its_field_in_chinese(console: Console) -> None:
    with console.signed_in("boss", locale="zh-CN") as page:
        page.goto(f"{console.address}new-user")
        page.locator("#user_name").fill("9 lives")
        page.locator("button.main").click()
        expect(page.locator("#user_name-error")).to_have_text("名称必须以字母开头，不能以 9 开头。")  # noqa: RUF001  Chinese
        expect(page.locator("#user_name")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#user_name")).to_have_value("9 lives")


@pytest.mark.parametrize(
    ("path", "place", "sentence"),
    [
        ("collections/ghost/docs", ".detail", "数据库 ghost 不存在，或您无权查看。"),  # noqa: RUF001  Chinese
        ("collections/default/ghost", ".detail", "集合不存在，或您无权查看。"),  # noqa: RUF001  Chinese
        ("roles/ghost", ".detail", "角色 ghost 不存在。"),
        ("explain?operation=CalcDistance", ".banner", "此处不支持 CalcDistance。"),
        ("explain?privilege=Serch", ".banner", "没有名为 Serch 的权限或权限组。"),
        ("explain?line=999999", ".banner", "审计日志中没有第 999999 条记录。"),
    ],
)
def test_refusal_is_a_chinese_sentence_around_names_alone(
    console: Console, path: str, place: str, sentence: str
) -> None:
    with console.signed_in("root", locale="zh-CN") as page:
        page.goto(f"{console.address}{path}")
        reason = page.locator(f"main {place}")
        expect(reason).to_contain_text(sentence)
        names = page.locator(f"main {place} code").all_inner_texts()
        words = re.findall(r"[A-Za-z]{2,}", reason.inner_text())
        assert [word for word in words if word not in {*names, "Collection", "Milvus", "ID"}] == []


@BOTH
def test_a_reset_password_is_shown_once_and_the_old_one_holds_as_long_as_chosen(console: Console, who: str) -> None:
    name = f"forgetful_of_{who}"
    first = console.new_user(name)
    with console.signed_in(who) as page, console.signed_in(name, first) as theirs:
        page.goto(f"{console.address}users/{name}")
        page.get_by_role("link", name="Reset password").click()
        page.get_by_label("Old password stays valid").select_option("For an hour")
        page.get_by_role("button", name="Reset password").click()
        second = page.locator("#secret").inner_text()
        theirs.reload()
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Sign in")
        for password in (second, first):
            console.sign_in(theirs, name, password)
        page.get_by_role("link", name="I have saved it").click()
        page.get_by_role("link", name="End it now").click()
        page.get_by_role("button", name="End it now").click()
        said(page, "The old password is no longer accepted.")
        theirs.reload()
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Sign in")


@BOTH
def test_a_user_is_disabled_enabled_and_deleted_after_a_warning(console: Console, who: str) -> None:
    name = f"leaving_{who}"
    password = console.new_user(name)
    with console.signed_in(who) as page, console.signed_in(name, password) as theirs:
        page.goto(f"{console.address}users/{name}")
        page.get_by_role("link", name="Disable").click()
        expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
        page.get_by_role("button", name="Disable").click()
        said(page, "The user was disabled.")
        theirs.reload()
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.get_by_role("button", name="Enable").click()
        said(page, "The user was enabled.")
        page.get_by_role("link", name="Delete").click()
        page.get_by_label("Confirm the name").fill(name)
        page.get_by_role("button", name="Delete").click()
        said(page, "The user was deleted.")
        page.get_by_label("Name or description contains").fill(name.upper())
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("No users match.")).to_be_visible()


def test_roles_are_added_to_a_user_and_taken_and_the_view_follows(console: Console) -> None:
    console.new_user("watched")
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}users/watched")
        page.get_by_label("Add a role").press_sequentially("docs")
        expect(page.locator("#role-names option")).to_have_count(1)
        expect(page.locator("#role-names option")).to_have_attribute("value", "docs_reader")
        page.get_by_label("Add a role").fill("docs_reader")
        page.get_by_role("button", name="Add").click()
        said(page, "The role was added.")
        page.get_by_role("link", name="View as this user").click()
        main = page.get_by_role("main")
        expect(main.get_by_role("link", name="docs", exact=True)).to_be_visible()
        expect(main.get_by_role("link", name="images")).to_have_count(0)
        page.get_by_role("main").get_by_role("link", name="watched").click()
        page.get_by_role("link", name="Remove docs_reader").click()
        page.get_by_role("button", name="Remove").click()
        said(page, "The role was removed.")
        page.get_by_role("link", name="View as this user").click()
        expect(page.get_by_text("There are no collections that watched may see.")).to_be_visible()


@BOTH
def test_the_last_way_in_for_administrators_is_not_taken(console: Console, who: str) -> None:
    with console.signed_in(who) as page:
        page.goto(f"{console.address}users/root/delete")
        expect(page.get_by_role("main")).to_contain_text("The user root cannot be deleted.")
        expect(page.get_by_role("button", name="Delete")).to_have_count(0)


def deletes_the_role(page: Page, role: str) -> None:
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text(f"Users who lose it: holder_of_{role}")).to_be_visible()
    page.get_by_label("Confirm the name").fill(role)
    page.get_by_role("button", name="Delete").click()
    said(page, "The role was deleted.")


def walks_by_arrows_and_selects_a_row(page: Page) -> None:
    for label, key in (
        ("CollectionReadOnly, default.images", "ArrowUp"),
        ("CollectionReadOnly, default.docs", "ArrowUp"),
        ("CollectionReadOnly, default.*", "ArrowLeft"),
        ("DatabaseAdmin, default.*", "Home"),
    ):
        page.get_by_label(label, exact=True).press(key)
    expect(page.get_by_label("DatabaseReadOnly, default.*")).to_be_focused()
    for checked in (True, False):
        page.get_by_role("button", name="Select or clear all of default.logs").click()
        expect(page.get_by_label("CollectionAdmin, default.logs")).to_be_checked(checked=checked)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_grants_change_in_the_matrix_after_a_preview(console: Console, scripts: bool) -> None:
    role = f"matrix_{scripts}".lower()
    console.new_user(f"holder_of_{role}")
    with console.signed_in("boss", java_script_enabled=scripts) as page:
        page.goto(f"{console.address}new-role")
        page.get_by_label("Role name").fill(role)
        page.get_by_role("button", name="Create role").click()
        said(page, "The role was created.")
        console.rest("vectordb/users/grant_role", userName=f"holder_of_{role}", roleName=role)
        page.get_by_role("link", name="See and edit privileges").click()
        page.get_by_label("CollectionReadOnly, default.images").check()
        if scripts:
            walks_by_arrows_and_selects_a_row(page)
        page.get_by_label("DatabaseReadOnly, default.*").check()
        if scripts:
            expect(page.get_by_text("2 changed")).to_be_visible()
        page.get_by_role("button", name="Preview changes").click()
        expect(page.locator("ul.given li")).to_have_count(2)
        expect(page.get_by_role("link", name=f"holder_of_{role}")).to_be_visible()
        assert console.rest("vectordb/roles/describe", roleName=role, dbName="*") == []
        page.get_by_role("button", name="Apply changes").click()
        said(page, "The grants were changed.")
        page.get_by_label("DatabaseReadOnly, default.*").uncheck()
        page.get_by_role("button", name="Preview changes").click()
        expect(page.locator("ul.taken")).to_contain_text("DatabaseReadOnly")
        page.get_by_role("button", name="Apply changes").click()
        said(page, "The grants were changed.")
        held = console.rest("vectordb/roles/describe", roleName=role, dbName="*")
        assert [(each["privilege"], each["objectName"]) for each in held] == [("CollectionReadOnly", "images")]
        page.get_by_label("Columns").select_option("Collection privileges")
        page.get_by_role("button", name="Show").click()
        page.get_by_label("Insert, default.docs").check()
        preview_and_apply(page)
        page.goto(f"{console.address}roles/{role}")
        page.get_by_role("link", name="Revoke Insert default.docs").click()
        page.get_by_role("button", name="Revoke").click()
        said(page, "The grant was revoked.")
        deletes_the_role(page, role)


def test_a_grant_given_meanwhile_by_somebody_else_stays(console: Console) -> None:
    console.rest("vectordb/roles/create", roleName="shared")
    with console.signed_in("root") as page:
        page.goto(f"{console.address}matrix?role=shared")
        grant = {"roleName": "shared", "privilege": "CollectionAdmin", "collectionName": "docs", "dbName": "default"}
        console.rest("vectordb/roles/grant_privilege_v2", **grant)
        page.get_by_label("CollectionReadOnly, default.logs").check()
        preview_and_apply(page)
        held = console.rest("vectordb/roles/describe", roleName="shared", dbName="*")
        assert {each["objectName"] for each in held} == {"docs", "logs"}


def test_a_privilege_group_is_created_changed_and_deleted(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.get_by_role("link", name="Privilege groups").click()
        page.get_by_role("link", name="New privilege group").click()
        page.get_by_label("Group name").fill("searchers")
        page.get_by_role("checkbox", name="Search", exact=True).check()
        page.get_by_role("button", name="Create group").click()
        said(page, "The privilege group was created.")
        page.get_by_role("link", name="Edit privileges").click()
        expect(page.get_by_role("checkbox", name="Search", exact=True)).to_be_checked()
        page.get_by_role("checkbox", name="Query", exact=True).check()
        page.get_by_role("checkbox", name="Search", exact=True).uncheck()
        page.get_by_role("button", name="Save").click()
        said(page, "The privilege group was changed.")
        groups = console.rest("vectordb/privilege_groups/list")["privilegeGroups"]
        assert [each["privileges"] for each in groups if each["privilegeGroupName"] == "searchers"] == ["Query"]
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        said(page, "The privilege group was deleted.")


@BOTH
def test_collections_show_who_may_touch_them_and_health_how_the_server_is(console: Console, who: str) -> None:
    with console.signed_in(who) as page:
        page.get_by_role("link", name="Collections").click()
        page.get_by_role("link", name="docs", exact=True).click()
        holders = page.get_by_role("group", name="Who has access to this collection")
        expect(holders.get_by_role("row", name=re.compile("^reader"))).to_contain_text("docs_reader")
        expect(holders.get_by_role("row", name=re.compile("^reader"))).to_contain_text("Search, Query on default.docs")
        expect(holders.get_by_role("row", name=re.compile("^boss"))).to_contain_text("Everything")
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_text("Unavailable")).to_have_count(0)
        expect(page.get_by_role("main")).to_contain_text("3.0.0+kiteward")


def test_keys_of_others_are_found_and_disabled(console: Console) -> None:
    password = console.new_user("key_owner")
    with console.signed_in("key_owner", password) as theirs:
        theirs.goto(f"{console.address}new-key")
        theirs.get_by_label("Description").fill("theirs")
        theirs.get_by_role("button", name="Create API key").click()
        expect(theirs.locator("#secret")).to_be_visible()
    with console.signed_in("boss") as page:
        page.get_by_role("link", name="API keys", exact=True).click()
        page.get_by_label("Keys of user").fill("key_owner")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Disable").click()
        page.get_by_role("button", name="Disable").click()
        said(page, "The API key was disabled.")
        row = page.get_by_role("row", name="theirs")
        expect(row).to_contain_text("Disabled")
        row.get_by_role("button", name="Enable").click()
        said(page, "The API key was enabled.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_selected_users_are_disabled_together_after_a_page_says_so(console: Console, scripts: bool) -> None:
    names = [f"bulk_{'a' if scripts else 'b'}_{number}" for number in range(3)]
    for name in names:
        console.new_user(name)
    with console.signed_in("boss", java_script_enabled=scripts) as page:
        page.goto(f"{console.address}users?q={names[0][:-1]}")
        if scripts:
            expect(page.get_by_role("button", name="Continue")).to_be_disabled()
            page.get_by_role("checkbox", name="Select all on this page").check()
            expect(page.get_by_text("3 selected")).to_be_visible()
            page.get_by_role("checkbox", name=f"Select {names[2]}").uncheck()
        else:
            for name in names[:2]:
                page.get_by_role("checkbox", name=f"Select {name}").check()
        page.get_by_label("With selected").select_option("Disable users")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("row", name=re.compile(names[1]))).to_contain_text("Will be disabled")
        page.get_by_role("button", name="Disable users (2)").click()
        said(page, "All that was selected is disabled.")
        expect(page.get_by_role("row", name=re.compile(names[1]))).to_contain_text("Disabled")
        expect(page.get_by_role("row", name=re.compile(names[2]))).to_contain_text("Enabled")
        page.goto(f"{console.address}users?q={names[0][:-1]}&state=enabled&sort=-userName")
        expect(page.get_by_role("columnheader", name="User")).to_have_attribute("aria-sort", "descending")
        expect(page.get_by_text("1 in total")).to_be_visible()
