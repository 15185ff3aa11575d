"""Lists of identity providers: everything that is configured of one is shown, but for secrets."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.gateway import GatewayHarness, own_call

from kiteward.authn.oidc.issuers import Client, Issuer, KeySource, NameRule, SignUp
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.base import plain

IDP: Final = Issuer("https://idp.example", frozenset({"kiteward"}), NameRule("idp_{sub}"))
OTHERS: Final[dict[str, Any]] = {
    "name": "https://other.example",
    "audiences": frozenset({"other"}),
    "names": NameRule("other_{email}"),
    "keys": KeySource(file=Path("/keys.json")),
    "algorithms": frozenset({"ES256"}),
    "leeway": 5,
    "required_claims": {"typ": frozenset({"Bearer"})},
    "authorized_parties": frozenset({"web"}),
    "authentication_age": 3600,
    "groups_claim": "groups",
    "roles_claim": "roles",
    "allowed_roles": frozenset({"reader"}),
    "tag_claims": {"tenant": "org"},
    "sign_up": SignUp.CREATE,
    "client": Client("console", Secret("a secret of the client"), "company"),
}
"""Field of an issuer -> another value. `ListGroupRoles` shows `group_roles`."""


async def listed(harness: GatewayHarness, issuer: Issuer) -> dict[str, Any]:
    harness.configure(issuers={issuer.name: issuer})
    (shown,) = plain(await harness.gateway.handle(own_call("ListIssuers")))["issuers"]
    return dict(shown)


CLIENTS: Final[dict[str, Any]] = {
    "client_id": "other",
    "name": "firm",
    "scopes": ("email", "openid"),
    "required_claims": {"amr": frozenset({"mfa"})},
}
"""Field of a client -> another value."""


def test_every_field_is_tried() -> None:
    assert {field.name for field in fields(Issuer)} == {*OTHERS, "group_roles"}
    assert {field.name for field in fields(Client)} == {*CLIENTS, "secret"}


@pytest.mark.parametrize("field", CLIENTS)
async def test_what_is_configured_of_the_client_is_shown(harness: GatewayHarness, field: str) -> None:
    client = OTHERS["client"]
    usual = await listed(harness, replace(IDP, client=client))
    assert usual != await listed(harness, replace(IDP, client=replace(client, **{field: CLIENTS[field]})))


@pytest.mark.parametrize("field", OTHERS)
async def test_what_is_configured_is_shown_without_secrets(harness: GatewayHarness, field: str) -> None:
    usual, other = await listed(harness, IDP), await listed(harness, replace(IDP, **{field: OTHERS[field]}))
    assert usual != other
    assert "a secret of the client" not in str(other)
    assert (await listed(harness, IDP))["notBefore"] is None
