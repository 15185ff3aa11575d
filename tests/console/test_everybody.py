"""Pages for every user: the account, the password, keys, how to connect, and visible objects."""

import httpx
import pytest
from playwright.sync_api import expect
from tests.console.conftest import Console


def test_the_policy_is_checked_as_one_types_and_the_password_changed(console: Console) -> None:
    password = console.new_user("changer")
    with console.signed_in("changer", password) as page, console.signed_in("changer", password) as other:
        new = page.get_by_label("New password", exact=True)
        new.press_sequentially("abc")
        expect(page.locator(".policy .broken")).to_have_count(2)
        new.press_sequentially("DEF-123456")
        expect(page.locator(".policy .kept")).to_have_count(2)
        page.get_by_label("Current password").fill(password)
        page.get_by_label("Repeat new password").fill("abcDEF-123456")
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("status").first).to_contain_text("Your password was changed")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        other.reload()
        expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
        console.sign_in(other, "changer", "abcDEF-123456")


def test_a_password_that_cannot_be_is_reported_at_its_field(console: Console) -> None:
    password = console.new_user("mistaken")
    with console.signed_in("mistaken", password, java_script_enabled=False) as page:

        def change(old: str, new: str, again: str) -> None:
            page.locator("#old_password").fill(old)
            page.locator("#new_password").fill(new)
            page.locator("#again").fill(again)
            page.get_by_role("button", name="Change password").click()

        change("wrong", "Another-password-2", "Another-password-2")
        expect(page.locator("#old_password-error")).to_have_text("This is not your current password.")
        change(password, "short", "short")
        expect(page.locator("#new_password-error")).to_contain_text("8 to 64 characters")
        expect(page.locator("#new_password")).to_have_attribute("aria-invalid", "true")
        change(password, "Another-password-2", "Another-password-3")
        expect(page.locator("#again-error")).to_have_text("The two new passwords differ.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_key_is_made_shown_once_used_rotated_and_revoked(console: Console, scripts: bool) -> None:
    user = f"key_maker_{scripts}".lower()
    password = console.new_user(user, "docs_reader")
    with console.signed_in(user, password, java_script_enabled=scripts) as page:
        page.get_by_role("link", name="API keys", exact=True).click()
        expect(page.get_by_text("No API keys.")).to_be_visible()
        page.get_by_role("link", name="New API key").click()
        page.get_by_label("Description").fill("nightly job")
        page.get_by_label("Networks").fill("not a network")
        page.get_by_role("button", name="Create API key").click()
        expect(page.locator("#networks-error")).to_contain_text("10.0.0.0/8")
        expect(page.get_by_label("Description")).to_have_value("nightly job")
        page.get_by_label("Networks").fill("")
        page.get_by_role("checkbox", name="docs_reader").check()
        page.get_by_role("button", name="Create API key").click()
        first = page.locator("#secret").inner_text()
        assert who(console, first) == user
        page.get_by_role("link", name="I have saved it").click()
        expect(page.get_by_role("row", name="nightly job")).to_be_visible()
        assert first not in page.content()
        page.get_by_role("link", name="Rotate").click()
        expect(page.get_by_label("Old secret stays valid")).to_have_value("86400")
        page.get_by_label("Old secret stays valid").select_option("Not at all")
        page.get_by_role("button", name="Rotate").click()
        second = page.locator("#secret").inner_text()
        assert (who(console, first), who(console, second)) == (None, user)
        page.get_by_role("link", name="I have saved it").click()
        page.get_by_role("link", name="Revoke").click()
        expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("No API keys.")).to_be_visible()
        assert who(console, second) is None


def who(console: Console, key: str) -> str | None:
    answer = httpx.post(
        f"{console.server.uri}/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {key}"}
    )
    return str(answer.json()["data"]["userName"]) if answer.status_code == 200 else None


def test_a_user_with_one_collection_sees_it_and_nothing_else(console: Console) -> None:
    with console.signed_in("reader") as page:
        navigation = page.get_by_role("navigation")
        shown = ["My account", "Connect", "Collections", "API keys", "Explain access"]
        assert navigation.get_by_role("link").all_inner_texts() == shown
        expect(page.get_by_role("group", name="Grants").locator("tbody tr")).to_have_count(2)
        page.get_by_role("link", name="Collections").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Collections")
        assert page.locator("tbody").get_by_role("link").all_inner_texts() == ["docs"]
        page.get_by_role("link", name="docs").click()
        expect(page.get_by_role("heading", name="Fields")).to_be_visible()
        expect(page.get_by_text("Who has access to this collection")).to_have_count(0)
        for name in ("images", "research", "papers", "boss"):
            assert name not in page.content()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("users", 403),
        ("new-user", 403),
        ("users/boss", 403),
        ("users/boss/view", 403),
        ("roles", 403),
        ("roles/admin", 403),
        ("groups", 403),
        ("matrix", 403),
        ("health", 403),
        ("collections/default/images", 404),
        ("collections/research/papers", 404),
        ("no-such-page", 404),
        ("keys?user=boss", 403),
    ],
)
def test_a_user_with_few_rights_is_notified_on_other_pages(console: Console, path: str, status: int) -> None:
    cookies = signed_in_cookies(console, "reader")
    answer = httpx.get(f"{console.address}{path}", cookies=cookies)
    assert answer.status_code == status
    assert "<h1>" in answer.text


def signed_in_cookies(console: Console, user: str) -> dict[str, str]:
    with console.signed_in(user) as page:
        return {"kiteward": page.context.cookies()[0]["value"]}


def test_snippets_name_this_endpoint_and_who_is_signed_in(console: Console) -> None:
    with console.signed_in("reader") as page:
        page.get_by_role("link", name="Connect").click()
        for name in ("Python", "Java", "Go", "Node.js", "cURL"):
            expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        python = page.locator("#python-code").inner_text()
        assert f'MilvusClient(\n    uri="{console.server.uri}",\n    token="reader:PASSWORD",\n)' in python


def test_a_form_is_sent_once_however_often_its_button_is_pressed(console: Console) -> None:
    password = console.new_user("impatient")
    with console.signed_in("impatient", password) as page:
        page.goto(f"{console.address}new-key")
        page.get_by_label("Description").fill("pressed twice")
        page.get_by_role("button", name="Create API key").dblclick()
        expect(page.locator("#secret")).to_be_visible()
        page.get_by_role("link", name="I have saved it").click()
        expect(page.get_by_role("row", name="pressed twice")).to_have_count(1)
