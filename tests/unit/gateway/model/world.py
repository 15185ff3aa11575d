"""What there is to be called: databases, collections and aliases, with the answers of an engine to changes of them."""

from dataclasses import dataclass, field
from typing import Final

OK: Final = 0
COLLECTION_NOT_FOUND: Final = 100
DATABASE_NOT_FOUND: Final = 800
DATABASE_INVALID: Final = 802
NAME_INVALID: Final = 1100
ALIAS_NOT_FOUND: Final = 1600
TAKEN: Final = 65535


@dataclass(slots=True)
class Database:
    """One database: collections with their ids, and aliases with their targets."""

    collections: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def taken(self, name: str) -> bool:
        """Return whether a collection or an alias has the name."""
        return name in self.collections or name in self.aliases


@dataclass(slots=True)
class World:
    """Every change answers with the code an engine gives: 0 for success, and then it has happened."""

    databases: dict[str, Database] = field(default_factory=lambda: {"default": Database()})
    next_id: int = 1
    told: dict[int, tuple[str, str]] = field(default_factory=dict, compare=False)
    """Ids of collections that an answer has returned: database and name. A drop or a rename, tried or done, ends it."""

    def tell_ids(self, database: str) -> None:
        """Note that a list of a database's collections went out, with their ids."""
        for name, number in self.databases[database].collections.items():
            self.told[number] = (database, name)

    def forget_ids(self, database: str, name: str | None) -> None:
        """Note that a collection, or a whole database, was to be dropped or renamed."""
        self.told = {
            number: owner for number, owner in self.told.items() if owner[0] != database or name not in (None, owner[1])
        }

    def resolve(self, database: str, name: str) -> str:
        """Return the collection behind an alias, any other name as it is."""
        found = self.databases.get(database)
        return found.aliases.get(name, name) if found else name

    def create_database(self, name: str) -> int:
        if name in self.databases:
            return TAKEN
        self.databases[name] = Database()
        return OK

    def drop_database(self, name: str) -> int:
        """Drop a database with all that is in it; Milvus wants it empty, which would leave less to get wrong."""
        if name not in self.databases:
            return DATABASE_NOT_FOUND
        if name == "default":
            return DATABASE_INVALID
        del self.databases[name]
        return OK

    def create_collection(self, database: str, name: str) -> int:
        found = self.databases.get(database)
        if found is None:
            return DATABASE_NOT_FOUND
        if found.taken(name):
            return TAKEN
        if not name.isidentifier():
            return NAME_INVALID
        found.collections[name] = self.next_id
        self.next_id += 1
        return OK

    def drop_collection(self, database: str, name: str) -> int:
        found = self.databases.get(database)
        if found is None:
            return DATABASE_NOT_FOUND
        if found.collections.pop(name, None) is None:
            return COLLECTION_NOT_FOUND
        found.aliases = {alias: target for alias, target in found.aliases.items() if target != name}
        return OK

    def rename_collection(self, source: tuple[str, str], target: tuple[str, str]) -> int:
        old, new = self.databases.get(source[0]), self.databases.get(target[0])
        if old is None or new is None:
            return DATABASE_NOT_FOUND
        if source[1] not in old.collections:
            return COLLECTION_NOT_FOUND
        if new.taken(target[1]):
            return TAKEN
        if old is not new and source[1] in old.aliases.values():
            return TAKEN
        new.collections[target[1]] = old.collections.pop(source[1])
        old.aliases = {a: target[1] if name == source[1] else name for a, name in old.aliases.items()}
        return OK

    def create_alias(self, database: str, alias: str, name: str) -> int:
        found = self.databases.get(database)
        if found is None:
            return DATABASE_NOT_FOUND
        if name not in found.collections:
            return COLLECTION_NOT_FOUND
        if found.taken(alias):
            return TAKEN
        if not alias.isidentifier():
            return NAME_INVALID
        found.aliases[alias] = name
        return OK

    def alter_alias(self, database: str, alias: str, name: str) -> int:
        found = self.databases.get(database)
        if found is None:
            return DATABASE_NOT_FOUND
        if name not in found.collections:
            return COLLECTION_NOT_FOUND
        if alias not in found.aliases:
            return ALIAS_NOT_FOUND
        found.aliases[alias] = name
        return OK

    def drop_alias(self, database: str, alias: str) -> int:
        found = self.databases.get(database)
        if found is None:
            return DATABASE_NOT_FOUND
        found.aliases.pop(alias, None)
        return OK
