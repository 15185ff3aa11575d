"""The event loops on which parts of a server are tested.

The socket for commands is tested on both: uvloop serves in production, and their transports differ.
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from tests.support import event_loops

_ON_BOTH = {"test_command_socket.py"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops of a test."""
    return event_loops.BOTH if item.path.name in _ON_BOTH else {"asyncio": asyncio.new_event_loop}
