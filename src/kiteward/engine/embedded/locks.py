"""Locks by name on one event loop: waiting costs no thread, and a name nobody holds costs nothing."""

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound="tuple[str, ...]")


class NamedLocks(Generic[K]):
    """One first-come-first-served lock per key."""

    def __init__(self) -> None:
        self._locks: dict[K, asyncio.Lock] = {}
        self._users: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    async def acquire(self, keys: Iterable[K]) -> list[K]:
        """Take several locks, always in sorted order so that no two callers can deadlock.

        Returns:
            The keys taken, for `release`.

        Raises:
            asyncio.CancelledError: the caller gave up; nothing is held then.
        """
        taken: list[K] = []
        try:
            for key in sorted(set(keys)):
                await self._acquire_one(key)
                taken.append(key)
        except BaseException:
            self.release(taken)
            raise
        return taken

    def release(self, keys: Iterable[K]) -> None:
        """Release locks."""
        for key in keys:
            self._locks[key].release()
            self._leave(key)

    async def _acquire_one(self, key: K) -> None:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave(key)
            raise

    def _leave(self, key: K) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._locks[key]
