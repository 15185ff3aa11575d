"""Tokens that wait for the next fetch of keys: a limited number, and of each source."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

Sleep = Callable[[float], Coroutine[Any, Any, None]]
"""Returns after so many seconds."""


class FetchWaiters:
    """The tokens that wait. None of them knows which keys the fetch will bring.

    INVARIANT: no more tokens wait than there are places, and no more of one source than it may have.
    """

    def __init__(self, places: int, *, of_source: int, sleep: Sleep = asyncio.sleep) -> None:
        """Set up without tokens.

        Args:
            places: most tokens that wait.
            of_source: most of them of one source.
            sleep: waits.
        """
        self._places = places
        self._of_source = of_source
        self._sleep = sleep
        self._sources: Counter[str] = Counter()
        self._fetched = asyncio.Event()

    async def wait(self, source: str, seconds: float) -> bool:
        """Return after the next call of `wake`, or after so many seconds; at once without a place.

        Args:
            source: where the token comes from, as of `addresses.source_of`.
            seconds: the longest wait.

        Returns:
            Whether there was a place.
        """
        if self._sources.total() >= self._places or self._sources[source] >= self._of_source:
            return False
        self._sources[source] += 1
        either = (asyncio.create_task(self._sleep(seconds)), asyncio.create_task(self._fetched.wait()))
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in either:
                each.cancel()
            self._sources[source] -= 1
            self._sources += Counter()  # drops sources without tokens
        return True

    def wake(self) -> None:
        """Let all tokens go on that wait now."""
        self._fetched.set()
        self._fetched = asyncio.Event()
