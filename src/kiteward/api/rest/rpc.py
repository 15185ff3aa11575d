"""Helpers for endpoints that call an RPC of the same shape: building its request and reading parts of its response."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Body, Endpoint, Name, Nothing, RequestContext, ResponseData
from kiteward.milvus import messages

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CollectionNameReq(Body):
    """The name of a collection."""

    collection_name: Name


class Pair(ResponseData):
    """A property, in Milvus' representation."""

    key: str
    value: str


class Has(ResponseData):
    """Whether something exists."""

    has: bool


class RowCount(ResponseData):
    """The number of rows."""

    row_count: int


async def describe_collection(context: RequestContext, name: str) -> messages.DescribeCollectionResponse:
    """Return the description of a collection.

    Raises:
        KitewardError: as `RequestContext.call`.
    """
    request = messages.DescribeCollectionRequest(db_name=context.database, collection_name=name)
    return await context.call(request, messages.DescribeCollectionResponse)


def rpc_endpoint(path: str, body: type[Body], operation: str, summary: str, /, **fields: str) -> Endpoint[Any]:
    """Return an endpoint that calls one RPC with fields of the body, and returns `{}`.

    Args:
        path: category and action.
        body: the type of the request's body.
        operation: RPC name.
        summary: one sentence for the OpenAPI document.
        fields: field of the request message -> the attribute of the body that fills it.
    """
    request_type = messages.method_of(operation).request

    async def run(context: RequestContext, given: Body) -> Nothing:
        values = {field: getattr(given, attribute) for field, attribute in fields.items()}
        if "db_name" in request_type.DESCRIPTOR.fields_by_name:
            values.setdefault("db_name", context.database)
        pairs = {field: key_values(value) for field, value in values.items() if isinstance(value, dict)}
        await context.call(request_type(**values | pairs))
        return NOTHING

    return Endpoint(path, body, Nothing, run, summary, large=operation)


def key_values(given: Mapping[str, Any]) -> list[messages.KeyValuePair]:
    """Return a mapping as key-value pairs of the protocol."""
    return [messages.KeyValuePair(key=key, value=text_of(value)) for key, value in given.items()]


def text_of(value: Any) -> str:
    """Return a JSON value as text: text is unchanged, anything else is encoded as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def pairs(key_value_pairs: Iterable[messages.KeyValuePair]) -> list[Pair]:
    """Return key-value pairs of the protocol for a response."""
    return [Pair(key=each.key, value=each.value) for each in key_value_pairs]


def row_count(statistics: Iterable[messages.KeyValuePair]) -> RowCount:
    """Return the row count among the statistics of a response."""
    return RowCount(row_count=next((int(each.value) for each in statistics if each.key == "row_count"), 0))
