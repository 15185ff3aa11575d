"""A fake engine: databases, collections and aliases in memory, a log of calls, and ways to fail or hold a method."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kiteward.domain.errors import EngineLacksOperation, EngineRejected, PayloadMalformed
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import EngineHealth
from kiteward.milvus import messages

NO_DATABASE: Final = 800
NO_COLLECTION: Final = 100
NO_ALIAS: Final = 1600
TAKEN: Final = 65535


@dataclass(slots=True)
class Database:
    """What one database holds: collection names in the order they came, and alias -> collection."""

    collections: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call that reached the engine."""

    method: str
    payload: bytes
    metadata: Mapping[str, str]
    timeout: float | None

    @property
    def request(self) -> Any:
        """The request, decoded."""
        return messages.decode(self.method, self.payload)


class Refused(Exception):
    """The fake's own way to answer with a failure status."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class FakeEngine:
    """Implements `kiteward.engine.base.Engine` in memory.

    Databases, collections and aliases behave as Milvus Lite's; any other unary method of the protocol succeeds with an
    empty answer, or with the bytes in `answers`. The database of a request is resolved as an engine does: body, then
    metadata, then `default`.

    Attributes:
        databases: what it has; tests may change it directly, as somebody around us would.
        calls: every call in the order they came.
        answers: method -> response bytes to give instead of the usual answer.
        acts: method -> makes the response to a call, before `answers` is looked at.
        failures: method -> error to raise instead of acting, until removed.
        failures_after: method -> error to raise after having acted, as a lost answer does.
        gates: method -> event that a call waits for before it acts.
    """

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {DEFAULT_DATABASE: Database()}
        self.calls: list[EngineCall] = []
        self.answers: dict[str, bytes] = {}
        self.acts: dict[str, Callable[[EngineCall], bytes]] = {}
        self.failures: dict[str, Exception] = {}
        self.failures_after: dict[str, Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.ready = EngineHealth(ready=True)
        self.closed = False
        self._generation = 1
        self._waiting: dict[str, asyncio.Event] = {}

    @property
    def generation(self) -> int:
        """The number of times this engine came (back) to life."""
        return self._generation

    def restart(self) -> None:
        """Come back to life, as after a crash."""
        self._generation += 1

    def create(self, *names: str, database: str = DEFAULT_DATABASE) -> None:
        """Create these collections, without a call; the database is created if needed."""
        self.databases.setdefault(database, Database()).collections.extend(names)

    def called(self, method: str) -> list[EngineCall]:
        """Return the calls of one method."""
        return [call for call in self.calls if call.method == method]

    def hold(self, method: str) -> asyncio.Event:
        """Let calls of a method wait until the returned event is set."""
        self._waiting[method] = asyncio.Event()
        self.gates[method] = asyncio.Event()
        return self.gates[method]

    async def reached(self, method: str) -> None:
        """Wait until a call of a held method has come."""
        await asyncio.wait_for(self._waiting[method].wait(), timeout=60)

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Act as an engine does. See `kiteward.engine.base.Engine.call`."""
        called = EngineCall(method, payload, dict(metadata), timeout)
        self.calls.append(called)
        if method in self.gates:
            self._waiting[method].set()
            await self.gates[method].wait()
        if method in self.failures:
            raise self.failures[method]
        answer = self._answer(called)
        if method in self.failures_after:
            raise self.failures_after[method]
        return answer

    def health(self) -> EngineHealth:
        """Return how the test wants it to be."""
        return self.ready

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _answer(self, called: EngineCall) -> bytes:
        try:
            request = messages.decode(called.method, called.payload)
        except PayloadMalformed:
            raise EngineRejected(f"the engine cannot read this `{called.method}` request") from None
        if called.method in self.acts:
            return self.acts[called.method](called)
        if called.method in self.answers:
            return self.answers[called.method]
        if messages.method_of(called.method).streaming:
            raise EngineLacksOperation(f"the engine does not implement {called.method}")
        act = _ACTS.get(called.method)
        if act is None:
            return messages.success(called.method)
        name = getattr(request, "db_name", "") or called.metadata.get("dbname") or DEFAULT_DATABASE
        try:
            answer = act(self, request, name)
        except Refused as refused:
            return messages.failure(
                called.method, code=refused.code, legacy_code=messages.ErrorCode.UnexpectedError, reason=str(refused)
            )
        return messages.success(called.method) if answer is None else bytes(answer.SerializeToString())

    def database(self, name: str) -> Database:
        """Return a database that must be there."""
        if name not in self.databases:
            raise Refused(NO_DATABASE, f"database not found[database={name}]")
        return self.databases[name]

    def collection(self, database: str, name: str) -> str:
        """Return the collection behind a name or alias that must be there."""
        held = self.database(database)
        real = held.aliases.get(name, name)
        if real not in held.collections:
            raise Refused(NO_COLLECTION, f"collection not found[collection={name}]")
        return real


def _list_databases(engine: FakeEngine, _: Any, __: str) -> Any:
    names = list(engine.databases)
    numbers = range(1, len(names) + 1)
    return messages.ListDatabasesResponse(
        status=messages.Status(), db_names=names, created_timestamp=numbers, db_ids=numbers
    )


def _create_database(engine: FakeEngine, _: Any, name: str) -> None:
    if name in engine.databases:
        raise Refused(TAKEN, f"database already exists: {name}")
    engine.databases[name] = Database()


def _drop_database(engine: FakeEngine, _: Any, name: str) -> None:
    if engine.database(name).collections:
        raise Refused(TAKEN, f"database {name} is not empty")
    del engine.databases[name]


def _create_collection(engine: FakeEngine, request: Any, name: str) -> None:
    held = engine.database(name)
    if request.collection_name in held.collections or request.collection_name in held.aliases:
        raise Refused(TAKEN, f"collection already exists: {request.collection_name}")
    held.collections.append(request.collection_name)


def _drop_collection(engine: FakeEngine, request: Any, name: str) -> None:
    held = engine.database(name)
    if request.collection_name not in held.collections:
        raise Refused(NO_COLLECTION, f"collection not found[collection={request.collection_name}]")
    held.collections.remove(request.collection_name)
    held.aliases = {alias: target for alias, target in held.aliases.items() if target != request.collection_name}


def _has_collection(engine: FakeEngine, request: Any, name: str) -> Any:
    held = engine.database(name)
    found = held.aliases.get(request.collection_name, request.collection_name) in held.collections
    return messages.BoolResponse(status=messages.Status(), value=found)


def _describe_collection(engine: FakeEngine, request: Any, name: str) -> Any:
    real = engine.collection(name, request.collection_name)
    return messages.DescribeCollectionResponse(status=messages.Status(), collection_name=real, db_name=name)


def _show_collections(engine: FakeEngine, _: Any, name: str) -> Any:
    names = engine.database(name).collections
    numbers = range(1, len(names) + 1)
    return messages.ShowCollectionsResponse(
        status=messages.Status(),
        collection_names=names,
        collection_ids=numbers,
        created_timestamps=[number * 10 for number in numbers],
        created_utc_timestamps=[number * 100 for number in numbers],
        shards_num=[1 for _ in names],
    )


def _rename_collection(engine: FakeEngine, request: Any, name: str) -> None:
    source = engine.database(name)
    target = engine.database(request.newDBName or name)
    if request.oldName not in source.collections:
        raise Refused(NO_COLLECTION, f"collection not found[collection={request.oldName}]")
    if request.newName in target.collections or request.newName in target.aliases:
        raise Refused(TAKEN, f"collection already exists: {request.newName}")
    source.collections.remove(request.oldName)
    target.collections.append(request.newName)
    for alias, collection in list(source.aliases.items()):
        if collection == request.oldName:
            del source.aliases[alias]
            target.aliases[alias] = request.newName


def _create_alias(engine: FakeEngine, request: Any, name: str) -> None:
    held = engine.database(name)
    if request.alias in held.aliases or request.alias in held.collections:
        raise Refused(TAKEN, f"{request.alias} is taken")
    held.aliases[request.alias] = engine.collection(name, request.collection_name)


def _alter_alias(engine: FakeEngine, request: Any, name: str) -> None:
    held = engine.database(name)
    if request.alias not in held.aliases:
        raise Refused(NO_ALIAS, f"alias not found[alias={request.alias}]")
    held.aliases[request.alias] = engine.collection(name, request.collection_name)


def _drop_alias(engine: FakeEngine, request: Any, name: str) -> None:
    engine.database(name).aliases.pop(request.alias, None)


def _list_aliases(engine: FakeEngine, request: Any, name: str) -> Any:
    aliases = engine.database(name).aliases
    found = [alias for alias, target in aliases.items() if request.collection_name in ("", target)]
    return messages.ListAliasesResponse(status=messages.Status(), db_name=name, aliases=found)


def _describe_alias(engine: FakeEngine, request: Any, name: str) -> Any:
    aliases = engine.database(name).aliases
    if request.alias not in aliases:
        raise Refused(NO_ALIAS, f"alias not found[alias={request.alias}]")
    return messages.DescribeAliasResponse(
        status=messages.Status(), db_name=name, alias=request.alias, collection=aliases[request.alias]
    )


_ACTS: Final[Mapping[str, Callable[[FakeEngine, Any, str], Any]]] = {
    "ListDatabases": _list_databases,
    "CreateDatabase": _create_database,
    "DropDatabase": _drop_database,
    "CreateCollection": _create_collection,
    "DropCollection": _drop_collection,
    "HasCollection": _has_collection,
    "DescribeCollection": _describe_collection,
    "ShowCollections": _show_collections,
    "RenameCollection": _rename_collection,
    "CreateAlias": _create_alias,
    "AlterAlias": _alter_alias,
    "DropAlias": _drop_alias,
    "ListAliases": _list_aliases,
    "DescribeAlias": _describe_alias,
}
