"""Signing in to the console at an identity provider, against a whole server in this process."""

import asyncio
import contextlib
import html
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.support.in_process_server import serving
from tests.support.issuer import running_issuer
from tests.support.sign_in_provider import CLIENT_ID, LOGOUT_EVENT, Person, SignInProvider, changed
from tests.unit.api.console.test_kept_forms import hidden

from kiteward.api.console.attempts import LIFETIME
from kiteward.api.console.kept_forms import WAITING_SECONDS
from kiteward.bootstrap.server import Server
from kiteward.config.loading import settings_from

COMPANY = "/console/sign-in/company"


@pytest.fixture
def idp() -> Iterator[SignInProvider]:
    with running_issuer() as issuer:
        yield SignInProvider(issuer)


@dataclass
class Browser:
    """A browser with cookies of its own, at one server."""

    server: Server
    idp: SignInProvider
    client: httpx.AsyncClient
    files: Path
    language: str = "en"
    seen: list[httpx.Response] = field(default_factory=list)

    async def get(self, path: str) -> httpx.Response:
        answer = await self.client.get(path, headers={"Accept-Language": self.language})
        self.seen.append(answer)
        return answer

    async def post(self, path: str, *, origin: str = "", **form: str) -> httpx.Response:
        headers = {"Origin": origin or str(self.client.base_url).rstrip("/"), "Accept-Language": self.language}
        return await self.client.post(path, data=form, headers=headers)

    async def begin(self, path: str = COMPANY) -> str:
        """Follow the button, and return the address to which the provider sends the browser back."""
        answer = await self.get(path)
        assert answer.status_code == 303, answer.text
        return self.idp.authorize(answer.headers["location"])

    async def sign_in(self, path: str = COMPANY) -> httpx.Response:
        answer = await self.get(await self.begin(path))
        assert answer.status_code == 200, answer.text
        return answer

    async def refused(self, callback: str) -> str:
        """Return what the page for signing in says about an answer that is refused."""
        answer = await self.get(callback)
        assert answer.status_code == 422, answer.text
        assert not any(name == "kiteward" for name in self.client.cookies)
        return re.sub(r"<[^>]+>", "", answer.text.partition('role="alert">')[2].partition("</p>")[0])

    async def signed_in(self) -> bool:
        return (await self.client.get("/console/account")).status_code == 200

    async def rest(self, path: str, **body: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.client.base_url, timeout=30) as client:
            answer = await client.post(
                f"/v2/kiteward/{path}", json=body, headers={"Authorization": "Bearer root:Milvus"}
            )
        found = answer.json()
        assert found["code"] == 0, found
        return found["data"]

    async def logout(self, token: str, provider: str = "company", **headers: str) -> httpx.Response:
        """Send a logout token as the provider does: without cookies and origin."""
        async with httpx.AsyncClient(base_url=self.client.base_url) as server:
            path = f"/console/sign-in/{provider}/logout"
            return await server.post(path, data={"logout_token": token}, headers=headers)

    async def recorded(self, operation: str, number: int = 1) -> list[dict[str, Any]]:
        """Return the lines of the audit trail about an operation, as soon as there are so many."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            files = sorted(self.files.glob("audit/*.jsonl"))
            lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
            found = [line for line in lines if line.get("operation") == operation]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.05)
        return []


@asynccontextmanager
async def browsing(
    tmp_path: Path, idp: SignInProvider, *, console: dict[str, Any] | None = None, **entry: Any
) -> AsyncIterator[Browser]:
    document = {"kiteward": {"oidc": [idp.settings(**entry)], "console": console or {}}}
    settings = settings_from(document)
    more: dict[str, Any] = {"issuers": settings.issuers, "console": settings.console}
    async with contextlib.AsyncExitStack() as stack:
        server, _engine = await stack.enter_async_context(serving(tmp_path, **more))
        base = f"http://localhost:{server.port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base, timeout=30))
        yield Browser(server, idp, client, tmp_path / "data")


def cookie_of(answer: httpx.Response, name: str) -> str:
    return next((each for each in answer.headers.get_list("set-cookie") if each.startswith(name)), "")


async def test_whoever_signs_in_at_a_provider_needs_no_second_factor_here(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp, console={"secondFactor": "everyone"}) as browser:
        await browser.sign_in()
        assert await browser.signed_in()
        browser.client.cookies.clear()
        await browser.post("/console/sign-in", user="root", password="Milvus")
        answer = await browser.get("/console/account")
        assert answer.headers["location"] == "/console/second-factors"


async def test_button_leads_to_the_provider_and_back_to_the_page_that_was_asked_for(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        page = await browser.get("/console/sign-in?next=/console/connect")
        link = re.search(r'href="(/console/sign-in/company[^"]*)">([^<]*)', page.text)
        assert link is not None
        assert link[2] == "Sign in with company"
        assert "<script>" not in page.text
        answer = await browser.sign_in(link[1])
        assert 'http-equiv="refresh" content="0; url=/console/connect"' in answer.text
        assert await browser.signed_in()
        account = (await browser.get("/console/account")).text
        assert "idp_ann" in account
        asked = idp.asked[-1]
        assert asked["redirect_uri"] == f"http://localhost:{browser.server.port}{COMPANY}/callback"
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert asked["scope"] == "groups openid profile"


def link_of(page: str) -> str:
    """Return the address of the button of the provider."""
    found = re.search(r'href="(/console/sign-in/company[^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


TYPED = {"form_of": "idp_ann", "description": "half an hour of typing", "csrf": "old", "new_password": "Secret-1"}


async def test_what_was_typed_comes_back_to_the_same_user_once(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        ended = await browser.post("/console/new-key", **TYPED)
        assert ended.status_code == 403
        cookie = {part.strip() for part in cookie_of(ended, "kiteward-form").split(";")}
        assert {"HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={WAITING_SECONDS}"} <= cookie
        answer = await browser.sign_in(link_of(ended.text))
        fields = hidden(answer.text)
        assert 'action="/console/new-key"' in answer.text
        assert "Secret-1" not in answer.text
        shown = await browser.post("/console/new-key", **fields)
        assert 'value="half an hour of typing"' in shown.text
        assert not [name for name in browser.client.cookies if name.endswith("-form")]
        again = await browser.sign_in(link_of(ended.text))
        assert "half an hour" not in again.text


async def test_another_user_does_not_get_what_was_typed_and_it_is_gone(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        ended = await browser.post("/console/new-key", **{**TYPED, "form_of": "idp_eve"})
        ticket = {"kiteward-form": browser.client.cookies["kiteward-form"]}
        answer = await browser.sign_in(link_of(ended.text))
        assert 'content="0; url=/console/new-key"' in answer.text
        assert "half an hour" not in answer.text
        idp.person.claims |= {"preferred_username": "eve", "sub": "subject-2"}
        browser.client.cookies.clear()
        browser.client.cookies.update(ticket)
        assert "half an hour" not in (await browser.sign_in(link_of(ended.text))).text
        assert "idp_eve" in (await browser.get("/console/account")).text


async def test_what_was_typed_is_for_its_own_page_and_browser(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        ended = await browser.post("/console/new-key", **TYPED)
        async with httpx.AsyncClient(base_url=browser.client.base_url) as client:
            other = Browser(browser.server, idp, client, browser.files)
            assert "half an hour" not in (await other.sign_in(link_of(ended.text))).text
        assert "half an hour" not in (await browser.sign_in(f"{COMPANY}?next=/console/connect")).text


async def test_a_refusal_of_the_provider_does_not_lose_what_was_typed(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        ended = await browser.post("/console/new-key", **TYPED)
        await browser.refused(changed(await browser.begin(link_of(ended.text)), code="", error="access_denied"))
        again = link_of(browser.seen[-1].text)
        assert "half an hour" in (await browser.sign_in(again)).text


async def test_cookies_are_for_this_server_alone_and_that_of_the_sign_in_is_gone_afterwards(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        callback = await browser.begin()
        attempt = cookie_of(browser.seen[-1], "kiteward-sign-in-")
        assert {"HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={LIFETIME}"} <= {
            part.strip() for part in attempt.split(";")
        }
        answer = await browser.get(callback)
        session = cookie_of(answer, "kiteward=")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in session.split(";")}
        assert "Max-Age=0" in cookie_of(answer, "kiteward-sign-in-")
        assert [name for name in browser.client.cookies if "sign-in" in name] == []
        for text in (answer.text, str(answer.headers)):
            assert "eyJ" not in text


async def test_answer_in_another_browser_signs_in_nobody(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as attacker:
        callback = await attacker.begin()
        async with httpx.AsyncClient(base_url=attacker.client.base_url) as client:
            victim = Browser(attacker.server, idp, client, attacker.files)
            assert "was not begun in this browser" in await victim.refused(callback)
            # Not with an attempt of its own either.
            await victim.begin()
            assert "was not begun in this browser" in await victim.refused(callback)
        assert idp.redeemed == []
        await attacker.get(callback)
        assert await attacker.signed_in()


async def test_state_and_code_are_used_once(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        callback = await browser.begin()
        kept = dict(browser.client.cookies)
        await browser.get(callback)
        browser.client.cookies.clear()
        assert "was not begun in this browser" in await browser.refused(callback)
        browser.client.cookies.update(kept)
        assert "took too long, or its page was loaded twice" in await browser.refused(callback)


async def test_several_sign_ins_may_be_under_way_and_no_more_than_a_few(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        first, second = await browser.begin(), await browser.begin()
        for callback in (second, first):
            assert (await browser.get(callback)).status_code == 200
        for _ in range(12):
            last = await browser.begin()
            assert len([name for name in browser.client.cookies if "sign-in" in name]) <= 4
        assert (await browser.get(last)).status_code == 200


async def test_cookies_with_names_that_nobody_here_gives_disturb_no_sign_in(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        strange = "; ".join(f"kiteward-sign-in-a@{number}=x" for number in range(9))
        for path in (COMPANY, f"{COMPANY}/callback?state=a%401&code=x"):
            answer = await browser.client.get(path, headers={"Cookie": strange})
            assert answer.status_code == (303 if path == COMPANY else 422)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": "x"}, "was not begun in this browser"),
        ({"state": ""}, "was not begun in this browser"),
        ({"code": "x"}, "took too long, or its page was loaded twice"),
        ({"code": ""}, "refuses sign-ins of this server"),
        ({"code": "", "error": "access_denied"}, "company did not accept the sign-in"),
        ({"code": "", "error": "<script>alert(1)</script>", "error_description": "evil"}, "refuses sign-ins"),
        ({"iss": "https://evil.example"}, "The answer of company cannot be used"),
        ({"iss": "https://evil.example", "error": "access_denied"}, "The answer of company cannot be used"),
    ],
)
async def test_answers_that_do_not_fit_sign_in_nobody_and_are_not_repeated(
    tmp_path: Path, idp: SignInProvider, change: dict[str, str], told: str
) -> None:
    async with browsing(tmp_path, idp) as browser:
        shown = await browser.refused(changed(await browser.begin(), **change))
        assert told in shown
        page = browser.seen[-1].text
        assert "evil" not in page
        assert "<script>alert" not in page
        refusals = await browser.recorded("BeginSession")
        assert refusals
        assert "evil" not in json.dumps(refusals)


@pytest.mark.parametrize(
    ("error", "logged"),
    [("invalid_scope", "does not grant the scopes that are asked for"), ("access_denied", "")],
)
async def test_the_log_says_what_an_administrator_has_to_correct(
    tmp_path: Path, idp: SignInProvider, caplog: pytest.LogCaptureFixture, error: str, logged: str
) -> None:
    async with browsing(tmp_path, idp) as browser:
        callback = changed(await browser.begin(), code="", error=error, error_description="evil")
        assert ("the log says what is wrong" in await browser.refused(callback)) == bool(logged)
        told = [record.getMessage() for record in caplog.records if "identity provider" in record.getMessage()]
        assert told == ([f"the sign-in with company is refused: the identity provider {logged}"] if logged else [])


async def test_issuer_is_required_in_the_answer_of_a_provider_that_says_it_sends_it(
    tmp_path: Path, idp: SignInProvider
) -> None:
    idp.issuer.metadata["authorization_response_iss_parameter_supported"] = True
    async with browsing(tmp_path, idp) as browser:
        assert "cannot be used" in await browser.refused(await browser.begin())
        idp.names_issuer = True
        await browser.sign_in()


NOT_FOR_THIS_SIGN_IN: list[dict[str, Any]] = [
    {"nonce": "another"},
    {"nonce": None},
    {"aud": "kiteward"},
    {"aud": [CLIENT_ID, "other"], "azp": "other"},
    {"aud": [CLIENT_ID, "other"], "azp": None},
    {"azp": "other"},
    {"iss": "https://evil.example"},
    {"exp": 1},
    {"at_hash": "another"},
    {"at_hash": 5},
    {"preferred_username": None},
    {"sid": 5},
    {"events": {LOGOUT_EVENT: {}}},
]


async def test_id_token_that_is_not_for_this_sign_in_signs_in_nobody(tmp_path: Path, idp: SignInProvider) -> None:
    usual = idp.person.claims
    async with browsing(tmp_path, idp) as browser:
        for number, claims in enumerate(NOT_FOR_THIS_SIGN_IN, start=1):
            idp.person.claims = {**usual, **claims}
            assert await browser.refused(await browser.begin()), claims
            lines = await browser.recorded("BeginSession", number)
            assert len(lines) == number, claims
            assert lines[-1]["outcome"] == "refused"
            assert lines[-1]["reason"], claims


@pytest.mark.parametrize("header", [{"alg": "none"}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"kid": "../../key"}])
async def test_id_token_with_a_header_of_something_else_signs_in_nobody(
    tmp_path: Path, idp: SignInProvider, header: dict[str, str]
) -> None:
    idp.headers |= header
    async with browsing(tmp_path, idp) as browser:
        assert await browser.refused(await browser.begin())


async def test_claims_that_a_sign_in_requires_must_be_there_with_an_accepted_value(
    tmp_path: Path, idp: SignInProvider
) -> None:
    required = {"hd": ["company.example"], "tenant/id": [7]}
    async with browsing(tmp_path, idp, signInClaims=required, requiredClaims={"typ": ["Bearer"]}) as browser:
        person = idp.person.claims
        for company, tenant in ((None, 7), ("other.example", 7), ("company.example", 8)):
            idp.person.claims = {**person, "hd": company, "tenant": {"id": tenant}}
            assert re.search("claim “(hd|tenant/id)”", await browser.refused(await browser.begin()))
        idp.person.claims = {**person, "hd": "company.example", "tenant": {"id": 7}}
        await browser.sign_in()
        assert await browser.signed_in()


async def test_at_hash_may_be_missing_and_several_audiences_need_the_authorized_party(
    tmp_path: Path, idp: SignInProvider
) -> None:
    idp.at_hash = False
    idp.person.claims |= {"aud": [CLIENT_ID, "other"]}
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        assert await browser.signed_in()


@pytest.mark.parametrize("algorithm", ["ES384", "EdDSA", "PS512"])
async def test_at_hash_is_of_the_hash_function_of_the_signature(tmp_path: Path, algorithm: str) -> None:
    with running_issuer(algorithm=algorithm) as issuer:
        idp = SignInProvider(issuer)
        async with browsing(tmp_path, idp) as browser:
            await browser.sign_in()
            idp.at_hash_by = "sha256"
            assert await browser.signed_in()
            browser.client.cookies.clear()
            assert await browser.refused(await browser.begin())


async def test_public_client_needs_no_secret_and_a_wrong_secret_is_explained(
    tmp_path: Path, idp: SignInProvider, caplog: pytest.LogCaptureFixture
) -> None:
    async with browsing(tmp_path / "a", idp, clientSecret="not the one") as browser:
        assert "refuses sign-ins of this server" in await browser.refused(await browser.begin())
        assert "does not accept the client id or its secret" in caplog.text
        assert "not the one" not in caplog.text
    idp.secret = ""
    async with browsing(tmp_path / "b", idp) as browser:
        await browser.sign_in()


async def test_provider_that_is_away_or_confused_is_reported_and_signs_in_nobody(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        callback = await browser.begin()
        for answer in ((500, b""), (200, b"[]"), (302, b""), (200, b"[" * 100_000)):
            idp.token_answer = answer
            kept = dict(browser.client.cookies)
            assert "cannot be used now" in await browser.refused(callback), answer
            browser.client.cookies.update(kept)
        idp.token_answer = (200, b"{}")
        assert "The answer of company cannot be used" in await browser.refused(callback)
    idp.token_answer, idp.issuer.failing = None, True
    async with browsing(tmp_path / "b", idp) as browser:
        page = await browser.get(COMPANY)
        assert (page.status_code, "company cannot be used now" in page.text) == (422, True)


async def test_unknown_provider_has_no_page(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        for path in ("/console/sign-in/other", "/console/sign-in/other/callback", "/console/sign-in/other/logout"):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.logout(idp.logout_token(), "other")).status_code == 404


async def test_session_has_the_roles_of_its_groups_and_names_its_issuer(tmp_path: Path, idp: SignInProvider) -> None:
    idp.person.claims["groups"] = ["bosses"]
    async with browsing(tmp_path, idp, groupRoles={"bosses": ["admin"]}) as browser:
        await browser.sign_in()
        assert (await browser.get("/console/users")).status_code == 200
        account = (await browser.get("/console/account")).text
        assert idp.issuer.url in account.partition('id="sessions"')[2]
        assert 'name="old_password"' not in account
        (session,) = (await browser.rest("sessions/list", userName="idp_ann"))["sessions"]
        assert (session["issuer"], session["subject"]) == (idp.issuer.url, "subject-1")
        assert (await browser.recorded("BeginSession"))[-1]["credential"] == f"oidc:{idp.issuer.url}#subject-1"


@pytest.mark.parametrize("change", ["disabled", "deleted", "unbound", "cut off", "issuer cut off"])
async def test_session_ends_with_what_it_began_with(tmp_path: Path, idp: SignInProvider, change: str) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        assert await browser.signed_in()
        match change:
            case "disabled":
                await browser.rest("users/disable", userName="idp_ann")
                await browser.rest("users/enable", userName="idp_ann")
            case "deleted":
                await browser.rest("users/delete", userName="idp_ann")
            case "unbound":
                await browser.rest("identities/unbind", userName="idp_ann")
            case "cut off":
                await browser.rest("identities/cutoff", userName="idp_ann")
            case _:
                await browser.rest("identities/cutoff", issuer=idp.issuer.url)
        assert not await browser.signed_in()


async def test_changed_mapping_of_groups_applies_to_the_next_request(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        mapping = {"issuer": idp.issuer.url, "group": "searchers", "roleName": "admin"}
        for operation, status in (("grant", 200), ("revoke", 403)):
            await browser.rest(f"group_roles/{operation}", **mapping)
            assert (await browser.get("/console/users")).status_code == status


async def test_logout_token_ends_the_session_that_it_names_and_no_other(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        browsers = []
        for session in ("s1", "s2", "s3"):
            idp.person.claims["sid"] = session
            client = httpx.AsyncClient(base_url=browser.client.base_url)
            browsers.append(Browser(browser.server, idp, client, browser.files))
            await browsers[-1].sign_in()
        try:
            _, second, third = browsers
            answer = await browser.logout(idp.logout_token(sub=None, sid="s1"))
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert [await each.signed_in() for each in browsers] == [False, True, True]
            assert (await browser.logout(idp.logout_token(sid="s2"))).status_code == 200
            assert [await second.signed_in(), await third.signed_in()] == [False, True]
            assert (await browser.logout(idp.logout_token())).status_code == 200
            assert not await third.signed_in()
            ended = await browser.recorded("EndSessionsByProvider")
            assert ended[0]["details"]["result"]["userNames"] == ["idp_ann"]
        finally:
            for each in browsers:
                await each.client.aclose()


async def test_logout_token_of_a_user_ends_a_sign_in_that_is_under_way(tmp_path: Path, idp: SignInProvider) -> None:
    idp.person.claims |= {"sid": "s1", "iat": int(time.time()) - 2}
    async with browsing(tmp_path, idp) as browser:
        for token in (idp.logout_token(), idp.logout_token(sid="s1")):
            callback = await browser.begin()
            assert (await browser.logout(token)).status_code == 200
            assert "signed out at the identity provider" in await browser.refused(callback)
        idp.person.claims |= {"sid": "s2", "iat": int(time.time()) + 5}
        await browser.sign_in()


async def test_logout_token_that_arrives_again_ends_nothing_that_began_after_it(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        earlier = idp.logout_token(iat=int(time.time()) - 5)
        await browser.sign_in()
        assert (await browser.logout(earlier)).status_code == 200
        assert await browser.signed_in()


NO_LOGOUT_TOKENS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"typ": "JWT"}),
    ({}, {"typ": None}),
    ({}, {"typ": "at+jwt"}),
    ({"nonce": "n"}, {}),
    ({"events": None}, {}),
    ({"events": {}}, {}),
    ({"events": [LOGOUT_EVENT]}, {}),
    ({"events": {LOGOUT_EVENT: True}}, {}),
    ({"aud": "kiteward"}, {}),
    ({"aud": "other"}, {}),
    ({"sub": None}, {}),
    ({"iss": "https://evil.example"}, {}),
    ({"exp": 1}, {}),
    ({"exp": None}, {}),
    ({"iat": None}, {}),
    ({"jti": None}, {}),
    ({}, {"kid": "unknown"}),
]


async def test_what_is_no_logout_token_ends_nothing(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        for number, (claims, headers) in enumerate(NO_LOGOUT_TOKENS, start=1):
            answer = await browser.logout(idp.logout_token(headers=headers, **claims))
            assert answer.status_code == 400, (claims, headers)
            assert await browser.signed_in(), (claims, headers)
            lines = await browser.recorded("EndSessionsByProvider", number)
            assert len(lines) == number, (claims, headers)
            assert lines[-1]["reason"], (claims, headers)


async def test_lines_of_the_trail_and_their_explanations_name_issuer_and_subject(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        assert (await browser.get("/console/users")).status_code == 403
        await browser.recorded("ListUserAccounts")
        token = idp.issuer.token("subject-1", preferred_username="ann")
        async with httpx.AsyncClient(base_url=browser.client.base_url, timeout=30) as client:
            path, headers = "/v2/vectordb/users/list", {"Authorization": f"Bearer {token}"}
            assert (await client.post(path, json={}, headers=headers)).json()["code"] != 0
        await browser.recorded("ListCredUsers")
        browser.client.cookies.clear()
        await browser.post("/console/sign-in", user="root", password="Milvus")
        named = f'title="{idp.issuer.url}">subject-1 of company<'
        for operation in ("BeginSession", "ListUserAccounts", "ListCredUsers"):
            page = (await browser.get(f"/console/audit?user=idp_ann&operation={operation}")).text
            assert named in page
        why = re.search(r'href="(/console/explain\?line=[^"]*)"', page)
        assert why is not None
        assert (await browser.get(html.unescape(why[1]))).text.count(named) == 2


async def test_no_other_credential_is_a_logout_token_nor_the_other_way_round(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        id_token = idp.issuer.token(aud=CLIENT_ID, preferred_username="ann")
        for token in (id_token, "", "root:Milvus", "a.b.c", idp.logout_token()[:-4] + "AAAA"):
            assert (await browser.logout(token)).status_code == 400, token
        assert await browser.signed_in()
        for token in (id_token, idp.logout_token(aud=["kiteward", CLIENT_ID])):
            answer = await browser.client.post(
                "/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 401


async def test_form_of_another_page_is_no_notice_of_a_provider_and_others_are_not_taken_from_servers(
    tmp_path: Path, idp: SignInProvider
) -> None:
    async with browsing(tmp_path, idp) as browser:
        for path in ("/console/sign-in", "/console/account", COMPANY, f"{COMPANY}/callback"):
            answer = await browser.post(path, origin="https://evil.example", user="root", password="Milvus")
            assert answer.status_code == 403, path


async def test_signing_out_ends_the_session_here_and_offers_the_provider(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        account = (await browser.get("/console/account")).text
        token = account.partition('name="csrf" value="')[2].partition('"')[0]
        answer = await browser.post("/console/sign-out", csrf=token)
        assert answer.headers["location"] == "/console/sign-in?done=signed_out&left=company"
        page = (await browser.get(answer.headers["location"])).text
        assert "You are still signed in at company." in page
        assert f'href="{COMPANY}/logout"' in page
        leaving = urlsplit((await browser.get(f"{COMPANY}/logout")).headers["location"])
        assert f"{leaving.scheme}://{leaving.netloc}{leaving.path}" == f"{idp.issuer.url}/end"
        assert dict(parse_qsl(leaving.query)) == {
            "client_id": CLIENT_ID,
            "post_logout_redirect_uri": f"http://localhost:{browser.server.port}/console/sign-in",
        }


async def test_address_of_the_console_is_what_providers_are_told(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp, console={"address": "https://Kiteward.example/"}) as browser:
        await browser.begin()
        assert idp.asked[-1]["redirect_uri"] == f"https://kiteward.example{COMPANY}/callback"


async def test_page_says_who_may_use_a_password_and_the_server_holds_to_it(tmp_path: Path, idp: SignInProvider) -> None:
    for rule, form, told in (
        ("everyone", True, "With a user name and password"),
        ("administrators", True, "Administrators can also sign in"),
        ("administrators-from-loopback", True, "from the machine that it runs on"),
        ("nobody", False, ""),
    ):
        async with browsing(tmp_path / rule, idp, console={"localSignIn": rule}) as browser:
            page = (await browser.get("/console/sign-in")).text
            assert ('name="password"' in page, told in page) == (form, True), rule
            await browser.rest("users/create", userName="bob", password="Some-password-1")
            statuses = [
                (await browser.post("/console/sign-in", user=user, password=password)).status_code
                for user, password in (("root", "Milvus"), ("bob", "Some-password-1"))
            ]
            expected = {"everyone": [303, 303], "nobody": [422, 422]}
            assert statuses == expected.get(rule, [303, 422]), rule
            # Programs are not concerned.
            assert await browser.rest("whoami/describe")


async def test_without_any_way_in_the_page_says_so(tmp_path: Path, idp: SignInProvider) -> None:
    entry = {"clientId": None, "clientSecret": None, "signInName": None, "scopes": None}
    async with browsing(tmp_path, idp, console={"localSignIn": "nobody"}, **entry) as browser:
        assert "Nobody can sign in here at present" in (await browser.get("/console/sign-in")).text


async def test_pages_are_in_the_language_of_the_browser(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        browser.language = "zh-CN"
        assert "通过 company 登录" in (await browser.get("/console/sign-in")).text
        shown = await browser.refused(changed(await browser.begin(), code="", error="access_denied"))
        assert "company 未允许您登录" in shown
        assert "您已登录" in (await browser.sign_in()).text


async def test_two_people_are_two_users_and_one_person_stays_the_same_user(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        await browser.sign_in()
        idp.person.claims["preferred_username"] = "ann.renamed"
        await browser.sign_in()
        assert "idp_ann<" in (await browser.get("/console/account")).text
        browser.client.cookies.clear()
        idp.person = Person("subject-2")
        shown = await browser.refused(await browser.begin())
        assert "belongs to somebody else" in shown or "idp_ann" not in shown


async def test_sign_ins_at_the_same_time_do_not_disturb_one_another(tmp_path: Path, idp: SignInProvider) -> None:
    async with browsing(tmp_path, idp) as browser:
        clients = [httpx.AsyncClient(base_url=browser.client.base_url, timeout=30) for _ in range(6)]
        browsers = [Browser(browser.server, idp, client, browser.files) for client in clients]
        await asyncio.gather(*(each.sign_in() for each in browsers))
        assert all([await each.signed_in() for each in browsers])
        for client in clients:
            await client.aclose()
