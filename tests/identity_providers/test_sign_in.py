"""Every SDK signs in with tokens of Keycloak and of dex, and groups there decide what it may do here."""

from collections.abc import Callable
from typing import Any, Final

import grpc
import httpx
import pytest
from tests.identity_providers import sdks
from tests.identity_providers.sdks import PROGRAMS, by_rest
from tests.identity_providers.worlds import OPEN, World
from tests.support import dex, keycloak, raw_grpc
from tests.support.keycloak import Keycloak
from tests.support.oauth import OAuthClient, Tokens, claims
from tests.support.server import RunningServer


def who(server: RunningServer, token: str) -> dict[str, Any]:
    """Return what the server says of the caller."""
    response = httpx.post(
        f"{server.uri}/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    answer = response.json()
    assert answer["code"] == 0, answer
    return dict(answer["data"])


def refusal(server: RunningServer, token: str) -> str:
    """Return the sentence with which a token is refused."""
    status, answer = by_rest(server, token, OPEN)
    assert (status, answer["code"]) == (401, 1800), answer
    code, sentence = raw_grpc.refusal(server.uri, "GetVersion", header=raw_grpc.authorization(token))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert token.split(".")[2] not in f"{answer} {sentence}"
    return sentence


def sign_in_everywhere(language: str, server: RunningServer, member: str, outsider: str, foreign: str) -> None:
    """Sign in with three tokens.

    Args:
        language: the SDK.
        server: the server.
        member: a token of a user whose group gives the role `viewer`.
        outsider: one of a user without a group.
        foreign: one that was issued to another client.
    """
    with sdks.signing_in(language, server, OPEN) as program:
        seen = program.sign_in(member)
        assert (seen.refused, seen.found, seen.collections) == ("", [1], [OPEN])
        denied, refused = program.sign_in(outsider), program.sign_in(foreign)
    assert "permission deny" in denied.refused or "not found" in denied.refused, denied.refused
    assert foreign.split(".")[2] not in refused.refused
    assert "`aud`" in refused.refused, refused.refused
    assert max(denied.seconds, refused.seconds) < 15  # neither is tried again and again


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_signs_in_with_tokens_of_keycloak(by_keycloak: World[Keycloak], language: str) -> None:
    provider, server = by_keycloak.provider, by_keycloak.server
    with provider.client() as own, provider.client("other") as other:
        member = own.by_password(keycloak.person("alice")).access
        outsider = own.by_password(keycloak.person("bob")).access
        foreign = other.by_password(keycloak.person("alice")).access
    sign_in_everywhere(language, server, member, outsider, foreign)


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_signs_in_with_tokens_of_dex(by_dex: World[dex.Dex], language: str) -> None:
    provider, server = by_dex.provider, by_dex.server
    with provider.client() as own, provider.client(dex.OTHER) as other:
        member = own.by_code(dex.person("alice", "searchers")).access
        outsider = own.by_code(dex.person("bob")).access
        foreign = other.by_code(dex.person("alice", "searchers")).access
    sign_in_everywhere(language, server, member, outsider, foreign)


# How Keycloak's users and services come by a token


FLOWS: Final[dict[str, tuple[str, Callable[[OAuthClient], Tokens]]]] = {
    "password": (keycloak.CLIENT, lambda client: client.by_password(keycloak.person("alice"))),
    "device": (keycloak.CLIENT, lambda client: client.by_device(keycloak.person("alice"))),
    "code": ("pages", lambda client: client.by_code(keycloak.person("alice"))),
}
"""Grant -> the client that uses it, and how."""


@pytest.mark.parametrize("flow", FLOWS)
def test_user_of_keycloak_is_the_same_whatever_the_token_came_by(by_keycloak: World[Keycloak], flow: str) -> None:
    name, ask = FLOWS[flow]
    with by_keycloak.provider.client(name, "" if name == keycloak.CLIENT else keycloak.SECRET) as client:
        tokens = ask(client)
        again = client.refreshed(tokens)
    for token in (tokens.access, again.access):
        assert who(by_keycloak.server, token)["userName"] == "idp_alice"
        assert by_rest(by_keycloak.server, token, OPEN)[1]["code"] == 0


def test_service_of_keycloak_signs_in_with_its_own_secret(by_keycloak: World[Keycloak]) -> None:
    with by_keycloak.provider.client("indexer", keycloak.SECRET) as service:
        token = service.by_own_secret().access
    assert who(by_keycloak.server, token)["userName"] == "idp_service-account-indexer"
    assert by_rest(by_keycloak.server, token, OPEN)[1]["code"] == 0


def test_another_client_of_keycloak_is_refused_although_its_token_names_the_audience(
    by_keycloak: World[Keycloak],
) -> None:
    # Keycloak adds each client of which the user has a role to the audience, whoever asks for the token.
    with by_keycloak.provider.client("other") as other:
        token = other.by_password(keycloak.person("carol")).access
    found = claims(token)
    assert keycloak.CLIENT in found["aud"]
    assert found["azp"] == "other"
    assert "`azp`" in refusal(by_keycloak.server, token)


def test_identity_token_of_keycloak_is_refused_by_its_type(by_keycloak: World[Keycloak]) -> None:
    with by_keycloak.provider.client() as client:
        tokens = client.by_password(keycloak.person("alice"))
    assert claims(tokens.identity)["aud"] == claims(tokens.access)["aud"] == keycloak.CLIENT
    assert "`typ`" in refusal(by_keycloak.server, tokens.identity)


# Nothing in dex's tokens says what they are for, so that both are taken.
@pytest.mark.parametrize("flow", ["device", "code"])
def test_user_of_dex_is_the_same_whatever_the_token_came_by(by_dex: World[dex.Dex], flow: str) -> None:
    with by_dex.provider.client() as client:
        ask = client.by_device if flow == "device" else client.by_code
        tokens = ask(dex.person("alice", "searchers"))
    for token in (tokens.access, tokens.identity):
        assert who(by_dex.server, token)["userName"] == "idp_alice"
        assert by_rest(by_dex.server, token, OPEN)[1]["code"] == 0
