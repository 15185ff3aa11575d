"""What reaches the engine of a read: filters that are written again, from the policy and the caller's filter."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness
from tests.unit.gateway.row_access.protected import ALICE, forwarded, move_in, pairs, policy, protect

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.errors import AccessDenied, EngineResponseUnreadable, FilterSyntaxError
from kiteward.filters import Constant, Dialect
from kiteward.gateway.row_access.reading import FilteredRead
from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2


@pytest.fixture(autouse=True)
async def docs(harness: GatewayHarness, engine: FakeEngine) -> None:
    await move_in(harness, engine)


async def queried(harness: GatewayHarness, engine: FakeEngine, expr: str, **fields: Any) -> str:
    await harness.call("Query", by="alice", collection_name="docs", expr=expr, **fields)
    return str(forwarded(engine, "Query").expr)


async def test_no_filter_becomes_the_policy(harness: GatewayHarness, engine: FakeEngine) -> None:
    for blank in ("", " ", "\t\n"):
        assert await queried(harness, engine, blank) == ALICE
    assert await queried(harness, engine, "", output_fields=["count(*)"]) == ALICE


async def test_a_filter_is_joined_with_the_policy(harness: GatewayHarness, engine: FakeEngine) -> None:
    assert await queried(harness, engine, "n > 1 or n < -1") == f"{ALICE} and (n > 1 or n < -1)"
    assert await queried(harness, engine, "id in [1, 2]") == f"{ALICE} and id in [1, 2]"


@pytest.mark.parametrize(
    "hostile",
    [
        "n > 1) or (n > 0",
        'n > 1) or (owner == "bob"',
        "n > 1 or",
        '"',
        "n > 1 -- or",
        "n > 1; n > 2",
        "(n > 1",
        "n > 1 /* */",
        "owner == $current_principal",
        "owner == {missing}",
        "random_sample(0.5)",
        "n > 1\x00",
        "(" * 1_000 + "n > 1" + ")" * 1_000,
    ],
)
async def test_what_does_not_parse_is_refused(harness: GatewayHarness, engine: FakeEngine, hostile: str) -> None:
    with pytest.raises(FilterSyntaxError):
        await harness.call("Query", by="alice", collection_name="docs", expr=hostile)
    for method, fields in (
        ("Search", {"dsl": hostile, "dsl_type": 1}),
        ("Search", {"sub_reqs": [{"dsl": hostile, "dsl_type": 1}]}),
        ("HybridSearch", {"requests": [{}, {"dsl": hostile, "dsl_type": 1}]}),
    ):
        with pytest.raises(FilterSyntaxError):
            await harness.call(method, by="alice", collection_name="docs", **fields)
    assert not [call for call in engine.calls if call.method in {"Query", "Search", "HybridSearch"}]


async def test_values_of_templates_become_literals(harness: GatewayHarness, engine: FakeEngine) -> None:
    values = {
        "text": schema_pb2.TemplateValue(string_val='" or owner == "bob'),
        "numbers": schema_pb2.TemplateValue(
            array_val=schema_pb2.TemplateArrayValue(long_data=schema_pb2.LongArray(data=[1, 2]))
        ),
        "none": schema_pb2.TemplateValue(array_val=schema_pb2.TemplateArrayValue()),
        "yes": schema_pb2.TemplateValue(bool_val=True),
    }
    filter_ = "s == {text} and n in {numbers} and m in {none} and b == {yes}"
    written = await queried(harness, engine, filter_, expr_template_values=values)
    assert written == f'{ALICE} and s == "\\" or owner == \\"bob" and n in [1, 2] and m in [] and b == true'
    assert not forwarded(engine, "Query").expr_template_values
    await harness.call(
        "Search", by="alice", collection_name="docs", dsl="b == {yes}", dsl_type=1, expr_template_values=values
    )
    assert forwarded(engine, "Search").dsl == f"{ALICE} and b == true"
    assert not forwarded(engine, "Search").expr_template_values


@pytest.mark.parametrize(
    "value",
    [
        schema_pb2.TemplateValue(bytes_val=b"1"),
        schema_pb2.TemplateValue(),
        schema_pb2.TemplateValue(array_val=schema_pb2.TemplateArrayValue(json_data=schema_pb2.JSONArray(data=[b"1"]))),
    ],
)
async def test_a_template_with_another_value_is_refused(
    harness: GatewayHarness, value: schema_pb2.TemplateValue
) -> None:
    with pytest.raises(AccessDenied, match="template"):
        await harness.call(
            "Query", by="alice", collection_name="docs", expr="n == {x}", expr_template_values={"x": value}
        )


async def test_every_search_in_a_request_is_filtered(harness: GatewayHarness, engine: FakeEngine) -> None:
    await harness.call(
        "Search",
        by="alice",
        collection_name="docs",
        sub_reqs=[{"dsl": "n > 1", "dsl_type": 1}, {"nq": 1}],
        search_params=pairs(topk="3"),
    )
    search = forwarded(engine, "Search")
    assert [search.dsl, *(each.dsl for each in search.sub_reqs)] == [ALICE, f"{ALICE} and n > 1", ALICE]
    assert {search.dsl_type, *(each.dsl_type for each in search.sub_reqs)} == {1}
    assert search.search_params[0].key == "topk"
    searches = [{"dsl": "n > 1", "dsl_type": 1, "sub_reqs": [{"dsl": "n > 2", "dsl_type": 1}]}, {"nq": 1}]
    await harness.call("HybridSearch", by="alice", collection_name="docs", requests=searches)
    first, second = forwarded(engine, "HybridSearch").requests
    assert [first.dsl, first.sub_reqs[0].dsl, second.dsl] == [f"{ALICE} and n > 1", f"{ALICE} and n > 2", ALICE]


async def test_a_filter_in_another_language_is_refused(harness: GatewayHarness) -> None:
    with pytest.raises(AccessDenied, match="dsl_type"):
        await harness.call("Search", by="alice", collection_name="docs", dsl='{"bool": {}}', dsl_type=0)


async def test_without_a_policy_no_row_is_found(harness: GatewayHarness, engine: FakeEngine) -> None:
    await protect(harness)
    assert await queried(harness, engine, "n > 1") == "false"
    assert await queried(harness, engine, "") == "false"


async def test_a_policy_for_all_rows_leaves_the_filter_as_it_is_meant(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    await protect(harness, policy("all", "true"))
    assert await queried(harness, engine, "n>1") == "n > 1"
    assert await queried(harness, engine, "") == "true"


def read(rule: BoundRule, **fields: Any) -> FilteredRead:
    payload = messages.QueryRequest(collection_name="docs", **fields).SerializeToString()
    return FilteredRead.of("Query", payload, rule, dialect=Dialect.MILVUS)


def test_milvus_is_asked_for_no_row_by_the_primary_key() -> None:
    nothing = read(BoundRule(Constant(False), ()), expr="n > 1")
    assert nothing.needs_primary_key(Dialect.MILVUS)
    assert not nothing.needs_primary_key(Dialect.EMBEDDED)
    forwarded = messages.QueryRequest.FromString(nothing.payload(Dialect.MILVUS, primary_key="id"))
    assert forwarded.expr == "id in [] and n > 1"
    assert (
        messages.QueryRequest.FromString(read(nothing.rule).payload(Dialect.MILVUS, primary_key="id")).expr
        == "id in []"
    )
    everything = read(BoundRule(Constant(True), ()))
    assert not everything.needs_primary_key(Dialect.MILVUS)
    assert messages.QueryRequest.FromString(everything.payload(Dialect.MILVUS)).expr == ""


def counted(count: int) -> bytes:
    data = schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=[count]))
    return messages.QueryResults(
        fields_data=[schema_pb2.FieldData(field_name="count(*)", scalars=data)]
    ).SerializeToString()


BY_IDS: Any = {"int_id": {"data": [3, 1, 3]}}
BY_TEXTS: Any = {"str_id": {"data": ['a"', "b"]}}


@pytest.mark.parametrize(("ids", "listed"), [(BY_IDS, "[3, 1]"), (BY_TEXTS, '["a\\"", "b"]')])
async def test_a_search_by_ids_needs_rows_that_the_caller_sees(
    harness: GatewayHarness, engine: FakeEngine, ids: Any, listed: str
) -> None:
    for method, fields in (("Search", {"ids": ids}), ("HybridSearch", {"requests": [{"nq": 1}, {"ids": ids}]})):
        engine.answers["Query"] = counted(2)
        await harness.call(method, by="alice", collection_name="docs", **fields)
        asked = forwarded(engine, "Query")
        assert (asked.expr, list(asked.output_fields)) == (f"{ALICE} and id in {listed}", ["count(*)"])
        assert len(engine.called(method)) == 1
        refusals = set()
        failed = messages.QueryResults(status=messages.Status(code=1)).SerializeToString()
        for answer in (counted(1), counted(0), failed, b""):
            engine.answers["Query"] = answer
            with pytest.raises(AccessDenied) as refusal:
                await harness.call(method, by="alice", collection_name="docs", **fields)
            refusals.add(str(refusal.value))
        assert refusals == {"the ids to search by must be those of rows that you may see"}
        assert len(engine.called(method)) == 1


async def test_a_search_by_ids_needs_the_primary_key(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.answers["DescribeCollection"] = messages.DescribeCollectionResponse().SerializeToString()
    with pytest.raises(EngineResponseUnreadable):
        await harness.call("Search", by="alice", collection_name="docs", ids=BY_IDS)
