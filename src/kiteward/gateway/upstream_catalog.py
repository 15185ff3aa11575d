"""The catalog of a remote engine, whose objects others change too (decision 0041).

It is read again in one place, by a periodic task. Requests never read it: one that finds it too old is refused, or
waits for a read that the task makes once for all of them. A name that it does not hold is looked up before it is used.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineError, EngineUnavailable
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.engine.base import Engine
from kiteward.gateway.catalog import Catalog, NamesUnknown
from kiteward.gateway.catalog_reading import DatabaseContent
from kiteward.gateway.lookups import Lookups
from kiteward.telemetry.counters import CatalogState

Collections = Mapping[str, Mapping[str, int]]
"""Database -> collection -> id."""

Observer = Callable[[Collections, Collections], None]
"""Called after each read with the collections before and after it."""

_CONCURRENCY: Final = 16
"""Most calls at a time that look up names, or describe aliases."""

_FIRST: Final = 1.0
"""Seconds that a start waits for the first read."""

_RETRY: Final = 0.5
"""Seconds between two attempts to read, after a failure."""

_ABSENT: Final = 0.5
"""Seconds during which requests are refused by a name that named nothing when it was looked up."""

_ATTEMPTS: Final = 5

_log = logging.getLogger("kiteward.gateway")


class UpstreamCatalog(Catalog):
    """The databases, collections and aliases of a remote engine, at most `maximum_age` seconds old.

    INVARIANT: whatever `has_database` and `resolve` return while `fresh` holds was read from the engine at most
    `maximum_age` seconds ago. The age counts from the beginning of a read.
    """

    def __init__(
        self, engine: Engine, *, maximum_age: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up a catalog that holds nothing until `start`.

        Args:
            engine: the engine.
            maximum_age: seconds that what it holds may be old.
            clock: returns the time in seconds.
        """
        super().__init__(engine, timeout=maximum_age, concurrency=_CONCURRENCY)
        self._maximum_age = maximum_age
        self._clock = clock
        self._names = {}
        self._ids: dict[str, dict[str, int]] = {}
        self._missing: set[str] = set()
        self._absent: dict[tuple[str, str], tuple[float, float]] = {}
        self._read_at = self._reading_since = float("-inf")
        self._failure: tuple[str, int] | None = None
        self._changed: dict[tuple[str, str], str | None] = {}
        self._lookups = Lookups()
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._counts: Counter[str] = Counter()
        self._observers: list[Observer] = []

    async def start(self) -> None:
        """Read it periodically from now on, and return after the first attempt, or when that takes long."""
        first = self._end_of_read()
        self._task = asyncio.create_task(self._read_periodically(), name="upstream-catalog")
        await asyncio.wait([first], timeout=_FIRST)

    async def close(self) -> None:
        """Stop reading."""
        await self._lookups.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def observe(self, observer: Observer) -> None:
        """Call a function after each read."""
        self._observers.append(observer)

    @property
    def state(self) -> CatalogState:
        """The state for metrics."""
        age, counts = self._clock() - self._read_at, self._counts
        known = age != float("inf")
        return CatalogState(age if known else None, counts["reads"], counts["failures"], self._lookups.count)

    @property
    def shared(self) -> bool:
        """Return whether others than Kiteward can change what the engine has."""
        return True

    @property
    def fault(self) -> EngineUnavailable | None:
        """Why requests that need it are refused, or None."""
        return None if self.fresh else self._fault()

    @property
    def fresh(self) -> bool:
        """Return whether what it holds is at most as old as it may be, and the engine has not been away since."""
        return self._generation == self._engine.generation and self._clock() - self._read_at <= self._maximum_age

    async def refresh(self) -> None:
        """Wait until it is fresh. The read that this takes is made by the task, once for all who wait.

        Raises:
            EngineUnavailable: the last read failed, or the next one fails.
        """
        while not self.fresh:
            if self._failure is not None and self._failure[1] == self._engine.generation:
                raise self._fault()
            if self._task is None or self._task.done():
                raise EngineUnavailable("the catalog of the remote engine is not read any more")
            self._wanted.set()
            await asyncio.shield(self._end_of_read())

    def require_usable(self) -> None:
        """Require that a decision may be made now. See `Catalog.require_usable`."""
        if not self.fresh:
            raise self._fault()

    async def ensure(self, database: str, *names: str, caller: str = "") -> None:
        """Look up what it does not hold, once for all who ask at a time. See `Catalog.ensure`."""
        for _ in range(_ATTEMPTS):
            if not self.fresh:
                await self.refresh()
            held = self._names.get(database)
            if held is None:
                if database in self._missing or database == ANY:
                    return
                await self._look_up(database, "", caller)
                continue
            unknown = {name for name in names if not self._holds(held, database, name)}
            if not unknown:
                return
            await asyncio.gather(*(self._look_up(database, name, caller) for name in unknown))
        raise EngineUnavailable(
            "the objects of the remote engine change faster than their names can be looked up",
            ErrorDetail(ErrorCode.ENGINE_CATALOG_CHANGING),
        )

    async def renew(self, databases: Iterable[str], names: Iterable[str]) -> None:
        """Forget what is held of a change's objects, so that they are looked up for it. See `Catalog.renew`."""
        self.forget(databases, names)
        if not self.fresh:
            await self.refresh()

    async def identity(self, database: str, name: str) -> int | None:
        """Return the id of a collection, or None for anything that is not a collection. See `Catalog.identity`."""
        return await self._reader.collection_id(database, name)

    @property
    def now(self) -> float:
        """The time by which lookups are dated, in seconds."""
        return self._clock()

    def unproven(self, database: str, names: Iterable[str], since: float | None) -> bool:
        """Return whether there is a name of which only is known that it named nothing. See `Catalog.unproven`."""
        if not self._absent:
            return False
        found = [self._absent.get((database, name)) for name in names]
        old = [began for began, _ in filter(None, found) if since is None or began < since]
        for name in names if old else ():
            self._absent.pop((database, name), None)
        return bool(old)

    def forget(self, databases: Iterable[str], names: Iterable[str] = ()) -> None:
        """Forget names that a change of ours was about, so that they are looked up when they are used again.

        Args:
            databases: where the change may have happened.
            names: the collections and aliases that it was about; none forgets the databases.
        """
        self._forgotten += 1
        named = set(names)
        for database in databases:
            self._missing.discard(database)
            held = self._names.get(database, {})
            for name in (named | {name for name, target in held.items() if target in named}) or {""}:
                held.pop(name, None)
                self._absent.pop((database, name), None)
                self._changed[database, name] = None
            if not named:
                self._names.pop(database, None)

    def forget_everything(self) -> None:
        """Forget all that is held. See `Catalog.forget_everything`."""
        super().forget_everything()
        self._missing.clear()
        self._absent.clear()

    def forget_ids(self, database: str, collection: str | None) -> None:
        """Forget the ids of a dropped or renamed object, which is then not taken for one that vanished around us."""
        super().forget_ids(database, collection)
        for name in list(self._ids.get(database, {})) if collection is None else [collection]:
            self._ids.get(database, {}).pop(name, None)

    def has_database(self, name: str) -> bool:
        """Return whether the database exists. See `Catalog.has_database`."""
        if name in self._names:
            return True
        if name in self._missing or name in ("", ANY):
            return False
        raise NamesUnknown(name)

    def resolve(self, database: str, name: str) -> str:
        """Return the collection that an alias names; any other name unchanged. See `Catalog.resolve`."""
        names = self._names.get(database)
        if names is not None:
            found = names.get(name)
            if found is not None:
                return found
            if self._holds(names, database, name):
                return name
        elif database in self._missing or database in ("", ANY):
            return name
        raise NamesUnknown(database, (name,))

    def _holds(self, names: Mapping[str, str], database: str, name: str) -> bool:
        """Return whether it is known what a name names, or that it names nothing."""
        if name in names or name in ("", ANY):
            return True
        absent = self._absent.get((database, name))
        return absent is not None and self._clock() <= absent[1]

    # Reading

    async def _read_periodically(self) -> None:
        while True:
            began = self._clock()
            self._wanted.clear()
            succeeded = await self._read_once()
            waiting, self._next = self._next, None
            if waiting is not None:
                waiting.set_result(None)
            # Begun every half of the age, a read may take the other half.
            pause = self._maximum_age / 2 - (self._clock() - began) if succeeded else _RETRY
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(pause, self._maximum_age / 2))):
                    await self._wanted.wait()

    async def _read_once(self) -> bool:
        generation = self._engine.generation
        try:
            async with asyncio.timeout(self._maximum_age):
                await self._read(generation)
        except TimeoutError:
            return self._failed(f"reading it took longer than {self._maximum_age:g} s", generation)
        except EngineError as error:
            return self._failed(str(error), generation)
        except Exception:  # noqa: BLE001  whatever the engine has sent, it has to be read again
            _log.exception("a response about the catalog of the remote engine cannot be read")
            return self._failed("a response about it cannot be read", generation)
        self._failure = None
        self._counts["reads"] += 1
        return True

    def _failed(self, reason: str, generation: int) -> bool:
        if self._failure is None:
            _log.warning("reading the catalog of the remote engine failed: %s", reason)
        self._failure = (reason, generation)
        self._counts["failures"] += 1
        return False

    def _end_of_read(self) -> asyncio.Future[None]:
        """Return the future that is done when the read in progress ends, or else the next one."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    async def _read(self, generation: int) -> None:
        began = self._reading_since = self._clock()
        self._changed = {}
        names = await self._reader.database_names()
        if DEFAULT_DATABASE not in names:
            raise EngineUnavailable(f"the list of databases lacks {DEFAULT_DATABASE}")
        places = asyncio.Semaphore(_CONCURRENCY)

        async def read(name: str) -> DatabaseContent | None:
            async with places:
                return await self._content(name)

        content = dict(zip(names, await asyncio.gather(*map(read, names)), strict=True))
        if generation != self._engine.generation:
            raise EngineUnavailable("the remote engine was away meanwhile")
        self._install({name: found for name, found in content.items() if found is not None}, began, generation)

    async def _content(self, database: str) -> DatabaseContent | None:
        """Return what a database has, or None if it was dropped meanwhile."""
        try:
            return await self._reader.content(database)
        except EngineUnavailable:
            if database not in await self._reader.database_names():
                return None
        return await self._reader.content(database)  # it may have been dropped and created meanwhile

    def _install(self, content: Mapping[str, DatabaseContent], began: float, generation: int) -> None:
        before = self._ids
        self._names = {database: _names_in(found) for database, found in content.items()}
        self._ids = {database: dict(found.collections) for database, found in content.items()}
        self._missing, self._absent = set(), {}
        self._lookups.reset()
        self._read_at, self._generation = began, generation
        # What was looked up since the read began is no older than it, and what we have changed since may be newer.
        for (database, name), target in self._changed.items():
            if target is not None:
                self._names.get(database, {}).setdefault(name, target)
            elif name:
                self._names.get(database, {}).pop(name, None)
                self._ids.get(database, {}).pop(name, None)
            else:
                self._names.pop(database, None)
                self._ids.pop(database, None)
        self._prune_ids(before, content)
        for observer in self._observers:
            observer(before, self._ids)

    def _prune_ids(self, before: Collections, content: Mapping[str, DatabaseContent]) -> None:
        """Forget ids whose collection was dropped, renamed or replaced around us."""

        def holds(kind: str, number: int, database: str, collection: str) -> bool:
            now = content[database].collections.get(collection) if database in content else None
            if now is None:  # it was looked up since the read began, or it is gone
                return self._names.get(database, {}).get(collection) == collection
            return number == now if kind == "collection" else before.get(database, {}).get(collection) in (None, now)

        self.ids.keep(holds)

    # Looking up

    async def _look_up(self, database: str, name: str, caller: str) -> None:
        """Look up a name, or for an empty name a database; whoever asks meanwhile waits for the same result."""

        def work() -> Awaitable[None]:
            return self._find(database, name) if name else self._find_database(database)

        await self._lookups.run((database, name), work, caller=caller)

    async def _find(self, database: str, name: str) -> None:
        began, forgotten = self._clock(), self._forgotten
        # In this order: a name that named something, and is not an alias after that, is a collection's.
        target = await self._reader.behind(database, name) if await self._reader.names(database, name) else None
        if not self._is_current(began, forgotten) or database not in self._names:
            return
        if target is None:
            self._absent[database, name] = (began, min(self._clock() + _ABSENT, began + self._maximum_age))
        else:
            self._names[database][name] = target
            if began >= self._reading_since:
                self._changed[database, name] = target

    async def _find_database(self, database: str) -> None:
        began, forgotten = self._clock(), self._forgotten
        content = await self._content(database) if database in await self._reader.database_names() else None
        if not self._is_current(began, forgotten):
            return
        if content is None:
            self._missing.add(database)
        else:
            self._names[database], self._ids[database] = _names_in(content), dict(content.collections)

    def _is_current(self, began: float, forgotten: int) -> bool:
        """Return whether what was read since then is as young as the rest, and follows our last change."""
        return began >= self._read_at and forgotten == self._forgotten

    def _fault(self) -> EngineUnavailable:
        quoted = self._failure[0] if self._failure is not None else ""
        why, seconds = f": {quoted}" if quoted else "", int(self._maximum_age)
        if self._read_at == float("-inf"):
            unread = ErrorDetail(ErrorCode.ENGINE_CATALOG_UNREAD, quoted=quoted)
            return EngineUnavailable(f"the catalog of the remote engine has not been read yet{why}", unread)
        old = ErrorDetail(ErrorCode.ENGINE_CATALOG_OLD, {"seconds": seconds}, quoted=quoted)
        return EngineUnavailable(f"the catalog of the remote engine may be older than {seconds} s{why}", old)


def _names_in(content: DatabaseContent) -> dict[str, str]:
    """Return each collection and alias of a database with the collection that it names."""
    return {**dict(zip(content.collections, content.collections, strict=True)), **content.aliases}
