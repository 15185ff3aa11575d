"""The pages of second factors, without JavaScript: sign-in in two steps, enrolment, recovery codes, removal, reset."""

import html
import re

import pyotp
import pytest
from httpx import Response
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.passkey_device import PasskeyDevice
from tests.unit.api.console.test_app import Browser, browsing

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.second_factor.rules import PasskeyRules, RequiredOf, SecondFactorRules
from kiteward.domain.errors import StoreUnavailable

RULES = SecondFactorRules(passkeys=PasskeyRules("kiteward.example", ("https://kiteward.example",)))


def strict(harness: GatewayHarness, required: RequiredOf = RequiredOf.ADMINISTRATORS) -> None:
    harness.authenticator.factors.rules = SecondFactorRules(required, RULES.passkeys)


def with_passkeys(harness: GatewayHarness) -> None:
    strict(harness, RequiredOf.NOBODY)


def code_of(browser: Browser, secret: str, *, later: float = 0.0) -> str:
    browser.harness.later += later
    return pyotp.TOTP(secret).at(int(browser.harness.authenticator.factors._clock()))


async def send_app(browser: Browser, password: str = "Milvus") -> tuple[str, Response]:
    """Start an authenticator app as people do, send its form, and return its secret and the response."""
    page = (await browser.open("second-factors/app")).text
    secret = re.search(r'<code id="secret"[^>]*>([A-Z2-7]+)<', page)
    assert secret is not None
    token = page.partition('name="csrf" value="')[2].partition('"')[0]
    sent = {"csrf": token, "code": code_of(browser, secret[1]), "password": password, "label": "phone"}
    return secret[1], await browser.post("second-factors/app", **sent)


def codes_in(page: str) -> list[str]:
    """Return the recovery codes that a page shows."""
    return re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page)


async def enrol(browser: Browser, password: str = "Milvus") -> tuple[str, list[str]]:
    """Enrol an authenticator app, and return its secret and the recovery codes."""
    secret, answer = await send_app(browser, password)
    assert answer.status_code == 303, answer.text
    return secret, codes_in((await browser.client.get(answer.headers["location"])).text)


async def test_the_way_by_an_app_needs_no_script() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        assert "your password alone signs you in" in (await browser.open("second-factors")).text
        page = (await browser.open("second-factors/app")).text
        assert "<svg" in page
        assert "otpauth://totp/Kiteward:root?" in html.unescape(page)
        assert 'style="' not in page
        secret, codes = await enrol(browser)
        assert len(codes) == 10
        assert "phone" in (await browser.open("second-factors")).text
        await browser.send("sign-out")
        answer = await browser.post("sign-in", user="root", password="Milvus", next="/console/users")
        assert answer.headers["location"] == "/console/second-step?next=%2Fconsole%2Fusers"
        assert "kiteward=" not in answer.headers["set-cookie"]
        assert "kiteward-sign-in=" in answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in answer.headers["set-cookie"].split(";")}
        assert (await browser.open("account")).status_code == 303
        wrong = await browser.post("second-step", code="000000", next="/console/users")
        assert (wrong.status_code, "This is not accepted" in wrong.text) == (422, True)
        empty = await browser.post("second-step", code="", next="/console/users")
        assert empty.status_code == 422
        done = await browser.post("second-step", code=code_of(browser, secret, later=60.0), next="/console/users")
        assert (done.status_code, done.headers["location"]) == (303, "/console/users")
        assert (await browser.open("users")).status_code == 200
        assert "kiteward-sign-in" not in browser.client.cookies


async def test_recovery_codes_are_shown_at_once_where_no_session_can_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise StoreUnavailable("the store cannot be written")

    async with browsing() as browser:
        await browser.sign_in()
        monkeypatch.setattr(browser.harness.services.sessions, "begin", broken)
        _, shown = await send_app(browser)
        assert shown.status_code == 200
        assert len(codes_in(shown.text)) == 10


async def test_a_recovery_code_signs_in_and_the_page_says_how_many_are_left() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        _, codes = await enrol(browser)
        browser.client.cookies.clear()
        await browser.post("sign-in", user="root", password="Milvus")
        assert (await browser.post("second-step", code=codes[0])).status_code == 303
        assert "Codes that are left: 9" in (await browser.open("second-factors")).text


async def test_the_second_step_is_shown_after_the_first_alone_and_over_after_five_minutes() -> None:
    async with browsing() as browser:
        answer = await browser.open("second-step")
        assert answer.headers["location"] == "/console/sign-in?why=ended"
        await browser.sign_in()
        secret, _ = await enrol(browser)
        browser.client.cookies.clear()
        await browser.post("sign-in", user="root", password="Milvus")
        assert (await browser.open("second-step")).status_code == 200
        late = await browser.post("second-step", code=code_of(browser, secret, later=301.0))
        assert late.headers["location"] == "/console/sign-in?why=ended"


async def test_the_second_step_ends_with_the_permission_to_sign_in_with_a_password() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        _, codes = await enrol(browser)
        browser.client.cookies.clear()
        await browser.post("sign-in", user="root", password="Milvus")
        browser.harness.authenticator.console._passwords = LocalSignIn.NOBODY
        refused = await browser.post("second-step", code=codes[0])
        assert (refused.status_code, "with a password" in refused.text) == (422, True)
        browser.harness.authenticator.console._passwords = LocalSignIn.ADMINISTRATORS
        assert (await browser.post("second-step", code=codes[0])).status_code == 303  # the code was not consumed


async def test_only_a_page_of_ours_follows_the_second_step_and_sends_its_form() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        _, codes = await enrol(browser)
        browser.client.cookies.clear()
        await browser.post("sign-in", user="root", password="Milvus")
        foreign = await browser.client.post(
            "/console/second-step", data={"code": codes[0]}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
        done = await browser.post("second-step", code=codes[0], next="//evil.example")
        assert done.headers["location"] == "/console/overview"


async def test_who_must_have_one_is_led_to_enrol_it_before_any_other_page() -> None:
    async with browsing(prepare=strict) as browser:
        await browser.sign_in()
        for path in ("account", "users", "keys", "connect", "second-factors/recovery-codes"):
            assert (await browser.open(path)).headers["location"] == "/console/second-factors", path
        page = (await browser.open("second-factors")).text
        assert "Your account requires a second factor" in page
        assert "/console/users" not in page
        await enrol(browser)
        assert (await browser.open("users")).status_code == 200
        assert "Set up" in (await browser.open("users")).text


async def test_who_must_have_one_can_sign_out_instead() -> None:
    async with browsing(prepare=strict) as browser:
        await browser.sign_in()
        page = (await browser.open("second-factors")).text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        assert (await browser.post("sign-out", csrf=token)).headers["location"] == "/console/sign-in?done=signed_out"


async def test_removal_and_new_recovery_codes_ask_for_the_password_and_a_code() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        secret, codes = await enrol(browser)
        renewed = await browser.send("second-factors/recovery-codes", password="Milvus", code=codes[0])
        assert renewed.headers["location"].startswith("/console/once/")
        page = (await browser.open("second-factors")).text
        path = re.search(r"/console/(second-factors/[0-9a-f]+/remove)", page)
        assert path is not None
        asks = (await browser.open(path[1])).text
        assert "Remove “phone”</h1>" in asks
        assert ">Remove “phone”</button>" in asks
        assert "It is your last second factor" in asks
        for form in ({"password": "wrong", "code": "1"}, {"password": "Milvus"}, {"password": "Milvus", "code": "1"}):
            assert (await browser.send(path[1], **form)).status_code == 422
        code = code_of(browser, secret, later=60.0)
        gone = await browser.send(path[1], password="Milvus", code=code)
        assert gone.headers["location"] == "/console/second-factors?done=factor_remove"


async def test_wrong_input_at_the_enrolment_is_reported_at_its_field() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.open("second-factors/app")
        wrong = await browser.send("second-factors/app", code="000000", password="Milvus")
        assert (wrong.status_code, 'id="code-error"' in wrong.text) == (422, True)
        wrong = await browser.send("second-factors/app", code="", password="Milvus")
        assert 'id="code-error"' in wrong.text


async def test_a_passkey_is_enrolled_by_what_the_script_puts_into_the_form() -> None:
    async with browsing("https://kiteward.example", prepare=with_passkeys) as browser:
        await browser.sign_in()
        device = PasskeyDevice()
        page = (await browser.open("second-factors/passkey")).text
        assert "passkeys.js" in page
        options = html.unescape(page.partition('data-options="')[2].partition('"')[0])
        bare = await browser.send("second-factors/passkey", password="Milvus")
        assert (bare.status_code, "need JavaScript" in bare.text) == (422, True)
        made = await browser.send("second-factors/passkey", password="Milvus", passkey=device.make(options))
        assert made.headers["location"].startswith("/console/once/"), made.text
        browser.client.cookies.clear()
        answer = await browser.post("sign-in", user="root", password="Milvus")
        assert "__Host-kiteward-sign-in=" in answer.headers["set-cookie"]
        page = (await browser.open("second-step")).text
        options = html.unescape(page.partition('data-options="')[2].partition('"')[0])
        assert (await browser.post("second-step", passkey=device.use(options))).status_code == 303
        assert (await browser.open("account")).status_code == 200


async def test_an_administrator_removes_those_of_another_user_after_a_confirmation() -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        await browser.sign_in("alice", PASSWORD)
        await enrol(browser, PASSWORD)
        browser.client.cookies.clear()
        await browser.sign_in()
        assert "users/alice/reset-factors" in (await browser.open("users/alice")).text
        assert "all console sessions end" in (await browser.open("users/alice/reset-factors")).text
        answer = await browser.send("users/alice/reset-factors")
        assert answer.headers["location"] == "/console/users/alice?done=factors_reset"
        assert "users/alice/reset-factors" not in (await browser.open("users/alice")).text


async def test_a_new_password_leads_to_the_second_step_again() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await enrol(browser)
        answer = await browser.send("account", old_password="Milvus", new_password=PASSWORD, again=PASSWORD)
        assert answer.headers["location"].startswith("/console/second-step?")


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages_are_there_in_every_language(language: str) -> None:
    async with browsing(prepare=with_passkeys) as browser:
        browser.client.headers["Accept-Language"] = language
        await browser.sign_in()
        await enrol(browser)
        for path in ("second-factors", "second-factors/app", "second-factors/passkey", "second-factors/recovery-codes"):
            assert (await browser.open(path)).status_code == 200
