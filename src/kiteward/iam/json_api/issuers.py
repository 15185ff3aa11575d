"""The identity providers of the configuration, for administrators."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from kiteward.authn.oidc.issuers import Issuer
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.services import Services

_DISCOVERY: Final = "discovery"


class ShownIssuer(Outcome):
    """A configured identity provider, without secrets.

    `keys` is `discovery`, or the address or the file of its public keys. `signInName` is its name on the page for
    signing in to the console, null where it is not offered there; `clientId`, `scopes` and `signInClaims`, which ID
    tokens must have, are about that too. `scim` says whether its tokens sign in the users that
    SCIM makes. `leeway` and `maxAuthenticationAge` are seconds, the latter 0 for any. Its tokens that were issued
    before `notBefore` are refused, whoever's they are.
    """

    issuer: str
    audience: list[str]
    keys: str
    algorithms: list[str]
    leeway: float
    required_claims: dict[str, list[str]]
    authorized_parties: list[str]
    max_authentication_age: int
    user_name_prefix: str
    user_name_template: str
    groups_claim: str
    roles_claim: str
    allowed_roles: list[str]
    tag_claims: dict[str, str]
    sign_up: str
    sign_in_name: str | None
    sign_in_claims: dict[str, list[str]]
    client_id: str | None
    scopes: list[str]
    scim: bool
    not_before: datetime | None


class Issuers(Outcome):
    """All configured identity providers; `scim` says whether SCIM is enabled, whose groups give roles too."""

    issuers: list[ShownIssuer]
    scim: bool


async def listed(services: Services, _request: Request, _arguments: Arguments) -> Issuers:
    """List the identity providers."""
    cut_offs = await services.store.issuer_cut_offs()
    scim = services.scim
    return Issuers(
        issuers=[
            _shown(each, scim=scim.enabled and scim.issuer == each.name, not_before=cut_offs.get(each.name))
            for each in services.issuers.values()
        ],
        scim=scim.enabled,
    )


def _claims(required: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in required.items()}


def _shown(issuer: Issuer, *, scim: bool, not_before: float | None) -> ShownIssuer:
    keys, client = issuer.keys, issuer.client
    return ShownIssuer(
        issuer=issuer.name,
        audience=sorted(issuer.audiences),
        keys=keys.uri or (str(keys.file) if keys.file else _DISCOVERY),
        algorithms=sorted(issuer.algorithms),
        leeway=issuer.leeway,
        required_claims=_claims(issuer.required_claims),
        authorized_parties=sorted(issuer.authorized_parties),
        max_authentication_age=issuer.authentication_age,
        user_name_prefix=issuer.names.prefix,
        user_name_template=issuer.names.template,
        groups_claim=issuer.groups_claim,
        roles_claim=issuer.roles_claim,
        allowed_roles=sorted(issuer.allowed_roles),
        tag_claims=dict(issuer.tag_claims),
        sign_up=issuer.sign_up.value,
        sign_in_name=None if client is None else issuer.sign_in_name,
        sign_in_claims={} if client is None else _claims(client.required_claims),
        client_id=None if client is None else client.client_id,
        scopes=[] if client is None else list(client.scopes),
        scim=scim,
        not_before=moment(not_before or None),
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListIssuers",
        "issuers/list",
        Arguments,
        Issuers,
        listed,
        "List the configured identity providers, without secrets.",
        changes=False,
    ),
)
