"""Operations about all rows of a collection: who sees some of them only learns no counts, and empties nothing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.model import Model
from tests.row_policies.operations import Ask, Place, shown, unseen

from kiteward.milvus import messages

COUNTED: Final[Mapping[str, str]] = {
    "GetCollectionStatistics": "collection_name",
    "GetPartitionStatistics": "collection_name",
    "DescribeIndex": "collection_name",
    "GetIndexStatistics": "collection_name",
    "GetPersistentSegmentInfo": "collectionName",
    "GetQuerySegmentInfo": "collectionName",
}
"""RPCs that count rows, and the field that names the collection."""

EMPTYING: Final[Mapping[str, str]] = {"TruncateCollection": "collection_name", "DropPartition": "collection_name"}
"""RPCs that remove rows without looking at them, likewise."""

_DATABASE_FIELDS: Final = ("db_name", "dbName")


def request(method: str, place: Place, draw: Draw) -> Any:
    """Return a request about a collection."""
    made: Any = messages.method_of(method).request()
    setattr(made, {**COUNTED, **EMPTYING}[method], draw.of(place.names))
    fields = made.DESCRIPTOR.fields_by_name
    setattr(made, next(name for name in _DATABASE_FIELDS if name in fields), place.database)
    if "partition_name" in fields:
        made.partition_name = draw.of(("p1", "p2")) if method in EMPTYING else "_default"
    return made


class Counts:
    """A request whose answer counts rows."""

    alone = False

    def __init__(self, model: Model, caller: str, method: str, message: Any) -> None:
        self._model = model
        self._caller = caller
        self._method = method
        self._message = message

    async def run(self, ask: Ask) -> str:
        reply = await ask(self._caller, self._method, self._message)
        wrong = unseen(reply, ())
        if wrong or not reply.carried_out or not self._model.governs(self._caller):
            return wrong
        told = {name: value for name, value in _counts(reply.message) if value}
        return f"counted rows: {told}" if told else ""

    def __str__(self) -> str:
        return f"{self._caller}: {self._method} {shown(self._message)}"


def _counts(message: Any) -> Iterator[tuple[str, int]]:
    """Yield the numbers in an answer that count rows, with their names."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name == "KeyValuePair":
            yield from ((pair.key, int(pair.value)) for pair in value if "row" in pair.key)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                yield from _counts(each)
        elif "row" in field.name:
            yield field.name, value


class Emptying:
    """A request that would remove rows that its caller may not see, so that it must be refused."""

    alone = True

    def __init__(self, caller: str, method: str, message: Any) -> None:
        self._caller = caller
        self._method = method
        self._message = message

    async def run(self, ask: Ask) -> str:
        reply = await ask(self._caller, self._method, self._message)
        return "wrongly written: rows removed without a look" if reply.carried_out else unseen(reply, ())

    def __str__(self) -> str:
        return f"{self._caller}: {self._method} {shown(self._message)}"
