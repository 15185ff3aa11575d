"""Follows what other servers change in the catalog, and keeps writes of this one apart from it.

While another server changes a collection, this one holds its lock alone on behalf of that server: nothing is written to
it here, and reads beside it are repeated. Only when that holds on every server does the other one ask the engine.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import groupby

from kiteward.gateway.catalog import Catalog
from kiteward.gateway.catalog_news import CatalogNews, Name
from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.store.intent_records import Intent


class CatalogFollower:
    """Implements `kiteward.gateway.catalog_news.CatalogObserver` for a server beside others."""

    def __init__(
        self,
        catalog: Catalog,
        locks: CollectionLocks,
        *,
        ours: Callable[[Intent], bool],
        finish: Callable[[], None],
        drained: Callable[[], None],
    ) -> None:
        """Set up without any news.

        Args:
            catalog: forgets what names have stood for.
            locks: keep writes apart from changes of collections.
            ours: returns whether this server has begun a change, which then holds the locks itself.
            finish: called when there are changes that others have begun; finishes them if those servers are gone.
            drained: called when a write has ended that was awaited.
        """
        self._catalog = catalog
        self._locks = locks
        self._ours = ours
        self._finish = finish
        self._drained = drained
        self._changing: dict[Name, asyncio.Task[None]] = {}
        self._awaited: dict[object, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, news: CatalogNews) -> None:
        self._forget(news.names)
        others = [intent for intent in news.intents if not self._ours(intent)]
        changing = {name for intent in others for name in intent.names if name[1]}
        for name in self._changing.keys() - changing:
            self._changing.pop(name).cancel()
        for name in changing - self._changing.keys():
            self._changing[name] = self._hold(name, news.revision, changes=True)
        for name in news.protected - changing:  # of those that are being changed, writes are awaited already
            self._hold(name, news.revision, changes=False)
        if others:
            self._finish()

    def awaited(self) -> int | None:
        return min(self._awaited.values(), default=None)

    async def close(self) -> None:
        """Give all locks back."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _forget(self, names: Iterable[Name] | None) -> None:
        if names is None:
            self._catalog.forget_everything()
            return
        for database, found in groupby(sorted(names), lambda name: name[0]):
            named = [name for _, name in found]
            self._catalog.forget([database], [] if "" in named else named)
            for name in named:
                self._catalog.forget_ids(database, name or None)

    def _hold(self, name: Name, revision: int, *, changes: bool) -> asyncio.Task[None]:
        """Begin to hold the lock of a collection: for a change until it is cancelled, else until writes have ended."""
        entry = object()
        self._awaited[entry] = revision
        task = asyncio.create_task(self._held(name, entry, changes=changes), name="apart from a change elsewhere")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._end(entry))  # also of one that is cancelled before it begins
        return task

    async def _held(self, name: Name, entry: object, *, changes: bool) -> None:
        async with self._locks.held({name}, changes=changes):
            self._end(entry)
            if changes:
                await asyncio.Event().wait()

    def _end(self, entry: object) -> None:
        if self._awaited.pop(entry, None) is not None:
            self._drained()
