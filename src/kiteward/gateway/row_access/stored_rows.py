"""Reads the fields that policies need of the rows that are stored under some keys."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CollectionNotFound, EngineResponseUnreadable, EngineUnavailable, InvalidArgument
from kiteward.engine.base import Engine
from kiteward.filters import MAX_LENGTH, Dialect, Field, ListOf, Literal, Membership, quote, write
from kiteward.gateway.row_access.columns import stored_columns
from kiteward.gateway.row_access.fields import CollectionFields, Value, fields_of_collection
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, schema_pb2

Row = Mapping[str, Value | None]
Key = str | int

_MOST_KEYS: Final = 10_000
"""Most keys in one filter. The embedded engine reads so many in milliseconds (`kiteward.engine.embedded.key_lists`). A
Milvus takes 0.2 s for a consistent answer, for one key as for thousands.
"""

_MOST_CHARACTERS: Final = MAX_LENGTH - 1_024
"""Most characters of the list of keys in one filter, which also has the name of the field."""

_INTEGER: Final = 22
"""Most characters of an integer in a list, with what separates it."""

_COUNT: Final = "count(*)"
_COLLECTION_NOT_LOADED: Final = 101
"""`Status.code` of a query in a collection that is not loaded (contract appendix A)."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Reads from one collection, as it is now.

    Attributes:
        engine: the engine that has it.
        dialect: its language of filters.
        database, collection: its names.
    """

    engine: Engine
    dialect: Dialect
    database: str
    collection: str

    @property
    def unique_keys(self) -> bool:
        """Whether a key is stored once at most, because an insert replaces the row that has its key.

        Milvus stores a second row, and answers queries with either.
        """
        return self.dialect is Dialect.EMBEDDED

    async def fields(self, *, timeout: float | None = None) -> CollectionFields:
        """Return the fields of the collection.

        Args:
            timeout: seconds until the caller's deadline; None for no deadline.

        Raises:
            EngineError: the engine does not answer as it should.
        """
        request = messages.DescribeCollectionRequest(db_name=self.database, collection_name=self.collection)
        answer = await self.ask("DescribeCollection", request.SerializeToString(), timeout=timeout)
        return fields_of_collection(messages.read_response(messages.DescribeCollectionResponse, answer))

    async def under(
        self, keys: Sequence[Key], needed: Collection[str], *, fields: CollectionFields
    ) -> Mapping[Key, Row]:
        """Return the rows that are stored under some keys now, whatever partition they are in.

        Args:
            keys: primary keys, each once.
            needed: the fields to return of each row.
            fields: the fields of the collection.

        Raises:
            InvalidArgument: the collection is not loaded, or a key is stored more than once.
            FilterSyntaxError: a key cannot be written in a filter.
            EngineError: the engine does not answer as it should.
        """
        key, names = fields.key.name, sorted({fields.key.name, *needed})
        found: dict[Key, Row] = {}
        for batch in _batches(keys):
            wanted = write(Membership(Field(key), ListOf(tuple(Literal(each) for each in batch))), self.dialect)
            data = await self._query(wanted, names)
            if not data:  # how some versions of Milvus answer that there is no row
                continue
            columns = stored_columns(data, names, fields=fields)
            rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            found.update(zip(_keys(columns[key], batch), rows, strict=True))
            if rows and not self.unique_keys:
                await self._require_each_once(wanted, len(rows))
        return found

    async def _require_each_once(self, wanted: str, count: int) -> None:
        """Require that a filter finds as many rows as were returned: of rows with one key, one is returned."""
        counted = await self._query(wanted, [_COUNT])
        if [value for each in counted for value in each.scalars.long_data.data] != [count]:
            raise InvalidArgument(
                f"the collection {self.collection} has more than one row with the primary key of a row that is "
                "written, so that its row policies cannot be checked: delete the rows with this key first",
                ErrorDetail(ErrorCode.ROW_STORED_TWICE, {"collection": self.collection}),
            )

    async def _query(self, wanted: str, names: Sequence[str]) -> Sequence[schema_pb2.FieldData]:
        request = messages.QueryRequest(
            db_name=self.database,
            collection_name=self.collection,
            expr=wanted,
            output_fields=names,
            consistency_level=common_pb2.ConsistencyLevel.Strong,
        )
        answer = await self.ask("Query", request.SerializeToString())
        return messages.read_response(messages.QueryResults, answer).fields_data

    async def ask(self, operation: str, payload: bytes, *, timeout: float | None = None) -> bytes:
        """Send a request about the collection to the engine, and return its answer.

        Args:
            operation: an RPC that reads.
            payload: the request.
            timeout: seconds until the caller's deadline; None for no deadline.

        Raises:
            InvalidArgument: the collection is not loaded.
            CollectionNotFound: it does not exist.
            EngineError: the engine does not answer as it should.
        """
        answer = await self.engine.call(operation, payload, metadata={"dbname": self.database}, timeout=timeout)
        status = messages.status_code(operation, answer)
        if status == _COLLECTION_NOT_LOADED:
            raise InvalidArgument(
                f"the collection {self.collection} is not loaded, so the rows that are stored cannot be checked by its "
                "row policies: load the collection, then send the request again",
                ErrorDetail(ErrorCode.ROWS_NOT_LOADED, {"collection": self.collection}),
            )
        if status == messages.COLLECTION_NOT_FOUND:
            raise CollectionNotFound(f"can't find collection[database={self.database}][collection={self.collection}]")
        if status:
            # What the engine says may be about rows that the caller may not see.
            raise EngineUnavailable(
                f"the engine could not read what the row policies of the collection {self.collection} need",
                ErrorDetail(ErrorCode.ENGINE_RESPONSE_FAILED, {"operation": operation, "status": status}),
            )
        return answer


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Yield the keys in parts that are small enough for one filter."""
    begin = characters = 0
    for index, key in enumerate(keys):
        size = len(quote(key)) + 2 if isinstance(key, str) else _INTEGER
        if index > begin and (index - begin == _MOST_KEYS or characters + size > _MOST_CHARACTERS):
            yield keys[begin:index]
            begin, characters = index, 0
        characters += size
    if begin < len(keys):
        yield keys[begin:]


def _keys(column: Sequence[Value | None], wanted: Sequence[Key]) -> list[Key]:
    """Return the keys of rows that an engine returned.

    Raises:
        EngineResponseUnreadable: a row was not asked for.
    """
    asked = set(wanted)
    keys = [key for key in column if isinstance(key, str | int) and key in asked]
    if len(keys) != len(column):
        raise EngineResponseUnreadable("the engine returned rows that were not asked for")
    return keys
