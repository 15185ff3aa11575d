"""The identity providers whose tokens a server accepts."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

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
