"""Entities: inserting, querying and deleting them (contract 5.3)."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from kiteward.api.rest.consistency import consistency_level
from kiteward.api.rest.endpoints import Answer, Endpoint, Name, RequestContext, ResponseData
from kiteward.api.rest.rpc import CollectionNameReq, describe_collection
from kiteward.api.rest.status import INVALID_PARAMETER, RestFailure
from kiteward.domain.errors import InvalidArgument
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.collection_fields import Field, shape_of

INSERT_DATA: Final = 1804
PRIMARY_KEY: Final = 1806
"""Milvus' codes of data and primary keys that do not fit the schema."""

MOST_ROWS: Final = 16384
"""The number of rows that Milvus returns at most. Without it, one request could keep an engine busy for long."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_ROWS)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Data = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={
            "type": ["array", "object"],
            "items": {"type": "object"},
            "description": "One entity or several: values by field name.",
        }
    ),
]
PrimaryKeys = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={
            "type": ["integer", "string", "array"],
            "items": {"type": ["integer", "string"]},
            "description": "One primary key or several.",
        }
    ),
]
Row = dict[str, Any]

_Request = TypeVar("_Request", messages.InsertRequest, messages.UpsertRequest)


class FieldOperation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an upsert does with the value of a field instead of replacing it."""

    field_name: Name
    op: Name


class InsertReq(CollectionNameReq):
    """Entities to insert."""

    data: Data
    partition_name: str = ""


class UpsertReq(InsertReq):
    """Entities to insert, or to replace those with the same primary key."""

    partial_update: bool = False
    field_ops: list[FieldOperation] = []


class DeleteReq(CollectionNameReq):
    """The entities to delete."""

    filter: Name
    partition_name: str = ""
    expr_params: dict[str, Any] = {}


class ReadReq(CollectionNameReq):
    """The parameters that all reads take."""

    partition_names: list[str] = []
    consistency_level: str = ""


class QueryReq(ReadReq):
    """The entities to return, and which fields of them."""

    filter: str = ""
    output_fields: list[str] = msgspec.field(default_factory=lambda: ["*"])
    limit: Count = 100
    offset: Offset = 0
    order_by_fields: list[Any] = []
    expr_params: dict[str, Any] = {}


class GetReq(ReadReq, kw_only=True):
    """One or several primary keys, and which fields of their entities to return."""

    id: PrimaryKeys
    output_fields: list[str] = msgspec.field(default_factory=lambda: ["*"])
    partition_name: str = ""


class Inserted(ResponseData):
    """The number and primary keys of inserted entities."""

    insert_count: int
    insert_ids: list[Any]


class Upserted(ResponseData):
    """The number and primary keys of upserted entities."""

    upsert_count: int
    upsert_ids: list[Any]


class Deleted(ResponseData):
    """The number of deleted entities."""

    delete_count: int


class Cost(ResponseData):
    """The further member of reads and writes, which a cloud service uses for billing."""

    cost: int = 0


async def insert(context: RequestContext, body: InsertReq) -> Answer:
    """Answer `entities/insert`."""
    described = await describe_collection(context, body.collection_name)

    def request() -> messages.InsertRequest:
        rows = json_codec.rows(msgspec.json.decode(body.data), shape_of(described))
        return builders.insert(described, rows, collection=body.collection_name, partition=body.partition_name)

    response = await context.call(await _built(context, request), messages.MutationResult)
    ids = json_rows.primary_keys(response.IDs, allow_int64=context.allow_int64)
    return Answer(Inserted(insert_count=response.insert_cnt, insert_ids=ids), Cost())


async def upsert(context: RequestContext, body: UpsertReq) -> Answer:
    """Answer `entities/upsert`."""
    described = await describe_collection(context, body.collection_name)

    def request() -> messages.UpsertRequest:
        partial = body.partial_update or bool(body.field_ops)
        rows = json_codec.rows(msgspec.json.decode(body.data), shape_of(described), partial=partial)
        return builders.upsert(
            described,
            rows,
            collection=body.collection_name,
            partition=body.partition_name,
            partial=partial,
            field_operations={each.field_name: each.op for each in body.field_ops},
        )

    response = await context.call(await _built(context, request), messages.MutationResult)
    ids = json_rows.primary_keys(response.IDs, allow_int64=context.allow_int64)
    return Answer(Upserted(upsert_count=response.upsert_cnt, upsert_ids=ids), Cost())


async def _built(context: RequestContext, request: Callable[[], _Request]) -> _Request:
    """Build a request from rows, in an executor because there may be many.

    Raises:
        RestFailure: 1804, a row does not fit the schema.
    """
    try:
        return await context.run_in_executor(request)
    except (InvalidArgument, msgspec.DecodeError, RecursionError) as error:
        raise RestFailure(INSERT_DATA, f"fail to deal the insert data, error: {error}") from None


async def delete(context: RequestContext, body: DeleteReq) -> Answer:
    """Answer `entities/delete`."""
    request = await context.run_in_executor(
        builders.delete,
        collection=body.collection_name,
        expression=body.filter,
        partition=body.partition_name,
        values=body.expr_params,
    )
    response = await context.call(request, messages.MutationResult)
    return Answer(Deleted(delete_count=response.delete_cnt), Cost())


async def query(context: RequestContext, body: QueryReq) -> Answer:
    """Answer `entities/query`. A count has one row, so that no limit is sent."""
    counting = [name.strip().lower() for name in body.output_fields] == ["count(*)"]
    request = await context.run_in_executor(
        builders.query,
        collection=body.collection_name,
        expression=body.filter,
        output_fields=body.output_fields,
        partitions=body.partition_names,
        limit=None if counting or not body.limit else body.limit,
        offset=body.offset or None,
        order_by=body.order_by_fields,
        consistency=consistency_level(body.consistency_level),
        values=body.expr_params,
    )
    return await _rows(context, request)


async def get(context: RequestContext, body: GetReq) -> Answer:
    """Answer `entities/get`."""
    described = await describe_collection(context, body.collection_name)
    key = shape_of(described).primary
    partitions = [*body.partition_names, body.partition_name] if body.partition_name else body.partition_names
    request = await context.run_in_executor(
        builders.query,
        collection=body.collection_name,
        expression=_lookup(key, body.id),
        output_fields=body.output_fields,
        partitions=partitions,
        consistency=consistency_level(body.consistency_level),
    )
    return await _rows(context, request)


def _lookup(key: Field | None, given: msgspec.Raw) -> str:
    """Return the filter for the primary keys in `id`.

    Raises:
        RestFailure: 1806, a value is not a primary key; 1100, no primary key is given.
    """
    if key is None:
        raise RestFailure(INVALID_PARAMETER, "the collection has no primary key to look up: invalid parameter")
    try:
        return json_codec.among(key, json_codec.primary_keys(msgspec.json.decode(given), key))
    except (InvalidArgument, msgspec.DecodeError, RecursionError) as error:
        raise RestFailure(
            PRIMARY_KEY, f"please check the primary key and its' type can only in [int, string], error: {error}"
        ) from None


async def _rows(context: RequestContext, request: messages.QueryRequest) -> Answer:
    response = await context.call(request, messages.QueryResults)
    rows = await context.run_in_executor(json_rows.query_rows, response, allow_int64=context.allow_int64)
    return Answer(rows, Cost())


ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("entities/insert", InsertReq, Inserted, insert, "Insert entities.", extra=Cost, large="Insert"),
    Endpoint("entities/upsert", UpsertReq, Upserted, upsert, "Insert or replace entities.", extra=Cost, large="Upsert"),
    Endpoint(
        "entities/delete",
        DeleteReq,
        Deleted,
        delete,
        "Delete the entities that a filter matches.",
        extra=Cost,
        large="Delete",
    ),
    Endpoint(
        "entities/query",
        QueryReq,
        list[Row],
        query,
        "Return the entities that a filter matches.",
        extra=Cost,
        large="Query",
    ),
    Endpoint("entities/get", GetReq, list[Row], get, "Return entities by primary key.", extra=Cost, large="Query"),
)
