"""Requests about what belongs to collections: partitions, indexes, aliases and entities (contract 5.3)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.access.equivalence.collections import key_values, on_collection, row_count
from tests.access.equivalence.random_values import INDEXES, PARTITIONS, Draw
from tests.access.equivalence.request_pairs import Counterpart, Failed, GrpcClient, Pair, RpcCalls, answer_with, once

_NO_INDEX: Final = 700
_ROWS: Final = [{"id": 1, "vector": [0.1, 0.2]}, {"id": 2, "vector": [0.3, 0.4]}]
_COLUMNS: Final = [
    {"type": 5, "field_name": "id", "scalars": {"long_data": {"data": [1, 2]}}},
    {"type": 101, "field_name": "vector", "vectors": {"dim": 2, "float_vector": {"data": [0.1, 0.2, 0.3, 0.4]}}},
]


def _on_partition(operation: str, extract: Any = lambda _: {}) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, partition = draw.collection(), draw.of(PARTITIONS)
        rpc_calls = once(operation, extract, collection_name=name, partition_name=partition)
        body = {"collectionName": name, "partitionName": partition}
        return Pair(body, rpc_calls, tuple(body))

    return counterpart


def _on_partitions(operation: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, partitions = draw.collection(), draw.some(PARTITIONS)
        rpc_calls = once(operation, collection_name=name, partition_names=partitions)
        body = {"collectionName": name, "partitionNames": partitions}
        return Pair(body, rpc_calls, tuple(body))

    return counterpart


def _indexes_list(draw: Draw) -> Pair:
    name = draw.collection()

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        try:
            response = await client.call("DescribeIndex", collection_name=name)
        except Failed as failed:
            if failed.outcome.code == _NO_INDEX:
                return answer_with([])
            raise
        return answer_with([each.index_name for each in response.index_descriptions])

    return Pair({"collectionName": name}, call_rpcs)


def _on_index(operation: str, extract: Any = lambda _: {}) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, index = draw.collection(), draw.of(INDEXES)
        rpc_calls = once(operation, extract, collection_name=name, index_name=index)
        body = {"collectionName": name, "indexName": index}
        return Pair(body, rpc_calls, tuple(body))

    return counterpart


def _indexes_create(draw: Draw) -> Pair:
    name, indexes = draw.collection(), draw.some(INDEXES)

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        for index in indexes:
            await client.call("CreateIndex", collection_name=name, field_name="vector", index_name=index)
        return answer_with({})

    params = [{"fieldName": "vector", "indexName": index, "metricType": "L2"} for index in indexes]
    return Pair({"collectionName": name, "indexParams": params}, call_rpcs, ("collectionName", "indexParams"))


def _indexes_alter(draw: Draw) -> Pair:
    name, index, properties = draw.collection(), draw.of(INDEXES), draw.of(({}, {"mmap.enabled": "true"}))
    rpc_calls = once("AlterIndex", collection_name=name, index_name=index, extra_params=key_values(properties))
    body = {"collectionName": name, "indexName": index, "properties": properties}
    return Pair(body, rpc_calls, ("collectionName", "indexName"))


def _indexes_drop_properties(draw: Draw) -> Pair:
    name, index = draw.collection(), draw.of(INDEXES)
    rpc_calls = once("AlterIndex", collection_name=name, index_name=index, delete_keys=["mmap.enabled"])
    body = {"collectionName": name, "indexName": index, "propertyKeys": ["mmap.enabled"]}
    return Pair(body, rpc_calls, ("collectionName", "indexName"))


def _aliases_list(draw: Draw) -> Pair:
    given = {"collectionName": draw.collection()} if draw.chance(0.5) else draw.of(({}, {"collectionName": ""}))
    rpc_calls = once(
        "ListAliases", lambda response: list(response.aliases), collection_name=given.get("collectionName", "")
    )
    return Pair(given, rpc_calls, ())


def _aliases_describe(draw: Draw) -> Pair:
    alias = draw.alias()

    def extract(response: Any) -> Any:
        return {"dbName": response.db_name, "aliasName": response.alias, "collectionName": response.collection}

    return Pair({"aliasName": alias}, once("DescribeAlias", extract, alias=alias), ("aliasName",))


def _aliases_drop(draw: Draw) -> Pair:
    alias = draw.alias()
    return Pair({"aliasName": alias}, once("DropAlias", alias=alias), ("aliasName",))


def _alias_for(operation: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, alias = draw.collection(), draw.alias()
        body = {"collectionName": name, "aliasName": alias}
        return Pair(body, once(operation, collection_name=name, alias=alias), tuple(body))

    return counterpart


def _described_first(name: str, rpc_calls: RpcCalls) -> RpcCalls:
    """Return RPCs that first ask for the schema, as SDKs do where they do not know it."""

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        await client.call("DescribeCollection", collection_name=name)
        return await rpc_calls(client)

    return call_rpcs


def _in_partition(draw: Draw) -> tuple[dict[str, str], dict[str, str]]:
    partition = draw.of(PARTITIONS)
    return draw.of((({}, {}), ({"partitionName": partition}, {"partition_name": partition})))


def _in_partitions(draw: Draw) -> tuple[dict[str, Any], dict[str, Any]]:
    partitions = draw.some(PARTITIONS)
    return draw.of((({}, {}), ({"partitionNames": partitions}, {"partition_names": partitions})))


def _insert(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partition(draw)
    rpc_calls = once(
        "Insert",
        lambda response: {"insertCount": response.insert_cnt, "insertIds": list(response.IDs.int_id.data)},
        collection_name=name,
        fields_data=_COLUMNS,
        num_rows=2,
        **fields,
    )
    return _stored(name, body, rpc_calls)


def _upsert(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partition(draw)
    rpc_calls = once(
        "Upsert",
        lambda response: {"upsertCount": response.upsert_cnt, "upsertIds": list(response.IDs.int_id.data)},
        collection_name=name,
        fields_data=_COLUMNS,
        num_rows=2,
        **fields,
    )
    return _stored(name, body, rpc_calls)


def _stored(name: str, body: Mapping[str, str], rpc_calls: RpcCalls) -> Pair:
    whole = {"collectionName": name, "data": _ROWS, **body}
    return Pair(whole, _described_first(name, rpc_calls), ("collectionName", "data"))


def _delete(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partition(draw)
    rpc_calls = once(
        "Delete", lambda response: {"deleteCount": response.delete_cnt}, collection_name=name, expr="id > 0", **fields
    )
    return Pair({"collectionName": name, "filter": "id > 0", **body}, rpc_calls, ("collectionName", "filter"))


def _queried(name: str, fields: Mapping[str, Any], wanted: str = "id > 0") -> RpcCalls:
    def extract(response: Any) -> Any:
        return [{"id": number} for number in response.fields_data[0].scalars.long_data.data]

    return once("Query", extract, collection_name=name, expr=wanted, **fields)


def _query(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partitions(draw)
    return Pair({"collectionName": name, "filter": "id > 0", **body}, _queried(name, fields))


def _get(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partitions(draw)
    rpc_calls = _described_first(name, _queried(name, fields, "id in [1, 2]"))
    return Pair({"collectionName": name, "id": [1, 2], **body}, rpc_calls, ("collectionName", "id"))


def _hits(response: Any) -> Any:
    return [{"id": number} for number in response.results.ids.int_id.data]


def _search(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partitions(draw)
    rpc_calls = _described_first(name, once("Search", _hits, collection_name=name, nq=1, **fields))
    return Pair({"collectionName": name, "data": [[0.1, 0.2]], "annsField": "vector", **body}, rpc_calls)


def _hybrid_search(draw: Draw) -> Pair:
    name, (body, fields) = draw.collection(), _in_partitions(draw)
    inner = [{"collection_name": name, "nq": 1, "dsl": json.dumps({})}, {"nq": 1}]
    rpc_calls = once("HybridSearch", _hits, collection_name=name, requests=inner, **fields)
    searches = [{"data": [[0.1, 0.2]], "annsField": "vector"}, {"data": [[0.3, 0.4]]}]
    whole = {"collectionName": name, "search": searches, **body}
    return Pair(whole, _described_first(name, rpc_calls), ("collectionName", "search"))


def _names(response: Any) -> list[str]:
    return list(response.partition_names)


def _index(response: Any) -> Any:
    return [{"indexName": each.index_name, "fieldName": each.field_name} for each in response.index_descriptions]


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "partitions/list": on_collection("ShowPartitions", _names),
    "partitions/has": _on_partition("HasPartition", lambda response: {"has": response.value}),
    "partitions/get_stats": _on_partition("GetPartitionStatistics", row_count),
    "partitions/create": _on_partition("CreatePartition"),
    "partitions/drop": _on_partition("DropPartition"),
    "partitions/load": _on_partitions("LoadPartitions"),
    "partitions/release": _on_partitions("ReleasePartitions"),
    "indexes/list": _indexes_list,
    "indexes/describe": _on_index("DescribeIndex", _index),
    "indexes/create": _indexes_create,
    "indexes/drop": _on_index("DropIndex"),
    "indexes/alter_properties": _indexes_alter,
    "indexes/drop_properties": _indexes_drop_properties,
    "aliases/list": _aliases_list,
    "aliases/describe": _aliases_describe,
    "aliases/create": _alias_for("CreateAlias"),
    "aliases/drop": _aliases_drop,
    "aliases/alter": _alias_for("AlterAlias"),
    "entities/insert": _insert,
    "entities/upsert": _upsert,
    "entities/delete": _delete,
    "entities/query": _query,
    "entities/get": _get,
    "entities/search": _search,
    "entities/hybrid_search": _hybrid_search,
    "entities/advanced_search": _hybrid_search,
}
