"""`kiteward collections`: which collections there are, what they are, and who may access them."""

from typing import Any, Final

from kiteward.cli.access import everybody, listed
from kiteward.cli.commands import Command, add_group
from kiteward.cli.connection import Connection
from kiteward.cli.output import note, table, text_of
from kiteward.domain.errors import KitewardError, NotFound

_DESCRIBE: Final = "vectordb/collections/describe"
_ACCESS: Final = "kiteward/access/collection"

_SHAPE: Final = (
    "collectionName",
    "description",
    "load",
    "shardsNum",
    "partitionsNum",
    "consistencyLevel",
    "enableDynamicField",
    "aliases",
)


async def _describe(connection: Connection, request: dict[str, Any]) -> Any:
    access = await everybody(connection, request)
    if access["exists"] is False:
        raise NotFound(f"collection not found: {access['dbName']}.{access['collectionName']}")
    try:
        schema = await connection.ask(_DESCRIBE, request)
    except KitewardError as error:
        # The store of a machine knows who may access it, and only the engine what it is.
        note(f"kiteward: only who may access the collection is known here, and not what it holds: {error}")
        schema = None
    return {"schema": schema, "access": access}


def _described(answer: Any) -> str:
    lines = []
    if answer["schema"] is not None:
        lines += [text_of({name: answer["schema"][name] for name in _SHAPE}), "fields:"]
        lines.append(table([_field(each) for each in answer["schema"]["fields"]]))
        if answer["schema"]["indexes"]:
            lines += ["indexes:", table(answer["schema"]["indexes"])]
    return "\n".join([*lines, "access:", *listed(answer["access"])])


def _field(field: Any) -> Any:
    parameters = {each["key"]: each["value"] for each in field.get("params") or ()}
    return {
        "field": field["name"],
        "type": field["type"],
        "parameters": parameters or None,
        "primaryKey": field.get("primaryKey", False),
        "nullable": field.get("nullable", False),
    }


COLLECTIONS: Final = (
    Command(
        "list",
        "vectordb/collections/list",
        "list the collections of a database",
        options=("dbName",),
        lists="*",
    ),
    Command(
        "describe",
        _DESCRIBE,
        "describe a collection: its schema on a server, and who may access it",
        names=("collectionName",),
        options=("dbName",),
        work=_describe,
        also=(_ACCESS,),
        text=_described,
    ),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    add_group(commands, "collections", COLLECTIONS, "list and describe collections, with who may access them")
