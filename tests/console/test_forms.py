"""What the browser itself does about forms: what was typed is not lost, and passwords can be looked at."""

import re
from typing import Any

import pytest
from playwright.sync_api import Dialog, expect
from tests.console.conftest import Console


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_form_of_a_session_that_has_ended_comes_back_filled_in(console: Console, scripts: bool) -> None:
    with console.signed_in("boss", new=True, java_script_enabled=scripts) as page:
        page.goto(f"{console.address}new-user")
        page.get_by_label("User name").fill("half_typed")
        page.get_by_label("Description").fill('"quoted" & <b>')
        page.get_by_role("checkbox", name="docs_reader").check()
        page.locator("#new_password").fill("Secret-password-1")
        console.rest("kiteward/sessions/end_all", userName="boss")
        console.sessions.pop("boss", None)
        page.get_by_role("button", name="Create user").click()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        expect(page.get_by_label("User")).to_have_value("boss")
        assert "Secret-password-1" not in page.content()
        page.locator("#password").fill("Boss-password-1")
        page.get_by_role("button", name="Sign in").click()
        if not scripts:
            page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New user")
        expect(page.get_by_label("User name")).to_have_value("half_typed")
        expect(page.get_by_label("Description")).to_have_value('"quoted" & <b>')
        expect(page.get_by_role("checkbox", name="docs_reader")).to_be_checked()
        expect(page.locator("#new_password")).to_have_value("")


def test_leaving_a_changed_form_asks_and_sending_it_does_not(console: Console) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    with console.signed_in("boss") as page:
        page.on("dialog", stay)
        page.goto(f"{console.address}new-role")
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Roles")
        page.goto(f"{console.address}new-role")
        page.get_by_label("Role name").fill("9 lives")
        page.get_by_role("link", name="Cancel").click()

        assert asked == ["beforeunload"]
        expect(page.get_by_label("Role name")).to_have_value("9 lives")
        # Sending it asks nothing; after it was not accepted, leaving asks again.
        page.get_by_role("button", name="Create role").click()
        expect(page.locator("#role_name-error")).to_be_visible()
        assert asked == ["beforeunload"]
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Role name")).to_have_value("9 lives")
        assert asked == ["beforeunload"] * 2


def test_a_password_is_shown_until_its_button_hides_it_again_and_sent_as_one(console: Console) -> None:
    with console.visitor() as context:
        page = context.new_page()
        page.goto(console.address)
        password, button = page.locator("#password"), page.locator("[data-shows=password]")
        expect(button).to_have_accessible_name("Show Password")
        password.fill("wrong")
        button.click()
        expect(password).to_have_attribute("type", "text")
        expect(button).to_have_accessible_name("Hide Password")
        button.click()
        expect(button).to_have_accessible_name("Show Password")
        expect(password).to_have_attribute("type", "password")


def test_a_key_is_put_into_the_snippets_once(console: Console) -> None:
    with console.signed_in("reader") as page:
        page.goto(f"{console.address}connect")
        page.get_by_role("button", name="Create a key and put it in").click()
        expect(page).to_have_url(re.compile("/console/connect/.+"))
        codes = page.locator("pre code").all_inner_texts()
        (key,) = {found[0] for code in codes if (found := re.search(r"kw_\w+", code))}
        assert len(codes) == sum(key in code for code in codes)
        assert console.rest("kiteward/api_keys/list", userName="reader")["keys"]
        page.reload()
        expect(page.get_by_role("status")).to_contain_text("The key was shown once")
        assert key not in page.content()
        found = console.rest("kiteward/api_keys/list", userName="reader")["keys"]
        assert [each["description"] for each in found] == ["from the page Connect"]


def test_roles_of_the_owner_whose_name_was_typed_are_offered(console: Console) -> None:
    console.new_user("narrowed", "docs_reader")
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}new-key")
        page.get_by_label("User name").fill("narrowed")
        page.get_by_label("Description").fill("for the crawler")
        page.get_by_role("button", name="Show roles").click()
        page.get_by_role("checkbox", name="docs_reader").check()
        page.get_by_label("Description").press("Enter")
        expect(page.locator("#secret")).to_be_visible()
        (key,) = console.rest("kiteward/api_keys/list", userName="narrowed")["keys"]
        assert (key["description"], key["roles"]) == ("for the crawler", ["docs_reader"])


def test_descriptions_are_changed_and_names_are_typed_before_they_are_deleted(console: Console) -> None:
    console.new_user("renamed")
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}users/renamed")
        page.get_by_role("link", name="Edit description").click()
        page.get_by_label("Description").fill("works at night")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("main")).to_contain_text("works at night")
        page.get_by_role("link", name="Delete").click()
        page.get_by_label("Confirm the name").fill("another")
        page.get_by_role("button", name="Delete").click()
        expect(page.locator("#typed_name-error")).to_have_text("This is not the name. Nothing was changed.")
        page.get_by_label("Confirm the name").fill("renamed")
        page.get_by_role("button", name="Delete").click()
        expect(page.locator("p.done")).to_have_text("The user was deleted.")


def test_a_one_time_password_is_changed_first(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}new-user")
        page.get_by_label("User name").fill("once_only")
        page.get_by_role("checkbox", name="One-time password").check()
        page.get_by_role("button", name="Create user").click()
        password = page.locator("#secret").inner_text()
        with console.signed_in("once_only", password) as theirs:
            expect(theirs.get_by_role("heading", level=1)).to_have_text("Set your own password")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_on_a_telephone_the_navigation_is_behind_a_button(console: Console, scripts: bool) -> None:
    size = {"width": 390, "height": 844}
    with console.signed_in("boss", viewport=size, java_script_enabled=scripts) as page:
        main = page.get_by_role("main").bounding_box()
        assert main is not None
        assert main["y"] < 100
        expect(page.get_by_role("link", name="Audit trail", exact=True)).to_be_hidden()
        page.get_by_role("button", name="Open navigation").click()
        page.get_by_role("link", name="Audit trail", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
        expect(page.get_by_role("link", name="Connect")).to_be_hidden()


def test_a_page_is_gone_to_by_the_keyboard_alone(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.keyboard.press("/")
        first, others = page.locator("dialog li.first"), page.locator("dialog li:not(.first):not([hidden])")
        expect(first).to_have_count(1)
        colour = (
            "each => getComputedStyle(each.querySelector('a')).backgroundColor + getComputedStyle(each).backgroundColor"
        )
        assert first.evaluate(colour) != others.first.evaluate(colour)
        page.keyboard.type("audit")
        expect(first).to_have_text("Audit trail")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
        page.get_by_label("User").fill("/")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("Control+k")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_theme_language_and_time_zone_are_chosen_on_any_page(console: Console, scripts: bool) -> None:
    options: dict[str, Any] = {"java_script_enabled": scripts, "timezone_id": "Asia/Shanghai", "color_scheme": "light"}
    with console.signed_in("boss", new=True, **options) as page:
        page.goto(f"{console.address}users?q=re")
        page.get_by_role("button", name="Display").click()
        page.get_by_label("Theme").select_option("dark")
        page.get_by_label("Language").select_option("中文")
        if scripts:
            page.get_by_label("Time zone").select_option("Asia/Shanghai")
        page.get_by_role("button", name="Apply").click()
        expect(page).to_have_url(re.compile(r"/console/users\?q=re$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("用户")
        expect(page.get_by_role("main")).to_contain_text("Asia/Shanghai" if scripts else "时间按 UTC 显示。")
        expect(page.locator("html")).to_have_css("background-color", "rgb(15, 20, 25)")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("new-user", ["user_name"]),
        ("new-key", ["expires_in_days", "networks"]),
        ("account", ["old_password", "new_password"]),
        ("audit?since=yesterday", ["since"]),
    ],
)
def test_fields_that_are_wrong_have_the_colour_of_errors(console: Console, path: str, fields: list[str]) -> None:
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}{path}")
        if path.startswith("new-"):
            for name in fields:
                page.locator(f"#{name}").fill("9 lives")
        if not page.get_by_role("alert").count():
            form = page.locator("form", has=page.locator(f"#{fields[0]}"))
            form.evaluate("(form) => { form.noValidate = true; form.requestSubmit(); }")
        expect(page.get_by_role("alert")).to_have_text("Please correct the marked fields.")
        for name in fields:
            colour = page.locator(f"#{name}-error").evaluate("(each) => getComputedStyle(each).color")
            expect(page.locator(f"#{name}[aria-invalid=true]")).to_have_css("border-top-color", colour)
