"""The identity providers whose tokens a server accepts."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kiteward.api.console.sign_in_options import SignInOptions
from kiteward.authn.console_sign_in import SignInRules
from kiteward.bootstrap.components import repeat
from kiteward.config.settings import Settings
from kiteward.store.base import Store

if TYPE_CHECKING:  # loaded where one is configured
    from kiteward.authn.oidc.authentication import TokenAuthenticator

_REFRESH_SECONDS: Final = 1.0
"""Seconds between two checks whether it is time to fetch keys."""


def open_issuers(stack: AsyncExitStack, settings: Settings, store: Store) -> "TokenAuthenticator | None":
    """Return what authenticates by tokens; `stack` closes it. Keys are fetched in the background, again and again.

    Returns:
        None where no identity provider is configured.

    Raises:
        ConfigurationError: a file with certificates cannot be used.
    """
    if not settings.issuers:
        return None
    from kiteward.authn.oidc.authentication import TokenAuthenticator  # noqa: PLC0415  see above
    from kiteward.authn.oidc.fetching import IssuerClient  # noqa: PLC0415
    from kiteward.authn.oidc.key_sets import KeySet  # noqa: PLC0415
    from kiteward.authn.oidc.tokens import TokenVerifier  # noqa: PLC0415

    key_sets = []
    for issuer in settings.issuers:
        client = IssuerClient(issuer)
        stack.push_async_callback(client.close)
        key_sets.append(KeySet(issuer, client))

    async def refresh() -> None:
        await asyncio.gather(*(each.refresh() for each in key_sets))

    repeat(stack, _REFRESH_SECONDS, "fetching the keys of identity providers", refresh)
    return TokenAuthenticator(TokenVerifier(key_sets), store, naming=settings.naming, most_users=settings.limits.users)


def sign_in_rules(settings: Settings, tokens: "TokenAuthenticator | None") -> SignInRules:
    """Return which sign-ins begin a session of the console.

    Args:
        settings: the configuration.
        tokens: authenticates by tokens, as of `open_issuers`.
    """
    rules = SignInRules(settings.console.local_sign_in)
    if tokens is None:
        return rules
    from kiteward.authn.oidc.provider_sessions import ProviderSessions  # noqa: PLC0415  see above

    return replace(rules, providers=ProviderSessions(tokens, naming=settings.naming))


def open_sign_in(stack: AsyncExitStack, settings: Settings) -> SignInOptions:
    """Return how users may sign in to the console; `stack` closes what asks identity providers.

    Raises:
        ConfigurationError: a file with certificates cannot be used.
    """
    options = SignInOptions(settings.console.local_sign_in, address=settings.console.address)
    issuers = [issuer for issuer in settings.issuers if issuer.client is not None]
    if not issuers:
        return options
    from kiteward.authn.oidc.fetching import IssuerClient  # noqa: PLC0415  see above
    from kiteward.authn.oidc.provider import SignInProvider  # noqa: PLC0415

    providers = {}
    for issuer in issuers:
        asked = IssuerClient(issuer)
        stack.push_async_callback(asked.close)
        provider = SignInProvider(issuer, asked)
        providers[provider.name] = provider
    return replace(options, providers=providers)
