"""Which tokens are accepted, and what the refusal of each other one says."""

import base64
import json
from typing import Any

import pytest
from tests.support.issuer import Issuer, SigningKey, encoded, private_key
from tests.unit.authn.oidc.verifying import configured, refusal, verifier_of

from kiteward.authn.oidc.issuers import ALGORITHMS, Client
from kiteward.authn.oidc.tokens import LONGEST, TokenUse
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import Secret

NOW = 1_800_000_000


async def test_a_token_of_a_configured_issuer_is_verified_with_its_claims(idp: Issuer) -> None:
    async with verifier_of(configured(idp)) as verifier:
        verified = await verifier.verify(idp.token("alice", groups=["a"]))
    assert (verified.issuer.name, verified.subject) == (idp.url, "alice")
    assert verified.claims["groups"] == ["a"]
    assert idp.fetches == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_accepted_algorithm_is_verified(idp: Issuer, algorithm: str) -> None:
    idp.rotate(algorithm)
    async with verifier_of(configured(idp)) as verifier:
        assert (await verifier.verify(idp.token())).subject == "subject-1"


async def test_ed448_is_verified_as_eddsa(idp: Issuer) -> None:
    idp.keys = [SigningKey("448", "EdDSA", private_key("EdDSA", curve="Ed448"))]
    async with verifier_of(configured(idp)) as verifier:
        assert (await verifier.verify(idp.token())).subject == "subject-1"


async def test_an_algorithm_that_is_not_configured_is_refused(idp: Issuer) -> None:
    async with verifier_of(configured(idp, algorithms=frozenset({"RS256"}))) as verifier:
        error = await refusal(verifier, idp.token())
    assert error.code is ErrorCode.TOKEN_ALGORITHM
    assert "RS256" in str(error)


CLAIMS: list[tuple[dict[str, Any], ErrorCode, str]] = [
    ({"iss": "https://other.example"}, ErrorCode.TOKEN_ISSUER_UNKNOWN, "kiteward.oidc"),
    ({"iss": None}, ErrorCode.TOKEN_ISSUER_UNKNOWN, "`iss`"),
    ({"iss": ["x"]}, ErrorCode.TOKEN_ISSUER_UNKNOWN, "`iss`"),
    ({"aud": "other"}, ErrorCode.TOKEN_AUDIENCE, "`aud` must be kiteward"),
    ({"aud": ["other", "another"]}, ErrorCode.TOKEN_AUDIENCE, "`aud`"),
    ({"aud": []}, ErrorCode.TOKEN_AUDIENCE, "`aud`"),
    ({"aud": None}, ErrorCode.TOKEN_CLAIM_MISSING, "`aud`"),
    ({"aud": {"kiteward": True}}, ErrorCode.TOKEN_CLAIM_MISSING, "`aud`"),
    ({"aud": ["kiteward", 1]}, ErrorCode.TOKEN_CLAIM_MISSING, "`aud`"),
    ({"exp": None}, ErrorCode.TOKEN_CLAIM_MISSING, "`exp`"),
    ({"exp": "1900000000"}, ErrorCode.TOKEN_CLAIM_MISSING, "`exp`"),
    ({"exp": True}, ErrorCode.TOKEN_CLAIM_MISSING, "`exp`"),
    ({"exp": 1e300}, ErrorCode.TOKEN_CLAIM_MISSING, "`exp`"),
    ({"exp": NOW - 31}, ErrorCode.TOKEN_EXPIRED, "expired at 2027-01-15T07:59:29Z"),
    ({"iat": None}, ErrorCode.TOKEN_CLAIM_MISSING, "`iat`"),
    ({"iat": NOW + 31}, ErrorCode.TOKEN_NOT_YET_VALID, "from the future"),
    ({"nbf": NOW + 31}, ErrorCode.TOKEN_NOT_YET_VALID, "2027-01-15T08:00:31Z"),
    ({"nbf": "soon"}, ErrorCode.TOKEN_CLAIM_MISSING, "`nbf`"),
    ({"sub": None}, ErrorCode.TOKEN_CLAIM_MISSING, "`sub`"),
    ({"sub": ""}, ErrorCode.TOKEN_CLAIM_MISSING, "`sub`"),
    ({"sub": 5}, ErrorCode.TOKEN_CLAIM_MISSING, "`sub`"),
    ({"sub": "a" * 256}, ErrorCode.TOKEN_CLAIM_MISSING, "`sub`"),
    ({"sub": "a\nb"}, ErrorCode.TOKEN_CLAIM_MISSING, "`sub`"),
]


@pytest.mark.parametrize(("claims", "code", "words"), CLAIMS, ids=[json.dumps(each[0])[:40] for each in CLAIMS])
async def test_a_refusal_says_which_claim_was_wrong(
    idp: Issuer, claims: dict[str, Any], code: ErrorCode, words: str
) -> None:
    async with verifier_of(configured(idp), clock=lambda: NOW) as verifier:
        error = await refusal(verifier, idp.signed({**idp.claims(iat=NOW, exp=NOW + 60), **claims}))
    assert error.code is code
    assert words in str(error)


@pytest.mark.parametrize(
    "claims", [{"exp": NOW - 29}, {"iat": NOW + 30}, {"nbf": NOW + 30}, {"aud": ["x", "kiteward"]}]
)
async def test_what_the_leeway_and_a_list_of_audiences_allow_is_accepted(idp: Issuer, claims: dict[str, Any]) -> None:
    async with verifier_of(configured(idp), clock=lambda: NOW) as verifier:
        verified = await verifier.verify(idp.signed({**idp.claims(iat=NOW, exp=NOW + 60), **claims}))
    assert verified.expires_at == claims.get("exp", NOW + 60) + 30


async def test_required_claims_must_be_there_with_an_accepted_value(idp: Issuer) -> None:
    rules = {"email_verified": frozenset({"true"}), "realm_access/roles": frozenset({"x"}), "acr": frozenset[str]()}
    right: dict[str, Any] = {"email_verified": True, "realm_access": {"roles": ["w", "x"]}, "acr": "any"}
    async with verifier_of(configured(idp, required_claims=rules)) as verifier:
        assert (await verifier.verify(idp.token(**right))).claims["acr"] == "any"
        for name, wrong in (
            ("email_verified", False),
            ("realm_access", {"roles": ["w"]}),
            ("realm_access", {"roles": []}),
        ):
            assert (await refusal(verifier, idp.token(**{**right, name: wrong}))).code is ErrorCode.TOKEN_CLAIM_VALUE
        assert (await refusal(verifier, idp.token(**{**right, "acr": None}))).code is ErrorCode.TOKEN_CLAIM_MISSING


async def test_a_scope_is_one_of_the_words_of_its_claim(idp: Issuer) -> None:
    for name in ("scope", "scp"):
        async with verifier_of(configured(idp, required_claims={name: frozenset({"search", "admin"})})) as verifier:
            for given in ("search", "openid search profile", ["openid", "search"]):
                await verifier.verify(idp.signed({**idp.claims(), name: given}))
            for other in ("openid", "searching", "search:read", "open,search", "", ["search openid x"], {"search": 1}):
                error = await refusal(verifier, idp.signed({**idp.claims(), name: other}))
                assert error.code is ErrorCode.TOKEN_CLAIM_VALUE
    async with verifier_of(configured(idp, required_claims={"department": frozenset({"search"})})) as verifier:
        spaced = idp.token(department="not search")
        assert (await refusal(verifier, spaced)).code is ErrorCode.TOKEN_CLAIM_VALUE


@pytest.mark.parametrize("methods", [["mfa"], ["pwd", "mfa", "otp"], "mfa"])
async def test_strength_and_methods_of_the_authentication_can_be_required(idp: Issuer, methods: object) -> None:
    rules = {"acr": frozenset({"urn:example:silver", "urn:example:gold"}), "amr": frozenset({"mfa", "hwk"})}
    right: dict[str, Any] = {"acr": "urn:example:gold", "amr": methods}
    async with verifier_of(configured(idp, required_claims=rules)) as verifier:
        await verifier.verify(idp.token(**right))
        wrong: list[dict[str, Any]] = [{"acr": "urn:example:bronze"}, {"amr": ["pwd"]}, {"amr": []}]
        for each in wrong:
            assert (await refusal(verifier, idp.token(**right | each))).code is ErrorCode.TOKEN_CLAIM_VALUE
        for missing in ("acr", "amr"):
            error = await refusal(verifier, idp.token(**right | {missing: None}))
            assert error.code is ErrorCode.TOKEN_CLAIM_MISSING


async def test_an_authentication_must_be_as_recent_as_is_required(idp: Issuer) -> None:
    own = configured(idp, authentication_age=600, client=Client("console", Secret("")))
    async with verifier_of(own, clock=lambda: NOW) as verifier:

        def token(**claims: Any) -> str:
            both = ["kiteward", "console"]
            return idp.signed({**idp.claims(iat=NOW, exp=NOW + 3600, aud=both, **claims)}, headers={"typ": None})

        for use in (TokenUse.ACCESS, TokenUse.ID):
            verified = await verifier.verify(token(auth_time=NOW - 100), use)
            assert verified.expires_at == NOW - 100 + 600 + 30
            assert (await verifier.verify(token(auth_time=NOW - 629), use)).expires_at == NOW + 1
            old = await refusal(verifier, token(auth_time=NOW - 630), use)
            assert old.code is ErrorCode.TOKEN_AUTHENTICATION_OLD
            assert "2027-01-15T07:49:30Z" in str(old)
            for none in (None, "yesterday", True):
                missing = await refusal(verifier, token(auth_time=none), use)
                assert missing.code is ErrorCode.TOKEN_CLAIM_MISSING
            future = await refusal(verifier, token(auth_time=NOW + 31), use)
            assert future.code is ErrorCode.TOKEN_NOT_YET_VALID
    async with verifier_of(configured(idp), clock=lambda: NOW) as verifier:
        assert (await verifier.verify(token(auth_time=1))).expires_at == NOW + 3630


@pytest.mark.parametrize("details", [[{"type": "search"}], [], None, "search"])
async def test_a_token_whose_limits_are_not_understood_is_refused(idp: Issuer, details: object) -> None:
    async with verifier_of(configured(idp)) as verifier:
        token = idp.signed({**idp.claims(), "authorization_details": details})
        error = await refusal(verifier, token)
        assert error.code is ErrorCode.TOKEN_KIND
        assert "`authorization_details`" in str(error)


@pytest.mark.parametrize("bound", [{"jkt": "a thumbprint"}, {"x5t#S256": "a thumbprint"}, {"jwk": {}}, {}, "a key"])
async def test_a_token_that_is_bound_to_a_key_of_its_client_is_no_bearer_token(idp: Issuer, bound: object) -> None:
    async with verifier_of(configured(idp)) as verifier:
        error = await refusal(verifier, idp.token(cnf=bound))
        assert error.code is ErrorCode.TOKEN_KIND
        assert "`cnf`" in str(error)


async def test_a_token_of_another_client_is_refused_where_parties_are_listed(idp: Issuer) -> None:
    async with verifier_of(configured(idp, authorized_parties=frozenset({"app"}))) as verifier:
        assert (await verifier.verify(idp.token(azp="app"))).subject == "subject-1"
        for other in ("other", None, ["app"]):
            assert (await refusal(verifier, idp.token(azp=other))).code is ErrorCode.TOKEN_PARTY


async def test_a_claim_of_the_exact_name_wins_over_a_path(idp: Issuer) -> None:
    rules = {"https://x.example/tenant": frozenset({"a"})}
    async with verifier_of(configured(idp, required_claims=rules)) as verifier:
        nested = {"": {"x.example": {"tenant": "b"}}}
        claims: dict[str, Any] = {"https://x.example/tenant": "a", "https:": nested}
        token = idp.token(**claims)
        assert (await verifier.verify(token)).subject == "subject-1"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "eyJ",
        "a.b",
        "a.b.c.d.e",
        "eyJ.eyJ.",
        "é.é.é",
        f"{encoded({})}.{encoded([])}.",
        f"{encoded([])}.{encoded({})}.",
    ],
)
async def test_what_is_no_token_is_refused(idp: Issuer, token: str) -> None:
    async with verifier_of(configured(idp)) as verifier:
        assert (await refusal(verifier, token)).code is ErrorCode.TOKEN_MALFORMED
    assert idp.requests == []


@pytest.mark.parametrize("payload", [b"[" * 4000, b'{"exp": NaN}', b'{"iss": 1, "iss": 2}', b"\xff", b'{"a": ' * 2000])
async def test_claims_that_are_no_json_are_refused(idp: Issuer, payload: bytes) -> None:
    async with verifier_of(configured(idp)) as verifier:
        assert (await refusal(verifier, idp.signed(payload))).code is ErrorCode.TOKEN_MALFORMED


async def test_a_token_of_the_greatest_length_is_accepted_and_a_longer_one_is_not(idp: Issuer) -> None:
    async with verifier_of(configured(idp)) as verifier:
        short = len(idp.token(filler=""))
        longest = idp.token(filler="x" * ((LONGEST - short) * 3 // 4 - 2))
        assert LONGEST - 8 < len(longest) <= LONGEST
        assert (await verifier.verify(longest)).subject == "subject-1"
        error = await refusal(verifier, longest + "x" * 8)
    assert error.code is ErrorCode.TOKEN_TOO_LONG
    assert str(LONGEST) in str(error)


async def test_a_changed_token_is_refused(idp: Issuer) -> None:
    token = idp.token()
    head, claims, signature = token.split(".")
    other = {**json.loads(base64.urlsafe_b64decode(claims + "==")), "sub": "somebody"}
    async with verifier_of(configured(idp)) as verifier:
        for wrong in (
            f"{head}.{encoded(other)}.{signature}",
            f"{head}.{claims}.",
            f"{head}.{claims}.{signature[:-4]}AAAA",
        ):
            assert (await refusal(verifier, wrong)).code is ErrorCode.TOKEN_SIGNATURE


async def test_a_token_for_one_use_is_refused_for_another(idp: Issuer) -> None:
    own = configured(idp, client=Client("console", Secret("")))
    logout: dict[str, Any] = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    tokens = {
        TokenUse.ACCESS: idp.token(headers={"typ": "at+jwt"}),
        TokenUse.ID: idp.token(aud="console", headers={"typ": "ID+JWT"}),
        TokenUse.LOGOUT: idp.token(aud="console", headers={"typ": "application/logout+jwt"}, **logout),
    }
    async with verifier_of(own) as verifier:
        for use, token in tokens.items():
            assert (await verifier.verify(token, use)).issuer.name == idp.url
            for other in set(TokenUse) - {use}:
                assert (await refusal(verifier, token, other)).code is ErrorCode.TOKEN_KIND
        untyped = idp.token(aud=["console", "kiteward"], headers={"typ": None}, **logout)
        assert (await refusal(verifier, untyped)).code is ErrorCode.TOKEN_KIND
        without_kind = idp.signed({**idp.claims(aud="console", **logout)})
        assert (await refusal(verifier, without_kind, TokenUse.LOGOUT)).code is ErrorCode.TOKEN_KIND
