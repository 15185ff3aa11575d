"""Acknowledgements that leave with what is written next."""

import asyncio
from collections.abc import Callable
from typing import Final

_LATEST: Final = 0.005
"""Seconds that an acknowledgement waits at most. Peers measure a connection by them, and wait seconds for them."""


class LateFlush:
    """Calls `flush` some milliseconds after it was asked to. A write of its own costs as much as a small response."""

    def __init__(self, loop: asyncio.AbstractEventLoop, flush: Callable[[], None]) -> None:
        self._loop = loop
        self._flush = flush
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self) -> None:
        """Ask for a flush."""
        if self._timer is None:
            self._timer = self._loop.call_later(_LATEST, self._run)

    def _run(self) -> None:
        self._timer = None
        self._flush()
