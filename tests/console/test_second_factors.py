"""Second factors in a browser: by an app without scripts, and by passkeys of a virtual authenticator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, expect
from tests.console.conftest import Console
from tests.support import server as servers
from tests.support.postgresql import free_port


@pytest.fixture(scope="module")
def guarded(console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console of a server where administrators need a second factor, and passkeys are for `localhost`."""
    port = free_port()
    passkeys = f"{{rpId: localhost, origins: ['http://localhost:{port}']}}"
    config = (
        f"kiteward: {{metrics: {{enabled: false}}, console: {{secondFactor: administrators, passkeys: {passkeys}}}}}"
    )
    with servers.running(tmp_path_factory.mktemp("guarded") / "data", "--port", str(port), config=config) as server:
        yield Console(server, console.browser, complaints=console.complaints)


@contextmanager
def with_device(context: BrowserContext, page: Page, *, verifies: bool = True) -> Iterator[CDPSession]:
    """Give a page a virtual authenticator, as of a laptop with a fingerprint reader."""
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options: dict[str, Any] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield session
    session.detach()


def local(console: Console, path: str) -> str:
    """Return the address of a page by the name that passkeys are for."""
    return console.address.replace("127.0.0.1", "localhost") + path


def present_password(console: Console, page: Page, user: str, password: str) -> None:
    page.goto(local(console, "sign-in"))
    page.locator("#user").fill(user)
    page.locator("#password").fill(password)
    with page.expect_navigation():
        page.locator("button.main").click()


def test_an_app_is_enrolled_and_used_without_scripts(guarded: Console) -> None:
    password = guarded.new_user("by_app")
    with guarded.visitor(java_script_enabled=False) as context:
        page = context.new_page()
        present_password(guarded, page, "by_app", password)
        page.get_by_role("link", name="Set up").click()
        page.get_by_role("link", name="Add an authenticator app").click()
        assert page.locator(".qr svg").bounding_box() is not None
        app = pyotp.TOTP(page.locator("#secret").inner_text())
        page.locator("#code").fill("000000")
        page.locator("#password").fill(password)
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator("#code-error")).to_contain_text("The app shows another code")
        page.locator("#code").fill(app.now())
        page.locator("#password").fill(password)
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
        codes = page.locator("#secret").inner_text().split()
        assert len(codes) == 10
        page.get_by_role("link", name="I have saved them").click()
        expect(page.get_by_role("rowheader")).to_have_text("Authenticator app")
        page.get_by_role("button", name="Sign out", exact=True).click()
        present_password(guarded, page, "by_app", password)
        expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
        page.locator("#code").fill("000000")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#code-error")).to_contain_text("This is not accepted")
        page.locator("#code").fill(codes[0])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/console/account$"))


def test_a_passkey_is_enrolled_first_by_who_must_have_one_and_signs_in(guarded: Console) -> None:
    password = guarded.new_user("by_passkey", "admin")
    with guarded.visitor() as context:
        page = context.new_page()
        with with_device(context, page):
            present_password(guarded, page, "by_passkey", password)
            expect(page).to_have_url(re.compile("/console/second-factors$"))
            expect(page.get_by_role("status")).to_contain_text("Your account requires a second factor")
            assert page.evaluate("document.querySelector('main').clientWidth") > 1000  # without the navigation
            page.get_by_role("link", name="Add a passkey").click()
            page.locator("#password").fill(password)
            page.get_by_role("button", name="Create a passkey").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
            page.goto(local(guarded, "users"))
            expect(page.get_by_role("heading", level=1)).to_have_text("Users")
            page.get_by_role("button", name="Sign out", exact=True).click()
            present_password(guarded, page, "by_passkey", password)
            expect(page.get_by_role("button", name="Use a passkey")).to_be_focused()
            page.locator("#code").fill("000000")
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("#code-error")).to_be_visible()
            expect(page.locator("#code")).to_be_focused()
            page.get_by_role("button", name="Use a passkey").press("Enter")
            expect(page).to_have_url(re.compile("/console/overview$"))
            # And the same, to remove it: this is refused, because there must be one.
            page.goto(local(guarded, "second-factors"))
            page.get_by_role("link", name="Remove").click()
            page.locator("#password").fill(password)
            page.get_by_role("button", name="Use a passkey instead of a code").click()
            expect(page.get_by_role("alert").first).to_contain_text("This is your only second factor")
    with guarded.visitor(java_script_enabled=False) as context:
        page = context.new_page()
        present_password(guarded, page, "by_passkey", password)
        expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
        expect(page.locator("#code")).to_be_focused()


def test_a_device_that_does_not_verify_its_user_is_refused(guarded: Console) -> None:
    password = guarded.new_user("unverified")
    with guarded.visitor() as context:
        page = context.new_page()
        with with_device(context, page, verifies=False):
            present_password(guarded, page, "unverified", password)
            page.goto(local(guarded, "second-factors/passkey"))
            page.locator("#password").fill(password)
            page.get_by_role("button", name="Create a passkey").click()
            expect(page.locator("#passkey-failure")).to_be_visible()
            page.goto(local(guarded, "second-factors"))
            expect(page.locator(".empty")).to_be_visible()


def test_without_scripts_the_page_of_passkeys_says_so(guarded: Console) -> None:
    password = guarded.new_user("scriptless")
    with guarded.visitor(java_script_enabled=False) as context:
        page = context.new_page()
        present_password(guarded, page, "scriptless", password)
        page.goto(local(guarded, "second-factors/passkey"))
        expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
        expect(page.get_by_role("button", name="Create a passkey")).to_be_hidden()
