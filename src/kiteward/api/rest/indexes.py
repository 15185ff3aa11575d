"""Indexes (contract 5.3)."""

from typing import Any, Final

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Endpoint, Name, Nothing, RequestContext, ResponseData
from kiteward.api.rest.rpc import CollectionNameReq, key_values, rpc_endpoint
from kiteward.domain.errors import ResponseFailed
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2


class IndexParam(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An index to create."""

    field_name: Name
    index_name: str = ""
    index_type: str = ""
    metric_type: str = ""
    params: dict[str, Any] = {}


class IndexParamReq(CollectionNameReq):
    """A collection and the indexes to create on it."""

    index_params: list[IndexParam]


class IndexReq(CollectionNameReq):
    """The name of an index."""

    index_name: Name


class IndexPropertiesReq(IndexReq):
    """Properties of an index."""

    properties: dict[str, Any] = {}


class IndexPropertyKeysReq(IndexReq):
    """Names of properties of an index."""

    property_keys: list[str] = []


class IndexShape(ResponseData):
    """An index."""

    index_name: str
    field_name: str
    index_type: str
    metric_type: str
    total_rows: int
    indexed_rows: int
    pending_rows: int
    index_state: str
    fail_reason: str


_NOT_FOUND: Final = 700
"""Milvus' code for an index that does not exist."""


async def list_names(context: RequestContext, body: CollectionNameReq) -> list[str]:
    """Answer `indexes/list`; a collection without indexes is not an error."""
    try:
        response = await context.call(
            milvus_pb2.DescribeIndexRequest(db_name=context.database, collection_name=body.collection_name),
            milvus_pb2.DescribeIndexResponse,
        )
    except ResponseFailed as failure:
        if failure.status == _NOT_FOUND:
            return []
        raise
    return [each.index_name for each in response.index_descriptions]


async def describe(context: RequestContext, body: IndexReq) -> list[IndexShape]:
    """Answer `indexes/describe`."""
    response = await context.call(
        milvus_pb2.DescribeIndexRequest(
            db_name=context.database, collection_name=body.collection_name, index_name=body.index_name
        ),
        milvus_pb2.DescribeIndexResponse,
    )
    return [
        IndexShape(
            index_name=each.index_name,
            field_name=each.field_name,
            index_type=_parameter(each, "index_type"),
            metric_type=metric_of(each),
            total_rows=each.total_rows,
            indexed_rows=each.indexed_rows,
            pending_rows=each.pending_index_rows,
            index_state=messages.enum_name(each, "state"),
            fail_reason=each.index_state_fail_reason,
        )
        for each in response.index_descriptions
    ]


async def create(context: RequestContext, body: IndexParamReq) -> Nothing:
    """Answer `indexes/create`: create the indexes in order, up to the first failure."""
    for index in body.index_params:
        await context.call(index_message(context, body.collection_name, index))
    return NOTHING


def index_message(context: RequestContext, collection: str, index: IndexParam) -> milvus_pb2.CreateIndexRequest:
    """Return the request that creates one index."""
    parameters = {"index_type": index.index_type, "metric_type": index.metric_type, "params": index.params}
    return milvus_pb2.CreateIndexRequest(
        db_name=context.database,
        collection_name=collection,
        field_name=index.field_name,
        index_name=index.index_name,
        extra_params=key_values({name: value for name, value in parameters.items() if value}),
    )


def metric_of(index: milvus_pb2.IndexDescription) -> str:
    """Return the metric of an index description."""
    return _parameter(index, "metric_type")


def _parameter(index: milvus_pb2.IndexDescription, key: str) -> str:
    return next((each.value for each in index.params if each.key == key), "")


ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("indexes/list", CollectionNameReq, list[str], list_names, "List the names of a collection's indexes."),
    Endpoint("indexes/describe", IndexReq, list[IndexShape], describe, "Describe an index."),
    Endpoint("indexes/create", IndexParamReq, Nothing, create, "Create indexes.", large="CreateIndex"),
    rpc_endpoint(
        "indexes/drop",
        IndexReq,
        "DropIndex",
        "Drop an index.",
        collection_name="collection_name",
        index_name="index_name",
    ),
    rpc_endpoint(
        "indexes/alter_properties",
        IndexPropertiesReq,
        "AlterIndex",
        "Set properties of an index.",
        collection_name="collection_name",
        index_name="index_name",
        extra_params="properties",
    ),
    rpc_endpoint(
        "indexes/drop_properties",
        IndexPropertyKeysReq,
        "AlterIndex",
        "Remove properties of an index.",
        collection_name="collection_name",
        index_name="index_name",
        delete_keys="property_keys",
    ),
)
