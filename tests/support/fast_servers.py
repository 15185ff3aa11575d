"""For tests that send thousands of requests to servers in this process: the event loop of production, and no logs.

A `conftest.py` imports both names.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop of a test."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """Let nothing be logged: formatting the lines costs a part of the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
