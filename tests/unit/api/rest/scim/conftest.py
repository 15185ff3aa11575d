"""SCIM in process, with a key whose owner may provision users and nothing else."""

from collections.abc import AsyncIterator

import pytest
from tests.support.gateway import GatewayHarness
from tests.support.scim import Scim, serving


@pytest.fixture
async def scim(harness: GatewayHarness) -> AsyncIterator[Scim]:
    await harness.role("teammate")
    async with serving(harness) as scim:
        yield scim
