"""Reads databases, collections and aliases from an engine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineLacksOperation, EngineUnavailable
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import Engine
from kiteward.milvus import messages

_NO_DATABASE: Final = 800
_NO_ALIAS: Final = 1600
_NO_NAME: Final = frozenset({messages.COLLECTION_NOT_FOUND, _NO_DATABASE, 1100, 1101, _NO_ALIAS})
"""Codes of a name that is no alias, or of a database that does not exist (contract appendix A)."""


@dataclass(frozen=True, slots=True)
class DatabaseContent:
    """What a database has.

    Attributes:
        collections: name -> id.
        aliases: alias -> the name of its collection.
    """

    collections: Mapping[str, int]
    aliases: Mapping[str, str]


class CatalogReader:
    """Reads an engine's databases, collections and aliases, each time again."""

    def __init__(self, engine: Engine, *, timeout: float, concurrency: int = 1) -> None:
        """Set up a reader.

        Args:
            engine: the engine.
            timeout: seconds within which it must respond to one call.
            concurrency: most calls at a time to describe aliases.
        """
        self._engine = engine
        self._timeout = timeout
        self._places = asyncio.Semaphore(concurrency)
        self._lacks_aliases = -1

    @property
    def knows_aliases(self) -> bool:
        """Whether the engine, as it runs now, is not known to lack `ListAliases` and `DescribeAlias`."""
        return self._lacks_aliases != self._engine.generation

    async def database_names(self) -> list[str]:
        """Return the names of all databases, sorted.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        answer = await self._ask("ListDatabases", DEFAULT_DATABASE, b"")
        return sorted(messages.read_response(messages.ListDatabasesResponse, answer).db_names)

    async def collections(self, database: str) -> dict[str, int]:
        """Return the collections of a database with their ids.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        request = messages.ShowCollectionsRequest(db_name=database).SerializeToString()
        listed = messages.read_response(
            messages.ShowCollectionsResponse, await self._ask("ShowCollections", database, request)
        )
        return dict(zip(listed.collection_names, listed.collection_ids, strict=True))

    async def aliases(self, database: str) -> dict[str, str]:
        """Return the aliases of a database with their collections.

        Raises:
            EngineLacksOperation: the engine cannot list aliases.
            EngineError: it does not respond, or refuses.
        """
        request = messages.ListAliasesRequest(db_name=database).SerializeToString()
        listed = messages.read_response(messages.ListAliasesResponse, await self._ask("ListAliases", database, request))
        names = list(listed.aliases)
        found = await asyncio.gather(*(self._described_alias(database, name) for name in names))
        # One that was dropped meanwhile has no collection.
        return {name: collection for name, collection in zip(names, found, strict=True) if collection}

    async def content(self, database: str) -> DatabaseContent:
        """Return what a database has. Of an engine that cannot list aliases, it has none: each has to be looked up.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        collections = await self.collections(database)
        aliases: Mapping[str, str] = {}
        if self.knows_aliases:
            try:
                aliases = await self.aliases(database)
            except EngineLacksOperation:
                self._lacks_aliases = self._engine.generation
        return DatabaseContent(collections, aliases)

    async def behind(self, database: str, name: str) -> str:
        """Return the collection that an alias names; any other name unchanged, whether or not it exists.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        if self.knows_aliases:
            try:
                return await self._described_alias(database, name) or name
            except EngineLacksOperation:
                self._lacks_aliases = self._engine.generation
        return await self._behind_described(database, name)

    async def collection_id(self, database: str, name: str) -> int | None:
        """Return the id of a collection; None for an alias, and for what does not exist.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        described = await self._described(database, name)
        if described is None or name in described.aliases or await self.behind(database, name) != name:
            return None
        return int(described.collectionID)

    async def names(self, database: str, name: str) -> bool:
        """Return whether a name is that of a collection or alias; no illegal name is, and none in a missing database.

        Raises:
            EngineError: the engine does not respond, or refuses.
        """
        request = messages.HasCollectionRequest(db_name=database, collection_name=name).SerializeToString()
        answer = await self._ask("HasCollection", database, request, accepts=_NO_NAME)
        return bool(messages.read_response(messages.BoolResponse, answer).value)

    async def has_collection(self, database: str, name: str) -> bool:
        """Return whether a collection or alias exists.

        Raises:
            EngineError: the engine does not respond, or refuses, as for a database that does not exist.
        """
        request = messages.HasCollectionRequest(db_name=database, collection_name=name)
        answer = await self._ask("HasCollection", database, request.SerializeToString())
        return bool(messages.read_response(messages.BoolResponse, answer).value)

    async def _described_alias(self, database: str, alias: str) -> str:
        """Return the collection of an alias, or an empty text if it is none."""
        request = messages.DescribeAliasRequest(db_name=database, alias=alias).SerializeToString()
        async with self._places:
            answer = await self._ask("DescribeAlias", database, request, accepts=_NO_NAME)
        return str(messages.read_response(messages.DescribeAliasResponse, answer).collection)

    async def _behind_described(self, database: str, name: str) -> str:
        """Return the collection behind a name by the description of the collection, which lists its aliases."""
        described = await self._described(database, name)
        if described is None or name not in described.aliases:
            return name
        for collection, number in (await self.collections(database)).items():
            if number == described.collectionID:
                return collection
        raise EngineUnavailable(
            f"the collection of the alias {name} changed while it was looked up",
            ErrorDetail(ErrorCode.ENGINE_CATALOG_CHANGING),
        )

    async def _described(self, database: str, name: str) -> messages.DescribeCollectionResponse | None:
        """Return the description of a collection, by its name or alias, or None if it does not exist."""
        request = messages.DescribeCollectionRequest(db_name=database, collection_name=name).SerializeToString()
        async with self._places:
            answer = await self._ask("DescribeCollection", database, request, accepts=_NO_NAME)
        if messages.status_code("DescribeCollection", answer):
            return None
        return messages.read_response(messages.DescribeCollectionResponse, answer)

    async def _ask(
        self, operation: str, database: str, payload: bytes, *, accepts: frozenset[int] = frozenset()
    ) -> bytes:
        answer = await self._engine.call(operation, payload, metadata={"dbname": database}, timeout=self._timeout)
        status = messages.status_code(operation, answer)
        if status and status not in accepts:
            detail = ErrorDetail(ErrorCode.ENGINE_RESPONSE_FAILED, {"operation": operation, "status": status})
            raise EngineUnavailable(f"the engine refused {operation}", detail)
        return answer
