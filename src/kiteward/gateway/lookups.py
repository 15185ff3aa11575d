"""Lookups of names in a remote engine: one for all who ask at a time, and a limited number for each user."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineError, EngineUnavailable, LimitReached

PER_USER: Final = 1_000
"""Most names that are looked up for one user between two reads of the catalog."""

TOTAL: Final = 20_000
"""The same for all users; each is kept until the next read."""

Work = Callable[[], Awaitable[None]]


class Lookups:
    """Runs lookups, each once for all who ask for the same name meanwhile.

    Attributes:
        count: how many were run.
    """

    def __init__(self, *, per_user: int = PER_USER, total: int = TOTAL) -> None:
        self.count = 0
        self._per_user = per_user
        self._total = total
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._used: Counter[str] = Counter()

    def reset(self) -> None:
        """Allow every user the full number again."""
        self._used.clear()

    async def run(self, key: tuple[str, str], work: Work, *, caller: str) -> None:
        """Run a lookup, or wait for the one of the same key that is running.

        Args:
            key: the database and the name that is looked up.
            work: the lookup.
            caller: the user for whom it is.

        Raises:
            EngineUnavailable: the engine does not respond, or refuses.
            LimitReached: too many were run for the user, or for all.
        """
        task = self._running.get(key)
        if task is None:
            self._require_room(caller)
            task = self._running[key] = asyncio.create_task(_unavailable(work))
            task.add_done_callback(lambda done: self._end(key, done))
        await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel those that are running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _require_room(self, caller: str) -> None:
        if self._used[caller] >= self._per_user or self._used.total() >= self._total:
            raise LimitReached(
                f"too many names that the catalog does not hold: at most {self._per_user} are looked up for one user "
                "between two reads of it",
                ErrorDetail(ErrorCode.LOOKUPS_LIMIT, {"limit": self._per_user}),
            )
        self._used[caller] += 1
        self.count += 1

    def _end(self, key: tuple[str, str], done: "asyncio.Task[None]") -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # it is raised to those who wait


async def _unavailable(work: Work) -> None:
    """Do work whose failures of any kind are those of an engine that is not available."""
    try:
        await work()
    except EngineUnavailable:
        raise
    except EngineError as error:
        raise EngineUnavailable(f"a name cannot be looked up: {error}", *error.details) from None
