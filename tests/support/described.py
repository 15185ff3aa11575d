"""Descriptions of collections, as an engine returns them."""

from typing import Any

from kiteward.milvus import messages

_TYPES: Any = messages.schema_pb2.DataType


def described(name: str = "docs", *, database: str = "default", **fields: str) -> bytes:
    """Return the response of DescribeCollection.

    Args:
        name: the collection.
        database: its database.
        fields: name -> type of each field besides the primary key `id`: `VarChar`; `Array VarChar` for an array; with a
            `?` at the end for a nullable field.
    """
    response = messages.DescribeCollectionResponse(
        status=messages.Status(), collection_name=name, db_name=database, collectionID=1
    )
    response.schema.fields.add(name="id", data_type=_TYPES.Int64, is_primary_key=True)
    for field, spelled in fields.items():
        kind, _, element = spelled.rstrip("?").partition(" ")
        response.schema.fields.add(
            name=field,
            data_type=_TYPES.Value(kind),
            element_type=_TYPES.Value(element) if element else 0,
            nullable=spelled.endswith("?"),
        )
    return bytes(response.SerializeToString())
