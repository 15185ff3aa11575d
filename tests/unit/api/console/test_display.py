"""Theme, language and time zone of one browser, in a cookie that anybody may have written."""

from datetime import UTC, datetime

import pytest
from tests.unit.api.console.test_app import browsing

from kiteward.api.console.display import Display, zone_named, zone_names
from kiteward.api.console.request import shown_time


def test_what_was_chosen_is_read_again() -> None:
    chosen = Display("dark", "zh", "Asia/Shanghai")
    assert Display.read(chosen.cookie) == chosen


@pytest.mark.parametrize(
    ("cookie", "read"),
    [
        ("", Display()),
        ("dark", Display()),
        ("dark.zh.Asia/Shanghai.more", Display()),
        ("pink.zh.UTC", Display(language="zh")),
        ('dark".xx.UTC', Display()),
        ("dark.fr.Europe/Nowhere", Display("dark")),
        ("light.en.../../etc/passwd", Display()),
        ("light.en./etc/passwd", Display("light", "en")),
        (f"light.en.{'A' * 10_000}", Display("light", "en")),
    ],
)
def test_what_is_not_valid_in_a_cookie_counts_as_not_chosen(cookie: str, read: Display) -> None:
    assert Display.read(cookie) == read


@pytest.mark.parametrize("name", ["", "utc ", "../UTC", "/UTC", "Europe", "Europe/", "a/b/c/d", "UTC\n", "x" * 65])
def test_a_name_that_is_no_time_zone_is_none(name: str) -> None:
    assert zone_named(name) is None


def test_every_zone_to_choose_from_can_be_chosen() -> None:
    assert [name for name in zone_names() if zone_named(name) is None] == []


def test_times_are_shown_in_the_chosen_zone() -> None:
    zone = zone_named("Asia/Shanghai")
    assert zone is not None
    moment = datetime(2026, 11, 29, 20, 30, tzinfo=UTC)
    assert (shown_time(moment), shown_time(moment, zone)) == ("2026-11-29 20:30", "2026-11-30 04:30")


async def test_the_choice_is_kept_in_the_browser_and_pages_follow_it() -> None:
    async with browsing() as browser:
        chosen = {"theme": "dark", "language": "zh", "zone": "Asia/Shanghai"}
        answer = await browser.post("preferences", next="/console/sign-in?why=ended", **chosen)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?why=ended")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert '<html lang="zh-Hans" data-theme="dark">' in (await browser.open("sign-in")).text
        await browser.sign_in()
        page = (await browser.open("users")).text
        assert "时间按 Asia/Shanghai 显示。" in page
        assert '<option value="Asia/Shanghai" selected>' in page


async def test_over_tls_the_cookie_of_the_choice_is_bound_to_the_host() -> None:
    async with browsing("https://kiteward.example") as browser:
        answer = await browser.post("preferences", theme="light", language="en", zone="UTC")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-kiteward-display=")
        assert "Secure" in cookie


@pytest.mark.parametrize("wrong", [{"theme": "pink"}, {"language": "xx"}, {"zone": "Mars/Base"}, {"zone": ""}])
async def test_a_choice_that_does_not_exist_is_refused_at_its_field(wrong: dict[str, str]) -> None:
    async with browsing() as browser:
        answer = await browser.post("preferences", **{"theme": "dark", "language": "en", "zone": "UTC", **wrong})
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers
        (name,) = wrong
        assert f'id="{name}-error"' in answer.text


@pytest.mark.parametrize(
    "wanted",
    [
        *("https://evil.example/", "//evil.example", "/console/sign-in/company/callback?code=1"),
        *("/console/../elsewhere", "/console/%2E%2e/x", "/console/.."),
    ],
)
async def test_a_choice_leads_back_to_pages_of_the_console_alone(wanted: str) -> None:
    async with browsing() as browser:
        answer = await browser.post("preferences", next=wanted, theme="dark", language="en", zone="UTC")
        assert answer.headers["location"] == "/console/overview"


async def test_whoever_is_signed_in_chooses_within_the_frame_of_pages() -> None:
    async with browsing() as browser:
        assert 'class="side"' not in (await browser.open("preferences")).text
        await browser.sign_in()
        assert 'class="side"' in (await browser.open("preferences")).text
        assert 'class="side"' in (await browser.post("preferences", theme="pink", language="en", zone="UTC")).text
