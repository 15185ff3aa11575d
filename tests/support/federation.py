"""A gateway that accepts the tokens of an identity provider, whose keys are in a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.gateway import GatewayHarness
from tests.support.issuer import Issuer

from kiteward.authn.oidc.authentication import TokenAuthenticator
from kiteward.authn.oidc.fetching import IssuerClient
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.tokens import TokenVerifier
from kiteward.config.loading import settings_from


def publish(issuer: Issuer, file: Path) -> None:
    """Write the public keys of an issuer to a file, as a whole, as mounted volumes are replaced."""
    written = file.with_suffix(".new")
    written.write_text(json.dumps({"keys": [key.jwk() for key in issuer.keys]}), encoding="utf-8")
    written.replace(file)


async def federate(
    harness: GatewayHarness, entries: Sequence[dict[str, Any]], **naming: Any
) -> tuple[TokenAuthenticator, Sequence[KeySet]]:
    """Let a gateway accept the tokens of identity providers.

    Args:
        harness: the gateway.
        entries: the entries of `kiteward.oidc`, whose keys are in files.
        naming: keys of `proxy` about names.

    Returns:
        What authenticates by tokens, and the keys of each provider.
    """
    settings = settings_from({"kiteward": {"oidc": list(entries)}, "proxy": naming})
    key_sets = [KeySet(each, IssuerClient(each)) for each in settings.issuers]
    tokens = TokenAuthenticator(
        TokenVerifier(key_sets), harness.store, naming=settings.naming, most_users=settings.limits.users
    )
    tokens.change_by(harness.policy_cache.change, harness.recorder)
    harness.authenticator.tokens = tokens
    harness.configure(issuers={each.name: each for each in settings.issuers}, naming=settings.naming)
    return tokens, key_sets
