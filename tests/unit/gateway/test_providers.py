"""A function calls a model provider only where the operator, a privilege and the request itself all allow it."""

import json
from typing import Any

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, InvalidArgument
from kiteward.gateway.admission import Admission
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.outbound import FUNCTION
from kiteward.gateway.settings import providers_in
from kiteward.milvus import messages

ADDRESS = "http://tei.example:8080"
ELSEWHERE = "http://192.0.2.1/kept-secret"
LISTED = providers_in(["openai", f"tei={ADDRESS}"])
RERANKER = {"reranker": "model", "provider": "tei", "endpoint": ADDRESS, "queries": json.dumps(["kites"])}
EMBEDDING = {"provider": "openai", "model_name": "text-embedding-3-small", "credential": "openai_1", "dim": "2"}

RERANK = schema_pb2.FunctionType.Rerank
TEXT_EMBEDDING = schema_pb2.FunctionType.TextEmbedding
BM25 = schema_pb2.FunctionType.BM25


@pytest.fixture
async def providers(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """A gateway to an engine with a collection, whose operator lists two providers."""
    engine.create("docs")
    await harness.catalog.refresh()
    harness.admission = Admission(providers=LISTED)
    harness.configure()
    return harness


def function(params: dict[str, str], kind: Any = RERANK, *more: tuple[str, str]) -> Any:
    given = [common_pb2.KeyValuePair(key=key, value=value) for key, value in (*params.items(), *more)]
    return schema_pb2.FunctionSchema(name="f", type=kind, params=given)


def score(*functions: Any) -> dict[str, Any]:
    return {"function_score": schema_pb2.FunctionScore(functions=functions)}


def schema(*functions: Any) -> bytes:
    key = schema_pb2.FieldSchema(name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True)
    return bytes(schema_pb2.CollectionSchema(fields=[key], functions=functions).SerializeToString())


ADD = milvus_pb2.AlterCollectionSchemaRequest.AddRequest
ACTION = milvus_pb2.AlterCollectionSchemaRequest.Action
EMBEDDER = function(EMBEDDING, TEXT_EMBEDDING)

CALLING: list[tuple[str, str, dict[str, Any]]] = [
    ("Search", "Search", score(function(RERANKER))),
    ("HybridSearch", "Search", score(function({"reranker": "rrf"}), function(RERANKER))),
    ("HybridSearch", "Search", {"requests": [{}, score(function(RERANKER))]}),
    ("CreateCollection", "CreateCollection", {"schema": schema(function({}, BM25), EMBEDDER)}),
    ("AddCollectionFunction", "CreateCollection", {"functionSchema": EMBEDDER}),
    ("AlterCollectionFunction", "CreateCollection", {"functionSchema": EMBEDDER}),
    (
        "AlterCollectionSchema",
        "AlterCollectionSchema",
        {"action": ACTION(add_request=ADD(func_schema=[EMBEDDER]))},
    ),
]
"""RPC, a privilege that it needs, and fields with a function that calls a provider as the operator lists it."""

NAMES = [f"{rpc}-{at}" for at, (rpc, _, _) in enumerate(CALLING)]


def payload(rpc: str, fields: dict[str, Any]) -> bytes:
    made: Any = messages.method_of(rpc).request(**fields)
    made.collection_name = "new" if rpc == "CreateCollection" else "docs"
    return bytes(made.SerializeToString())


async def refusal(harness: GatewayHarness, rpc: str, fields: dict[str, Any]) -> InvalidArgument:
    with pytest.raises(InvalidArgument, match="is not accepted") as caught:
        await harness.call(rpc, payload=payload(rpc, fields))
    assert ELSEWHERE not in str(caught.value)
    assert not harness.engine.called(rpc)
    return caught.value


def test_every_rpc_with_functions_is_called_here() -> None:
    holding = {row.name for row in OPERATIONS.values() if row.by_engine and FUNCTION in messages.paths_in(row.name)}
    assert holding == {rpc for rpc, _, _ in CALLING}
    assert all(bool(row.functions) is (row.name in holding) for row in OPERATIONS.values())


@pytest.mark.parametrize(("rpc", "privilege", "fields"), CALLING, ids=NAMES)
async def test_what_the_operator_lists_is_forwarded_as_it_came(
    providers: GatewayHarness, engine: FakeEngine, rpc: str, privilege: str, fields: dict[str, Any]
) -> None:
    sent = payload(rpc, fields)
    await providers.call(rpc, payload=sent)
    assert [each.payload for each in engine.called(rpc)] == [sent], privilege


@pytest.mark.parametrize(("rpc", "privilege", "fields"), CALLING, ids=NAMES)
async def test_nothing_is_called_where_no_provider_is_listed(
    harness: GatewayHarness, engine: FakeEngine, rpc: str, privilege: str, fields: dict[str, Any]
) -> None:
    engine.create("docs")
    assert "kiteward.engine.providers" in str(await refusal(harness, rpc, fields)), privilege


@pytest.mark.parametrize(("rpc", "privilege", "fields"), CALLING, ids=NAMES)
async def test_privilege_is_needed_by_name_in_addition_to_that_of_the_operation(
    providers: GatewayHarness, engine: FakeEngine, rpc: str, privilege: str, fields: dict[str, Any]
) -> None:
    everything = (("All", "default", "*"), ("CollectionAdmin", "default", "*"), (privilege, "default", "*"))
    await providers.role("everything", *everything)
    await providers.role("callers", ("CallProvider", "default", "*"))
    for name, roles in (("alice", ("everything",)), ("bob", ("callers",)), ("carol", ("everything", "callers"))):
        await providers.user(name, *roles)
    sent = payload(rpc, fields)
    with pytest.raises(AccessDenied, match="PrivilegeCallProvider: permission deny to alice"):
        await providers.call(rpc, by="alice", payload=sent)
    with pytest.raises(AccessDenied):
        await providers.call(rpc, by="bob", payload=sent)
    assert not engine.called(rpc)
    await providers.call(rpc, by="carol", payload=sent)
    assert len(engine.called(rpc)) == 1


async def test_privilege_on_another_collection_does_not_suffice(providers: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("other")
    await providers.catalog.refresh()
    await providers.role("callers", ("CallProvider", "default", "other"), ("Search", "default", "*"))
    await providers.user("alice", "callers")
    with pytest.raises(AccessDenied, match="CallProvider"):
        await providers.call("Search", by="alice", payload=payload("Search", score(function(RERANKER))))


async def test_functions_that_the_engine_computes_need_no_such_privilege(
    providers: GatewayHarness, engine: FakeEngine
) -> None:
    await providers.role("readers", ("Search", "default", "docs"))
    await providers.user("alice", "readers")
    await providers.call(
        "Search", by="alice", payload=payload("Search", score(function({"reranker": "decay", "scale": "2"})))
    )
    assert len(engine.called("Search")) == 1


@pytest.mark.parametrize("provider", ["cohere", "TEI", "tei ", "", "x" * 10_000])
async def test_provider_must_be_listed(providers: GatewayHarness, provider: str) -> None:
    refused = await refusal(providers, "Search", score(function({**RERANKER, "provider": provider})))
    assert refused.code is ErrorCode.PROVIDER_NOT_LISTED
    assert len(str(refused)) < 400


async def test_embedding_without_a_provider_is_refused(providers: GatewayHarness) -> None:
    fields = {"schema": schema(function({"model_name": "m"}, TEXT_EMBEDDING))}
    assert (await refusal(providers, "CreateCollection", fields)).code is ErrorCode.PROVIDER_NOT_LISTED


@pytest.mark.parametrize(
    ("provider", "named"),
    [
        ("tei", {"endpoint": ELSEWHERE}),
        ("tei", {"url": ELSEWHERE}),
        ("tei", {"base_url": ELSEWHERE}),
        ("tei", {"endpoint": ADDRESS + "/"}),
        ("tei", {"endpoint": ADDRESS.upper()}),
        ("tei", {"endpoint": f"{ADDRESS}@192.0.2.1"}),
        ("tei", {"endpoint": ADDRESS, "url": ELSEWHERE}),
        ("tei", {"endpoint": ADDRESS[:9], "url": ADDRESS[9:]}),
        ("tei", {}),
        ("openai", {"url": ADDRESS}),
        ("openai", {"endpoint": ELSEWHERE}),
    ],
)
async def test_address_must_be_listed_for_that_provider_in_the_same_characters(
    providers: GatewayHarness, provider: str, named: dict[str, str]
) -> None:
    given = {"reranker": "model", "provider": provider, **named}
    refused = await refusal(providers, "Search", score(function(given)))
    assert refused.code is ErrorCode.PROVIDER_ADDRESS_NOT_LISTED


@pytest.mark.parametrize(
    "key", ["api_key", "API_KEY", "apikey", "access_token", "aws_secret_access_key", "integration_id", "Authorization"]
)
async def test_key_is_refused_and_not_repeated(providers: GatewayHarness, key: str) -> None:
    for rpc, fields in (
        ("Search", score(function({**RERANKER, key: ELSEWHERE}))),
        ("CreateCollection", {"schema": schema(function({**EMBEDDING, key: ELSEWHERE}, TEXT_EMBEDDING))}),
    ):
        assert (await refusal(providers, rpc, fields)).code is ErrorCode.PROVIDER_KEY_IN_REQUEST


@pytest.mark.parametrize("key", ["region", "location", "projectid", "resource_name", "Endpoint", "Provider", "extra"])
async def test_parameter_that_is_not_known_or_a_part_of_a_host_is_refused(providers: GatewayHarness, key: str) -> None:
    refused = await refusal(providers, "Search", score(function({**RERANKER, key: ELSEWHERE})))
    assert refused.code is ErrorCode.PARAMETER_NOT_ACCEPTED


@pytest.mark.parametrize("again", [("endpoint", ELSEWHERE), ("provider", "cohere"), ("credential", "c")])
async def test_parameter_that_is_given_twice_is_refused(providers: GatewayHarness, again: tuple[str, str]) -> None:
    twice = function({**RERANKER, "credential": "c"}, RERANK, again)
    assert "twice" in str(await refusal(providers, "Search", score(twice)))


@pytest.mark.parametrize("model", ["../../elsewhere", "m?x=1", "m#", "//192.0.2.1/m", "a//b", "m m", "%2e%2e", ""])
async def test_model_may_not_lead_out_of_the_address(providers: GatewayHarness, model: str) -> None:
    refused = await refusal(providers, "Search", score(function({**RERANKER, "model_name": model})))
    assert refused.code is ErrorCode.PARAMETER_NOT_ACCEPTED


@pytest.mark.parametrize(
    "beside",
    [
        function({**RERANKER, "endpoint": ELSEWHERE}),
        function({"reranker": "boost", "base_url": ELSEWHERE}),
        function({"provider": "openai"}, BM25),
    ],
)
async def test_every_function_of_a_request_is_checked(providers: GatewayHarness, beside: Any) -> None:
    for order in ((function(RERANKER), beside), (beside, function(RERANKER))):
        await refusal(providers, "Search", score(*order))


async def test_other_ways_to_a_provider_stay_closed(providers: GatewayHarness) -> None:
    chain = schema_pb2.FunctionChain(
        ops=[schema_pb2.FunctionChainOp(op="map", expr=schema_pb2.FunctionChainExpr(name="rerank_model"))]
    )
    for further in (
        {"function_chains": [chain]},
        {"highlighter": common_pb2.Highlighter(type=common_pb2.HighlightType.Semantic)},
    ):
        await refusal(providers, "Search", {**score(function(RERANKER)), **further})


@pytest.mark.parametrize(
    "entry",
    [
        *("OpenAI", "tei=", "tei=tei.example", "tei=ftp://tei.example", "=http://a", "tei=http://", "a b"),
        *("tei=http://user:secret@tei.example", "tei=http://a?key=secret", "tei=http://a/#b", "tei=http://a /b"),
    ],
)
def test_entry_of_another_form_is_refused_and_not_shown(entry: str) -> None:
    with pytest.raises(ValueError, match="must list providers") as refused:
        providers_in(["openai", entry])
    assert "secret" not in str(refused.value)


def test_provider_may_be_listed_with_several_addresses() -> None:
    assert providers_in(["tei=http://a/v1", "tei=https://b:1", "tei"]) == {
        *(("tei", "http://a/v1"), ("tei", "https://b:1"), ("tei", "")),
    }
    assert providers_in([]) == frozenset()


@pytest.mark.parametrize("key", ["api_key", "integration_id", "Authorization", "access_token"])
async def test_refused_key_is_not_recorded(providers: GatewayHarness, key: str) -> None:
    fields = {"schema": schema(function({**EMBEDDING, key: ELSEWHERE}, TEXT_EMBEDDING))}
    await refusal(providers, "CreateCollection", fields)
    recorded = [event for event in providers.trail.events if event.operation == "CreateCollection"]
    assert recorded
    assert ELSEWHERE not in str(recorded)
