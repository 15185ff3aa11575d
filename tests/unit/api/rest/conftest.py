"""A REST application for each test, with a gateway whose store is a copy of one that was bootstrapped once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened
from tests.support.rest import Rest, served


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def harness(store_path: Path, engine: FakeEngine) -> AsyncIterator[GatewayHarness]:
    """A gateway with the built-in roles and `root`, and an engine without collections."""
    async with opened(store_path, engine) as harness:
        yield harness


@pytest.fixture
async def rest(harness: GatewayHarness) -> AsyncIterator[Rest]:
    async with served(harness.gateway) as rest:
        yield rest
