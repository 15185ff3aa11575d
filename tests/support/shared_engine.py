"""A fake of a remote engine, whose objects others change too: ids of collections, and descriptions, as Milvus 2.3 has.

engine.around.drop("docs")
engine.around.alias("docs", "payroll")
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.support.engine import Database, EngineCall, FakeEngine, Refused

from kiteward.domain.errors import EngineLacksOperation
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.milvus import messages


class SharedEngine(FakeEngine):
    """Behaves as a Milvus 2.3 that several clients use.

    Attributes:
        around: changes its objects without a call, as another client does.
        knows_aliases: whether it has `ListAliases` and `DescribeAlias`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.around = Around(self)
        self.knows_aliases = True
        self._ids: dict[tuple[str, str], int] = {}
        self._next_id = 100

    def id_of(self, name: str, database: str = DEFAULT_DATABASE) -> int:
        """Return the id of a collection."""
        if (database, name) not in self._ids:
            self._next_id += 1
            self._ids[database, name] = self._next_id
        return self._ids[database, name]

    def forget_id(self, database: str, name: str) -> int:
        """Take the id from a name, whose next collection gets another one."""
        number = self.id_of(name, database)
        del self._ids[database, name]
        return number

    def give_id(self, database: str, name: str, number: int) -> None:
        """Give an id to a name."""
        self._ids[database, name] = number

    def _answer(self, called: EngineCall) -> bytes:
        if not self.knows_aliases and called.method in ("ListAliases", "DescribeAlias"):
            raise EngineLacksOperation(f"the engine does not implement `{called.method}`")
        act = _ACTS.get(called.method)
        if act is None or called.method in self.answers:
            answer = super()._answer(called)
            if messages.status_code(called.method, answer) == 0:
                self._follow(called)
            return answer
        try:
            answer = act(self, called.request, called.request.db_name or called.metadata.get("dbname", ""))
        except Refused as refused:
            code = messages.LEGACY_COLLECTION_NOT_EXISTS
            return messages.failure(called.method, code=refused.code, legacy_code=code, reason=str(refused))
        return bytes(answer.SerializeToString())

    def _follow(self, called: EngineCall) -> None:
        request, database = called.request, called.metadata.get("dbname", "") or DEFAULT_DATABASE
        if called.method == "DropCollection":
            self.forget_id(request.db_name or database, request.collection_name)
        elif called.method == "RenameCollection":
            number = self.forget_id(request.db_name or database, request.oldName)
            self.give_id(request.newDBName or request.db_name or database, request.newName, number)


def _describe_collection(engine: SharedEngine, request: Any, database: str) -> Any:
    real = engine.collection(database or DEFAULT_DATABASE, request.collection_name)
    aliases = engine.database(database or DEFAULT_DATABASE).aliases
    return messages.DescribeCollectionResponse(
        status=messages.Status(),
        # As given, which may be an alias.
        collection_name=request.collection_name,
        collectionID=engine.id_of(real, database or DEFAULT_DATABASE),
        aliases=[alias for alias, target in aliases.items() if target == real],
        db_name=database,
    )


def _show_collections(engine: SharedEngine, _: Any, database: str) -> Any:
    names = engine.database(database or DEFAULT_DATABASE).collections
    numbers = [engine.id_of(name, database or DEFAULT_DATABASE) for name in names]
    return messages.ShowCollectionsResponse(
        status=messages.Status(),
        collection_names=names,
        collection_ids=numbers,
        created_timestamps=numbers,
        created_utc_timestamps=numbers,
    )


_ACTS: Final[Mapping[str, Callable[[SharedEngine, Any, str], Any]]] = {
    "DescribeCollection": _describe_collection,
    "ShowCollections": _show_collections,
}


class Around:
    """Changes the objects of an engine without a call through us."""

    def __init__(self, engine: SharedEngine) -> None:
        self._engine = engine

    def create(self, name: str, database: str = DEFAULT_DATABASE) -> None:
        """Create a collection, with its database if needed."""
        self._engine.databases.setdefault(database, Database()).collections.append(name)

    def drop(self, name: str, database: str = DEFAULT_DATABASE) -> None:
        """Drop a collection with its aliases."""
        held = self._engine.databases[database]
        held.collections.remove(name)
        held.aliases = {alias: target for alias, target in held.aliases.items() if target != name}
        self._engine.forget_id(database, name)

    def rename(self, name: str, new_name: str, database: str = DEFAULT_DATABASE) -> None:
        """Rename a collection, whose aliases follow."""
        held = self._engine.databases[database]
        held.collections[held.collections.index(name)] = new_name
        held.aliases = {alias: new_name if target == name else target for alias, target in held.aliases.items()}
        self._engine.give_id(database, new_name, self._engine.forget_id(database, name))

    def alias(self, alias: str, name: str, database: str = DEFAULT_DATABASE) -> None:
        """Create an alias, or move it."""
        self._engine.databases[database].aliases[alias] = name

    def drop_alias(self, alias: str, database: str = DEFAULT_DATABASE) -> None:
        """Drop an alias."""
        del self._engine.databases[database].aliases[alias]

    def drop_database(self, database: str) -> None:
        """Drop a database with all that is in it."""
        for name in list(self._engine.databases[database].collections):
            self._engine.forget_id(database, name)
        del self._engine.databases[database]
