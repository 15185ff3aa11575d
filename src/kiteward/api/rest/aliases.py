"""Aliases (contract 5.3)."""

from typing import Any, Final

from kiteward.api.rest.endpoints import Body, Endpoint, Name, RequestContext, ResponseData
from kiteward.api.rest.rpc import CollectionNameReq, rpc_endpoint
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2


class OptionalCollectionNameReq(Body):
    """The name of a collection; empty for all collections."""

    collection_name: str = ""


class AliasReq(Body):
    """The name of an alias."""

    alias_name: Name


class AliasCollectionReq(CollectionNameReq):
    """An alias and the collection that it is to refer to."""

    alias_name: Name


class AliasShape(ResponseData):
    """An alias and the collection that it refers to."""

    db_name: str
    alias_name: str
    collection_name: str


async def list_names(context: RequestContext, body: OptionalCollectionNameReq) -> list[str]:
    """Answer `aliases/list`."""
    response = await context.call(
        milvus_pb2.ListAliasesRequest(db_name=context.database, collection_name=body.collection_name),
        messages.ListAliasesResponse,
    )
    return list(response.aliases)


async def describe(context: RequestContext, body: AliasReq) -> AliasShape:
    """Answer `aliases/describe`."""
    response = await context.call(
        messages.DescribeAliasRequest(db_name=context.database, alias=body.alias_name), messages.DescribeAliasResponse
    )
    return AliasShape(
        db_name=response.db_name or context.database or DEFAULT_DATABASE,
        alias_name=response.alias,
        collection_name=response.collection,
    )


_BOTH: Final = {"collection_name": "collection_name", "alias": "alias_name"}

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "aliases/list", OptionalCollectionNameReq, list[str], list_names, "List aliases, of one collection or all."
    ),
    Endpoint("aliases/describe", AliasReq, AliasShape, describe, "Return the collection of an alias."),
    rpc_endpoint("aliases/create", AliasCollectionReq, "CreateAlias", "Create an alias.", **_BOTH),
    rpc_endpoint("aliases/drop", AliasReq, "DropAlias", "Drop an alias.", alias="alias_name"),
    rpc_endpoint("aliases/alter", AliasCollectionReq, "AlterAlias", "Assign an alias to another collection.", **_BOTH),
)
