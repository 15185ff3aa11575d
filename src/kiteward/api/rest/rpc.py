"""What endpoints with an RPC of the same shape share: making a request message, and reading small parts of answers."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Body, Endpoint, Name, Nothing, RequestContext, ResponseData
from kiteward.milvus import messages

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CollectionNameReq(Body):
    """Names a collection."""

    collection_name: Name


class Pair(ResponseData):
    """A property, as Milvus writes them."""

    key: str
    value: str


class Has(ResponseData):
    """Whether something is there."""

    has: bool


class RowCount(ResponseData):
    """How many rows there are."""

    row_count: int


async def call_rpc(context: RequestContext, operation: str, /, **fields: Any) -> Any:
    """Make the request of an RPC from its fields, name the database in it, send it, and return the response.

    Args:
        context: the conversation.
        operation: RPC name.
        fields: fields of the request message; a mapping becomes its key-value pairs, None is left out.

    Raises:
        KitewardError: as `RequestContext.call`.
    """
    kind = messages.method_of(operation).request
    if "db_name" in kind.DESCRIPTOR.fields_by_name:
        fields.setdefault("db_name", context.database)
    request = kind(**{name: key_values(value) if isinstance(value, dict) else value for name, value in fields.items()})
    return await context.call(request)


def rpc_endpoint(path: str, body: type[Body], operation: str, summary: str, /, **fields: str) -> Endpoint[Any]:
    """Return an endpoint that answers `{}` after one RPC whose fields stand in the body.

    Args:
        path: category and action.
        body: what the request holds.
        operation: RPC name.
        summary: one sentence for readers of the document.
        fields: by field of the request message, the attribute of the body that fills it.
    """

    async def run(context: RequestContext, given: Body) -> Nothing:
        await call_rpc(context, operation, **{field: getattr(given, attribute) for field, attribute in fields.items()})
        return NOTHING

    return Endpoint(path, body, Nothing, run, summary, large=operation)


def key_values(given: Mapping[str, Any]) -> list[messages.KeyValuePair]:
    """Return a mapping as the protocol carries one."""
    return [messages.KeyValuePair(key=key, value=text_of(value)) for key, value in given.items()]


def text_of(value: Any) -> str:
    """Return a JSON value as text: text stays itself, anything else is written as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def pairs(key_value_pairs: Any) -> list[Pair]:
    """Return the protocol's key-value pairs for an answer."""
    return [Pair(key=each.key, value=each.value) for each in key_value_pairs]


def row_count(statistics: Any) -> RowCount:
    """Return the row count among the statistics of a response."""
    return RowCount(row_count=next((int(each.value) for each in statistics if each.key == "row_count"), 0))
