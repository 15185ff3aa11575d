"""What is stepped over is stepped over as the real parser does it."""

import os
from random import Random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.unit.milvus.payloads import PayloadWriter, group, tag, varint

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.messages import METHODS, MessageType, SearchRequest, descriptor_of
from kiteward.milvus.wire_format import encode_varint, top_level, without_fields

EXAMPLES = int(os.environ.get("TESTS_PROPERTY_EXAMPLES", "2000"))
NQ = SearchRequest.DESCRIPTOR.fields_by_name["nq"].number


def parsed(message_type: MessageType, payload: bytes) -> Any:
    """Return what the real parser makes of a payload, None if it rejects it."""
    try:
        return message_type.FromString(payload)
    except DecodeError:
        return None


def fields(payload: bytes) -> list[tuple[int, bytes]] | None:
    """Return tag and content of the fields of a payload, None if it is no message."""
    try:
        return [(tag, payload[begin:end]) for tag, _, begin, end in top_level(memoryview(payload))]
    except PayloadMalformed:
        return None


def test_generated_payloads_are_neither_all_valid_nor_all_broken() -> None:
    random = Random(1)
    writer = PayloadWriter(random)
    valid = 0
    for _ in range(500):
        message_type = METHODS[random.choice(sorted(METHODS))].request
        valid += parsed(message_type, writer.payload(descriptor_of(message_type), frozenset())) is not None
    assert 200 < valid < 450


@settings(max_examples=EXAMPLES // 5)
@given(method=st.sampled_from(sorted(METHODS)), random=st.randoms(use_true_random=True))
def test_taking_fields_out_leaves_every_other_byte(method: str, random: Random) -> None:
    descriptor = descriptor_of(METHODS[method].request)
    payload = PayloadWriter(random).payload(descriptor, frozenset())
    tags = {field.number << 3 | 2 for field in descriptor.fields if random.random() < 0.5}
    note(f"{method} {tags} {payload.hex()}")
    try:
        rest = b"".join(without_fields(payload, tags))
    except PayloadMalformed:
        assert parsed(METHODS[method].request, payload) is None
        return
    assert b"".join(without_fields(rest, tags)) == rest
    assert b"".join(without_fields(payload, ())) == payload
    assert len(rest) <= len(payload)


def test_each_field_has_its_tag_and_content() -> None:
    payload = b"\x1a\x04docs" + varint(NQ << 3) + b"\x05" + group(1000, b"\x08\x01") + tag(9, 5) + b"1234"
    found = fields(payload)
    assert found == [(26, b"docs"), (NQ << 3, b"\x05"), (1000 << 3 | 3, b"\x08\x01" + tag(1000, 4)), (77, b"1234")]


@pytest.mark.parametrize(("size", "accepted"), [(1, True), (2, True), (5, True), (6, False), (10, False)])
def test_tags_and_lengths_take_at_most_5_bytes(size: int, accepted: bool) -> None:
    for payload in (varint(NQ << 3, size=size) + b"\x05", b"\x1a" + varint(4, size=size) + b"docs"):
        assert (fields(payload) is not None) is accepted
        assert (parsed(SearchRequest, payload) is not None) is accepted


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(varint(2**32 + (NQ << 3)) + b"\x05", id="tag of 33 bits"),
        pytest.param(b"\x00\x05", id="field 0"),
        pytest.param(b"\x80\x00\x05", id="field 0, padded"),
        pytest.param(b"\x03\x04", id="field 0 as a group"),
        pytest.param(b"\x66", id="wire type 6"),
        pytest.param(b"\x67", id="wire type 7"),
        pytest.param(tag(1000, 4), id="group that never began"),
        pytest.param(tag(1000, 3), id="group that never ends"),
        pytest.param(tag(1000, 3) + tag(1001, 4), id="group with the wrong end"),
        pytest.param(group(1000, b"\x66"), id="wire type 6 in a group"),
        pytest.param(b"\x1a\x05docs", id="string across the end of the payload"),
        pytest.param(b"\x1a" + varint(2**31), id="length of 32 bits"),
        pytest.param(b"\x1a" + varint(2**32 + 1) + b"a", id="length of 33 bits"),
        pytest.param(b"\x1a", id="no length"),
        pytest.param(b"\x60", id="no number"),
        pytest.param(tag(1000, 1) + b"1234567", id="short fixed64"),
        pytest.param(tag(1000, 5) + b"123", id="short fixed32"),
    ],
)
def test_broken_payload_is_refused(payload: bytes) -> None:
    assert parsed(SearchRequest, payload) is None
    assert fields(payload) is None


@pytest.mark.parametrize(("depth", "accepted"), [(99, True), (100, True), (101, False), (50_000, False)])
def test_groups_nest_100_deep(depth: int, accepted: bool) -> None:
    groups = tag(1000, 3) * depth + tag(1000, 4) * depth
    assert (parsed(SearchRequest, groups) is not None) is accepted
    assert (fields(groups) is not None) is accepted


@given(number=st.integers(0, 2**64 - 1))
def test_encoded_varint_reads_back(number: int) -> None:
    message = SearchRequest.FromString(encode_varint(NQ << 3) + encode_varint(number))
    assert message.nq % 2**64 == number
