"""Responses say nothing about rows that their reader may not see."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness
from tests.unit.gateway.row_access.protected import move_in

from kiteward.domain.errors import EngineRejected, EngineResponseUnreadable
from kiteward.gateway.operations import RowUse
from kiteward.gateway.row_access.responses import HIDDEN_FAILURE, HIDDEN_FILTER, shown
from kiteward.milvus import messages

READS = ("Query", "Search", "HybridSearch")


def told(method: str, **fields: Any) -> Any:
    response = messages.method_of(method).response
    return response.FromString(shown(method, response(**fields).SerializeToString(), RowUse.FILTERED))


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("status", [{"code": 1}, {"code": 65535}, {"error_code": 1}, {"code": 2000}])
def test_a_failure_that_may_repeat_values_is_replaced(method: str, status: dict[str, Any]) -> None:
    shown_status = told(method, status={**status, "reason": "Integer value 7 not in range", "detail": "7"}).status
    assert (shown_status.reason, shown_status.detail) == (HIDDEN_FAILURE, HIDDEN_FAILURE)
    assert {name: getattr(shown_status, name) for name in status} == status


@pytest.mark.parametrize("code", [6, 8, 100, 101, 200, 800, 1100])
def test_a_failure_about_the_request_keeps_its_text(code: int) -> None:
    assert told("Query", status={"code": code, "reason": "as it is"}).status.reason == "as it is"


LITE = """array_contains requires an array or dynamic value, got string at column 20
  owner == "eve" and array_contains(owner, 'x')
                     ^"""
JOINED = """operands of 'and' must be boolean, got int at column 18
  owner == "eve" and n
                     ^"""
NO_CONDITION = (
    "a condition of the filter must be true or false, and one is a value of type int: compare it, as `n == 1`"
)
MILVUS = 'failed to create query plan: cannot parse expression: (owner == "eve") and (id == ), error: line 1:27'


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (6, LITE, "array_contains requires an array or dynamic value, got string"),
        (6, JOINED, NO_CONDITION),
        (1100, MILVUS, HIDDEN_FILTER),
        (6, "limit 3 at column 2", "limit 3 at column 2"),
    ],
)
@pytest.mark.parametrize("method", READS)
def test_a_failure_does_not_repeat_the_filter_that_policies_are_joined_with(
    method: str, code: int, text: str, expected: str
) -> None:
    status = told(method, status={"code": code, "reason": text, "detail": text}).status
    assert (status.reason, status.detail) == (expected, expected)


@pytest.mark.parametrize("method", READS)
def test_what_was_read_is_not_told(method: str) -> None:
    assert not told(method, status={"extra_info": {"report_value": "7", "scanned_total_bytes": "7"}}).status.extra_info


def test_a_search_keeps_what_was_found_and_nothing_about_the_rest() -> None:
    response = told(
        "Search",
        results={
            "num_queries": 2,
            "top_k": 60,
            "topks": [2, 1],
            "scores": [1.0, 0.5, 0.25],
            "ids": {"int_id": {"data": [1, 2, 3]}},
            "all_search_count": 9,
            "recalls": [0.5],
            "agg_buckets": [{"count": 9}],
            "agg_topks": [1],
            "highlight_results": [{"field_name": "text"}],
            "primary_field_name": "id",
        },
        session_ts=7,
    )
    kept: Any = {
        "num_queries": 2,
        "top_k": 2,
        "topks": [2, 1],
        "scores": [1.0, 0.5, 0.25],
        "ids": {"int_id": {"data": [1, 2, 3]}},
        "primary_field_name": "id",
    }
    assert response == messages.SearchResults(status=messages.Status(), results=kept, session_ts=7)


def test_an_empty_page_of_an_iterator_has_one_form() -> None:
    page = {"token": "position", "last_bound": 23}
    beyond = {"num_queries": 1, "topks": [0], "search_iterator_v2_results": page}
    within = {"num_queries": 2, "top_k": 5, "topks": [0, 0], "output_fields": ["n"], "ids": {"int_id": {}}}
    assert told("Search", results={**within, "search_iterator_v2_results": page}) == told("Search", results=beyond)
    full = {"num_queries": 1, "topks": [2], "output_fields": ["n"], "search_iterator_v2_results": page}
    assert list(told("Search", results=full).results.output_fields) == ["n"]


def test_a_field_that_is_unknown_here_is_not_told() -> None:
    unknown = bytes([200 << 3 & 127 | 128, 200 << 3 >> 7, 1])
    nothing = messages.QueryResults(status=messages.Status()).SerializeToString()
    assert shown("Query", unknown, RowUse.FILTERED) == nothing
    with pytest.raises(EngineResponseUnreadable):
        shown("Query", b"\xff", RowUse.FILTERED)


async def test_a_rejection_by_the_engine_is_replaced(harness: GatewayHarness, engine: FakeEngine) -> None:
    await move_in(harness, engine)
    engine.failures["Query"] = EngineRejected("row 7 has the value 2", grpc_code=9)
    with pytest.raises(EngineRejected) as refusal:
        await harness.call("Query", by="alice", collection_name="docs")
    assert (str(refusal.value), refusal.value.grpc_code) == (HIDDEN_FAILURE, 9)
    with pytest.raises(EngineRejected, match="row 7"):
        await harness.call("Query", by="root", collection_name="docs")
