"""Limits of requests in the console, in both languages, and what a user sees who has some."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import Console
from tests.console.looks import looks_wrong
from tests.console.test_administrators import said

ENGLISH, CHINESE = "en-US", "zh-CN"


def open_(console: Console, page: Page, path: str) -> None:
    page.goto(f"{console.address}{path}")


def fill(page: Page, rate: str = "", burst: str = "", concurrent: str = "") -> None:
    for field, text in (("requests_per_second", rate), ("burst", burst), ("concurrent_requests", concurrent)):
        page.locator(f"#{field}").fill(text)
    page.locator("main form button.main").click()


def test_limits_of_a_user_are_set_changed_listed_and_removed(console: Console) -> None:
    console.new_user("limited")
    with console.signed_in("boss") as page:
        open_(console, page, "users/limited")
        page.get_by_role("link", name="Change limits").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Limits of limited")
        expect(page.get_by_text("No limits of its own.")).to_be_visible()
        page.get_by_label("Requests per second").fill("2.5")
        page.get_by_label("Burst").fill("7")
        page.get_by_role("button", name="Set limits").click()
        said(page, "The limits were set.")
        expect(page.get_by_label("Requests per second")).to_have_value("2.5")
        expect(page.get_by_role("row", name="User limited").first).to_contain_text("2.5")
        fill(page, concurrent="3")
        held = console.rest("kiteward/limits/describe", userName="limited")["own"]
        assert (held["requestsPerSecond"], held["burst"], held["concurrentRequests"]) == (None, None, 3)
        page.get_by_role("navigation").get_by_role("link", name="Limits").click()
        page.get_by_role("link", name="User limited").click()
        page.get_by_role("link", name="Remove limits").click()
        expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
        page.get_by_role("button", name="Remove limits").click()
        said(page, "The limits were removed.")
        assert console.rest("kiteward/limits/describe", userName="limited")["own"] is None


@pytest.mark.parametrize(
    ("locale", "numbers", "field", "sentence"),
    [
        (ENGLISH, {"rate": "many"}, "requests_per_second", "A number is required, such as 10 or 0.5."),
        (ENGLISH, {"burst": "2.5"}, "burst", "Enter a whole number, 0 or more."),
        (ENGLISH, {"rate": "0.01"}, "requests_per_second", "This must be from 0.1 to"),
        (ENGLISH, {"burst": "5"}, "burst", "This has no effect without requests per second."),
        (CHINESE, {"concurrent": "0"}, "concurrent_requests", "必须在 1 到"),
        (CHINESE, {"burst": "5"}, "burst", "没有每秒请求数时，此项无效。"),  # noqa: RUF001  Chinese
        (CHINESE, {}, "requests_per_second", "请至少给出一项限制。"),
    ],
)
def test_what_cannot_be_a_limit_stands_at_its_field_and_what_was_typed_stays(
    console: Console, locale: str, numbers: dict[str, str], field: str, sentence: str
) -> None:
    with console.signed_in("root", locale=locale) as page:
        open_(console, page, "users/reader/limits")
        fill(page, **numbers)
        expect(page.locator(f"#{field}-error")).to_contain_text(sentence)
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#{field}")).to_have_value(next(iter(numbers.values()), ""))
    assert console.rest("kiteward/limits/describe", userName="reader")["own"] is None


def test_limits_of_a_role_and_a_key_are_pages_in_chinese(console: Console) -> None:
    console.rest("vectordb/roles/create", roleName="paced")
    console.new_user("paced_user", "paced")
    key = console.rest("kiteward/api_keys/create", userName="paced_user")["keyId"]
    with console.signed_in("boss", locale=CHINESE) as page:
        for path, heading, rate in (
            ("roles/paced/limits", "角色 paced 的限制", "4"),
            (f"keys/{key}/limits", f"API 密钥 {key} 的限制", "2"),
        ):
            open_(console, page, path)
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
            fill(page, rate=rate)
            expect(page.locator("#requests_per_second")).to_have_value(rate)
        expect(page.get_by_role("heading", name="所有适用的限制")).to_be_visible()
        expect(page.locator("section", has_text="所有适用的限制")).to_contain_text("角色 paced")
        open_(console, page, "limits")
        for text in (f"API 密钥 {key}", "角色 paced"):
            expect(page.get_by_role("link", name=text, exact=True)).to_be_visible()
        words = re.findall(r"[A-Za-z]{2,}", page.get_by_role("main").inner_text())
        assert {word for word in words if word not in key} <= {"API", "CSV", "paced", "root", "kw"}
        open_(console, page, "users/paced_user")
        expect(page.get_by_role("link", name="角色 paced", exact=True)).to_be_visible()


def test_only_administrators_have_pages_of_limits(console: Console) -> None:
    with console.signed_in("reader") as page:
        for path in ("limits", "users/root/limits", "users/reader/limits"):
            answer = page.goto(f"{console.address}{path}")
            assert answer is not None
            if path == "users/reader/limits":
                fill(page, rate="1000")
                expect(page.get_by_role("heading", level=1)).not_to_contain_text("Limits")
            else:
                assert answer.status == 403
    assert console.rest("kiteward/limits/describe", userName="reader")["own"] is None


def test_limits_are_set_without_scripts_and_axe_finds_nothing(console: Console) -> None:
    console.new_user("plainly_limited")
    pages = ("limits", "users/plainly_limited/limits", "users/plainly_limited/limits/delete", "health")
    with console.signed_in("root", java_script_enabled=False) as page:
        open_(console, page, pages[1])
        fill(page, rate="100", concurrent="2")
        said(page, "The limits were set.")
    with console.signed_in("root") as page:
        assert looks_wrong(console, page, pages) == []


@pytest.mark.parametrize(
    ("locale", "heading", "lease"), [(ENGLISH, "Servers", "Not needed"), (CHINESE, "服务器", "无需租约")]
)
def test_health_lists_this_server(console: Console, locale: str, heading: str, lease: str) -> None:
    with console.signed_in("boss", locale=locale) as page:
        open_(console, page, "health")
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        row = page.locator("section", has=page.locator("#servers")).locator("tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text(lease)
