"""Token exchange with tokens of an identity provider, as the user's credential and as the service's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.federation import federate, publish
from tests.support.gateway import GatewayHarness, opened, quick_directory
from tests.support.issuer import Issuer
from tests.unit.iam.json_api.conftest import Own

from kiteward.bootstrap.components import record_last_used
from kiteward.domain.errors import InvalidArgument, KeyRejected
from kiteward.domain.identity import Secret, TokenCredential
from kiteward.iam.settings import ExchangeRules
from kiteward.iam.token_exchange import TokenType

URL = "https://idp.example"


class Federation:
    """A gateway that accepts tokens of an identity provider, and the service `idp_svc` of it."""

    def __init__(self, harness: GatewayHarness, idp: Issuer) -> None:
        self.own = Own(harness)
        self.harness = harness
        self.idp = idp

    def token(self, name: str, **claims: Any) -> str:
        """Return a token of a person or a program."""
        return self.idp.token(f"sub-{name}", preferred_username=name, **claims)

    async def exchange(self, subject: str, *, service: str | None = None, **wanted: Any) -> Any:
        by = TokenCredential(Secret(service or self.token("svc")))
        kind = wanted.pop("kind", TokenType.JWT.value)
        return await self.own("ExchangeToken", by=by, subjectToken=subject, subjectTokenType=kind, **wanted)

    async def works(self, made: Any) -> bool:
        try:
            await self.own("WhoAmI", by=made["key"])
        except KeyRejected:
            return False
        return True


async def prepare(harness: GatewayHarness, folder: Path, **more: Any) -> Federation:
    idp = Issuer(URL)
    publish(idp, folder / "jwks.json")
    entry = idp.settings(
        jwksFile=str(folder / "jwks.json"),
        groupRoles={"searchers": ["viewer"]},
        tagClaims={"team": "team"},
        **more,
    )
    await federate(harness, [entry])
    harness.configure(exchange_rules=ExchangeRules({"idp_svc": frozenset({"viewer", "writer"})}))
    await harness.role("exchangers", ("ExchangeToken", "*", "*"))
    for role in ("viewer", "writer"):
        await harness.role(role, ("Search", "default", role))
    federation = Federation(harness, idp)
    await federation.own("InviteUser", issuer=URL, userName="idp_svc", roles=["exchangers"])
    return federation


@pytest.fixture
async def federation() -> AsyncIterator[Federation]:
    with quick_directory() as directory:
        async with opened(directory / "store.db") as harness:
            yield await prepare(harness, Path(directory))


async def test_a_token_is_exchanged_for_a_key_with_the_roles_and_tags_that_its_claims_give(
    federation: Federation,
) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"], team="sales"))
    assert (made["roles"], made["rowTags"]) == (["viewer"], {"team": "sales"})
    me = await federation.own("WhoAmI", by=made["key"])
    assert (me["userName"], me["actor"], me["roles"]) == ("idp_ann", "idp_svc", ["viewer"])
    tags = await federation.own("DescribeTags", by=made["key"])
    assert tags["effectiveTags"] == {"team": "sales"}
    explained = await federation.own("ExplainAccess", keyId=made["keyId"], privilege="Search", collectionName="viewer")
    assert (explained["actor"], explained["allowed"]) == ("idp_svc", True)


@pytest.mark.parametrize("kind", [TokenType.JWT, TokenType.ACCESS_TOKEN, TokenType.ID_TOKEN])
async def test_each_type_of_signed_token_is_exchanged(federation: Federation, kind: TokenType) -> None:
    token = federation.token("ann", groups=["searchers"])
    assert await federation.works(await federation.exchange(token, kind=kind.value))
    with pytest.raises(InvalidArgument, match="must be one of"):
        await federation.exchange(token, kind=TokenType.API_KEY.value)


async def test_the_key_follows_the_mapping_of_groups(federation: Federation) -> None:
    mapping = {"issuer": URL, "group": "editors", "roleName": "writer"}
    await federation.own("GrantGroupRole", **mapping)
    made = await federation.exchange(federation.token("ann", groups=["editors", "searchers"]))
    assert made["roles"] == ["viewer", "writer"]
    await federation.own("RevokeGroupRole", **mapping)
    assert (await federation.own("WhoAmI", by=made["key"]))["roles"] == ["viewer"]


async def test_the_key_is_among_those_that_reach_a_collection(federation: Federation) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"]))
    await record_last_used(federation.harness.store, federation.harness.authenticator)
    found = await federation.own("ListCollectionAccess", collectionName="viewer")
    holders = {each["userName"]: each["keyIds"] for each in found["holders"] if not each["administrator"]}
    assert holders == {"idp_ann": [made["keyId"]]}


async def test_the_key_has_what_its_own_token_said_and_not_a_later_one(federation: Federation) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"], team="sales"))
    await federation.own("WhoAmI", by=TokenCredential(Secret(federation.token("ann", groups=[], team="legal"))))
    assert (await federation.own("WhoAmI", by=made["key"]))["roles"] == ["viewer"]
    assert (await federation.own("DescribeTags", by=made["key"]))["effectiveTags"] == {"team": "sales"}


async def test_the_key_outlives_neither_token(federation: Federation) -> None:
    token = federation.token("ann", lifetime=100, groups=["searchers"])
    assert 90 <= (await federation.exchange(token))["expiresIn"] <= 100
    service = federation.token("svc", lifetime=50)
    token = federation.token("ann", groups=["searchers"])
    assert 40 <= (await federation.exchange(token, service=service))["expiresIn"] <= 50
    # Within its leeway a token is still accepted; it is not exchanged any more.
    with pytest.raises(InvalidArgument, match="expires now"):
        await federation.exchange(federation.token("ann", lifetime=-5, groups=["searchers"]))


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"lifetime": -100}, "expired"),
        ({"aud": "others"}, "for somebody else"),
        ({"iss": "https://evil.example"}, "issuer"),
    ],
)
async def test_a_token_that_is_not_accepted_is_not_exchanged(
    federation: Federation, claims: dict[str, Any], told: str
) -> None:
    token = federation.token("ann", groups=["searchers"], **claims)
    with pytest.raises(InvalidArgument, match=told) as refused:
        await federation.exchange(token)
    assert token.split(".")[1] not in str(refused.value)
    event = federation.harness.trail.events[-1]
    assert (event.principal, "subjectRejected" in event.details["result"]) == ("idp_svc", True)


async def test_nobody_becomes_a_user_by_an_exchange_where_invitations_are_needed() -> None:
    with quick_directory() as directory:
        async with opened(directory / "store.db") as harness:
            federation = await prepare(harness, Path(directory), signUp="invited")
            token = federation.token("ann", groups=["searchers"])
            with pytest.raises(InvalidArgument, match="nobody has invited its user"):
                await federation.exchange(token)
            await federation.own("InviteUser", issuer=URL, userName="idp_ann")
            assert await federation.works(await federation.exchange(token))


ENDINGS: dict[str, tuple[str, dict[str, str]]] = {
    "tokens of the user are cut off": ("CutOffTokens", {"userName": "idp_ann"}),
    "tokens of the service are cut off": ("CutOffTokens", {"userName": "idp_svc"}),
    "tokens of the issuer are cut off": ("CutOffTokens", {"issuer": URL}),
    "the user is unbound": ("UnbindIdentity", {"userName": "idp_ann"}),
    "the service is unbound": ("UnbindIdentity", {"userName": "idp_svc"}),
    "the user is disabled": ("DisableUser", {"userName": "idp_ann"}),
    "the service is disabled": ("DisableUser", {"userName": "idp_svc"}),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_key_ends_when(federation: Federation, ending: str) -> None:
    old = {"iat": 1_000_000_000}
    service = federation.token("svc", **old)
    made = await federation.exchange(federation.token("ann", groups=["searchers"], **old), service=service)
    assert await federation.works(made)
    operation, arguments = ENDINGS[ending]
    await federation.own(operation, **arguments)
    assert not await federation.works(made)


async def test_a_cut_off_leaves_keys_of_tokens_that_were_issued_since(federation: Federation) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"]))
    await federation.own("CutOffTokens", issuer=URL, notBefore="2020-01-01T00:00:00Z")
    assert await federation.works(made)


async def test_a_key_whose_issuer_is_not_configured_any_more_is_refused(federation: Federation) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"]))
    federation.harness.authenticator.tokens = None
    federation.harness.configure(issuers={})
    federation.harness.authenticator.forget_all()
    assert not await federation.works(made)
    explained = await federation.own("ExplainAccess", keyId=made["keyId"], privilege="Search", collectionName="viewer")
    assert (explained["allowed"], "is not configured" in explained["closed"]) == (False, True)


async def test_both_parties_are_named_by_their_identities(federation: Federation) -> None:
    made = await federation.exchange(federation.token("ann", groups=["searchers"]))
    event = [each for each in federation.harness.trail.events if each.operation == "ExchangeToken"][-1]
    assert (event.principal, event.credential) == ("idp_svc", f"oidc:{URL}#sub-svc")
    assert event.details["result"]["userName"] == "idp_ann"
    assert event.details["result"]["keyId"] == made["keyId"]
