"""One lock for each collection, so that nothing is written to it between the check of a write and the write.

A checked write holds the lock alone. Writes without a check share it, and are as concurrent as without it. What drops,
creates, renames or empties a collection, or changes its fields, holds it alone too: a write that was checked by the
rows, fields and policies of one collection would otherwise be made in another.

Reads take no lock. Whether such a change overtook one is reported: it may then have been of another collection than
the one that it was authorized for.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field

Key = tuple[str, str]
"""Database and collection."""


@dataclass(slots=True, eq=False)
class _Line:
    """The holders of one lock, and who waits for it, in order.

    Attributes:
        sharing: how many hold it together.
        alone: whether one holds it alone.
        waiting: whether it is wanted alone, and what is set when it is taken.
    """

    sharing: int = 0
    alone: bool = False
    waiting: deque[tuple[bool, "asyncio.Future[None]"]] = field(default_factory=deque)

    def admits(self, *, alone: bool) -> bool:
        return not self.alone and not (alone and self.sharing)

    def take(self, *, alone: bool) -> None:
        self.alone = alone
        self.sharing += not alone

    def give_back(self, *, alone: bool) -> None:
        if alone:
            self.alone = False
        else:
            self.sharing -= 1

    def admit_next(self) -> None:
        while self.waiting and (self.waiting[0][1].cancelled() or self.admits(alone=self.waiting[0][0])):
            alone, taken = self.waiting.popleft()
            if not taken.cancelled():
                self.take(alone=alone)
                taken.set_result(None)


@dataclass(slots=True, eq=False)
class Read:
    """A read in progress.

    Attributes:
        overtaken: whether one of its collections has been changed since it began, or was being changed then.
    """

    overtaken: bool = False


class CollectionLocks:
    """Locks by collection, first come, first served. A collection that nobody writes to costs nothing."""

    def __init__(self) -> None:
        self._lines: dict[Key, _Line] = {}
        self._changing: set[Key] = set()
        self._reads: dict[Key, set[Read]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    async def acquire(self, key: Key, *, alone: bool) -> bool:
        """Take the lock of a collection, alone or together with others who share it.

        Returns:
            Whether it had to be waited for.

        Raises:
            asyncio.CancelledError: the caller gave up; it does not hold the lock then.
        """
        line = self._lines.setdefault(key, _Line())
        if not line.waiting and line.admits(alone=alone):
            line.take(alone=alone)
            return False
        entry = (alone, asyncio.get_running_loop().create_future())
        line.waiting.append(entry)
        try:
            await entry[1]
        except asyncio.CancelledError:
            if entry[1].cancelled():
                line.admit_next()  # those who waited behind it
            else:
                self.release(key, alone=alone)
            raise
        return True

    @contextlib.asynccontextmanager
    async def held(self, keys: Collection[Key], *, changes: bool) -> AsyncIterator[bool]:
        """Hold the locks of collections alone until the block ends. The block gets whether one had to be waited for.

        Args:
            keys: the collections.
            changes: whether the block changes them, so that reads beside it are overtaken.
        """
        with contextlib.ExitStack() as stack:
            waited = False
            for key in sorted(keys):  # in one order, so that two who need several do not wait for each other
                waited |= await self.acquire(key, alone=True)
                stack.callback(self.release, key, alone=True)
                if changes:
                    self._overtake(key)
                    stack.callback(self._changing.discard, key)
            yield waited

    @contextlib.contextmanager
    def reading(self, keys: Collection[Key]) -> Iterator[Read]:
        """Watch collections for changes until the block ends; nobody waits for it.

        Args:
            keys: the collections that are read.
        """
        read = Read(not self._changing.isdisjoint(keys))
        for key in keys:
            self._reads.setdefault(key, set()).add(read)
        try:
            yield read
        finally:
            for key in keys:
                self._reads[key].discard(read)
                if not self._reads[key]:
                    del self._reads[key]

    async def settled(self, keys: Collection[Key]) -> None:
        """Wait until the changes of collections that have begun are over."""
        for key in sorted(keys):
            await self.acquire(key, alone=False)
            self.release(key, alone=False)

    def release(self, key: Key, *, alone: bool) -> None:
        """Give a lock back."""
        line = self._lines[key]
        line.give_back(alone=alone)
        line.admit_next()
        if not (line.sharing or line.alone or line.waiting):
            del self._lines[key]

    def _overtake(self, key: Key) -> None:
        self._changing.add(key)
        for read in self._reads.get(key, ()):
            read.overtaken = True
