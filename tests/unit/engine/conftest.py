"""Both event loops for the tests of the channel, whose transports differ.

Not for those with the gRPC library's server, whose threads are made for one event loop in a process.
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from tests.support import event_loops


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops of a test."""
    return event_loops.BOTH if item.path.name.startswith("test_channel_") else {"asyncio": asyncio.new_event_loop}
