"""The engine's databases and their aliases, as far as decisions need them.

INVARIANT: every change of databases and aliases passes `gateway.ddl`, which reloads this catalog before it
acknowledges. After a restart of the engine the catalog is reloaded before it is used. So it is never stale.
"""

import asyncio

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import Engine
from kiteward.gateway.object_ids import ObjectIds
from kiteward.milvus import messages

_TIMEOUT = 30.0
_ALIAS_NOT_FOUND = 1600


class Catalog:
    """The engine's databases and aliases, in memory.

    Attributes:
        ids: the ids that the engine returned, with their collections.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.ids = ObjectIds()
        self._aliases: dict[str, dict[str, str]] = {DEFAULT_DATABASE: {}}
        self._generation = -1
        self._loading = asyncio.Lock()

    @property
    def fresh(self) -> bool:
        """Return whether nothing can have changed since the last load."""
        return self._generation == self._engine.generation

    async def refresh(self) -> None:
        """Load databases and aliases if the engine has restarted, or `forget` was called, since the last load.

        Raises:
            EngineUnavailable: the engine does not respond now.
        """
        async with self._loading:
            while not self.fresh:
                generation = self._engine.generation
                aliases = {name: await self._load(name) for name in await self.database_names()}
                if generation == self._engine.generation:
                    self._aliases, self._generation = aliases, generation

    def forget(self) -> None:
        """Mark the catalog as stale until the next `refresh`, because a change may or may not have happened."""
        self._generation = -1

    def has_database(self, name: str) -> bool:
        """Return whether the database exists."""
        return name in self._aliases

    def resolve(self, database: str, name: str) -> str:
        """Return the collection that an alias names; any other name unchanged."""
        aliases = self._aliases.get(database)
        return aliases.get(name, name) if aliases else name

    def aliases_of(self, database: str, collection: str) -> list[str]:
        """Return the aliases of a collection, sorted."""
        aliases = self._aliases.get(database, {})
        return sorted(alias for alias, target in aliases.items() if target == collection)

    async def database_names(self) -> list[str]:
        """Request the names of all databases from the engine and return them sorted.

        Raises:
            EngineError: it does not respond, or refuses.
        """
        answer = await self._ask("ListDatabases", DEFAULT_DATABASE, b"")
        return sorted(messages.ListDatabasesResponse.FromString(answer).db_names)

    async def collection_names(self, database: str) -> list[str]:
        """Request the names of a database's collections from the engine and return them sorted.

        Raises:
            EngineError: it does not respond, or refuses.
        """
        request = messages.ShowCollectionsRequest(db_name=database).SerializeToString()
        answer = await self._ask("ShowCollections", database, request)
        return sorted(messages.ShowCollectionsResponse.FromString(answer).collection_names)

    async def has_collection(self, database: str, name: str) -> bool:
        """Request from the engine whether a collection exists.

        Raises:
            EngineError: it does not respond, or refuses, as for a database that does not exist.
        """
        request = messages.method_of("HasCollection").request(db_name=database, collection_name=name)
        answer = await self._ask("HasCollection", database, request.SerializeToString())
        return bool(messages.BoolResponse.FromString(answer).value)

    async def _load(self, database: str) -> dict[str, str]:
        request = messages.ListAliasesRequest(db_name=database).SerializeToString()
        listed = messages.ListAliasesResponse.FromString(await self._ask("ListAliases", database, request))
        found: dict[str, str] = {}
        for alias in listed.aliases:
            request = messages.DescribeAliasRequest(db_name=database, alias=alias).SerializeToString()
            answer = await self._ask("DescribeAlias", database, request, accepts=_ALIAS_NOT_FOUND)
            collection = messages.DescribeAliasResponse.FromString(answer).collection
            if collection:  # otherwise it was dropped meanwhile
                found[alias] = collection
        return found

    async def _ask(self, operation: str, database: str, payload: bytes, *, accepts: int = 0) -> bytes:
        answer = await self._engine.call(operation, payload, metadata={"dbname": database}, timeout=_TIMEOUT)
        status = messages.status_code(operation, answer)
        if status not in (0, accepts):
            detail = ErrorDetail(ErrorCode.ENGINE_RESPONSE_FAILED, {"operation": operation, "status": status})
            raise EngineUnavailable(f"the engine refused {operation}", detail)
        return answer
