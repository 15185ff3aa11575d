"""Signing in and out: sessions, what ends them, and what keeps forms of others out."""

import re
import time
from pathlib import Path

import httpx
from playwright.sync_api import expect
from tests.console.conftest import PASSWORDS, Console, console_at
from tests.support import server_in_thread

from kiteward.config.loading import settings_from


def test_whoever_has_not_signed_in_is_asked_to_and_led_back_to_the_page_they_wanted(console: Console) -> None:
    with console.visitor() as context:
        page = context.new_page()
        page.goto(f"{console.address}connect")
        page.get_by_label("User").fill("reader")
        page.get_by_label("Password").fill(PASSWORDS["reader"])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/console/connect$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Connect")


def test_a_wrong_password_is_reported_at_once_and_the_name_stays(console: Console) -> None:
    with console.visitor() as context:
        page = context.new_page()
        page.goto(console.address)
        page.get_by_label("User").fill("reader")
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("The user name or password is wrong")
        expect(page.get_by_label("User")).to_have_value("reader")
        expect(page.get_by_label("Password")).to_have_value("")


def test_the_cookie_is_for_the_server_alone_and_holds_nothing_that_other_services_accept(console: Console) -> None:
    with console.signed_in("reader", new=True) as page:
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"]) == ("kiteward", True)
        assert (cookie["sameSite"], cookie["path"]) == ("Strict", "/")
        assert page.evaluate("document.cookie") == ""
        answer = httpx.post(
            f"{console.server.uri}/v2/kiteward/whoami/describe",
            json={},
            headers={"Authorization": f"Bearer {cookie['value']}", "Cookie": f"kiteward={cookie['value']}"},
        )
        assert answer.status_code == 401


def test_signing_out_ends_the_session_and_not_only_the_cookie(console: Console) -> None:
    with console.signed_in("reader", new=True) as page:
        token = page.context.cookies()[0]["value"]
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("You have signed out.")
        answer = httpx.get(f"{console.address}account", cookies={"kiteward": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?why=ended")


def test_a_second_tab_learns_that_its_session_was_ended(console: Console) -> None:
    password = console.new_user("two_tabs")
    with console.signed_in("two_tabs", password) as first, console.signed_in("two_tabs", password) as second:
        tab = first.context.new_page()
        tab.goto(f"{console.address}connect")
        second.get_by_role("button", name="Sign out everywhere").click()
        tab.get_by_role("link", name="My account").click()
        expect(tab.get_by_role("status")).to_contain_text("Your session has ended")
        # A form that was open meanwhile does nothing, and says so.
        first.get_by_label("Current password").fill(password)
        first.get_by_label("New password", exact=True).fill("Another-password-2")
        first.get_by_label("Repeat new password").fill("Another-password-2")
        first.get_by_role("button", name="Change password").click()
        expect(first.get_by_role("heading", level=1)).to_have_text("Sign in")
        console.sign_in(first, "two_tabs", password)


def test_one_session_can_be_ended_from_the_list_of_them(console: Console) -> None:
    password = console.new_user("lister")
    with console.signed_in("lister", password) as first, console.signed_in("lister", password) as second:
        second.reload()
        rows = second.get_by_role("group", name="Sessions").locator("tbody tr")
        expect(rows).to_have_count(2)
        rows.filter(has_not_text="This session").get_by_role("link", name="End").click()
        expect(second.get_by_role("heading", level=1)).to_contain_text("End the session of ")
        second.get_by_role("button", name="End").click()
        expect(second.get_by_role("status").first).to_have_text("The session was ended.")
        first.reload()
        expect(first.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_disabled_user_is_out_at_the_next_click(console: Console) -> None:
    password = console.new_user("dismissed")
    with console.signed_in("dismissed", password) as page:
        console.rest("kiteward/users/disable", userName="dismissed")
        page.get_by_role("link", name="Connect").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_session_is_over_when_its_time_has_come(console: Console, tmp_path: Path) -> None:
    settings = settings_from({"kiteward": {"console": {"sessionLifetime": 3}}})
    with server_in_thread.running(tmp_path, console=settings.console) as (uri, _):
        short_lived = console_at(uri, console.browser)
        with short_lived.signed_in("root") as page:
            page.goto(f"{short_lived.address}users")
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and page.get_by_role("heading", level=1).inner_text() != "Sign in":
                page.reload()
            expect(page.get_by_role("status")).to_contain_text("Your session has ended")
            short_lived.sign_in(page, "root")
            expect(page).to_have_url(re.compile("/console/overview"))


def test_forms_of_other_pages_and_without_the_sessions_token_change_nothing(console: Console) -> None:
    with console.signed_in("root") as page:
        cookies = {"kiteward": page.context.cookies()[0]["value"]}
        token = page.locator("input[name=csrf]").first.input_value()
        host = console.server.uri
        forms = [
            ({"Origin": "https://evil.example"}, {"csrf": token}),
            ({"Origin": host, "Sec-Fetch-Site": "cross-site"}, {"csrf": token}),
            ({"Origin": "null"}, {"csrf": token}),
            ({}, {"csrf": token}),
            ({"Origin": host}, {"csrf": ""}),
            ({"Origin": host}, {"csrf": "0" * 64}),
        ]
        for headers, form in forms:
            answer = httpx.post(f"{console.address}users/reader/delete", data=form, headers=headers, cookies=cookies)
            assert answer.status_code == 403, (headers, form)
        assert console.rest("kiteward/users/describe", userName="reader")["userName"] == "reader"
        # And the same form from here would be taken: it is only that this user does not exist.
        answer = httpx.post(
            f"{console.address}users/nobody_here/enable",
            data={"csrf": token},
            headers={"Origin": host},
            cookies=cookies,
        )
        assert answer.status_code == 404


def test_only_a_page_of_ours_is_redirected_to_after_signing_in(console: Console) -> None:
    for wanted in ("https://evil.example/", "//evil.example", "/console//evil.example", "/console/\\evil", "/v2/x"):
        answer = httpx.post(
            f"{console.address}sign-in",
            data={"user": "reader", "password": PASSWORDS["reader"], "next": wanted},
            headers={"Origin": console.server.uri},
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/overview"), wanted


def test_every_answer_lets_a_browser_do_as_little_as_it_needs(console: Console) -> None:
    for path in ("account", "sign-in", "no-such-page", "static/console.css"):
        headers = httpx.get(f"{console.address}{path}").headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert httpx.get(f"{console.address}sign-in").headers["cache-control"] == "no-store"


def test_who_has_a_one_time_password_sets_another_one_first(console: Console) -> None:
    console.rest("kiteward/users/create", userName="newcomer", password="First-password-1", oneTime=True)
    with console.signed_in("newcomer", "First-password-1") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Set your own password")
        page.goto(f"{console.address}collections")
        expect(page).to_have_url(f"{console.address}account")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("status")).to_have_text("You have signed out.")
    with console.signed_in("newcomer", "First-password-1") as page:
        page.get_by_label("Current password").fill("First-password-1")
        page.get_by_label("New password", exact=True).fill("First-password-1")
        page.get_by_label("Repeat new password").fill("First-password-1")
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Current password").fill("First-password-1")
        page.get_by_label("New password", exact=True).fill("Second-password-2")
        page.get_by_label("Repeat new password").fill("Second-password-2")
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        page.goto(f"{console.address}collections")
        expect(page.get_by_role("heading", level=1)).to_have_text("Collections")
