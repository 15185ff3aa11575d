"""No request names an address, a file or a credential for the engine; what else comes with a function passes."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from google.protobuf.descriptor import Descriptor
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward.domain.errors import AccessDenied, InvalidArgument
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.outbound import RULES
from kiteward.gateway.rule_places import places
from kiteward.milvus import messages
from kiteward.milvus.field_paths import inner

ADDRESS = "http://192.0.2.1/kept-secret"
MODEL = {"reranker": "model", "provider": "cohere", "base_url": ADDRESS, "api_key": ADDRESS}

INSIDE = {
    "AlterCollection.properties": "settings of a collection, kept by the engine",
    "AlterCollectionField.properties": "settings of a field, kept by the engine",
    "AlterCollectionSchema.action.add_request.field_infos.extra_params": "parameters of an index",
    "AlterDatabase.properties": "settings of a database, kept by the engine",
    "AlterIndex.extra_params": "parameters of an index",
    "CreateCollection.properties": "settings of a collection, kept by the engine",
    "CreateCollection.schema.properties": "settings of a collection, kept by the engine",
    "CreateCollection.schema.struct_array_fields.type_params": "a capacity",
    "AddCollectionStructField.struct_array_field_schema.type_params": "a capacity",
    "CreateDatabase.properties": "settings of a database, kept by the engine",
    "CreateIndex.extra_params": "parameters of an index",
    "CreateResourceGroup.config.node_filter.node_labels": "labels of nodes",
    "HybridSearch.function_chains.ops.expr.args.literal.object_value.fields": "an operand",
    "HybridSearch.requests.function_chains.ops.expr.args.literal.object_value.fields": "an operand",
    "HybridSearch.rank_params": "how hits are merged: rrf and weighted, computed by the engine",
    "HybridSearch.requests.search_params": "how vectors are compared",
    "HybridSearch.requests.sub_reqs.search_params": "how vectors are compared",
    "HybridSearch.requests.highlighter.params": "of the lexical highlighter, the only one that is let through",
    "Import.options": "nothing is imported without files, and those are refused",
    "Query.query_params": "how entities are read",
    "Search.function_chains.ops.expr.args.literal.object_value.fields": "an operand",
    "Search.highlighter.params": "of the lexical highlighter, the only one that is let through",
    "Search.search_params": "how vectors are compared",
    "Search.sub_reqs.search_params": "how vectors are compared",
    "UpdateResourceGroups.resource_groups.value.node_filter.node_labels": "labels of nodes",
}
"""Free parameters that no rule is needed for, and why: nothing in them names an address, a file or a credential."""


FunctionType: TypeAlias = schema_pb2.FunctionType
HighlightType: TypeAlias = common_pb2.HighlightType


def pairs(given: dict[str, str]) -> list[Any]:
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]


def function(params: dict[str, str], kind: FunctionType.ValueType = FunctionType.Rerank) -> Any:
    return schema_pb2.FunctionSchema(name="f", type=kind, params=pairs(params))


def score(params: dict[str, str]) -> Any:
    return schema_pb2.FunctionScore(functions=[function({"reranker": "rrf"}), function(params)])


def chain(name: str, **params: str) -> Any:
    values = {key: schema_pb2.FunctionParamValue(string_value=value) for key, value in params.items()}
    expression = schema_pb2.FunctionChainExpr(name=name, params=values)
    return schema_pb2.FunctionChain(ops=[schema_pb2.FunctionChainOp(op="map", expr=expression)])


def schema(**fields: Any) -> bytes:
    key = schema_pb2.FieldSchema(name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True)
    return bytes(schema_pb2.CollectionSchema(**{"fields": [key], **fields}).SerializeToString())


def text_field(analyzer: str) -> Any:
    parameters = pairs({"analyzer_params": analyzer})
    return schema_pb2.FieldSchema(name="text", data_type=schema_pb2.DataType.VarChar, type_params=parameters)


ADD = milvus_pb2.AlterCollectionSchemaRequest.AddRequest
ACTION = milvus_pb2.AlterCollectionSchemaRequest.Action

NAMING: list[tuple[str, dict[str, Any]]] = [
    ("Search", {"function_score": score(MODEL)}),
    ("Search", {"function_score": score({"reranker": "boost", "Base_URL": ADDRESS})}),
    ("Search", {"function_score": schema_pb2.FunctionScore(params=pairs({"endpoint": ADDRESS}))}),
    ("Search", {"function_chains": [chain("rerank_model", queries="x")]}),
    ("Search", {"function_chains": [chain("decay", url=ADDRESS)]}),
    ("Search", {"highlighter": common_pb2.Highlighter(type=HighlightType.Semantic)}),
    ("HybridSearch", {"function_score": score(MODEL)}),
    ("HybridSearch", {"function_chains": [chain("round_decimal", base_url=ADDRESS)]}),
    ("HybridSearch", {"requests": [{}, {"function_score": score(MODEL)}]}),
    ("HybridSearch", {"requests": [{"function_chains": [chain("rerank_model")]}]}),
    ("CreateCollection", {"schema": schema(functions=[function({}, kind=FunctionType.TextEmbedding)])}),
    ("CreateCollection", {"schema": schema(functions=[function({"provider": "openai"}, kind=FunctionType.BM25)])}),
    ("CreateCollection", {"schema": schema(external_source="s3://bucket")}),
    ("CreateCollection", {"schema": schema(external_spec="{}")}),
    (
        "CreateCollection",
        {"schema": schema(fields=[text_field('{"filter": [{"stop_words_file": {"type": "local"}}]}')])},
    ),
    ("CreateCollection", {"schema": schema(fields=[text_field('{"tokenizer": {"dict": {"PATH": "/etc/hostname"}}}')])}),
    ("CreateCollection", {"schema": schema(fields=[text_field('{"tokenizer": {"download_urls": ["x"]}}')])}),
    ("AddCollectionField", {"schema": text_field('[{"path": "/etc/hostname"}]').SerializeToString()}),
    ("AddCollectionFunction", {"functionSchema": function({"url": ADDRESS})}),
    ("AlterCollectionFunction", {"functionSchema": function({}, kind=FunctionType.TextEmbedding)}),
    ("AlterCollectionSchema", {"action": ACTION(add_request=ADD(func_schema=[function({"credential": "c"})]))}),
    ("RunAnalyzer", {"analyzer_params": '{"filter": [{"word_list_file": {}}]}', "placeholder": [b"x"]}),
    ("RunAnalyzer", {"analyzer_params": '{"tokenizer": {"type": "grpc", "endpoint": "x"}}', "placeholder": [b"x"]}),
    ("RunAnalyzer", {"analyzer_params": '{"tokenizer": {"userdict": "x"}}', "placeholder": [b"x"]}),
    ("RunAnalyzer", {"analyzer_params": '{"tokenizer": {"dict_path": "x"}}', "placeholder": [b"x"]}),
    ("Import", {"files": ["/etc/hostname"]}),
    ("AddFileResource", {"name": "n", "path": "p"}),
    ("ExportSnapshot", {"name": "n", "target_s3_path": "s3://bucket"}),
    ("RestoreExternalSnapshot", {"target_collection_name": "new", "snapshot_metadata_uri": "s3://bucket"}),
    ("RefreshExternalCollection", {"external_spec": "{}"}),
]
"""Requests that name something outside."""

LOCAL: list[tuple[str, dict[str, Any]]] = [
    ("Search", {"function_score": score({"reranker": "boost", "weight": "0.5", "filter": "a > 1"})}),
    ("Search", {"function_score": score({"reranker": "decay", "function": "exp", "origin": "1", "scale": "2"})}),
    ("Search", {"function_chains": [chain("decay", function="exp", origin="1"), chain("num_combine", mode="sum")]}),
    ("Search", {"highlighter": common_pb2.Highlighter(type=HighlightType.Lexical, params=pairs({"pre_tags": "<b>"}))}),
    ("HybridSearch", {"requests": [{}, {}], "rank_params": pairs({"strategy": "rrf", "params": '{"k": 60}'})}),
    ("CreateCollection", {"schema": schema(functions=[function({}, kind=FunctionType.BM25)])}),
    (
        "CreateCollection",
        {"schema": schema(functions=[function({"num_hashes": "9", "shingle_size": "3"}, FunctionType.MinHash)])},
    ),
    ("CreateCollection", {"schema": schema(fields=[text_field('{"type": "english", "stop_words": ["path", "url"]}')])}),
    ("CreateCollection", {"schema": schema(fields=[text_field("not json {")])}),
    ("RunAnalyzer", {"analyzer_params": '{"tokenizer": "standard"}', "placeholder": [b"x"]}),
]
"""Requests with functions and analyzers that the engine computes itself."""


def request(operation: str, fields: dict[str, Any]) -> bytes:
    made: Any = messages.method_of(operation).request(**fields)
    if "collection_name" in made.DESCRIPTOR.fields_by_name:
        made.collection_name = "new" if operation == "CreateCollection" else "docs"
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(("operation", "fields"), NAMING, ids=[f"{row[0]}-{at}" for at, row in enumerate(NAMING)])
async def test_what_names_something_outside_is_refused_before_the_engine_is_asked(
    harness: GatewayHarness, engine: FakeEngine, operation: str, fields: dict[str, Any]
) -> None:
    engine.create("docs")
    with pytest.raises(InvalidArgument, match="is not accepted") as refusal:
        await harness.gateway.handle(Call(operation, request(operation, fields), presented("root")))
    assert ADDRESS not in str(refusal.value)
    assert not engine.called(operation)


@pytest.mark.parametrize(("operation", "fields"), LOCAL, ids=[f"{row[0]}-{at}" for at, row in enumerate(LOCAL)])
async def test_what_the_engine_computes_itself_reaches_it(
    harness: GatewayHarness, engine: FakeEngine, operation: str, fields: dict[str, Any]
) -> None:
    engine.create("docs")
    await harness.gateway.handle(Call(operation, request(operation, fields), presented("root")))
    assert len(engine.called(operation)) == 1


async def test_who_may_not_search_learns_nothing_of_the_rules(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    await harness.user("alice")
    payload = request("Search", {"function_score": score(MODEL)})
    with pytest.raises(AccessDenied):
        await harness.gateway.handle(Call("Search", payload, presented("alice")))


async def test_long_names_are_not_repeated_whole(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    payload = request("Search", {"function_score": score({"x" * 10_000: ""})})
    with pytest.raises(InvalidArgument) as refusal:
        await harness.gateway.handle(Call("Search", payload, presented("root")))
    assert len(str(refusal.value)) < 400


async def test_last_schema_counts_as_it_does_for_the_engine(harness: GatewayHarness, engine: FakeEngine) -> None:
    outside = request("CreateCollection", {"schema": schema(external_source="s3://bucket")})
    inside = request("CreateCollection", {"schema": schema()})
    await harness.gateway.handle(Call("CreateCollection", outside + inside, presented("root")))
    with pytest.raises(InvalidArgument):
        await harness.gateway.handle(Call("CreateCollection", inside + outside, presented("root")))


async def test_deeply_nested_analyzer_is_refused(harness: GatewayHarness) -> None:
    nested = schema(fields=[text_field("[" * 100_000)])
    with pytest.raises(InvalidArgument):
        await harness.gateway.handle(
            Call("CreateCollection", request("CreateCollection", {"schema": nested}), presented("root"))
        )


def free_parameters(message: Descriptor, prefix: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the path of every list of free parameters, and of every map of them, that a message may hold."""
    for field in message.fields:
        inside = inner(field)
        if inside is None or inside.full_name in above:
            continue
        path = f"{prefix}.{field.name}"
        is_map = inside.GetOptions().map_entry and inside.fields_by_name["value"].message_type
        if inside.name == "KeyValuePair" or (is_map and is_map.name == "FunctionParamValue"):
            yield path
        else:
            yield from free_parameters(inside, path, above | {message.full_name})


def test_every_list_of_free_parameters_is_checked_against_a_rule_or_known_to_need_none() -> None:
    undecided, found = [], set()
    for name, operation in OPERATIONS.items():
        if not operation.by_engine:
            continue
        held = {f"{name}.{place.path}" for place in operation.places}
        for path in free_parameters(messages.descriptor_of(messages.METHODS[name].request), name):
            found.add(path)
            if path not in INSIDE and not {f"{path}.key", f"{path}.value"} & held:
                undecided.append(path)
    assert not undecided, "add a rule to gateway.outbound, or say here why none is needed"
    assert set(INSIDE) <= found, set(INSIDE) - found


def test_every_rule_holds_somewhere() -> None:
    held = {place.rule for name in OPERATIONS for place in places(RULES, messages.paths_in(name))}
    assert held == set(RULES)


def test_every_field_that_sounds_like_an_address_or_a_key_is_checked_against_a_rule() -> None:
    words = ("uri", "url", "path", "endpoint", "external", "token", "credential", "files", "s3")
    for name, operation in OPERATIONS.items():
        if not operation.by_engine:
            continue
        held = {place.path for place in operation.places}
        sounding = {
            path
            for path in strings(messages.descriptor_of(messages.METHODS[name].request), "")
            if any(word in path.rpartition(".")[2].lower() for word in words)
        }
        assert sounding - held - NO_ADDRESS == set(), name


NO_ADDRESS = {
    "schema.fields.external_field",
    "schema.struct_array_fields.fields.external_field",
    "schema.external_field",
    "page_token",
    "struct_array_field_schema.fields.external_field",
    "action.add_request.field_infos.field_schema.external_field",
}
"""Fields that sound so and name a column, or a page of a list."""


def strings(message: Descriptor, prefix: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the path of every string that a message may hold."""
    for field in message.fields:
        inside = inner(field)
        if inside is not None and inside.full_name not in above:
            yield from strings(inside, f"{prefix}{field.name}.", above | {message.full_name})
        elif field.type == field.TYPE_STRING:
            yield prefix + field.name
