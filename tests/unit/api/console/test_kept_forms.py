"""Forms of sessions that had ended: what was typed comes back to the same user, without secrets, and to nobody else."""

import html
import re
from pathlib import Path

import httpx
import pytest
from tests.unit.api.console.test_app import Browser, browsing
from tests.unit.api.console.test_second_factors import enrol

from kiteward.api import console
from kiteward.api.console.kept_forms import WAITING_SECONDS, KeptForm, WaitingForms, is_dropped

HERE = Path(console.__file__).parent
TYPED = {"form_of": "root", "user_name": "new_one", "description": '<b>"half"</b> an hour of typing', "csrf": "old"}


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


async def signed_in_again(browser: Browser, ended: httpx.Response, user: str = "root") -> httpx.Response:
    """Sign in on the page to which a form of an ended session has led."""
    fields = {name: hidden(ended.text)[name] for name in ("next", "kept")}
    passwords = {"root": "Milvus"}
    return await browser.post("sign-in", user=user, password=passwords.get(user, "Other-password-1"), **fields)


async def test_what_was_typed_comes_back_to_the_same_user_and_is_not_sent() -> None:
    async with browsing() as browser:
        ended = await browser.post("new-user", **TYPED, new_password="Secret-password-1")
        assert ended.status_code == 403
        assert "What you typed is kept" in ended.text
        assert "Secret-password-1" not in ended.text
        led_on = await signed_in_again(browser, ended)
        fields = hidden(led_on.text)
        assert 'action="/console/new-user"' in led_on.text
        shown = await browser.post("new-user", **fields)
        assert 'value="new_one"' in shown.text
        assert 'value="&lt;b&gt;&#34;half&#34;&lt;/b&gt; an hour of typing"' in shown.text
        assert "new_one" not in (await browser.open("users")).text


async def test_another_user_gets_the_page_without_what_was_typed() -> None:
    async with browsing() as browser:
        await browser.harness.user("other", "admin", password="Other-password-1")
        ended = await browser.post("new-user", **TYPED)
        answer = await signed_in_again(browser, ended, "other")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/new-user")
        token = hidden((await browser.open("account")).text)["csrf"]
        shown = await browser.post("new-user", **{**TYPED, "csrf": token}, resumed="1")
        assert shown.status_code == 200
        assert "new_one" not in shown.text


async def test_it_goes_through_the_second_factor_too() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        _, codes = await enrol(browser)
        browser.client.cookies.clear()
        led_on = await signed_in_again(browser, await browser.post("new-user", **TYPED))
        assert 'action="/console/second-step"' in led_on.text
        step = await browser.post("second-step", **hidden(led_on.text))
        fields = {name: hidden(step.text)[name] for name in ("next", "kept")}
        done = await browser.post("second-step", code=codes[0], **fields)
        assert 'value="new_one"' in (await browser.post("new-user", **hidden(done.text))).text


async def test_a_wrong_password_does_not_lose_it() -> None:
    async with browsing() as browser:
        ended = await browser.post("new-user", **TYPED)
        fields = {name: hidden(ended.text)[name] for name in ("next", "kept")}
        again = await browser.post("sign-in", user="root", password="wrong", **fields)
        assert again.status_code == 422
        assert hidden(again.text)["kept"] == fields["kept"]


async def test_a_form_with_values_needs_the_token_of_the_session() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        assert (await browser.post("new-user", **TYPED, resumed="1")).status_code == 403


async def test_where_nothing_was_typed_the_page_alone_comes_back() -> None:
    async with browsing() as browser:
        answer = await browser.post("users/root/enable", form_of="root", csrf="old")
        assert answer.headers["location"] == "/console/sign-in?why=ended&next=%2Fconsole%2Fusers%2Froot%2Fenable"


async def test_more_than_a_limit_is_not_kept() -> None:
    async with browsing() as browser:
        for size in (33 * 1024, 70 * 1024):
            answer = await browser.post("new-user", **{**TYPED, "description": "x" * size})
            assert answer.status_code == 303


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '["root"]', '["root", {"a": 1}]', '["root", ["a"]]', "[" * 100_000, '["", {"a": ["b"]}]']
)
def test_what_a_browser_makes_up_is_not_read(text: str) -> None:
    assert KeptForm.read(text) is None


def test_what_is_read_again_has_no_secret_either() -> None:
    kept = KeptForm.read('["root", {"description": ["x"], "new_password": ["y"], "csrf": ["z"]}]')
    assert kept == KeptForm("root", {"description": ["x"]})


def test_no_field_for_a_secret_is_kept() -> None:
    sources = [path.read_text("utf-8") for pattern in ("*.py", "templates/*.html") for path in HERE.glob(pattern)]
    named = {name for source in sources for name in re.findall(r'Field\(\s*"(\w+)",\s*"password"', source)}
    named |= {name for source in sources for name in re.findall(r'ui\.password\("(\w+)"', source)}
    named |= {name for source in sources for name in re.findall(r'name="(\w+)"[^>]*one-time-code', source)}
    assert {"new_password", "old_password", "again", "password", "code"} <= named
    assert [name for name in named if not is_dropped(name)] == []


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


FORM = KeptForm("ann", {"description": ["half an hour of typing"]})


def test_a_form_that_waits_is_returned_once_for_its_ticket_and_page() -> None:
    waiting = WaitingForms()
    ticket = waiting.put(FORM, "/console/new-key").reveal()
    assert waiting.take("another", "/console/new-key") is None
    assert waiting.take(ticket, "/console/new-key") == FORM
    assert waiting.take(ticket, "/console/new-key") is None
    ticket = waiting.put(FORM, "/console/new-key").reveal()
    assert waiting.take(ticket, "/console/new-user") is None


def test_a_form_that_waits_is_forgotten_after_a_while() -> None:
    clock = Clock()
    waiting = WaitingForms(clock)
    ticket = waiting.put(FORM, "/console/new-key").reveal()
    clock.now = WAITING_SECONDS
    assert waiting.take(ticket, "/console/new-key") is None


def test_no_more_than_a_number_of_forms_wait() -> None:
    waiting = WaitingForms()
    tickets = [waiting.put(FORM, "/console/new-key").reveal() for _ in range(65)]
    assert waiting.take(tickets[0], "/console/new-key") is None
    assert all(waiting.take(ticket, "/console/new-key") == FORM for ticket in tickets[1:])
