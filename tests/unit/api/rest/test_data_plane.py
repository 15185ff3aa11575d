"""Endpoints of the data plane in front of an engine that only tells what it was asked."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.engine import EngineCall, FakeEngine
from tests.support.gateway import GatewayHarness
from tests.support.listeners import until
from tests.support.rest import Rest

from kiteward.api.rest import (
    aliases,
    alter_collection,
    cluster,
    collections,
    create_collection,
    databases,
    entities,
    indexes,
    jobs,
    partitions,
    searches,
)
from kiteward.domain.errors import EngineLacksOperation
from kiteward.milvus import messages

ENDPOINTS = [
    endpoint
    for module in (
        aliases,
        alter_collection,
        cluster,
        collections,
        create_collection,
        databases,
        entities,
        indexes,
        jobs,
        partitions,
        searches,
    )
    for endpoint in module.ENDPOINTS
]

SCHEMA: Any = {
    "fields": [
        {"name": "id", "data_type": 5, "is_primary_key": True},
        {"name": "vector", "data_type": 101, "type_params": [{"key": "dim", "value": "2"}]},
        {"name": "other", "data_type": 104},
    ],
    "enable_dynamic_field": True,
}

C = {"collectionName": "books"}
FUNCTION = {"name": "f", "type": "BM25", "inputFieldNames": ["a"], "outputFieldNames": ["b"], "params": {"k": 1}}
PAIR = [{"key": "k", "value": "1"}]
SENT: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("collections/list", {}, "ShowCollections", {}),
    ("collections/has", C, "HasCollection", {"collection_name": "books"}),
    ("collections/get_stats", C, "GetCollectionStatistics", {"collection_name": "books"}),
    ("collections/drop", {"collectionName": "maps"}, "DropCollection", {"collection_name": "maps"}),
    ("collections/truncate", C, "TruncateCollection", {"collection_name": "books"}),
    ("collections/load", C, "LoadCollection", {"collection_name": "books"}),
    ("collections/refresh_load", C, "LoadCollection", {"collection_name": "books", "refresh": True}),
    ("collections/release", C, "ReleaseCollection", {"collection_name": "books"}),
    ("collections/flush", C, "Flush", {"collection_names": ["books"]}),
    (
        "collections/rename",
        C | {"newCollectionName": "new", "newDbName": "shelf"},
        "RenameCollection",
        {"oldName": "books", "newName": "new", "newDBName": "shelf"},
    ),
    (
        "collections/alter_properties",
        C | {"properties": {"a": 1, "b": True, "c": "text", "d": {"e": 1.5}}},
        "AlterCollection",
        {
            "collection_name": "books",
            "properties": [
                {"key": "a", "value": "1"},
                {"key": "b", "value": "true"},
                {"key": "c", "value": "text"},
                {"key": "d", "value": '{"e":1.5}'},
            ],
        },
    ),
    (
        "collections/drop_properties",
        C | {"propertyKeys": ["a"]},
        "AlterCollection",
        {"collection_name": "books", "delete_keys": ["a"]},
    ),
    (
        "collections/compact",
        C | {"isClustering": True},
        "ManualCompaction",
        {"collection_name": "books", "majorCompaction": True},
    ),
    ("collections/get_compaction_state", {"jobID": 7}, "GetCompactionState", {"compactionID": 7}),
    (
        "collections/add_function",
        C | {"function": FUNCTION},
        "AddCollectionFunction",
        {
            "collection_name": "books",
            "functionSchema": {
                "name": "f",
                "type": 1,
                "input_field_names": ["a"],
                "output_field_names": ["b"],
                "params": PAIR,
            },
        },
    ),
    (
        "collections/alter_function",
        C | {"functionName": "g", "function": {"name": "f", "type": "Rerank"}},
        "AlterCollectionFunction",
        {"collection_name": "books", "function_name": "g", "functionSchema": {"name": "f", "type": 3}},
    ),
    (
        "collections/drop_function",
        C | {"functionName": "f"},
        "DropCollectionFunction",
        {"collection_name": "books", "function_name": "f"},
    ),
    (
        "collections/add_function_field",
        C | {"function": {"name": "f", "type": "BM25"}, "field": {"fieldName": "s", "dataType": "SparseFloatVector"}},
        "AlterCollectionSchema",
        {
            "collection_name": "books",
            "action": {
                "add_request": {
                    "func_schema": [{"name": "f", "type": 1}],
                    "field_infos": [{"field_schema": {"name": "s", "data_type": 104, "is_function_output": True}}],
                }
            },
        },
    ),
    (
        "collections/drop_function_field",
        C | {"functionName": "f"},
        "AlterCollectionSchema",
        {
            "collection_name": "books",
            "action": {"drop_request": {"function_name": "f", "drop_function_output_fields": True}},
        },
    ),
    (
        "collections/fields/alter_properties",
        C | {"fieldName": "a", "fieldParams": {"k": 1}},
        "AlterCollectionField",
        {"collection_name": "books", "field_name": "a", "properties": PAIR},
    ),
    (
        "collections/struct_fields/add",
        C
        | {
            "schema": {"fieldName": "s", "fields": [{"fieldName": "n", "dataType": "Array", "elementDataType": "Int8"}]}
        },
        "AddCollectionStructField",
        {
            "collection_name": "books",
            "struct_array_field_schema": {"name": "s", "fields": [{"name": "n", "data_type": 22, "element_type": 2}]},
        },
    ),
    ("databases/list", {}, "ListDatabases", {}),
    (
        "databases/create",
        {"dbName": "new", "properties": {"k": 1}},
        "CreateDatabase",
        {"db_name": "new", "properties": PAIR},
    ),
    ("databases/drop", {"dbName": "shelf"}, "DropDatabase", {"db_name": "shelf"}),
    (
        "databases/alter",
        {"dbName": "shelf", "properties": {"k": 1}},
        "AlterDatabase",
        {"db_name": "shelf", "properties": PAIR},
    ),
    (
        "databases/alter_properties",
        {"dbName": "shelf", "properties": {"k": 1}},
        "AlterDatabase",
        {"db_name": "shelf", "properties": PAIR},
    ),
    (
        "databases/drop_properties",
        {"dbName": "shelf", "propertyKeys": ["k"]},
        "AlterDatabase",
        {"db_name": "shelf", "delete_keys": ["k"]},
    ),
    ("databases/describe", {"dbName": "shelf"}, "DescribeDatabase", {"db_name": "shelf"}),
    ("partitions/list", C, "ShowPartitions", {"collection_name": "books"}),
    *(
        (
            f"partitions/{action}",
            C | {"partitionName": "p"},
            operation,
            {"collection_name": "books", "partition_name": "p"},
        )
        for action, operation in {
            "has": "HasPartition",
            "get_stats": "GetPartitionStatistics",
            "create": "CreatePartition",
            "drop": "DropPartition",
        }.items()
    ),
    *(
        (
            f"partitions/{action}",
            C | {"partitionNames": ["p", "q"]},
            operation,
            {"collection_name": "books", "partition_names": ["p", "q"]},
        )
        for action, operation in {"load": "LoadPartitions", "release": "ReleasePartitions"}.items()
    ),
    ("indexes/list", C, "DescribeIndex", {"collection_name": "books"}),
    ("indexes/describe", C | {"indexName": "i"}, "DescribeIndex", {"collection_name": "books", "index_name": "i"}),
    (
        "indexes/create",
        C
        | {
            "indexParams": [
                {"fieldName": "v", "indexName": "i", "indexType": "HNSW", "metricType": "L2", "params": {"M": 8}}
            ]
        },
        "CreateIndex",
        {
            "collection_name": "books",
            "field_name": "v",
            "index_name": "i",
            "extra_params": [
                {"key": "index_type", "value": "HNSW"},
                {"key": "metric_type", "value": "L2"},
                {"key": "params", "value": '{"M":8}'},
            ],
        },
    ),
    ("indexes/drop", C | {"indexName": "i"}, "DropIndex", {"collection_name": "books", "index_name": "i"}),
    (
        "indexes/alter_properties",
        C | {"indexName": "i", "properties": {"k": 1}},
        "AlterIndex",
        {"collection_name": "books", "index_name": "i", "extra_params": PAIR},
    ),
    (
        "indexes/drop_properties",
        C | {"indexName": "i", "propertyKeys": ["k"]},
        "AlterIndex",
        {"collection_name": "books", "index_name": "i", "delete_keys": ["k"]},
    ),
    ("aliases/list", {}, "ListAliases", {}),
    ("aliases/describe", {"aliasName": "novels"}, "DescribeAlias", {"alias": "novels"}),
    ("aliases/create", C | {"aliasName": "a"}, "CreateAlias", {"collection_name": "books", "alias": "a"}),
    ("aliases/alter", C | {"aliasName": "novels"}, "AlterAlias", {"collection_name": "books", "alias": "novels"}),
    ("aliases/drop", {"aliasName": "novels"}, "DropAlias", {"alias": "novels"}),
    ("jobs/snapshot/describe", {"jobId": "12"}, "GetRestoreSnapshotState", {"job_id": 12}),
    ("jobs/snapshot/list", C, "ListRestoreSnapshotJobs", {"collection_name": "books"}),
    (
        "jobs/external_collection/refresh",
        C,
        "RefreshExternalCollection",
        {"collection_name": "books"},
    ),
    ("jobs/external_collection/describe", {"jobId": 12}, "GetRefreshExternalCollectionProgress", {"job_id": 12}),
    ("jobs/external_collection/list", C, "ListRefreshExternalCollectionJobs", {"collection_name": "books"}),
    (
        "resource_groups/create",
        {"name": "g", "config": {"requests": {"node_num": 1}, "node_filter": {"node_labels": {"k": "1"}}}},
        "CreateResourceGroup",
        {
            "resource_group": "g",
            "config": {"requests": {"node_num": 1}, "limits": {"node_num": 0}, "node_filter": {"node_labels": PAIR}},
        },
    ),
    ("resource_groups/drop", {"name": "g"}, "DropResourceGroup", {"resource_group": "g"}),
    ("resource_groups/describe", {"name": "g"}, "DescribeResourceGroup", {"resource_group": "g"}),
    ("resource_groups/list", {}, "ListResourceGroups", {}),
    (
        "resource_groups/transfer_replica",
        C | {"sourceRgName": "a", "targetRgName": "b", "replicaNum": 2},
        "TransferReplica",
        {"source_resource_group": "a", "target_resource_group": "b", "collection_name": "books", "num_replica": 2},
    ),
    (
        "common/run_analyzer",
        {"text": ["é"], "analyzerParams": {"type": "english"}, "withDetail": True},
        "RunAnalyzer",
        {"placeholder": ["é".encode()], "analyzer_params": '{"type":"english"}', "with_detail": True},
    ),
    ("file_resources/remove", {"name": "n"}, "RemoveFileResource", {"name": "n"}),
    ("file_resources/list", {}, "ListFileResources", {}),
    (
        "entities/delete",
        C | {"filter": "id in {ids}", "partitionName": "p", "exprParams": {"ids": [1, 2]}},
        "Delete",
        {
            "collection_name": "books",
            "partition_name": "p",
            "expr": "id in {ids}",
            "expr_template_values": {"ids": {"array_val": {"long_data": {"data": [1, 2]}}}},
        },
    ),
]


@pytest.fixture
def shelf(engine: FakeEngine) -> FakeEngine:
    """An engine with a collection, an alias and a second database."""
    engine.create("books", "maps")
    engine.databases["default"].aliases["novels"] = "books"
    engine.create(database="shelf")
    engine.answers["DescribeCollection"] = messages.DescribeCollectionResponse(
        status=messages.Status(), schema=SCHEMA, collection_name="books"
    ).SerializeToString()
    engine.restart()
    return engine


@pytest.mark.parametrize(("path", "body", "operation", "fields"), SENT, ids=[row[0] for row in SENT])
async def test_a_request_becomes_the_message_of_its_rpc(
    rest: Rest, shelf: FakeEngine, path: str, body: dict[str, Any], operation: str, fields: dict[str, Any]
) -> None:
    await rest.ask(path, body)
    request = _latest(shelf, operation)
    if "db_name" in request.DESCRIPTOR.fields_by_name and "db_name" not in fields:
        request.ClearField("db_name")
    assert request == messages.method_of(operation).request(**fields)


def _latest(shelf: FakeEngine, operation: str) -> Any:
    """Return the last request of an RPC that was not the catalog's own; its requests name a database."""
    requests = [call.request for call in shelf.called(operation)]
    return next((each for each in reversed(requests) if not getattr(each, "db_name", "")), requests[-1])


NAMING_STORAGE: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "jobs/snapshot/restore_external",
        {"targetCollectionName": "t", "snapshotMetadataURI": "s3://m", "externalSpec": "{}"},
        "RestoreExternalSnapshot",
        "snapshot_metadata_uri",
    ),
    ("jobs/snapshot/export", C | {"snapshotName": "s", "targetS3Path": "p"}, "ExportSnapshot", "target_s3_path"),
    (
        "jobs/external_collection/refresh",
        C | {"externalSource": "s3://x"},
        "RefreshExternalCollection",
        "external_source",
    ),
    ("file_resources/add", {"name": "n", "path": "p"}, "AddFileResource", "path"),
]
"""Bodies that name storage outside, and the field of the RPC that is refused for it."""


@pytest.mark.parametrize(("path", "body", "operation", "field"), NAMING_STORAGE, ids=[row[0] for row in NAMING_STORAGE])
async def test_storage_that_a_request_names_is_refused_before_the_engine_is_asked(
    rest: Rest, shelf: FakeEngine, path: str, body: dict[str, Any], operation: str, field: str
) -> None:
    answer = await rest.whole(path, body)
    assert (answer["code"], f"`{field}` is not accepted" in answer["message"]) == (1100, True)
    assert not shelf.called(operation)


def test_every_endpoint_with_an_rpc_is_in_the_table_above_or_has_tests_of_its_own() -> None:
    told = {row[0] for row in (*SENT, *NAMING_STORAGE)}
    own = {
        "collections/describe",
        "collections/get_load_state",
        "collections/create",
        "collections/fields/add",
        "resource_groups/alter",
        "entities/insert",
        "entities/upsert",
        "entities/query",
        "entities/get",
        "entities/search",
        "entities/hybrid_search",
        "entities/advanced_search",
    }
    assert told | own == {endpoint.path for endpoint in ENDPOINTS if endpoint.served}


@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS if not endpoint.served])
async def test_what_has_no_rpc_is_refused_by_name(rest: Rest, path: str) -> None:
    answer = await rest.whole(path)
    assert answer["code"] == 10
    assert f"{path} is not supported" in answer["message"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/vector/collections"), ("POST", "/v1/vector/insert")])
async def test_the_first_version_of_the_api_is_refused_in_words_to_those_who_may_ask(
    rest: Rest, method: str, path: str
) -> None:
    assert (await rest.send(path, by=None, method=method)).status_code == 401
    response = await rest.send(path, method=method)
    assert response.status_code == 404
    assert response.json() == {
        "code": 65535,
        "message": "version 1 of the REST API is not supported: use /v2/vectordb",
    }


async def test_what_the_engine_lacks_is_an_error_in_the_body(rest: Rest, shelf: FakeEngine) -> None:
    shelf.failures["AddCollectionField"] = EngineLacksOperation("the engine does not implement `AddCollectionField`")
    answer = await rest.whole("collections/fields/add", C | {"schema": {"fieldName": "f", "dataType": "Int64"}})
    assert (answer["code"], "AddCollectionField" in answer["message"]) == (10, True)


async def test_the_database_of_the_body_goes_before_that_of_the_header(rest: Rest, shelf: FakeEngine) -> None:
    for body, header, expected in (
        ({}, "", "default"),
        ({}, "shelf", "shelf"),
        ({"dbName": "shelf"}, "default", "shelf"),
    ):
        await rest.ask("collections/list", body, headers={"DB-Name": header} if header else {})
        assert shelf.called("ShowCollections")[-1].metadata["dbname"] == expected


async def test_a_description_leaves_out_what_is_refused(rest: Rest, harness: GatewayHarness, shelf: FakeEngine) -> None:
    for operation in ("GetLoadState", "DescribeIndex"):
        shelf.failures[operation] = EngineLacksOperation(f"no {operation}")
    described = await rest.ask("collections/describe", C)
    assert (described["load"], described["indexes"], described["aliases"]) == ("", [], ["novels"])
    shelf.failures.clear()
    await harness.role("confined", ("Query", "default", "books"))
    await harness.user("reader", "confined")
    described = await rest.ask("collections/describe", C, by="reader")
    assert [field["name"] for field in described["fields"]] == ["id", "vector", "other"]
    assert (described["load"], described["aliases"]) == ("", [])


@pytest.mark.parametrize("code", [100, 700])
async def test_a_description_leaves_out_what_a_response_reports_as_a_failure(
    rest: Rest, shelf: FakeEngine, code: int
) -> None:
    for operation in ("GetLoadState", "DescribeIndex"):
        failed = messages.failure(
            operation, code=code, legacy_code=messages.ErrorCode.UnexpectedError, reason="index not found"
        )
        shelf.answers[operation] = failed
    described = await rest.ask("collections/describe", C)
    assert (described["load"], described["indexes"], described["aliases"]) == ("", [], ["novels"])


async def test_the_quick_set_up_is_three_requests(rest: Rest, engine: FakeEngine) -> None:
    await rest.ask("collections/create", {"collectionName": "quick", "dimension": 4, "autoID": True})
    methods = [call.method for call in engine.calls if not call.method.startswith("List")]
    assert methods == ["CreateCollection", "CreateIndex", "LoadCollection"]
    schema = messages.DescribeCollectionResponse().schema
    schema.ParseFromString(engine.called("CreateCollection")[0].request.schema)
    assert [(field.name, field.data_type, field.autoID) for field in schema.fields] == [
        ("id", 5, True),
        ("vector", 101, False),
    ]
    assert schema.enable_dynamic_field
    index = engine.called("CreateIndex")[0].request
    assert {each.key: each.value for each in index.extra_params} == {"index_type": "AUTOINDEX", "metric_type": "COSINE"}


@pytest.mark.parametrize(
    ("body", "number", "dimensions", "metric"),
    [
        ({"vectorFieldType": "FloatVector", "dimension": 4}, 101, ["4"], "COSINE"),
        ({"vectorFieldType": "", "dimension": 4}, 101, ["4"], "COSINE"),
        ({"vectorFieldType": "Float16Vector", "dimension": 4}, 102, ["4"], "COSINE"),
        ({"vectorFieldType": "BinaryVector", "dimension": 8}, 100, ["8"], "HAMMING"),
        ({"vectorFieldType": "SparseFloatVector"}, 104, [], "IP"),
        ({"vectorFieldType": "BinaryVector", "dimension": 8, "metricType": "JACCARD"}, 100, ["8"], "JACCARD"),
    ],
)
async def test_the_quick_set_up_makes_a_vector_field_of_the_type_that_is_asked_for(
    rest: Rest, engine: FakeEngine, body: dict[str, Any], number: int, dimensions: list[str], metric: str
) -> None:
    await rest.ask("collections/create", {"collectionName": "quick", **body})
    schema = messages.DescribeCollectionResponse().schema
    schema.ParseFromString(engine.called("CreateCollection")[0].request.schema)
    vector = schema.fields[1]
    assert (vector.name, vector.data_type) == ("vector", number)
    assert [each.value for each in vector.type_params if each.key == "dim"] == dimensions
    index = engine.called("CreateIndex")[0].request
    assert {each.key: each.value for each in index.extra_params}["metric_type"] == metric


@pytest.mark.parametrize(("given", "level"), [("", "Bounded"), ("Strong", "Strong"), ("Eventually", "Eventually")])
async def test_a_collection_has_the_consistency_level_that_is_asked_for(
    rest: Rest, engine: FakeEngine, given: str, level: str
) -> None:
    await rest.ask("collections/create", {"collectionName": "quick", "dimension": 4, "consistencyLevel": given})
    assert messages.enum_name(engine.called("CreateCollection")[0].request, "consistency_level") == level


@pytest.mark.parametrize("step", ["CreateIndex", "LoadCollection"])
async def test_a_collection_of_which_a_step_fails_is_kept_and_the_message_says_so(
    rest: Rest, engine: FakeEngine, step: str
) -> None:
    engine.answers[step] = messages.failure(
        step, code=1234, legacy_code=messages.ErrorCode.UnexpectedError, reason="no room"
    )
    answer = await rest.whole("collections/create", {"collectionName": "quick", "dimension": 4})
    assert (answer["code"], answer["message"]) == (
        1234,
        "no room; the collection quick is kept: add what is missing, or drop it",
    )
    assert engine.databases["default"].collections == ["quick"]


@pytest.mark.parametrize("fails", ["first", "second"])
async def test_of_two_creations_of_one_name_at_once_neither_drops_the_collection_of_the_other(
    rest: Rest, engine: FakeEngine, fails: str
) -> None:
    """The engine takes an equal collection for the one asked for, as Milvus does, and refuses the index of one."""
    made, refused = engine.databases["default"].collections, messages.ErrorCode.UnexpectedError

    def create(call: EngineCall) -> bytes:
        if call.request.collection_name not in made:
            made.append(call.request.collection_name)
        return messages.success("CreateCollection")

    def index(call: EngineCall) -> bytes:
        wrong = any(each.value == "WRONG" for each in call.request.extra_params)
        if not wrong:
            return messages.success("CreateIndex")
        return messages.failure("CreateIndex", code=1100, legacy_code=refused, reason="no such metric")

    engine.acts |= {"CreateCollection": create, "CreateIndex": index}
    created = engine.hold("CreateCollection")
    metrics = ("WRONG", "COSINE") if fails == "first" else ("COSINE", "WRONG")
    bodies = ({"collectionName": "quick", "dimension": 4, "metricType": metric} for metric in metrics)
    both = [asyncio.create_task(rest.whole("collections/create", body)) for body in bodies]
    await engine.reached("CreateCollection")
    # Both have looked for the name, if they do that at all: nothing was there.
    await until(lambda: len(engine.called("HasCollection")) in (0, 2))
    created.set()
    assert sorted(answer["code"] for answer in await asyncio.gather(*both)) == [0, 1100]
    assert made == ["quick"]
    assert engine.called("DropCollection") == []


async def test_a_collection_that_was_there_before_is_not_dropped(rest: Rest, engine: FakeEngine) -> None:
    engine.create("quick")
    assert await rest.code("collections/create", {"collectionName": "quick", "dimension": 4}) != 0
    assert engine.databases["default"].collections == ["quick"]
    assert engine.called("DropCollection") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1100),
        ({"dimension": 0}, 1100),
        ({"dimension": 4, "idType": "Float"}, 1100),
        ({"dimension": 4, "vectorFieldType": "Vector"}, 1100),
        ({"vectorFieldType": "BinaryVector"}, 1100),
        ({"dimension": 4, "params": {"consistencyLevel": "Never"}}, 1100),
        ({"dimension": 4, "params": {"shardsNum": "many"}}, 1100),
        ({"dimension": "4"}, 1801),
        ({"schema": {"fields": [{"fieldName": "a"}]}}, 1802),
        ({"schema": {"fields": [{"fieldName": "a", "dataType": "varchar"}]}}, 1100),
        ({"schema": {"fields": [{"fieldName": "a", "dataType": "Int8", "defaultValue": "1"}]}}, 1100),
        ({"schema": {"fields": [{"fieldName": "a", "dataType": "Int8", "defaultValue": 2**40}]}}, 1100),
        ({"schema": {"fields": [{"fieldName": "a", "dataType": "Array", "elementDataType": "Nope"}]}}, 1100),
        ({"schema": {"functions": [{"name": "f", "type": "BM25"}]}, "dimension": 4}, 1100),
        ({"schema": {"fields": [{"fieldName": "a", "dataType": "Int8"}]}, "indexParams": [{"fieldName": "b"}]}, 1802),
    ],
)
async def test_what_cannot_be_created_is_refused_before_anything_is(
    rest: Rest, engine: FakeEngine, body: dict[str, Any], code: int
) -> None:
    assert await rest.code("collections/create", {"collectionName": "c"} | body) == code
    assert engine.called("CreateCollection") == []


async def test_loading_is_reported_with_its_progress(rest: Rest, shelf: FakeEngine) -> None:
    state = messages.method_of("GetLoadState").response
    progress = messages.method_of("GetLoadingProgress").response
    for number, percent, expected in (
        (1, 0, {"loadState": "LoadStateNotLoad"}),
        (2, 40, {"loadState": "LoadStateLoading", "loadProgress": 40}),
        (3, 100, {"loadState": "LoadStateLoaded", "loadProgress": 100}),
    ):
        shelf.answers["GetLoadState"] = state(state=number).SerializeToString()
        shelf.answers["GetLoadingProgress"] = progress(progress=percent).SerializeToString()
        assert await rest.ask("collections/get_load_state", C) == expected


async def test_resource_groups_are_altered_by_name(rest: Rest, engine: FakeEngine) -> None:
    await rest.ask("resource_groups/alter", {"resource_groups": {"g": {"limits": {"node_num": 3}}}})
    assert engine.called("UpdateResourceGroups")[0].request.resource_groups["g"].limits.node_num == 3


def parameters(pairs: Any) -> dict[str, str]:
    return {each.key: each.value for each in pairs}


async def test_a_query_has_the_defaults_of_milvus(rest: Rest, shelf: FakeEngine) -> None:
    await rest.ask("entities/query", C | {"filter": "id > 0"})
    request = shelf.called("Query")[0].request
    assert list(request.output_fields) == ["*"]
    assert parameters(request.query_params)["limit"] == "100"
    assert "offset" not in parameters(request.query_params)
    assert request.use_default_consistency
    await rest.ask("entities/query", C | {"outputFields": [" COUNT(*)"], "consistencyLevel": "Strong", "offset": 3})
    request = shelf.called("Query")[1].request
    assert "limit" not in parameters(request.query_params)
    assert parameters(request.query_params)["offset"] == "3"
    assert (request.use_default_consistency, request.consistency_level) == (False, 0)


async def test_a_search_carries_everything_it_was_given(rest: Rest, shelf: FakeEngine) -> None:
    body = C | {
        "data": [[1, 2]],
        "annsField": "vector",
        "filter": "id > {low}",
        "exprParams": {"low": 5},
        "limit": 7,
        "offset": 2,
        "outputFields": ["id"],
        "partitionNames": ["p"],
        "groupingField": "color",
        "groupSize": 2,
        "strictGroupSize": True,
        "searchParams": {"metricType": "L2", "ignoreGrowing": True, "params": {"radius": 0.5}, "nprobe": 4},
        "consistencyLevel": "Eventually",
        "functionScore": {
            "functions": [{"name": "f", "type": "Rerank", "inputFieldNames": ["n"]}],
            "params": {"boost_mode": "sum"},
        },
    }
    await rest.ask("entities/search", body)
    request = shelf.called("Search")[0].request
    told = parameters(request.search_params)
    assert {name: told[name] for name in ("topk", "offset", "metric_type", "anns_field", "group_by_field")} == {
        "topk": "7",
        "offset": "2",
        "metric_type": "L2",
        "anns_field": "vector",
        "group_by_field": "color",
    }
    assert (told["group_size"], told["strict_group_size"], told["ignore_growing"]) == ("2", "True", "True")
    assert {"radius": 0.5, "nprobe": 4}.items() <= json.loads(told["params"]).items()
    assert (request.dsl, list(request.partition_names), list(request.output_fields)) == ("id > {low}", ["p"], ["id"])
    assert request.expr_template_values["low"].int64_val == 5
    assert request.consistency_level == 3
    assert request.function_score.functions[0].name == "f"


async def test_a_hybrid_search_ranks_by_rrf_by_default(rest: Rest, shelf: FakeEngine) -> None:
    sub = [
        {"data": [[1, 2]], "annsField": "vector", "metricType": "L2", "limit": 5},
        {"data": [{"1": 0.5}], "annsField": "other", "params": {"drop_ratio_search": 0.2}},
    ]
    await rest.ask("entities/hybrid_search", C | {"search": sub, "limit": 3, "outputFields": ["id"]})
    weighted = {"strategy": "weighted", "params": {"weights": [0.2, 0.8]}}
    await rest.ask("entities/advanced_search", C | {"search": sub, "rerank": weighted})
    first, second = (call.request for call in shelf.called("HybridSearch"))
    assert [parameters(each.search_params)["topk"] for each in first.requests] == ["5", "100"]
    assert parameters(first.requests[0].search_params)["metric_type"] == "L2"
    assert (parameters(first.rank_params)["strategy"], parameters(first.rank_params)["limit"]) == ("rrf", "3")
    assert parameters(second.rank_params)["strategy"] == "weighted"
    assert json.loads(parameters(second.rank_params)["params"]) == {"weights": [0.2, 0.8]}


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({}, 1802, "either data or ids"),
        ({"data": [[1, 2]], "ids": [1]}, 1802, "either data or ids"),
        ({"data": [[1, 2]]}, 1801, "annsField must name the"),
        ({"data": [[1, 2]], "annsField": "id"}, 1801, "there is no vector field `id`; the collection has `vector`"),
        ({"data": [[1, 2, 3]], "annsField": "vector"}, 1801, "expected 2 numbers"),
        ({"data": [1, 2], "annsField": "vector"}, 1801, "data[0]: expected a list of 2 numbers, got a number"),
        ({"data": ["text"], "annsField": "other"}, 1801, "expected an object of index to number"),
        ({"ids": [1.5], "annsField": "vector"}, 1801, "primary key 0"),
        ({"data": [[1, 2]], "annsField": "vector", "limit": 0}, 1801, "limit"),
        ({"data": [[1, 2]], "annsField": "vector", "limit": 16385}, 1801, "limit"),
        ({"data": [[1, 2]], "annsField": "vector", "searchParams": {"params": 5}}, 1100, "must be an object"),
        (
            {"data": [[1, 2]], "annsField": "vector", "searchParams": {"nprobe": 1, "params": {"nprobe": 2}}},
            1100,
            "ambiguous parameter: nprobe",
        ),
        ({"data": [[1, 2]], "annsField": "vector", "consistencyLevel": "strong"}, 1100, "consistencyLevel can only be"),
        ({"data": [[1, 2]], "annsField": "vector", "exprParams": {"a": {"b": 1}}}, 1100, "Unsupported element type"),
    ],
)
async def test_searches_that_cannot_be_are_refused(
    rest: Rest, shelf: FakeEngine, body: dict[str, Any], code: int, told: str
) -> None:
    answer = await rest.whole("entities/search", C | body)
    assert (answer["code"], told in answer["message"]) == (code, True), answer
    assert shelf.called("Search") == []


@pytest.mark.parametrize("given", ["9" * 5000, "[" + "9" * 5000 + "]", "[1.5]", '""'])
async def test_what_is_not_a_primary_key_is_refused(rest: Rest, shelf: FakeEngine, given: str) -> None:
    body = f'{{"collectionName": "books", "id": {given}}}'
    assert await rest.code("entities/get", content=body.encode()) == 1806
    assert shelf.called("Query") == []


async def test_a_collection_that_may_not_be_seen_is_absent_for_every_endpoint_that_looks_at_it(
    rest: Rest, harness: GatewayHarness, shelf: FakeEngine
) -> None:
    await harness.user("stranger")
    bodies: dict[str, dict[str, Any]] = {
        "entities/insert": {"data": [{"id": 1, "vector": [1, 2]}]},
        "entities/upsert": {"data": [{"id": 1, "vector": [1, 2]}]},
        "entities/get": {"id": 1},
        "entities/search": {"data": [[1, 2]], "annsField": "vector"},
        "collections/describe": {},
    }
    for path, body in bodies.items():
        assert await rest.code(path, C | body, by="stranger") == 100, path
    assert {call.method for call in shelf.calls} <= {"ListDatabases", "ListAliases", "DescribeAlias"}


async def test_inserting_needs_more_than_seeing(rest: Rest, harness: GatewayHarness, shelf: FakeEngine) -> None:
    await harness.role("reader", ("Query", "default", "books"))
    await harness.user("ann", "reader")
    response = await rest.send(
        "entities/insert", C | {"data": [{"id": 1, "vector": [1, 2], "other": {"1": 1}}]}, by="ann"
    )
    assert (response.status_code, response.json()["code"]) == (403, 65535)
    assert "PrivilegeInsert" in response.json()["message"]
    assert shelf.called("Insert") == []


async def test_upserts_carry_their_operations(rest: Rest, shelf: FakeEngine) -> None:
    body = C | {"data": [{"id": 1, "tags": [1]}], "fieldOps": [{"fieldName": "tags", "op": "array_append"}]}
    await rest.ask("entities/upsert", body)
    request = shelf.called("Upsert")[0].request
    assert request.partial_update
    assert [(each.field_name, each.op) for each in request.field_ops] == [("tags", 1)]
    wrong = C | {"data": [{"id": 1}], "fieldOps": [{"fieldName": "tags", "op": "explode"}]}
    assert await rest.code("entities/upsert", wrong) == 1804


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | st.just("books"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_body_is_a_defect(rest: Rest, shelf: FakeEngine, data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(ENDPOINTS))
    members = st.sampled_from([*endpoint.body.__struct_encode_fields__])
    body = data.draw(st.dictionaries(members, JSON)) | {"collectionName": "books"}
    response = await rest.send(endpoint.path, content=json.dumps(body).encode())
    assert response.status_code in {200, 403}, (endpoint.path, body, response.text)
    if shelf.databases.keys() != {"default", "shelf"} or "books" not in shelf.databases["default"].collections:
        shelf.databases.clear()
        shelf.create("books")
        shelf.create(database="shelf")
        shelf.restart()
