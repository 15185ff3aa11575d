"""The engine's databases and their aliases, as far as decisions need them.

INVARIANT: every change of databases and aliases passes `gateway.ddl`, which reloads this catalog before it
acknowledges. After a restart of the engine the catalog is reloaded before it is used. So it is never stale. This holds
for the embedded engine, which nobody else reaches; `gateway.upstream_catalog` is the catalog of a remote one.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

from kiteward.domain.errors import EngineError, EngineUnavailable
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import Engine
from kiteward.gateway.catalog_reading import CatalogReader
from kiteward.gateway.object_ids import ObjectIds
from kiteward.telemetry.counters import CatalogState

_TIMEOUT = 30.0


class NamesUnknown(Exception):
    """The catalog does not hold a database, or names in it, so that `Catalog.ensure` has to look them up first."""

    def __init__(self, database: str, names: Iterable[str] = ()) -> None:
        super().__init__(database)
        self.database = database
        self.names = tuple(names)


class Resolver(Protocol):
    """What requests are resolved by."""

    ids: ObjectIds

    def has_database(self, name: str) -> bool:
        """Return whether the database exists; raises NamesUnknown."""
        ...

    def resolve(self, database: str, name: str) -> str:
        """Return the collection that an alias names, any other name unchanged; raises NamesUnknown."""
        ...

    def aliases_of(self, database: str, collection: str) -> list[str]:
        """Return the aliases of a collection, sorted."""
        ...


class AsGiven:
    """Takes every name as that of a collection. Implements `Resolver` for a request that is refused whatever it names.

    Looking names up for it would let anybody make the engine work, and would tell by its time which names exist.
    """

    def __init__(self) -> None:
        self.ids = ObjectIds()

    def has_database(self, name: str) -> bool:  # noqa: ARG002  as the protocol has it
        return True

    def resolve(self, database: str, name: str) -> str:  # noqa: ARG002
        return name

    def aliases_of(self, database: str, collection: str) -> list[str]:  # noqa: ARG002
        return []


class Catalog:
    """The engine's databases and aliases, in memory.

    Attributes:
        ids: the ids that the engine returned, with their collections.
    """

    def __init__(self, engine: Engine, *, timeout: float = _TIMEOUT, concurrency: int = 1) -> None:
        """Set up a catalog that holds nothing yet.

        Args:
            engine: the engine.
            timeout: seconds within which it must respond to one call that reads the catalog.
            concurrency: most calls at a time.
        """
        self._engine = engine
        self._reader = CatalogReader(engine, timeout=timeout, concurrency=concurrency)
        self.ids = ObjectIds()
        self._names: dict[str, dict[str, str]] = {DEFAULT_DATABASE: {}}
        self._generation = -1
        self._forgotten = 0
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        """Load it once if the engine responds; otherwise it is loaded for the first request that needs it."""
        with contextlib.suppress(EngineError):
            await self.refresh()

    async def close(self) -> None:
        """Do nothing: it is loaded for requests only."""

    @property
    def fresh(self) -> bool:
        """Return whether nothing can have changed since the last load."""
        return self._generation == self._engine.generation

    @property
    def shared(self) -> bool:
        """Return whether others than Kiteward can change what the engine has."""
        return False

    @property
    def state(self) -> CatalogState | None:
        """The state for metrics; None where everything held is known to be true."""
        return None

    @property
    def fault(self) -> EngineUnavailable | None:
        """Why requests that need it are refused, or None."""
        return None

    async def refresh(self) -> None:
        """Load databases and aliases if the engine has restarted, or `forget` was called, since the last load.

        Raises:
            EngineUnavailable: the engine does not respond now.
        """
        async with self._loading:
            while not self.fresh:
                generation, forgotten = self._engine.generation, self._forgotten
                names = {name: await self._reader.aliases(name) for name in await self.database_names()}
                if (generation, forgotten) == (self._engine.generation, self._forgotten):
                    self._names, self._generation = names, generation

    async def ensure(self, database: str, *names: str, caller: str = "") -> None:  # noqa: ARG002  everything is held
        """Make `has_database` and `resolve` answer for a database and names in it.

        Args:
            database: the database.
            names: collections and aliases in it.
            caller: the user who names them.

        Raises:
            EngineUnavailable: the engine does not respond now.
            LimitReached: the user has named too many that have to be looked up.
        """
        if not self.fresh:
            await self.refresh()

    async def renew(self, databases: Iterable[str], names: Iterable[str]) -> None:  # noqa: ARG002  as `forget`
        """Make what is held of a change's objects true as of now, before it is decided for the last time.

        Raises:
            EngineUnavailable: the engine does not respond now.
        """
        if not self.fresh:
            await self.refresh()

    async def identity(self, database: str, name: str) -> int | None:  # noqa: ARG002  nobody else gives names
        """Return the engine's id of a collection, where others can give its name to another one; else 0.

        Returns:
            None if the collection does not exist there.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        return 0

    @property
    def now(self) -> float:
        """The time by which lookups are dated, in seconds."""
        return 0.0

    def unproven(self, database: str, names: Iterable[str], since: float | None) -> bool:  # noqa: ARG002  as `forget`
        """Return whether there is a name of which is only known that it named nothing some time ago.

        By such a name a request may be refused, and not be allowed: it may have become an alias.

        Args:
            database: the database of the names.
            names: collections and aliases of a request.
            since: what was looked up since this time is known; None if nothing was looked up for the request.
        """
        return False

    def require_usable(self) -> None:
        """Require that a decision may be made now without loading anything.

        Raises:
            EngineUnavailable: what is in memory is too old.
        """

    def forget(self, databases: Iterable[str], names: Iterable[str] = ()) -> None:  # noqa: ARG002  all of it
        """Mark the catalog as stale until the next `refresh`, because a change may or may not have happened.

        Args:
            databases: where the change may have happened.
            names: the collections and aliases that it was about; none for a change of whole databases.
        """
        self._generation = -1
        self._forgotten += 1

    def forget_everything(self) -> None:
        """Forget all that is held, names and ids: what others have changed is not known."""
        databases = list(self._names)
        self.forget(databases)
        for database in databases:
            self.forget_ids(database, None)

    def forget_ids(self, database: str, collection: str | None) -> None:
        """Forget the ids of a collection that is dropped or renamed, or for None of all collections of a database."""
        self.ids.forget(database, collection)

    def has_database(self, name: str) -> bool:
        """Return whether the database exists.

        Raises:
            NamesUnknown: it has to be looked up first. The embedded engine's catalog holds all.
        """
        return name in self._names

    def resolve(self, database: str, name: str) -> str:
        """Return the collection that an alias names; any other name unchanged.

        Raises:
            NamesUnknown: it has to be looked up first. The embedded engine's catalog holds all.
        """
        names = self._names.get(database)
        return names.get(name, name) if names else name

    def aliases_of(self, database: str, collection: str) -> list[str]:
        """Return the aliases of a collection, sorted."""
        names = self._names.get(database, {})
        return sorted(name for name, target in names.items() if target == collection != name)

    async def database_names(self) -> list[str]:
        """Request the names of all databases from the engine and return them sorted.

        Raises:
            EngineError: it does not respond, or refuses.
        """
        return await self._reader.database_names()

    async def collection_names(self, database: str) -> list[str]:
        """Request the names of a database's collections from the engine and return them sorted.

        Raises:
            EngineError: it does not respond, or refuses.
        """
        return sorted(await self._reader.collections(database))

    async def has_collection(self, database: str, name: str) -> bool:
        """Request from the engine whether a collection exists.

        Raises:
            EngineError: it does not respond, or refuses, as for a database that does not exist.
        """
        return await self._reader.has_collection(database, name)
