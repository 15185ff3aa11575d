"""A large request holds a limited number of fields, however they are written, and is parsed without its bulk data."""

import pytest
from tests.unit.milvus.payloads import group, length_field, tag

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.large_payloads import LargePayloads
from kiteward.milvus.messages import (
    METHODS,
    CreateCollectionRequest,
    HybridSearchRequest,
    KeyValuePair,
    SearchRequest,
    descriptor_of,
)
from kiteward.milvus.wire_format import encode_varint

MOST = 1_000
PARAMS = SearchRequest.DESCRIPTOR.fields_by_name["search_params"].number


def check(method: str, payload: bytes) -> bytes:
    return LargePayloads(descriptor_of(METHODS[method].request), MOST).without_bulk(payload)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b"\x08\x01", id="numbers"),
        pytest.param(b"\x1a\x00", id="empty strings"),
        pytest.param(length_field(PARAMS, b""), id="empty messages"),
        pytest.param(length_field(PARAMS, b"\x0a\x00\x12\x00"), id="messages with fields"),
        pytest.param(group(99), id="empty groups"),
    ],
)
def test_a_payload_of_very_many_fields_is_refused(field: bytes) -> None:
    with pytest.raises(PayloadMalformed, match=f"more than {MOST} fields"):
        check("Search", field * (MOST + 1))


def test_as_many_as_are_allowed_pass() -> None:
    check("Search", b"\x1a\x01x" * MOST)


def test_fields_inside_messages_count() -> None:
    inside = SearchRequest(search_params=[KeyValuePair(key="a", value="b")] * (MOST // 3)).SerializeToString()
    request = HybridSearchRequest().SerializeToString()
    check(
        "HybridSearch", request + length_field(HybridSearchRequest.DESCRIPTOR.fields_by_name["requests"].number, inside)
    )
    with pytest.raises(PayloadMalformed, match="fields"):
        check("Search", inside * 2)


def test_packed_numbers_count_by_their_bytes() -> None:
    flood = b"\x1a" + encode_varint(2 * MOST + 1) + b"\x01" * (2 * MOST + 1)
    with pytest.raises(PayloadMalformed, match="fields"):
        check("BatchDescribeCollection", flood)


def test_what_is_inside_groups_counts_by_its_bytes() -> None:
    with pytest.raises(PayloadMalformed, match="fields"):
        check("Search", group(99, b"\x08\x01" * (MOST + 1)))


def test_a_small_payload_stays_as_it_is() -> None:
    payload = length_field(6, b"\x00" * MOST)
    assert check("Search", payload) is payload


def test_bulk_data_is_left_out_and_all_else_stays() -> None:
    request = HybridSearchRequest(
        db_name="books",
        requests=[
            SearchRequest(dsl="a", placeholder_group=b"x" * 3 * MOST, nq=1),
            SearchRequest(collection_name="docs", placeholder_group=b"y"),
            SearchRequest(search_params=[KeyValuePair(key="k", value="v")]),
        ],
        collection_name="docs",
    )
    small = HybridSearchRequest.FromString(check("HybridSearch", request.SerializeToString()))
    for sub in request.requests[:2]:
        sub.placeholder_group = b""
    assert small == request


def test_serialised_messages_are_kept() -> None:
    payload = CreateCollectionRequest(schema=b"x" * 3 * MOST).SerializeToString()
    assert check("CreateCollection", payload) == payload


@pytest.mark.parametrize("ending", [b"\x1a", b"\x1a\x05docs", b"\x07", length_field(PARAMS, b"\x0a\x05x")])
def test_what_is_no_message_is_refused(ending: bytes) -> None:
    with pytest.raises(PayloadMalformed):
        check("Search", length_field(6, b"\x00" * 3 * MOST) + ending)


def test_messages_nest_100_deep() -> None:
    field = SearchRequest.DESCRIPTOR.fields_by_name["search_aggregation"]
    assert field.message_type is not None
    sub = field.message_type.fields_by_name["sub_aggregation"].number
    nested = b""
    for _ in range(101):
        nested = length_field(sub, nested)
    payload = length_field(6, b"\x00" * 3 * MOST) + length_field(field.number, nested) + tag(8, 2) + b"\x00"
    with pytest.raises(PayloadMalformed, match="too deep"):
        check("Search", payload)
