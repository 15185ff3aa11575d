"""Requests about collections and databases (contract 5.3)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pymilvus.grpc_gen import schema_pb2
from tests.access.equivalence.random_values import EMPTY_DATABASE, Draw
from tests.access.equivalence.request_pairs import (
    REFUSED,
    Counterpart,
    Failed,
    GrpcClient,
    Outcome,
    Pair,
    RpcCalls,
    answer_with,
    once,
    unless_refused,
)

_PROPERTIES: Final[Sequence[dict[str, str]]] = (
    {},
    {"collection.ttl.seconds": "60"},
    {"mmap.enabled": "true", "k": "v"},
)
_FUNCTION: Final = {"name": "f", "type": "BM25", "inputFieldNames": ["text"], "outputFieldNames": ["sparse"]}
_FUNCTION_MESSAGE: Final = {"name": "f", "type": 1, "input_field_names": ["text"], "output_field_names": ["sparse"]}
_NOT_EXISTING, _NOT_LOADED, _LOADED = 0, 1, 3
_COLLECTION_NOT_FOUND: Final = 100


def key_values(given: Mapping[str, str]) -> list[dict[str, str]]:
    """Return properties as messages carry them."""
    return [{"key": key, "value": value} for key, value in given.items()]


def on_collection(
    operation: str,
    extract: Callable[[Any], Any] = lambda _: {},
    /,
    *,
    body: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Counterpart:
    """Return the counterpart of an endpoint with one call about a collection, and fixed fields besides."""

    def counterpart(draw: Draw) -> Pair:
        name = draw.collection()
        rpc_calls = once(operation, extract, collection_name=name, **fields)
        return Pair({"collectionName": name, **(body or {})}, rpc_calls, ("collectionName", *(body or {})))

    return counterpart


def row_count(response: Any) -> dict[str, int]:
    """Return the answer to a question for statistics."""
    return {"rowCount": next(int(each.value) for each in response.stats if each.key == "row_count")}


def _describe(draw: Draw) -> Pair:
    name = draw.collection()

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        described = await client.call("DescribeCollection", collection_name=name)
        state = await unless_refused(client.call("GetLoadState", collection_name=name))
        indexes = await unless_refused(client.call("DescribeIndex", collection_name=name))
        aliases = await unless_refused(client.call("ListAliases", collection_name=name))
        return answer_with(
            {
                "collectionName": described.collection_name,
                "load": {None: "", _LOADED: "LoadStateLoaded"}[state and state.state],
                "indexes": [{"indexName": each.index_name} for each in indexes.index_descriptions] if indexes else [],
                "aliases": list(aliases.aliases) if aliases else [],
                "fields": [{"name": each.name} for each in described.schema.fields],
            }
        )

    return Pair({"collectionName": name}, call_rpcs)


def _get_load_state(draw: Draw) -> Pair:
    name, partitions = draw.collection(), draw.of(({}, {"partitionNames": ["p1"]}))
    fields = {"collection_name": name, "partition_names": partitions.get("partitionNames", [])}

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        state = (await client.call("GetLoadState", **fields)).state
        if state == _NOT_EXISTING:
            raise Failed(Outcome(REFUSED, _COLLECTION_NOT_FOUND))
        if state == _NOT_LOADED:
            return answer_with({"loadState": "LoadStateNotLoad"})
        progress = (await client.call("GetLoadingProgress", **fields)).progress
        return answer_with({"loadState": "LoadStateLoaded", "loadProgress": progress})

    return Pair({"collectionName": name, **partitions}, call_rpcs)


def _create(draw: Draw) -> Pair:
    name = draw.new_collection()
    indexed = draw.chance(0.7)
    quick = indexed and draw.chance(0.6)
    if quick:
        body: dict[str, Any] = {"collectionName": name, "dimension": 2}
    else:
        fields = [
            {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
            {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": 2}},
        ]
        body = {"collectionName": name, "schema": {"fields": fields}}
    if indexed and not quick:
        body["indexParams"] = [{"fieldName": "vector", "indexName": "vector"}]
    return Pair(body, _creation(name, indexed=indexed))


def _creation(name: str, *, indexed: bool) -> RpcCalls:
    schema = schema_pb2.CollectionSchema(name=name)
    schema.fields.add(name="id", data_type=schema_pb2.Int64, is_primary_key=True)
    schema.fields.add(name="vector", data_type=schema_pb2.FloatVector)

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        await client.call("CreateCollection", collection_name=name, schema=schema.SerializeToString())
        if indexed:
            await client.call("CreateIndex", collection_name=name, field_name="vector", index_name="vector")
            await client.call("LoadCollection", collection_name=name)
        return answer_with({})

    return call_rpcs


def _rename(draw: Draw) -> Pair:
    name, new = draw.collection(), draw.new_collection()
    target = draw.of(({}, {}, {"newDbName": draw.database_name()}))
    rpc_calls = once("RenameCollection", oldName=name, newName=new, newDBName=target.get("newDbName", ""))
    body = {"collectionName": name, "newCollectionName": new, **target}
    return Pair(body, rpc_calls, ("collectionName", "newCollectionName"))


def _alter_properties(draw: Draw) -> Pair:
    name, properties = draw.collection(), draw.of(_PROPERTIES)
    rpc_calls = once("AlterCollection", collection_name=name, properties=key_values(properties))
    return Pair({"collectionName": name, "properties": properties}, rpc_calls)


def _drop_properties(draw: Draw) -> Pair:
    name, keys = draw.collection(), list(draw.of(_PROPERTIES))
    rpc_calls = once("AlterCollection", collection_name=name, delete_keys=keys)
    return Pair({"collectionName": name, "propertyKeys": keys}, rpc_calls)


def _flush(draw: Draw) -> Pair:
    name = draw.collection()
    return Pair({"collectionName": name}, once("Flush", collection_names=[name]))


def _compact(draw: Draw) -> Pair:
    name, clustering = draw.collection(), draw.chance(0.5)
    rpc_calls = once(
        "ManualCompaction",
        lambda response: {"compactionID": response.compactionID},
        collection_name=name,
        majorCompaction=clustering,
    )
    return Pair({"collectionName": name, "isClustering": clustering}, rpc_calls)


def _get_compaction_state(draw: Draw) -> Pair:
    number = draw.number() if draw.chance(0.8) else 0
    rpc_calls = once(
        "GetCompactionState",
        lambda response: {"compactionID": number, "completedPlanNumber": response.completedPlanNo},
        compactionID=number,
    )
    return Pair({"jobID": number}, rpc_calls)


def _add_function_field(draw: Draw) -> Pair:
    name = draw.collection()
    field = {"fieldName": "sparse", "dataType": "SparseFloatVector"}
    addition = {
        "func_schema": [_FUNCTION_MESSAGE],
        "field_infos": [{"field_schema": {"name": "sparse", "data_type": 104, "is_function_output": True}}],
    }
    rpc_calls = once("AlterCollectionSchema", collection_name=name, action={"add_request": addition})
    return Pair({"collectionName": name, "function": _FUNCTION, "field": field}, rpc_calls)


def _drop_function_field(draw: Draw) -> Pair:
    name = draw.collection()
    removal = {"function_name": "f", "drop_function_output_fields": True}
    rpc_calls = once("AlterCollectionSchema", collection_name=name, action={"drop_request": removal})
    return Pair({"collectionName": name, "functionName": "f"}, rpc_calls, ("collectionName", "functionName"))


def _field(name: str) -> tuple[dict[str, Any], Any]:
    message = schema_pb2.FieldSchema(name=name, data_type=schema_pb2.Int64, nullable=True)
    return {"fieldName": name, "dataType": "Int64", "nullable": True}, message


def _fields_add(draw: Draw) -> Pair:
    name, (field, message) = draw.collection(), _field("added")
    rpc_calls = once("AddCollectionField", collection_name=name, schema=message.SerializeToString())
    return Pair({"collectionName": name, "schema": field}, rpc_calls)


def _struct_fields_add(draw: Draw) -> Pair:
    name, (field, message) = draw.collection(), _field("inner")
    schema = schema_pb2.StructArrayFieldSchema(name="added", fields=[message])
    rpc_calls = once("AddCollectionStructField", collection_name=name, struct_array_field_schema=schema)
    return Pair({"collectionName": name, "schema": {"fieldName": "added", "fields": [field]}}, rpc_calls)


def _fields_alter(draw: Draw) -> Pair:
    name, params = draw.collection(), draw.of(({}, {"max_length": 7}))
    rpc_calls = once(
        "AlterCollectionField",
        collection_name=name,
        field_name="text",
        properties=key_values({key: json.dumps(value) for key, value in params.items()}),
    )
    body = {"collectionName": name, "fieldName": "text", "fieldParams": params}
    return Pair(body, rpc_calls, ("collectionName", "fieldName"))


def _databases_list(_: Draw) -> Pair:
    return Pair({}, once("ListDatabases", lambda response: list(response.db_names)))


def _on_database(operation: str, extract: Callable[[Any], Any] = lambda _: {}, /) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name = draw.of((draw.database_name(), EMPTY_DATABASE, "db3"))
        return Pair({}, once(operation, extract, db_name=name), ("dbName",), names_database=name)

    return counterpart


def _databases_describe(draw: Draw) -> Pair:
    name = draw.database_name()
    rpc_calls = once("DescribeDatabase", lambda response: {"dbName": name, "dbID": response.dbID}, db_name=name)
    return Pair({}, rpc_calls, ("dbName",), names_database=name)


def _database_properties(operation: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, properties = draw.of((draw.database_name(), "db3")), draw.of(_PROPERTIES)
        rpc_calls = once(operation, db_name=name, properties=key_values(properties))
        return Pair({"properties": properties}, rpc_calls, ("dbName",), names_database=name)

    return counterpart


def _databases_drop_properties(draw: Draw) -> Pair:
    name, keys = draw.database_name(), list(draw.of(_PROPERTIES))
    rpc_calls = once("AlterDatabase", db_name=name, delete_keys=keys)
    return Pair({"propertyKeys": keys}, rpc_calls, ("dbName",), names_database=name)


def _names(attribute: str) -> Callable[[Any], Sequence[str]]:
    return lambda response: list(getattr(response, attribute))


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "collections/list": lambda _: Pair({}, once("ShowCollections", _names("collection_names"))),
    "collections/has": on_collection("HasCollection", lambda response: {"has": response.value}),
    "collections/describe": _describe,
    "collections/get_stats": on_collection("GetCollectionStatistics", row_count),
    "collections/get_load_state": _get_load_state,
    "collections/create": _create,
    "collections/drop": on_collection("DropCollection"),
    "collections/truncate": on_collection("TruncateCollection"),
    "collections/load": on_collection("LoadCollection"),
    "collections/refresh_load": on_collection("LoadCollection", refresh=True),
    "collections/release": on_collection("ReleaseCollection"),
    "collections/flush": _flush,
    "collections/rename": _rename,
    "collections/alter_properties": _alter_properties,
    "collections/drop_properties": _drop_properties,
    "collections/compact": _compact,
    "collections/get_compaction_state": _get_compaction_state,
    "collections/add_function": on_collection(
        "AddCollectionFunction", body={"function": _FUNCTION}, functionSchema=_FUNCTION_MESSAGE
    ),
    "collections/alter_function": on_collection(
        "AlterCollectionFunction", body={"function": _FUNCTION}, function_name="f", functionSchema=_FUNCTION_MESSAGE
    ),
    "collections/drop_function": on_collection("DropCollectionFunction", body={"functionName": "f"}, function_name="f"),
    "collections/add_function_field": _add_function_field,
    "collections/drop_function_field": _drop_function_field,
    "collections/fields/alter_properties": _fields_alter,
    "collections/fields/add": _fields_add,
    "collections/struct_fields/add": _struct_fields_add,
    "databases/list": _databases_list,
    "databases/describe": _databases_describe,
    "databases/create": _database_properties("CreateDatabase"),
    "databases/drop": _on_database("DropDatabase"),
    "databases/alter": _database_properties("AlterDatabase"),
    "databases/alter_properties": _database_properties("AlterDatabase"),
    "databases/drop_properties": _databases_drop_properties,
}
