"""Creating a collection from a complete schema, or with a quick setup from a dimension (contract 5.3)."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kiteward.api.rest.consistency import consistency_level
from kiteward.api.rest.endpoints import NOTHING, Endpoint, Nothing, RequestContext
from kiteward.api.rest.indexes import IndexParam, index_message
from kiteward.api.rest.rpc import CollectionNameReq, Int32, key_values, text_of
from kiteward.api.rest.schemas import FieldReq, SchemaReq, schema_message
from kiteward.api.rest.status import FIELD_MISSING, INVALID_PARAMETER, RestFailure
from kiteward.gateway.new_collections import create_collection
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2


class CollectionReq(CollectionNameReq):
    """A collection to create: from `schema`, or without one from `dimension` and defaults."""

    dimension: Int32 = 0
    id_type: str = "Int64"
    auto_id: bool = msgspec.field(default=False, name="autoID")
    metric_type: str = ""
    primary_field_name: str = "id"
    vector_field_name: str = "vector"
    vector_field_type: str = "FloatVector"
    schema: SchemaReq = SchemaReq()
    index_params: list[IndexParam] = []
    params: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    consistency_level: str = ""
    description: str = ""


async def create(context: RequestContext, body: CollectionReq) -> Nothing:
    """Answer `collections/create`: create the collection and its indexes, and load it if it has any."""
    if body.schema.fields:
        _require_no_quick_setup(body)
    schema, indexes = (body.schema, body.index_params) if body.schema.fields else _quick(body)
    message = schema_message(body.collection_name, schema, description=body.description)
    known = {field.field_name for field in schema.fields} | {field.field_name for field in schema.struct_fields}
    _require_known(indexes, known)
    request = messages.CreateCollectionRequest(
        db_name=context.database,
        collection_name=body.collection_name,
        schema=message.SerializeToString(),
        consistency_level=_consistency(body),
        shards_num=_count(body, "shardsNum"),
        num_partitions=_count(body, "partitionsNum"),
        properties=key_values(
            body.properties | {key: body.params[name] for name, key in _PROPERTIES.items() if name in body.params}
        ),
    )
    made = [index_message(context, body.collection_name, index) for index in indexes]
    await create_collection(context.call, request, made, load=bool(indexes))
    return NOTHING


def _consistency(body: CollectionReq) -> common_pb2.ConsistencyLevel.ValueType:
    level = consistency_level(body.consistency_level or _parameter(body, "consistencyLevel"))
    return common_pb2.ConsistencyLevel.Bounded if level is None else level


_PROPERTIES: Final = {
    "ttlSeconds": "collection.ttl.seconds",
    "partitionKeyIsolation": "partitionkey.isolation",
    "mmap.enabled": "mmap.enabled",
}
"""REST parameter -> the property of the collection that it sets."""

_KEY_TYPES: Final = {"": "Int64", "Int64": "Int64", "int64": "Int64", "VarChar": "VarChar", "Varchar": "VarChar"}


_METRICS: Final = {
    "FloatVector": "COSINE",
    "Float16Vector": "COSINE",
    "BFloat16Vector": "COSINE",
    "Int8Vector": "COSINE",
    "BinaryVector": "HAMMING",
    "SparseFloatVector": "IP",
}
"""Types of the vector field of a quick setup -> the default metric."""

_WITHOUT_DIMENSION: Final = "SparseFloatVector"


def _quick(body: CollectionReq) -> tuple[SchemaReq, Sequence[IndexParam]]:
    """Return the schema and index of a quick setup.

    Raises:
        RestFailure: the dimension is missing, the type of the primary key is neither Int64 nor VarChar, or the type of
            the vector field is not a vector type.
    """
    if body.schema.functions or body.schema.struct_fields:
        raise RestFailure(INVALID_PARAMETER, "a schema with functions or struct fields needs fields: invalid parameter")
    vector_type = body.vector_field_type or "FloatVector"
    if vector_type not in _METRICS:
        text = f"vectorFieldType can only be [{', '.join(_METRICS)}], default: FloatVector: invalid parameter"
        raise RestFailure(INVALID_PARAMETER, text)
    if body.dimension <= 0 and vector_type != _WITHOUT_DIMENSION:
        raise RestFailure(
            INVALID_PARAMETER,
            "dimension is required for quickly create collection(default metric type: COSINE): invalid parameter",
        )
    if body.id_type not in _KEY_TYPES:
        raise RestFailure(INVALID_PARAMETER, "idType can only be [Int64, VarChar], default: Int64: invalid parameter")
    vector = FieldReq(
        field_name=body.vector_field_name or "vector",
        data_type=vector_type,
        element_type_params={} if vector_type == _WITHOUT_DIMENSION else {"dim": body.dimension},
    )
    dynamic = text_of(body.params.get("enableDynamicField", True)).lower() == "true"
    index = IndexParam(
        field_name=vector.field_name,
        index_name=vector.field_name,
        index_type="AUTOINDEX",
        metric_type=body.metric_type or _METRICS[vector_type],
    )
    return SchemaReq(fields=[_quick_key(body), vector], enable_dynamic_field=dynamic), [index]


_QUICK: Final = (
    ("dimension", "dimension", 0),
    ("id_type", "idType", "Int64"),
    ("auto_id", "autoID", False),
    ("metric_type", "metricType", ""),
    ("primary_field_name", "primaryFieldName", "id"),
    ("vector_field_name", "vectorFieldName", "vector"),
    ("vector_field_type", "vectorFieldType", "FloatVector"),
)
"""What a quick setup is described by: attribute, name in the body, default."""


def _require_no_quick_setup(body: CollectionReq) -> None:
    """Refuse a complete schema together with what describes a quick setup, which would be ignored.

    Raises:
        RestFailure: the error names the field.
    """
    for attribute, name, default in _QUICK:
        if getattr(body, attribute) not in (default, ""):
            raise RestFailure(
                INVALID_PARAMETER, f"{name} describes a quick setup; with a schema, leave it out: invalid parameter"
            )


def _quick_key(body: CollectionReq) -> FieldReq:
    """Return the primary key of a quick setup, whose type has been checked."""
    key_type = _KEY_TYPES[body.id_type]
    length = {"max_length": body.params["max_length"]} if "max_length" in body.params else {}
    return FieldReq(
        field_name=body.primary_field_name or "id",
        data_type=key_type,
        is_primary=True,
        auto_id=body.auto_id or body.schema.auto_id,
        element_type_params=length if key_type == "VarChar" else {},
    )


def _require_known(indexes: Sequence[IndexParam], fields: set[str]) -> None:
    """Check that all indexes are on fields of the schema, before anything is created.

    Raises:
        RestFailure: an index names another field.
    """
    for index in indexes:
        if index.field_name.partition("[")[0] not in fields:
            raise RestFailure(
                FIELD_MISSING,
                f"missing required parameters, error: `{index.field_name}` hasn't defined in schema",
            )


def _parameter(body: CollectionReq, name: str) -> str:
    return text_of(body.params[name]) if name in body.params else ""


_INT32: Final = 2**31 - 1


def _count(body: CollectionReq, name: str) -> int:
    """Return a number among the parameters, 0 if it is not given.

    Raises:
        RestFailure: it is not a valid number of partitions or shards.
    """
    text = _parameter(body, name)
    if not text:
        return 0
    if not text.isdecimal() or not text.isascii() or int(text[:11]) > _INT32:
        raise RestFailure(INVALID_PARAMETER, f"{name} must be a whole number up to {_INT32}: invalid parameter")
    return int(text)


ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "collections/create",
        CollectionReq,
        Nothing,
        create,
        "Create a collection; with an index, or in a quick setup, it is also loaded.",
        large="CreateCollection",
    ),
)
