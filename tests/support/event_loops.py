"""The event loops on which servers are tested: uvloop serves in production, and the transports of both differ."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import uvloop

BOTH: Final[Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
