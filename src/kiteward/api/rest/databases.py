"""Databases (contract 5.3)."""

from typing import Any, Final

import msgspec

from kiteward.api.rest.endpoints import Body, Endpoint, Name, RequestContext, ResponseData
from kiteward.api.rest.rpc import Pair, pairs, rpc_endpoint
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2


class DatabaseReq(Body):
    """The name of a database."""

    db_name: Name


class DatabasePropertiesReq(DatabaseReq):
    """Properties of a database."""

    properties: dict[str, Any] = {}


class DatabasePropertyKeysReq(DatabaseReq):
    """Names of properties of a database."""

    property_keys: list[str] = []


class DatabaseShape(ResponseData):
    """A database."""

    db_name: str
    db_id: int = msgspec.field(name="dbID")
    properties: list[Pair]


async def list_names(context: RequestContext, _body: Body) -> list[str]:
    """Answer `databases/list`: the databases that the caller may see."""
    response = await context.call(messages.ListDatabasesRequest(), messages.ListDatabasesResponse)
    return list(response.db_names)


async def describe(context: RequestContext, body: DatabaseReq) -> DatabaseShape:
    """Answer `databases/describe`."""
    response = await context.call(
        milvus_pb2.DescribeDatabaseRequest(db_name=body.db_name), milvus_pb2.DescribeDatabaseResponse
    )
    return DatabaseShape(
        db_name=response.db_name or body.db_name, db_id=response.dbID, properties=pairs(response.properties)
    )


_SET: Final = {"db_name": "db_name", "properties": "properties"}

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("databases/list", Body, list[str], list_names, "List the names of the databases the caller may see."),
    Endpoint("databases/describe", DatabaseReq, DatabaseShape, describe, "Describe a database."),
    rpc_endpoint("databases/create", DatabasePropertiesReq, "CreateDatabase", "Create a database.", **_SET),
    rpc_endpoint("databases/drop", DatabaseReq, "DropDatabase", "Drop a database.", db_name="db_name"),
    rpc_endpoint("databases/alter", DatabasePropertiesReq, "AlterDatabase", "Set properties of a database.", **_SET),
    rpc_endpoint(
        "databases/alter_properties", DatabasePropertiesReq, "AlterDatabase", "Set properties of a database.", **_SET
    ),
    rpc_endpoint(
        "databases/drop_properties",
        DatabasePropertyKeysReq,
        "AlterDatabase",
        "Remove properties of a database.",
        db_name="db_name",
        delete_keys="property_keys",
    ),
)
