"""The settings of identity providers: what they set, what they refuse, and that no value is ever shown."""

from pathlib import Path
from typing import Any

import pytest

from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import ALGORITHMS, Client, Issuer, KeySource, NameRule, SignUp
from kiteward.config.loading import explain, settings_from
from kiteward.config.oidc_keys import ENTRY_KEYS
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

LEAST: dict[str, Any] = {"issuer": "https://idp.example", "audience": "kiteward", "userPrefix": "idp_"}
SECRET_LOOKING = "Hunter2-Hunter2"


def issuers(*entries: dict[str, Any]) -> tuple[Issuer, ...]:
    """Return what a list of entries configures."""
    return settings_from({"kiteward": {"oidc": list(entries)}}).issuers


def test_nothing_is_accepted_by_default() -> None:
    assert settings_from({}).issuers == ()


def test_what_is_not_given_is_closed() -> None:
    (issuer,) = issuers(LEAST)
    assert issuer == Issuer("https://idp.example", frozenset({"kiteward"}), NameRule("idp_{sub}"))
    assert issuer.sign_up is SignUp.INVITED
    assert (issuer.groups_claim, issuer.roles_claim, issuer.client) == ("", "", None)


def test_few_scopes_are_asked_for_by_default() -> None:
    (issuer,) = issuers({**LEAST, "clientId": "console"})
    assert issuer.client is not None
    assert issuer.client.scopes == ("openid", "profile")


def test_every_key_of_an_entry_is_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    given: dict[str, Any] = {
        "issuer": "https://idp.example",
        "audience": ["kiteward", "other"],
        "jwksUri": "https://keys.example/jwks",
        "jwksFile": None,
        "caFile": "/ca.pem",
        "algorithms": ["RS256"],
        "leeway": 5,
        "requiredClaims": {"typ": "Bearer", "email_verified": True, "acr": None},
        "authorizedParties": "app, cli",
        "maxAuthenticationAge": 3600,
        "userClaim": None,
        "userTemplate": "{preferred_username}_x",
        "userPrefix": "idp_",
        "userReplace": {"@": "_at_"},
        "groupsClaim": "groups",
        "groupRoles": {"searchers": ["viewer"], "writers": "viewer, writer"},
        "groupRolePatterns": {"team-*": ["reader"]},
        "rolesClaim": "roles",
        "allowedRoles": ["reader"],
        "tagClaims": {"tenant": "org/id"},
        "signUp": "create",
        "clientId": "console",
        "clientSecret": None,
        "clientSecretFile": str(file),
        "signInName": "company",
        "scopes": "openid, groups",
        "signInClaims": {"hd": "company.example"},
    }
    assert set(given) == {key.name for key in ENTRY_KEYS}
    (issuer,) = issuers(given)
    assert issuer == Issuer(
        "https://idp.example",
        frozenset({"kiteward", "other"}),
        NameRule("idp_{preferred_username}_x", {"@": "_at_"}),
        keys=KeySource("https://keys.example/jwks", None, Path("/ca.pem")),
        algorithms=frozenset({"RS256"}),
        leeway=5,
        required_claims={"typ": frozenset({"Bearer"}), "email_verified": frozenset({"true"}), "acr": frozenset()},
        authorized_parties=frozenset({"app", "cli"}),
        authentication_age=3600,
        groups_claim="groups",
        group_roles=GroupMapping(
            {"searchers": frozenset({"viewer"}), "writers": frozenset({"viewer", "writer"})},
            {"team-*": frozenset({"reader"})},
        ),
        roles_claim="roles",
        allowed_roles=frozenset({"reader"}),
        tag_claims={"tenant": "org/id"},
        sign_up=SignUp.CREATE,
        client=Client(
            "console", Secret("s3cret"), "company", ("groups", "openid"), {"hd": frozenset({"company.example"})}
        ),
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"issuer": None}, "[0].issuer is missing"),
        ({"issuer": "http://idp.example"}, "[0].issuer must be like https://"),
        ({"issuer": "https://user@idp.example"}, "[0].issuer must be"),
        ({"audience": None}, "[0].audience is missing"),
        ({"audience": {"a": 1}}, "[0].audience must be one value"),
        ({"signInClaims": {"hd": "x"}}, "[0].signInClaims needs clientId"),
        ({"audiance": "x"}, "unknown key kiteward.oidc[0].audiance: did you mean audience?"),
        ({"algorithms": ["HS256"]}, "[0].algorithms must be some of RS256"),
        ({"algorithms": ["none"]}, "[0].algorithms must be some of RS256"),
        ({"algorithms": []}, "[0].algorithms must be some of RS256"),
        ({"leeway": 301}, "[0].leeway must be at least 0 and at most 300"),
        ({"jwksUri": "https://a/b", "jwksFile": "/c"}, "[0].jwksUri and jwksFile are both set"),
        ({"jwksUri": "http://keys.example/"}, "[0].jwksUri must be like https://"),
        ({"userPrefix": None}, "[0].userPrefix must begin with a letter"),
        ({"userPrefix": "1"}, "[0].userPrefix must begin with a letter"),
        ({"userPrefix": "idp{sub}"}, "[0].userPrefix must begin with a letter"),
        ({"userPrefix": "a b"}, "[0].userPrefix must begin with a letter"),
        ({"userTemplate": "x_{sub}", "userClaim": "sub"}, "[0].userTemplate and userClaim are both set"),
        ({"userTemplate": "x_sub"}, "[0].userTemplate must have claims in braces"),
        ({"userTemplate": "x_{sub"}, "[0].userTemplate must have claims in braces"),
        ({"userTemplate": "x_{}"}, "[0].userTemplate must have claims in braces"),
        ({"userReplace": {"": "x"}}, "[0].userReplace must not replace an empty text"),
        ({"groupRoles": {"a": ["b"]}}, "[0].groupRoles needs groupsClaim"),
        ({"groupRolePatterns": {"a*": ["b"]}}, "[0].groupRoles needs groupsClaim"),
        ({"groupRoles": ["a"]}, "[0].groupRoles must be a section of names"),
        ({"rolesClaim": "roles"}, "[0].rolesClaim and allowedRoles belong together"),
        ({"allowedRoles": ["a"]}, "[0].rolesClaim and allowedRoles belong together"),
        ({"tagClaims": {"a b": "c"}}, "[0].tagClaims names a tag that cannot be"),
        ({"tagClaims": {"a": ""}}, "[0].tagClaims must name a claim"),
        ({"signUp": "yes"}, "[0].signUp must be one of create, invited"),
        ({"clientSecret": SECRET_LOOKING}, "[0].clientId is missing"),
        ({"clientId": "a", "clientSecret": SECRET_LOOKING, "clientSecretFile": "/x"}, "are both set"),
        ({"clientId": "a", "clientSecretFile": "/nowhere"}, "[0].clientSecretFile must name a readable text file"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        issuers({**LEAST, **changed})
    assert words in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, "are the same issuer"),
        ({"issuer": "https://b.example"}, "could name the same user"),
        ({"issuer": "https://b.example", "userPrefix": "idp_b"}, "could name the same user"),
        ({"issuer": "https://b.example", "userPrefix": "id"}, "could name the same user"),
        (
            {"issuer": "https://b.example", "userPrefix": None, "userTemplate": "idp_b_{sub}"},
            "could name the same user",
        ),
    ],
)
def test_two_entries_that_overlap_are_refused(other: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        issuers(LEAST, {**LEAST, **other})


def test_several_issuers_with_prefixes_of_their_own_are_read_in_order() -> None:
    found = issuers(LEAST, {**LEAST, "issuer": "http://127.0.0.1:1/x", "userPrefix": "ci_"})
    assert [each.name for each in found] == ["https://idp.example", "http://127.0.0.1:1/x"]


def test_an_issuer_with_keys_in_a_file_needs_no_address() -> None:
    (issuer,) = issuers({**LEAST, "issuer": "kubernetes/serviceaccount", "jwksFile": "/keys.json"})
    assert (issuer.name, issuer.keys) == ("kubernetes/serviceaccount", KeySource(file=Path("/keys.json")))


@pytest.mark.parametrize("value", ["x", ["x"], "{", 5])
def test_what_is_no_list_of_sections_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.oidc must be a list of sections"):
        settings_from({"kiteward": {"oidc": value}})


def test_the_environment_holds_the_list_and_nothing_of_it_is_shown() -> None:
    text = (
        f'[{{issuer: "https://idp.example", audience: a, userPrefix: i_, clientId: c, clientSecret: {SECRET_LOOKING}}}]'
    )
    settings, in_force = explain(None, {"KITEWARD_OIDC": text})
    assert settings.issuers[0].client == Client("c", Secret(SECRET_LOOKING))
    assert SECRET_LOOKING not in repr(settings)
    assert [(each.shown, each.origin) for each in in_force if each.key == "kiteward.oidc"] == [("set", "KITEWARD_OIDC")]


def test_all_algorithms_are_accepted_by_default() -> None:
    assert issuers(LEAST)[0].algorithms == frozenset(ALGORITHMS)
