"""Signing in at an identity provider of another site, in a browser: what cookies and policies let through."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import PASSWORDS, Console
from tests.console.looks import looks_wrong
from tests.support import server as servers
from tests.support.issuer import running_issuer
from tests.support.server import RunningServer
from tests.support.sign_in_provider import SignInProvider


@pytest.fixture(scope="module")
def idp() -> Iterator[SignInProvider]:
    """A provider on 127.0.0.1, which is another site than localhost, where the console is."""
    with running_issuer() as issuer:
        yield SignInProvider(issuer)


@pytest.fixture(scope="module")
def away() -> Iterator[SignInProvider]:
    """A provider that answers every request by an error."""
    with running_issuer() as issuer:
        issuer.failing = True
        yield SignInProvider(issuer)


@pytest.fixture(scope="module")
def company(
    idp: SignInProvider, away: SignInProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server with these providers, where only administrators have passwords."""
    settings = {
        "metrics": {"enabled": False},
        "console": {"localSignIn": "administrators"},
        "oidc": [
            idp.settings(groupRoles={"bosses": ["admin"]}),
            away.settings(signInName="elsewhere", userPrefix="away_"),
        ],
    }
    config = json.dumps({"kiteward": settings})
    with servers.running(tmp_path_factory.mktemp("company") / "data", config=config) as server:
        yield server


class SignInPages:
    """The console of that server, as a browser finds it."""

    def __init__(self, console: Console, server: RunningServer, idp: SignInProvider) -> None:
        self.console = console
        self.server = server
        self.idp = idp
        self.address = f"http://localhost:{server.port}/console/"

    @contextmanager
    def page(self, **options: object) -> Iterator[Page]:
        with self.console.visitor(**options) as context:
            yield context.new_page()

    def sign_in(self, page: Page, path: str = "") -> None:
        page.goto(f"{self.address}{path}")
        page.get_by_role("link", name="Sign in with company").click()

    def notify(self, **claims: Any) -> int:
        """Send a logout token as the provider does, and return the status of the answer."""
        form = {"logout_token": self.idp.logout_token(**claims)}
        return httpx.post(f"{self.address}sign-in/company/logout", data=form, timeout=30).status_code


@pytest.fixture
def pages(console: Console, company: RunningServer, idp: SignInProvider) -> SignInPages:
    idp.error = ""
    idp.person.subject = "subject-1"
    idp.person.claims = {"preferred_username": "ann", "groups": ["searchers"], "sid": secrets.token_hex(4)}
    return SignInPages(console, company, idp)


@pytest.mark.parametrize("scripts", [True, False])
def test_provider_leads_back_to_the_page_that_was_asked_for_with_and_without_scripts(
    pages: SignInPages, scripts: bool
) -> None:
    with pages.page(java_script_enabled=scripts) as page:
        pages.sign_in(page, "connect")
        expect(page).to_have_url(re.compile("/console/connect$"))
        expect(page.get_by_role("banner")).to_contain_text("idp_ann")
        (cookie,) = page.context.cookies(pages.address)
        assert (cookie["name"], cookie["sameSite"], cookie["httpOnly"]) == ("kiteward", "Strict", True)
        # The cookie is sent with what follows.
        page.get_by_role("link", name="My account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        expect(page.get_by_role("group", name="Sessions")).to_contain_text("company")
        expect(page.get_by_label("Current password")).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_form_of_a_session_that_has_ended_comes_back_filled_in(pages: SignInPages, scripts: bool) -> None:
    with pages.page(java_script_enabled=scripts) as page:
        pages.sign_in(page, "new-key")
        page.get_by_label("Description").fill('"quoted" & <b>')
        assert pages.notify(sid=pages.idp.person.claims["sid"]) == 200
        pages.idp.person.claims["sid"] = "another session"
        page.get_by_role("button", name="Create API key").click()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        page.get_by_role("link", name="Sign in with company").click()
        if not scripts:
            page.get_by_role("button", name="Continue").click()
        expect(page.get_by_label("Description")).to_have_value('"quoted" & <b>')
        expect(page.get_by_role("banner")).to_contain_text("idp_ann")
        assert [cookie["name"] for cookie in page.context.cookies(pages.address)] == ["kiteward"]


def test_refusal_of_the_provider_is_a_sentence_and_another_attempt_succeeds(pages: SignInPages) -> None:
    with pages.page() as page:
        pages.idp.error = "access_denied"
        pages.sign_in(page)
        expect(page.get_by_role("alert")).to_have_text("company did not accept the sign-in, or you cancelled it.")
        pages.idp.error = ""
        page.get_by_role("link", name="Sign in with company").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")


def test_link_with_the_answer_of_somebody_else_signs_in_nobody(pages: SignInPages) -> None:
    with pages.page() as page:
        with httpx.Client(base_url=f"http://localhost:{pages.server.port}") as attacker:
            callback = pages.idp.authorize(attacker.get("/console/sign-in/company").headers["location"])
        page.goto(callback)
        expect(page.get_by_role("alert")).to_contain_text("not begun in this browser")
        page.goto(f"{pages.address}account")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_notice_of_the_provider_ends_the_session_before_it_is_answered(pages: SignInPages) -> None:
    with pages.page() as page:
        pages.sign_in(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        assert pages.notify(sid=pages.idp.person.claims["sid"]) == 200
        page.get_by_role("link", name="Connect").click()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        # The provider accepts the user again, in another session.
        pages.idp.person.claims["sid"] = "another session"
        page.get_by_role("link", name="Sign in with company").click()
        expect(page).to_have_url(re.compile("/console/connect$"))


def test_signing_out_offers_to_sign_out_at_the_provider(pages: SignInPages) -> None:
    with pages.page() as page:
        pages.sign_in(page)
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("You have signed out.")
        page.get_by_role("link", name="Sign out at company too").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("signed out there")
        expect(page).to_have_url(re.compile(f"^{re.escape(pages.idp.issuer.url)}/end\\?client_id="))


def test_administrators_have_a_password_for_the_day_on_which_the_provider_is_away(pages: SignInPages) -> None:
    with pages.page() as page:
        pages.idp.issuer.failing = True
        try:
            page.goto(f"{pages.address}sign-in")
            expect(page.get_by_text("Administrators can also sign in with a password")).to_be_visible()
            page.get_by_label("User").fill("root")
            page.get_by_label("Password").fill(PASSWORDS["root"])
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        finally:
            pages.idp.issuer.failing = False


def test_pages_of_signing_in_look_right_and_can_be_used_by_everybody(pages: SignInPages) -> None:
    own = Console(pages.server, pages.console.browser)
    with pages.page() as page:
        assert looks_wrong(own, page, ["sign-in", "sign-in?left=company", "sign-in/company/callback"]) == []
    with pages.page(locale="zh-CN") as page:
        page.goto(f"{pages.address}sign-in")
        expect(page.get_by_role("link", name="通过 company 登录")).to_be_visible()
        page.get_by_role("link", name="通过 company 登录").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("我的账户")


def test_provider_away_is_told_at_the_button(pages: SignInPages) -> None:
    with pages.page() as page:
        page.goto(f"{pages.address}sign-in")
        page.get_by_role("link", name="Sign in with elsewhere").click()
        expect(page.get_by_role("alert")).to_have_text("elsewhere cannot be used now. Try again in a while.")
