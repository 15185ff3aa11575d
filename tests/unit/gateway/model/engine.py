"""An engine in memory that speaks the messages the model needs; every other operation succeeds with nothing to tell."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.unit.gateway.model.world import ALIAS_NOT_FOUND, COLLECTION_NOT_FOUND, DATABASE_NOT_FOUND, World

from kiteward.engine.base import EngineHealth
from kiteward.milvus import messages

Answer = Callable[["FakeEngine", Any, str], bytes]


class FakeEngine:
    """Implements `Engine`, which documents the contract of each method.

    Attributes:
        world: what it holds.
        calls: operation, database of the metadata and decoded request of every call since the last `take_calls`.
        generation: raise it to play a restart.
    """

    def __init__(self) -> None:
        self.world = World()
        self.calls: list[tuple[str, str, Any]] = []
        self.generation = 1

    async def call(
        self,
        method: str,
        payload: bytes,
        *,
        metadata: Mapping[str, str],
        timeout: float | None,  # noqa: ARG002  the Protocol names it
    ) -> bytes:
        request = messages.decode(method, payload)
        database = metadata.get("dbname", "")
        self.calls.append((method, database, request))
        answer = _ANSWERS.get(method)
        return answer(self, request, database) if answer else messages.success(method)

    def health(self) -> EngineHealth:
        return EngineHealth(ready=True)

    async def close(self) -> None:
        """Do nothing: no resources are held."""

    def take_calls(self) -> list[tuple[str, str, Any]]:
        """Return the calls since the last time."""
        taken, self.calls = self.calls, []
        return taken


def _status(method: str, code: int) -> bytes:
    if not code:
        return messages.success(method)
    return messages.failure(
        method, code=code, legacy_code=messages.ErrorCode.UnexpectedError, reason=f"the engine refuses with {code}"
    )


def _show(engine: FakeEngine, request: Any, database: str) -> bytes:
    found = engine.world.databases.get(request.db_name or database)
    if found is None:
        return _status("ShowCollections", DATABASE_NOT_FOUND)
    ids = list(found.collections.values())
    response = messages.ShowCollectionsResponse(
        status=messages.Status(),
        collection_names=list(found.collections),
        collection_ids=ids,
        created_timestamps=[each * 10 for each in ids],
        created_utc_timestamps=[each * 100 for each in ids],
    )
    return bytes(response.SerializeToString())


def _list_databases(engine: FakeEngine, _request: Any, _database: str) -> bytes:
    names = list(engine.world.databases)
    stamps = [len(name) for name in names]
    response = messages.ListDatabasesResponse(status=messages.Status(), db_names=names, created_timestamp=stamps)
    return bytes(response.SerializeToString())


def _list_aliases(engine: FakeEngine, request: Any, database: str) -> bytes:
    found = engine.world.databases.get(request.db_name or database)
    if found is None:
        return _status("ListAliases", DATABASE_NOT_FOUND)
    wanted = request.collection_name
    aliases = [alias for alias, name in found.aliases.items() if wanted in ("", name)]
    return bytes(messages.ListAliasesResponse(status=messages.Status(), aliases=aliases).SerializeToString())


def _describe_alias(engine: FakeEngine, request: Any, database: str) -> bytes:
    found = engine.world.databases.get(request.db_name or database)
    if found is None or request.alias not in found.aliases:
        return _status("DescribeAlias", ALIAS_NOT_FOUND)
    collection = found.aliases[request.alias]
    response = messages.DescribeAliasResponse(status=messages.Status(), alias=request.alias, collection=collection)
    return bytes(response.SerializeToString())


def _has_collection(engine: FakeEngine, request: Any, database: str) -> bytes:
    found = engine.world.databases.get(request.db_name or database)
    value = found is not None and found.taken(request.collection_name)
    return bytes(messages.BoolResponse(status=messages.Status(), value=value).SerializeToString())


def _describe(engine: FakeEngine, request: Any, database: str) -> bytes:
    found = engine.world.databases.get(request.db_name or database)
    names = {number: name for name, number in found.collections.items()} if found else {}
    name = request.collection_name or names.get(request.collectionID, "")
    if found is None or not found.taken(name):
        return _status("DescribeCollection", COLLECTION_NOT_FOUND)
    response = messages.DescribeCollectionResponse(
        status=messages.Status(), collection_name=found.aliases.get(name, name)
    )
    return bytes(response.SerializeToString())


def _change(method: str, change: Callable[[World, Any, str], int]) -> Answer:
    def answer(engine: FakeEngine, request: Any, database: str) -> bytes:
        return _status(method, change(engine.world, request, request.db_name or database or "default"))

    return answer


_CHANGES: Final[dict[str, Callable[[World, Any, str], int]]] = {
    "CreateDatabase": lambda world, request, _: world.create_database(request.db_name),
    "DropDatabase": lambda world, request, _: world.drop_database(request.db_name),
    "CreateCollection": lambda world, request, db: world.create_collection(db, request.collection_name),
    "DropCollection": lambda world, request, db: world.drop_collection(db, request.collection_name),
    "RenameCollection": lambda world, request, db: world.rename_collection(
        (db, request.oldName), (request.newDBName or db, request.newName)
    ),
    "CreateAlias": lambda world, request, db: world.create_alias(db, request.alias, request.collection_name),
    "AlterAlias": lambda world, request, db: world.alter_alias(db, request.alias, request.collection_name),
    "DropAlias": lambda world, request, db: world.drop_alias(db, request.alias),
}

_ANSWERS: Final[dict[str, Answer]] = {
    **{method: _change(method, change) for method, change in _CHANGES.items()},
    "ShowCollections": _show,
    "ListDatabases": _list_databases,
    "ListAliases": _list_aliases,
    "DescribeAlias": _describe_alias,
    "HasCollection": _has_collection,
    "DescribeCollection": _describe,
}
