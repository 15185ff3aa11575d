"""A verifier for the identity provider of the tests."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.issuer import AUDIENCE, Issuer

from kiteward.authn.oidc.fetching import IssuerClient
from kiteward.authn.oidc.issuers import Issuer as Configured
from kiteward.authn.oidc.issuers import NameRule
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.tokens import TokenUse, TokenVerifier
from kiteward.domain.errors import KeyRejected


def configured(issuer: Issuer, **more: Any) -> Configured:
    """Return the configuration of the identity provider of a test."""
    usual = Configured(issuer.url, frozenset({AUDIENCE}), NameRule("idp_{preferred_username}"))
    return replace(usual, **more)


@contextlib.asynccontextmanager
async def verifier_of(
    *issuers: Configured, patience: float = 10.0, clock: Callable[[], float] = time.time
) -> AsyncIterator[TokenVerifier]:
    """Open a verifier of tokens of these issuers."""
    async with contextlib.AsyncExitStack() as stack:
        key_sets = []
        for each in issuers:
            client = IssuerClient(each, patience=patience)
            stack.push_async_callback(client.close)
            key_sets.append(KeySet(each, client))
        yield TokenVerifier(key_sets, clock=clock)


async def refusal(verifier: TokenVerifier, token: str, use: TokenUse = TokenUse.ACCESS) -> KeyRejected:
    """Return the refusal of a token, after looking for parts of the token in it."""
    with pytest.raises(KeyRejected) as refused:
        await verifier.verify(token, use)
    for part in token.split("."):
        assert len(part) < 8 or part not in f"{refused.value} {refused.value.reason}"
    return refused.value
