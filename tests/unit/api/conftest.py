"""A gateway with a user, for the APIs that stand before it."""

from collections.abc import AsyncIterator

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import House, opened, quick_directory


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.create("docs")
    engine.create("papers", database="other")
    return engine


@pytest.fixture
async def house(engine: FakeEngine) -> AsyncIterator[House]:
    with quick_directory() as directory:
        async with opened(directory / "store.db", engine) as house:
            await house.role("reader", ("Query", "default", "docs"))
            await house.user("alice", "reader")
            yield house
