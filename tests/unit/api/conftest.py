"""A gateway with a user, for tests of the APIs."""

from collections.abc import AsyncIterator

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, quick_directory


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.create("docs")
    engine.create("papers", database="other")
    return engine


@pytest.fixture
async def harness(engine: FakeEngine) -> AsyncIterator[GatewayHarness]:
    with quick_directory() as directory:
        async with opened(directory / "store.db", engine) as harness:
            await harness.role("reader", ("Query", "default", "docs"))
            await harness.user("alice", "reader")
            yield harness
