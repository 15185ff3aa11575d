"""Counts and finds the rows that a rule allows, by the requests that a user would send."""

from collections.abc import Sequence
from typing import Final

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineResponseUnreadable, InvalidArgument
from kiteward.engine.base import Engine
from kiteward.filters import Dialect, Field, ListOf, Literal, Membership, write
from kiteward.gateway.row_access.fields import DataType
from kiteward.gateway.row_access.reading import FilteredRead, FilteredReads
from kiteward.gateway.row_access.stored_rows import StoredRows
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, schema_pb2

_COUNT: Final = "count(*)"
_BEYOND: Final = 1 << 63
_SHOWN: Final = 64
"""Characters of a key that a refusal repeats."""


class RowCounter:
    """Implements `kiteward.iam.services.Rows`, which documents the contract.

    Each question is a Query that `FilteredReads` prepares under the rule, as it prepares those of users.
    """

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._reads = FilteredReads(engine, dialect)

    async def count(self, database: str, name: str, rule: BoundRule) -> int:
        request = messages.QueryRequest(output_fields=[_COUNT])
        counts = [
            count
            for column in await self._query(database, name, rule, request)
            for count in column.scalars.long_data.data
        ]
        if len(counts) != 1:
            raise EngineResponseUnreadable("the engine does not tell how many rows there are")
        return counts[0]

    async def keys(self, database: str, name: str, rule: BoundRule, wanted: Sequence[str]) -> frozenset[str]:
        key = (await self._stored(database, name).fields()).key
        values = [_integer(each) if key.data_type == DataType.Int64 else each for each in wanted]
        request = messages.QueryRequest(
            expr=write(Membership(Field(key.name), ListOf(tuple(map(Literal, dict.fromkeys(values))))), self._dialect),
            output_fields=[key.name],
        )
        found: set[str | int] = set()
        for column in await self._query(database, name, rule, request):
            if column.field_name == key.name:
                found.update(column.scalars.long_data.data)
                found.update(column.scalars.string_data.data)
        return frozenset(each for value, each in zip(values, wanted, strict=True) if value in found)

    async def _query(
        self, database: str, name: str, rule: BoundRule, request: messages.QueryRequest
    ) -> Sequence[schema_pb2.FieldData]:
        request.db_name, request.collection_name = database, name
        request.consistency_level = common_pb2.ConsistencyLevel.Strong
        read = FilteredRead.of("Query", request.SerializeToString(), rule, dialect=self._dialect)
        payload = await self._reads.payload(
            read, database=database, collection=name, metadata={"dbname": database}, timeout=None
        )
        answer = await self._stored(database, name).ask("Query", payload)
        return messages.read_response(messages.QueryResults, answer).fields_data

    def _stored(self, database: str, name: str) -> StoredRows:
        return StoredRows(self._engine, self._dialect, database, name)


def _integer(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = _BEYOND
    if not -_BEYOND <= value < _BEYOND:
        raise InvalidArgument(
            f"the primary key of the collection is an integer of 64 bits, which {text[:_SHOWN]} is not",
            ErrorDetail(ErrorCode.PRIMARY_KEY_NOT_INTEGER, {"name": text[:_SHOWN]}),
            field="primaryKeys",
        )
    return value
