"""The settings for signing in to the console, and of the client at an identity provider."""

from typing import Any

import pytest

from kiteward.authn.oidc.issuers import Client, Issuer
from kiteward.config.loading import settings_from
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

IDP = {"issuer": "https://idp.example:8443/realms/a", "audience": "kiteward", "userPrefix": "idp_"}


def issuer(**entry: Any) -> Issuer:
    (found,) = settings_from({"kiteward": {"oidc": [{**IDP, **entry}]}}).issuers
    return found


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings_from({"kiteward": document})
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://kiteward.example", "https://kiteward.example"),
        ("https://Kiteward.Example:8443/", "https://kiteward.example:8443"),
        ("http://localhost:19530", "http://localhost:19530"),
        ("http://[::1]:19530", "http://[::1]:19530"),
        ("", ""),
    ],
)
def test_address_of_the_console_is_a_scheme_and_a_host(given: str, expected: str) -> None:
    assert settings_from({"kiteward": {"console": {"address": given}}}).console.address == expected


@pytest.mark.parametrize(
    "given",
    [
        "kiteward.example",
        "ftp://a",
        "https://",
        "https://a/console",
        "https://a?b",
        "https://u@a",
        "https://a:x",
        "https://a b",
    ],
)
def test_address_that_is_more_or_less_is_refused(given: str) -> None:
    assert "kiteward.console.address must be" in refused({"console": {"address": given}})


def test_rule_for_passwords_is_one_of_four() -> None:
    assert "administrators-from-loopback" in refused({"console": {"localSignIn": "somebody"}})


def test_client_is_named_after_its_issuer_and_asks_for_little() -> None:
    assert issuer().client is None
    usual = issuer(clientId="c")
    assert (usual.client, usual.sign_in_name) == (Client("c", Secret(""), "", ("openid", "profile")), "idp.example")
    named = issuer(clientId="c", clientSecret="s", signInName="company-1", scopes=["groups", "openid"])
    assert named.client == Client("c", Secret("s"), "company-1", ("groups", "openid"))
    assert named.sign_in_name == "company-1"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"signInName": "a/b"}, "kiteward.oidc[0].signInName must have"),
        ({"signInName": "../x"}, "kiteward.oidc[0].signInName must have"),
        ({"signInName": "x" * 65}, "kiteward.oidc[0].signInName must have"),
        ({"scopes": ["profile"]}, "kiteward.oidc[0].scopes must contain openid"),
        ({"scopes": ["openid", 'a"b']}, "kiteward.oidc[0].scopes must be names"),
    ],
)
def test_name_and_scopes_that_cannot_be_used_are_refused(entry: dict[str, Any], told: str) -> None:
    assert told in refused({"oidc": [{**IDP, "clientId": "c", **entry}]})


def test_two_providers_have_two_names() -> None:
    second = {**IDP, "issuer": "https://idp.example:8443/realms/b", "userPrefix": "b_"}
    told = refused({"oidc": [{**IDP, "clientId": "c"}, {**second, "clientId": "c"}]})
    assert "set signInName of one of them" in told
    settings_from({"kiteward": {"oidc": [{**IDP, "clientId": "c"}, second]}})
    settings_from({"kiteward": {"oidc": [{**IDP, "clientId": "c"}, {**second, "clientId": "c", "signInName": "b"}]}})
