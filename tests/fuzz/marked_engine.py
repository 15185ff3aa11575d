"""An engine that fills every answer about what is not the caller's own with marked words."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tests.access.equivalence.populated_engine import PopulatedEngine
from tests.fuzz import canaries
from tests.support.engine import Database, EngineCall

from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.milvus import messages

_NAMING_FIELD: Final = re.compile("collection|alias|oldName|newName", re.IGNORECASE)
_READS: Final = re.compile(
    "Get|Has|Describe|BatchDescribe|Show|List|Search|HybridSearch|Query|Select|Run|Compute|Check"
)
_TELL_NOTHING: Final = frozenset({"GetVersion", "CheckHealth", "Connect", "AllocTimestamp", "ComputePhraseMatchSlop"})
"""What everybody may ask: the answer says nothing of what is stored."""

_OWN_ANSWERS: Final = frozenset({"ListDatabases", "ShowCollections", "ListAliases", "DescribeAlias", "HasCollection"})
"""Of these the engine says no more than names that exist."""

_KEPT: Final = re.compile("(Create|Drop|Rename|Alter)(Database|Collection|Alias)")
"""What these change is seen in what there is afterwards."""

_DEEPEST: Final = 3


class MarkedEngine(PopulatedEngine):
    """Holds the callers' own collection, and hidden ones in each database.

    Attributes:
        writes: how often something hidden was changed, by method and database.
        own_names: names that callers have given to what is their own.
    """

    def __init__(self) -> None:
        self.writes: Counter[str] = Counter()
        self.own_names: set[str] = set()
        super().__init__()

    async def inventory(self) -> dict[str, object]:
        """Return what there is beside the callers' own, and forget what was asked."""
        self.calls.clear()
        stored = {
            name: (
                [each for each in held.collections if (name, each) != (DEFAULT_DATABASE, canaries.OWN)],
                {alias: target for alias, target in held.aliases.items() if target != canaries.OWN},
            )
            for name, held in self.databases.items()
        }
        return {**stored, **self.writes}

    def reset_contents(self) -> None:
        """Restore the initial objects."""
        self.databases.clear()
        hidden, pseudonym = canaries.HIDDEN_ALIASES
        self.databases[DEFAULT_DATABASE] = Database(
            [canaries.OWN, *canaries.HIDDEN],
            {canaries.OWN_ALIAS: canaries.OWN, hidden: canaries.HIDDEN[0]},
        )
        for name in canaries.HIDDEN_DATABASES[:2]:
            self.databases[name] = Database(
                [canaries.OWN, *canaries.HIDDEN], {hidden: canaries.OWN, pseudonym: canaries.HIDDEN[1]}
            )
        self.databases[canaries.HIDDEN_DATABASES[2]] = Database()
        self.restart()

    def _answer(self, called: EngineCall) -> bytes:
        method = called.method
        called = self._by_id(called)
        request = called.request
        database = getattr(request, "db_name", "") or called.metadata.get("dbname") or DEFAULT_DATABASE
        own = self._is_own(request, database)
        answer = super()._answer(called)
        self.own_names |= self._own_aliases()
        if method == "RunAnalyzer" and not any(_names(request)):
            return answer  # it takes the text apart that came with it
        if own or method in _TELL_NOTHING or method in _OWN_ANSWERS or messages.status_code(method, answer):
            return answer
        if not _READS.match(method) and not _KEPT.fullmatch(method):
            self.writes[f"{method} in {database}"] += 1
        response: Any = messages.method_of(method).response.FromString(answer)
        if response.DESCRIPTOR.name != "Status":
            _mark(response, 0)
        return bytes(response.SerializeToString())

    def _by_id(self, called: EngineCall) -> EngineCall:
        """Resolve a collection that is selected by its id alone, as engines do."""
        if called.method != "DescribeCollection":
            return called
        request = called.request
        named = self._named_by_id(request, request.db_name or called.metadata.get("dbname") or DEFAULT_DATABASE)
        if request.collection_name or not named:
            return called
        request.collection_name = named[0]
        return EngineCall(called.method, request.SerializeToString(), called.metadata, called.timeout)

    def _is_own(self, request: Any, database: str) -> bool:
        names = {name for name in (*_names(request), *self._named_by_id(request, database)) if name}
        return database == DEFAULT_DATABASE and bool(names) and names <= {canaries.OWN, *self._own_aliases()}

    def _named_by_id(self, request: Any, database: str) -> list[str]:
        """Return the collections that ids select: they are numbered in the order they came."""
        ids = getattr(request, "collectionID", 0)
        held = self.databases.get(database, Database()).collections
        numbers = [ids] if isinstance(ids, int) else list(ids)
        return [held[number - 1] if 0 < number <= len(held) else f"no. {number}" for number in numbers if number]

    def _own_aliases(self) -> set[str]:
        aliases = self.databases[DEFAULT_DATABASE].aliases if DEFAULT_DATABASE in self.databases else {}
        return {alias for alias, target in aliases.items() if target == canaries.OWN}


def _names(request: Any) -> Iterator[str]:
    """Return the values of the fields that name collections, at any depth."""
    for field, value in request.ListFields():
        each = value if field.is_repeated else (value,)
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in each:
                yield from _names(inner)
        elif field.type == field.TYPE_STRING and _NAMING_FIELD.search(field.name):
            yield from each


def _mark(message: Any, depth: int) -> None:
    """Fill the texts of a message, but for its status."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            skipped = field.message_type.name == "Status" or field.message_type.GetOptions().map_entry
            if not skipped and depth < _DEEPEST:
                held = getattr(message, field.name)
                _mark(held.add() if field.is_repeated else held, depth + 1)
        elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            value = canaries.CONTENT if field.type == field.TYPE_STRING else canaries.CONTENT.encode()
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
