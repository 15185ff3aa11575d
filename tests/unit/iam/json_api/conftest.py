"""A gateway, and a way to call our own operations through it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.support.gateway import GatewayHarness, opened, presented, quick_directory

from kiteward.domain.identity import KeyCredential, PresentedCredential, Secret
from kiteward.gateway.call import Call


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
        """Send one request and return what the answer holds.

        Args:
            operation: its name.
            by: a user with the usual password, an API key, or a credential.
            address: where from.
            arguments: what the request holds, as JSON spells it.
        """
        credential = by if not isinstance(by, str) else key(by) if by.startswith("kw_") else presented(by)
        payload = msgspec.json.encode(arguments)
        return msgspec.json.decode(
            await self.harness.gateway.handle(Call(operation, payload, credential, address=address))
        )


def key(text: str) -> KeyCredential:
    """Return an API key as a transport hands it over."""
    return KeyCredential(Secret(text))


@pytest.fixture
async def own() -> AsyncIterator[Own]:
    with quick_directory() as directory:
        async with opened(directory / "store.db") as harness:
            yield Own(harness)
