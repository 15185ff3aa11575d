"""Databases (contract 5.3)."""

from typing import Any, Final

import msgspec

from kiteward.transports.rest.asking import Pair, ask, change, pairs
from kiteward.transports.rest.endpoints import Body, Conversation, Endpoint, Name, Shape


class DatabaseReq(Body):
    """Names a database."""

    db_name: Name


class DatabasePropertiesReq(DatabaseReq):
    """Properties of a database."""

    properties: dict[str, Any] = {}


class DatabasePropertyKeysReq(DatabaseReq):
    """Names of properties of a database."""

    property_keys: list[str] = []


class DatabaseShape(Shape):
    """A database."""

    db_name: str
    db_id: int = msgspec.field(name="dbID")
    properties: list[Pair]


async def list_names(talk: Conversation, _body: Body) -> list[str]:
    """Answer `databases/list`: what the caller may see."""
    response = await ask(talk, "ListDatabases")
    return list(response.db_names)


async def describe(talk: Conversation, body: DatabaseReq) -> DatabaseShape:
    """Answer `databases/describe`."""
    response = await ask(talk, "DescribeDatabase", db_name=body.db_name)
    return DatabaseShape(
        db_name=response.db_name or body.db_name, db_id=response.dbID, properties=pairs(response.properties)
    )


_SET: Final = {"db_name": "db_name", "properties": "properties"}

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("databases/list", Body, list[str], list_names, "List the names of the databases the caller may see."),
    Endpoint("databases/describe", DatabaseReq, DatabaseShape, describe, "Describe a database."),
    change("databases/create", DatabasePropertiesReq, "CreateDatabase", "Create a database.", **_SET),
    change("databases/drop", DatabaseReq, "DropDatabase", "Drop a database.", db_name="db_name"),
    change("databases/alter", DatabasePropertiesReq, "AlterDatabase", "Set properties of a database.", **_SET),
    change(
        "databases/alter_properties", DatabasePropertiesReq, "AlterDatabase", "Set properties of a database.", **_SET
    ),
    change(
        "databases/drop_properties",
        DatabasePropertyKeysReq,
        "AlterDatabase",
        "Remove properties of a database.",
        db_name="db_name",
        delete_keys="property_keys",
    ),
)
