"""A gateway with a user, for the doors that stand before it; and the event loops on which they are tested.

The listener is tested on both: uvloop serves in production, and their transports differ.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from tests.support import event_loops
from tests.support.engine import FakeEngine
from tests.support.gateway import House, opened, quick_directory

_ON_BOTH = {"test_listener.py"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Say on which loops a test runs."""
    return event_loops.BOTH if item.path.name in _ON_BOTH else {"asyncio": asyncio.new_event_loop}


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
