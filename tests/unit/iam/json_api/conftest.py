"""A gateway, and a way to call our own operations through it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.gateway import PASSWORD, GatewayHarness, opened, own_call, presented

from kiteward.domain.errors import SessionEnded
from kiteward.domain.identity import KeyCredential, PresentedCredential, Secret, SessionCredential
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import encoded, plain


class Own:
    """Calls our own operations.

    Attributes:
        harness: the gateway with everything behind it.
    """

    def __init__(self, harness: GatewayHarness) -> None:
        self.harness = harness

    async def __call__(
        self,
        operation: str,
        /,
        *,
        by: str | PresentedCredential = "root",
        address: str = "10.1.2.3:4",
        **arguments: Any,
    ) -> Any:
        """Send one request and return what the answer holds, which is of the declared types.

        Args:
            operation: its name.
            by: a user with the usual password, an API key, or a credential.
            address: where from.
            arguments: what the request holds, as JSON spells it.
        """
        credential = key(by) if isinstance(by, str) and by.startswith("kw_") else by
        outcome = await self.harness.gateway.handle(own_call(operation, credential, address=address, **arguments))
        kind = ADMIN_OPERATIONS[operation].outcome
        assert msgspec.json.decode(encoded(outcome), type=kind, dec_hook=lambda _, text: Secret(text)) == outcome
        return plain(outcome)


def key(text: str) -> KeyCredential:
    """Return an API key as a transport hands it over."""
    return KeyCredential(Secret(text))


async def signed_in(own: Own, user: str, password: str = PASSWORD) -> SessionCredential:
    """Begin a session as the console does."""
    begun = await own("BeginSession", by=presented(user, None if user == "root" else password), description="a browser")
    return SessionCredential(Secret(begun["token"]))


async def is_over(own: Own, session: SessionCredential) -> bool:
    """Return whether a session has ended."""
    try:
        await own("WhoAmI", by=session)
    except SessionEnded:
        return True
    return False


@pytest.fixture
async def own(store_path: Path) -> AsyncIterator[Own]:
    async with opened(store_path) as harness:
        yield Own(harness)
