"""Keycloak: SDKs and the console sign in with its tokens, groups there decide what they may do, and keys change.

The short form of the same is `test_dex.py`.
"""

import time
from collections.abc import Callable
from typing import Final

import grpc
import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import Console, opened_browser
from tests.identity_providers.rotation import rotate_under_load
from tests.identity_providers.sdks import PROGRAMS, Programs, by_rest, demand_that_groups_decide, who
from tests.identity_providers.worlds import OPEN
from tests.support import keycloak, raw_grpc
from tests.support.keycloak import Keycloak
from tests.support.oauth import OAuthClient, Tokens, claims
from tests.support.server import RunningServer

from kiteward.authn.oidc.key_sets import WINDOW

pytestmark = pytest.mark.heavy


def refusal(server: RunningServer, token: str) -> str:
    """Return the sentence with which a token is refused."""
    status, answer = by_rest(server, token, OPEN)
    assert (status, answer["code"]) == (401, 1800), answer
    code, sentence = raw_grpc.refusal(server.uri, "GetVersion", header=raw_grpc.authorization(token))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert token.split(".")[2] not in f"{answer} {sentence}"
    return sentence


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_signs_in_with_tokens_of_keycloak(by_keycloak: Keycloak, programs: Programs, language: str) -> None:
    with by_keycloak.client() as own, by_keycloak.client("other") as other:
        member = own.by_password(keycloak.person("alice")).access
        outsider = own.by_password(keycloak.person("bob")).access
        foreign = other.by_password(keycloak.person("alice")).access
    demand_that_groups_decide(programs.of(language), member, outsider, foreign)


# How Keycloak's users and services come by a token


FLOWS: Final[dict[str, tuple[str, Callable[[OAuthClient], Tokens]]]] = {
    "password": (keycloak.CLIENT, lambda client: client.by_password(keycloak.person("alice"))),
    "device": (keycloak.CLIENT, lambda client: client.by_device(keycloak.person("alice"))),
    "code": ("pages", lambda client: client.by_code(keycloak.person("alice"))),
}
"""Grant -> the client that uses it, and how."""


@pytest.mark.parametrize("flow", FLOWS)
def test_user_of_keycloak_is_the_same_whatever_the_token_came_by(
    by_keycloak: Keycloak, server: RunningServer, flow: str
) -> None:
    name, ask = FLOWS[flow]
    with by_keycloak.client(name, "" if name == keycloak.CLIENT else keycloak.SECRET) as client:
        tokens = ask(client)
        again = client.refreshed(tokens)
    for token in (tokens.access, again.access):
        assert who(server, token)["userName"] == "idp_alice"
        assert by_rest(server, token, OPEN)[1]["code"] == 0


def test_service_of_keycloak_signs_in_with_its_own_secret(by_keycloak: Keycloak, server: RunningServer) -> None:
    with by_keycloak.client("indexer", keycloak.SECRET) as service:
        token = service.by_own_secret().access
    assert who(server, token)["userName"] == "idp_service-account-indexer"
    assert by_rest(server, token, OPEN)[1]["code"] == 0


def test_another_client_of_keycloak_is_refused_although_its_token_names_the_audience(
    by_keycloak: Keycloak, server: RunningServer
) -> None:
    # Keycloak adds each client of which the user has a role to the audience, whoever asks for the token.
    with by_keycloak.client("other") as other:
        token = other.by_password(keycloak.person("carol")).access
    found = claims(token)
    assert keycloak.CLIENT in found["aud"]
    assert found["azp"] == "other"
    assert "`azp`" in refusal(server, token)


def test_identity_token_of_keycloak_is_refused_by_its_type(by_keycloak: Keycloak, server: RunningServer) -> None:
    with by_keycloak.client() as client:
        tokens = client.by_password(keycloak.person("alice"))
    assert claims(tokens.identity)["aud"] == claims(tokens.access)["aud"] == keycloak.CLIENT
    assert "`typ`" in refusal(server, tokens.identity)


# The console


class AtKeycloak:
    """A browser at the console and at Keycloak, in which alice signs in."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = f"{address}/console/sign-in"

    def ask(self) -> None:
        """Press the button of Keycloak, which asks for a password."""
        self.page.goto(self.address)
        self.page.get_by_role("link", name=f"Sign in with {keycloak.SIGN_IN_NAME}").click()
        expect(self.page.locator("#kc-login")).to_be_visible()

    def sign_in(self) -> None:
        """Sign in with the password of alice."""
        self.ask()
        self.page.locator("#username").fill("alice")
        self.page.locator("#password").fill(keycloak.PASSWORD)
        self.page.locator("#kc-login").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("My account")


def test_sign_out_at_keycloak_ends_the_session_of_the_console_and_the_reverse_is_offered(
    by_keycloak: Keycloak, server: RunningServer
) -> None:
    address = f"http://localhost:{server.port}"
    by_keycloak.register_console(address)
    with opened_browser() as browser, Console(server, browser).visitor() as visitor:
        page = visitor.new_page()
        alice = AtKeycloak(page, address)
        alice.sign_in()
        expect(page.get_by_role("banner")).to_contain_text("idp_alice")
        expect(page.get_by_role("main")).to_contain_text("viewer")  # by her group, which the ID token has
        by_keycloak.end_sessions("alice")
        page.get_by_role("link", name="Connect").click()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        alice.sign_in()
        at_keycloak = visitor.new_page()
        at_keycloak.goto(f"{by_keycloak.issuer}/protocol/openid-connect/logout")
        at_keycloak.locator("#kc-logout").click()
        expect(at_keycloak.locator("#kc-page-title")).to_contain_text("logged out")
        page.get_by_role("link", name="Connect").click()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        alice.sign_in()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.get_by_role("link", name=f"Sign out at {keycloak.SIGN_IN_NAME} too").click()
        page.locator("#kc-logout").click()
        expect(page).to_have_url(alice.address)
        alice.ask()  # Keycloak does not know her any more


# Keys that change


async def test_no_token_is_judged_wrongly_while_keycloak_changes_its_keys(
    by_keycloak: Keycloak, server: RunningServer, since: float
) -> None:
    # A short form of `make token-rotation`: two changes, one soon after the other. A server asks for keys twice a
    # minute at most, and has done so at its start.
    pause = max(1.0, since + WINDOW - time.monotonic())
    outcome = await rotate_under_load(by_keycloak, server.port, rate=100.0, pauses=(pause, 2.0, 2.0), seed=1)
    assert outcome.faults == 0, "\n".join(outcome.lines())
    assert (outcome.rotations, outcome.withdrawals) == (2, 1)
    assert outcome.accepted
    assert outcome.refused
