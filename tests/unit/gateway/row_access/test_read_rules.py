"""Whatever could select rows by other means, or is not known, is refused in reads of a collection with row policies."""

import json
from typing import Any, Final

import pytest
from tests.unit.gateway.row_access.protected import pairs

from kiteward.domain.errors import AccessDenied
from kiteward.gateway.row_access.read_rules import ALLOWED, check_read
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

REFUSED: Final = {
    "QueryRequest": "travel_timestamp namespace",
    "SearchRequest": """
        travel_timestamp search_by_primary_keys namespace highlighter search_aggregation function_chains
    """,
    "SubSearchRequest": "namespace",
    "HybridSearchRequest": "travel_timestamp namespace function_chains",
}
"""Type of a message -> its fields that nobody may set who is subject to row policies."""


@pytest.mark.parametrize("kind", sorted(ALLOWED))
def test_every_field_is_decided(kind: str) -> None:
    fields = {field.name for field in getattr(milvus_pb2, kind).DESCRIPTOR.fields}
    refused = set(REFUSED[kind].split())
    assert ALLOWED[kind] | refused == fields
    assert not ALLOWED[kind] & refused


def some(message: Any, name: str) -> Any:
    """Return the message with a value in a field."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        getattr(message, name).add()
    elif field.message_type is not None:
        getattr(message, name).SetInParent()
    else:
        setattr(message, name, {9: "x", 8: True}.get(field.type, 7))
    return message


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in REFUSED.items() for name in names.split()])
def test_a_field_that_is_not_accepted_is_refused_wherever_it_is(kind: str, name: str) -> None:
    message = some(getattr(milvus_pb2, kind)(), name)
    holders = [message]
    if kind == "SubSearchRequest":
        holders = [messages.SearchRequest(sub_reqs=[message])]
    elif kind == "SearchRequest":
        holders = [message, messages.HybridSearchRequest(requests=[messages.SearchRequest(), message])]
    for holder in holders:
        with pytest.raises(AccessDenied, match=f"`{name}` is not accepted"):
            check_read(holder)


def test_an_unknown_field_is_refused_wherever_it_is() -> None:
    unknown = bytes([200 << 3 & 127 | 128, 200 << 3 >> 7, 1])
    inside = messages.SearchRequest.FromString(unknown)
    for message in (
        messages.QueryRequest.FromString(unknown),
        inside,
        messages.HybridSearchRequest(requests=[inside]),
        messages.SearchRequest(search_params=[messages.KeyValuePair.FromString(unknown)]),
    ):
        with pytest.raises(AccessDenied, match="unknown"):
            check_read(message)


ACCEPTED_PARAMETERS: Final = [
    messages.QueryRequest(query_params=pairs(limit="3", offset="1", iterator="True", reduce_stop_for_best="True")),
    messages.QueryRequest(query_params=pairs(ignore_growing="False", collection_id="7", timezone="UTC")),
    messages.SearchRequest(search_params=pairs(topk="3", anns_field="v", params='{"ef": 64, "radius": 1.5}')),
    messages.SearchRequest(search_params=pairs(group_by_field="n", group_size="2", strict_group_size="true")),
    messages.SearchRequest(search_params=pairs(search_iter_v2="True", search_iter_last_bound="3.0", nprobe="8")),
    messages.SearchRequest(search_params=pairs(params="")),
    messages.HybridSearchRequest(rank_params=pairs(strategy="rrf", params='{"k": 60}', limit="3", round_decimal="2")),
    messages.HybridSearchRequest(rank_params=pairs(strategy="weighted", params='{"weights": [0.7, 0.3]}')),
    messages.QueryRequest(output_fields=["count(*)", "*", "n", "$meta"]),
    messages.QueryRequest(output_fields=[" COUNT(*) "]),
]
REFUSED_PARAMETERS: Final = [
    messages.QueryRequest(query_params=pairs(group_by_fields="n")),
    messages.QueryRequest(query_params=pairs(order_by_fields="n:desc")),
    messages.QueryRequest(query_params=pairs(expr="id > 0")),
    messages.QueryRequest(query_params=pairs(Limit="3")),
    messages.QueryRequest(output_fields=["sum(n)"]),
    messages.QueryRequest(output_fields=["id", "count(n)"]),
    messages.SearchRequest(search_params=pairs(hints="iterative_filter")),
    messages.SearchRequest(search_params=pairs(filter="id > 0")),
    messages.SearchRequest(search_params=pairs(group_by_fields="n")),
    messages.SearchRequest(search_params=pairs(order_by_fields="n:desc")),
    messages.SearchRequest(search_params=pairs(json_path="j", json_type="int")),
    messages.SearchRequest(search_params=pairs(cluster_id="other")),
    messages.SearchRequest(search_params=pairs(params='{"hints": "x"}')),
    messages.SearchRequest(search_params=pairs(params='{"filter": "id > 0"}')),
    messages.SearchRequest(search_params=pairs(params='{"params": {}}')),
    messages.SearchRequest(search_params=pairs(params='{"ef": {"filter": "id > 0"}}')),
    messages.SearchRequest(search_params=pairs(params='{"ef": [{"filter": "id > 0"}]}')),
    messages.SearchRequest(search_params=pairs(params="[1]")),
    messages.SearchRequest(search_params=pairs(params="ef=64")),
    messages.SearchRequest(search_params=pairs(params="[" * 100_000)),
    messages.HybridSearchRequest(rank_params=pairs(filter="id > 0")),
    messages.HybridSearchRequest(rank_params=pairs(strategy="rrf", params='{"filter": "id > 0"}')),
]


@pytest.mark.parametrize("message", ACCEPTED_PARAMETERS, ids=str)
def test_parameters_that_select_no_rows_are_accepted(message: Any) -> None:
    check_read(message)


@pytest.mark.parametrize("message", REFUSED_PARAMETERS, ids=lambda message: str(message)[:60])
def test_other_parameters_are_refused(message: Any) -> None:
    with pytest.raises(AccessDenied, match="not accepted in reads of a collection with row policies"):
        check_read(message)


def function(kind: int = 3, **parameters: Any) -> Any:
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()}
    return {"functions": [{"name": "f", "type": kind, "input_field_names": ["n"], "params": pairs(**given)}]}


@pytest.mark.parametrize("kind", [messages.SearchRequest, messages.HybridSearchRequest])
def test_rerankers_that_compute_with_what_was_found_are_accepted(kind: Any) -> None:
    for score in (
        function(reranker="rrf", k=60),
        function(reranker="weighted", weights=[1.0], norm_score=True),
        function(reranker="decay", function="gauss", origin=10, scale=3, decay=0.5, offset=1),
        function(strategy="rrf"),
    ):
        check_read(kind(function_score=score))


@pytest.mark.parametrize("kind", [messages.SearchRequest, messages.HybridSearchRequest])
def test_other_functions_are_refused(kind: Any) -> None:
    for score in (
        function(reranker="boost", filter='owner == "bob"', weight=2),
        function(reranker="model", provider="tei", endpoint="http://a"),
        function(reranker="rrf", filter="id > 0"),
        function(reranker="rrf", url="http://a"),
        function(2, reranker="rrf"),
        function(),
        {"params": pairs(boost_mode="sum")},
        {"functions": [{"type": 3, "params": [*pairs(reranker="rrf"), *pairs(reranker="boost")]}]},
    ):
        with pytest.raises(AccessDenied):
            check_read(kind(function_score=score))


def scored(**facts: Any) -> messages.SearchRequest:
    return messages.SearchRequest(function_score=messages.schema_pb2.FunctionScore(**facts))


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (messages.QueryRequest(travel_timestamp=1), "travel_timestamp"),
        (messages.QueryRequest(query_params=pairs(secret="1")), "secret"),
        (messages.QueryRequest(output_fields=["sum(n)"]), "sum(n)"),
        (messages.SearchRequest(search_params=pairs(params='{"secret": 1}')), "params.secret"),
        (messages.SearchRequest(search_params=pairs(params="x")), "params"),
        (messages.SearchRequest(search_params=pairs(params='{"ef": {}}')), "params.ef"),
        (scored(params=pairs(secret="1")), "function_score.secret"),
        (scored(functions=[messages.schema_pb2.FunctionSchema()]), "function_score.functions"),
    ],
)
def test_refusal_tells_programs_a_name_and_no_words(message: Any, name: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        check_read(message)
    assert refused.value.details[0].parameters == {"name": name}
