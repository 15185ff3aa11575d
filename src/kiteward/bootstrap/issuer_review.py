"""Reviews the identity providers for the doctor: whether their keys can be fetched, and what is unsafe."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from kiteward.authn.oidc.fetching import FetchFailed, IssuerClient
from kiteward.authn.oidc.issuers import Issuer, SignUp
from kiteward.authn.oidc.key_sets import PublicKey, public_keys
from kiteward.authz.model import ADMIN_ROLE
from kiteward.bootstrap.review import Review
from kiteward.config.oidc_keys import REQUIRED_CLAIMS, SIGN_IN_CLAIMS
from kiteward.domain.errors import ConfigurationError

_PUBLIC: Final = frozenset(
    {
        "https://accounts.google.com",
        "https://appleid.apple.com",
        "https://gitlab.com",
        "https://token.actions.githubusercontent.com",
    }
)
"""Issuers of whom everybody in the world can get a token for any audience."""


async def review_issuers(issuers: Sequence[Issuer]) -> Review:
    """Fetch the keys of identity providers as the server does, and review their settings."""
    found = await asyncio.gather(*map(_keys_of, issuers))
    notes, faults = [], []
    for issuer, keys in zip(issuers, found, strict=True):
        if isinstance(keys, str):
            faults.append(f"tokens of {issuer.name} cannot be verified: {keys}")
            continue
        usable = sorted({name for key in keys for name in key.algorithms & issuer.algorithms})
        if not usable:
            faults.append(f"no key of {issuer.name} is for an algorithm that kiteward.oidc accepts of it")
        notes.append(f"tokens of {issuer.name} are accepted, by {len(keys)} keys for {', '.join(usable)}")
    return Review(tuple(notes), tuple(faults), tuple(_unsafe(issuers)))


async def _keys_of(issuer: Issuer) -> Sequence[PublicKey] | str:
    """Return the keys of an identity provider, or why there are none."""
    try:
        client = IssuerClient(issuer)
    except ConfigurationError as error:
        return str(error)
    try:
        return public_keys(await client.key_set())
    except FetchFailed as error:
        return str(error)
    finally:
        await client.close()


def _unsafe(issuers: Sequence[Issuer]) -> Iterator[str]:
    for issuer in issuers:
        if any(ADMIN_ROLE in roles for roles in issuer.group_roles.patterns.values()):
            yield (
                f"groupRolePatterns of {issuer.name} makes administrators of all groups of a pattern: name the group "
                "in groupRoles"
            )
        if issuer.sign_up is SignUp.CREATE and issuer.name in _PUBLIC:
            for key in _unlimited(issuer):
                yield (
                    f"signUp of {issuer.name} is create, and anybody can have an account there: set {key}, or signUp "
                    "to invited"
                )
        if issuer.client is not None and issuer.client.client_id in issuer.audiences and not issuer.required_claims:
            yield (
                f"audience of {issuer.name} is also its clientId, so that ID tokens without a type of their own are "
                "accepted as access tokens: use another audience, or set requiredClaims"
            )


def _unlimited(issuer: Issuer) -> Iterator[str]:
    """Yield the keys that would say whose tokens count, and are not set."""
    if not issuer.required_claims:
        yield REQUIRED_CLAIMS.name
    if issuer.client is not None and not issuer.client.required_claims:
        yield SIGN_IN_CLAIMS.name
