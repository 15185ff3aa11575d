"""Whatever bytes arrive, a reader finds in them what the real parser finds, or refuses them."""

import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.unit.milvus.payloads import (
    PayloadWriter,
    group,
    length_field,
    number_field,
    only_read_fields,
    path_sets,
    tag,
    text_field,
    varint,
)

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.messages import (
    METHODS,
    HybridSearchRequest,
    InsertRequest,
    MessageType,
    SearchRequest,
    descriptor_of,
    field_path,
)
from kiteward.milvus.wire_format import FieldReader, encode_varint, without_fields

EXAMPLES = int(os.environ.get("KITEWARD_PROPERTY_EXAMPLES", "5000"))
READABLE = sorted(name for name in METHODS if path_sets(name))
NQ = SearchRequest.DESCRIPTOR.fields_by_name["nq"].number
HASH_KEYS = InsertRequest.DESCRIPTOR.fields_by_name["hash_keys"].number


def parsed(message_type: MessageType, payload: bytes) -> Any:
    """Return what the real parser makes of a payload, None if it rejects it."""
    try:
        return message_type.FromString(payload)
    except DecodeError:
        return None


def read(message_type: MessageType, paths: tuple[str, ...], payload: bytes) -> dict[str, Any] | None:
    """Return what a reader makes of a payload, None if it refuses it."""
    reader = FieldReader([field_path(message_type, path) for path in paths])
    try:
        return dict(zip(paths, reader.read(payload), strict=True))
    except PayloadMalformed:
        return None


def fields_on(message_type: MessageType, path: str) -> Iterator[FieldDescriptor]:
    descriptor: Descriptor | None = descriptor_of(message_type)
    for name in path.split("."):
        assert descriptor is not None
        field = descriptor.fields_by_name[name]
        descriptor = field.message_type
        yield field


def value_at(message: Message, path: str) -> Any:
    """Return what a parsed message holds at a path: a flat list if an element of the path is repeated."""
    values: list[Any] = [message]
    is_list = False
    for field in fields_on(type(message), path):
        if field.is_repeated:
            values = [element for value in values for element in getattr(value, field.name)]
            is_list = True
        else:
            values = [getattr(value, field.name) for value in values]
    return values if is_list else values[0]


def maps_on(message_type: MessageType, path: str) -> list[str]:
    """Return the maps that a path leads through, as paths."""
    fields = list(fields_on(message_type, path))
    return [
        ".".join(path.split(".")[: position + 1])
        for position, field in enumerate(fields)
        if field.message_type and field.message_type.GetOptions().map_entry
    ]


def holds_odd_entry(message_type: MessageType, paths: tuple[str, ...], message: Message) -> bool:
    """Return whether an entry of a map that is read holds an unknown field, on which parsers disagree."""
    maps = {map_path for path in paths for map_path in maps_on(message_type, path)}
    return any(len(UnknownFieldSet(entry)) for map_path in maps for entry in value_at(message, map_path))


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(method=st.sampled_from(READABLE), random=st.randoms(use_true_random=True))
def test_reader_agrees_with_the_real_parser_on_every_payload(method: str, random: Random) -> None:
    """Compare with the real parser twice.

    The real parser of a message type that declares the read fields and no others tells exactly what a reader must do:
    to it, too, every other field is unknown, so that a fault inside one does not matter. Both accept the same payloads
    (but for odd map entries, which are refused) and find the same values.

    The real parser of the full type is the one that counts. What it accepts, a reader accepts, with equal values. What
    a reader accepts and the full type's parser rejects, the cut type's parser accepts: so the fault lies in a field
    that is not read, and the engine will reject the request.
    """
    message_type = METHODS[method].request
    paths = random.choice(path_sets(method))
    payload = PayloadWriter(random).payload(
        descriptor_of(message_type), frozenset(path.split(".")[0] for path in paths)
    )
    note(f"{method} {paths} {payload.hex()}")
    found = read(message_type, paths, payload)
    full = parsed(message_type, payload)
    cut = parsed(only_read_fields(method, paths), payload)
    if cut is None:
        assert full is None
        assert found is None
        return
    if holds_odd_entry(message_type, paths, cut):
        assert found is None
        return
    assert found == {path: value_at(cut, path) for path in paths}
    plain = [path for path in paths if not maps_on(message_type, path)]
    assert full is None or {path: found[path] for path in plain} == {path: value_at(full, path) for path in plain}


@settings(max_examples=EXAMPLES // 5)
@given(payload=st.binary(max_size=40))
def test_reader_agrees_with_the_real_parser_on_arbitrary_bytes(payload: bytes) -> None:
    paths = path_sets("HybridSearch")[-1] + ("db_name", "collection_name", "requests.collection_name")
    paths = tuple(path for path in dict.fromkeys(paths) if not maps_on(HybridSearchRequest, path))
    cut = parsed(only_read_fields("HybridSearch", paths), payload)
    assert read(HybridSearchRequest, paths, payload) == (cut and {path: value_at(cut, path) for path in paths})


def test_generated_payloads_are_neither_all_valid_nor_all_broken() -> None:
    random = Random(1)
    writer = PayloadWriter(random)
    valid = 0
    for _ in range(500):
        message_type = METHODS[random.choice(READABLE)].request
        valid += parsed(message_type, writer.payload(descriptor_of(message_type), frozenset())) is not None
    assert 200 < valid < 450


@settings(max_examples=EXAMPLES // 5)
@given(method=st.sampled_from(READABLE), random=st.randoms(use_true_random=True))
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


def nq(payload: bytes) -> Any:
    found = read(SearchRequest, ("nq",), payload)
    message = parsed(SearchRequest, payload)
    assert (message and message.nq) == (found and found["nq"])
    return found and found["nq"]


def collection_name(payload: bytes) -> Any:
    found = read(SearchRequest, ("collection_name",), payload)
    message = parsed(SearchRequest, payload)
    assert (message and message.collection_name) == (found and found["collection_name"])
    return found and found["collection_name"]


def test_last_occurrence_of_a_name_counts() -> None:
    assert collection_name(text_field(3, "mine") + text_field(2, "db") + text_field(3, "theirs")) == "theirs"


def test_name_in_another_wire_type_is_an_unknown_field() -> None:
    assert collection_name(text_field(3, "mine") + number_field(3, 7) + group(3)) == "mine"


def test_occurrences_of_a_singular_message_merge() -> None:
    request = METHODS["OperatePrivilege"].request
    paths = ("entity.role.name", "entity.role.description", "entity.object_name")
    first = length_field(2, length_field(1, text_field(1, "reader")) + text_field(3, "docs"))
    second = length_field(2, length_field(1, text_field(1, "writer")) + length_field(1, text_field(2, "writes")))
    expected = dict(zip(paths, ["writer", "writes", "docs"], strict=True))
    message = request.FromString(first + second)
    assert {path: value_at(message, path) for path in paths} == expected
    assert read(request, paths, first + second) == expected


def test_repeated_message_gives_one_value_per_element() -> None:
    first = length_field(5, text_field(3, "a") + text_field(3, "b"))
    payload = first + length_field(5, b"") + length_field(5, text_field(3, "c"))
    assert read(HybridSearchRequest, ("requests.collection_name",), payload) == {
        "requests.collection_name": ["b", "", "c"]
    }


def test_repeated_field_of_a_repeated_message_gives_a_flat_list() -> None:
    payload = (
        length_field(5, text_field(4, "a") + text_field(4, "b"))
        + length_field(5, b"")
        + length_field(5, text_field(4, "c"))
    )
    assert read(HybridSearchRequest, ("requests.partition_names",), payload) == {
        "requests.partition_names": ["a", "b", "c"]
    }


def test_absent_fields_have_their_defaults() -> None:
    paths = ("db_name", "nq", "use_default_consistency", "partition_names", "sub_reqs.nq")
    found = read(SearchRequest, paths, b"")
    assert found == dict(zip(paths, ["", 0, False, [], []], strict=True))
    assert found["use_default_consistency"] is False


def test_numbers_may_come_packed_or_not() -> None:
    packed = length_field(HASH_KEYS, varint(1) + varint(2**32 + 2))
    payload = number_field(HASH_KEYS, 0) + packed + number_field(HASH_KEYS, 3)
    assert read(InsertRequest, ("hash_keys",), payload) == {"hash_keys": [0, 1, 2, 3]}
    assert list(InsertRequest.FromString(payload).hash_keys) == [0, 1, 2, 3]


def test_packed_number_ends_within_its_field() -> None:
    payload = length_field(HASH_KEYS, b"\x01\x82") + text_field(3, "docs")
    assert parsed(InsertRequest, payload) is None
    assert read(InsertRequest, ("hash_keys",), payload) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x05", 5),
        (varint(2**64 - 1), -1),
        (varint(2**63), -(2**63)),
        (varint(5, size=10), 5),
        (b"\xff" * 9 + b"\x7f", -1),
        (b"\x80" * 9 + b"\x02", 0),
        (varint(5, size=11), None),
        (b"\x80", None),
    ],
)
def test_number_keeps_its_low_64_bits_of_at_most_10_bytes(value: bytes, expected: int | None) -> None:
    assert nq(tag(NQ, 0) + value) == expected


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("dsl_type", 2**32 + 1, 1),
        ("dsl_type", 2**31, -(2**31)),
        ("guarantee_timestamp", 2**64 - 1, 2**64 - 1),
        ("use_default_consistency", 2**32, True),
    ],
)
def test_number_is_cut_to_its_kind(path: str, value: int, expected: int) -> None:
    payload = number_field(SearchRequest.DESCRIPTOR.fields_by_name[path].number, value)
    assert read(SearchRequest, (path,), payload) == {path: expected}
    assert getattr(SearchRequest.FromString(payload), path) == expected


@pytest.mark.parametrize(("size", "accepted"), [(1, True), (2, True), (5, True), (6, False), (10, False)])
def test_tags_and_lengths_take_at_most_5_bytes(size: int, accepted: bool) -> None:
    assert nq(varint(NQ << 3, size=size) + b"\x05") == (5 if accepted else None)
    assert collection_name(b"\x1a" + varint(4, size=size) + b"docs") == ("docs" if accepted else None)


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
        pytest.param(length_field(1, tag(1000, 3)) + tag(1000, 4), id="group across the end of a message"),
        pytest.param(b"\x0a\x02\x60\x80\x05", id="number across the end of a message"),
        pytest.param(b"\x0a\x02\x32\x01\x00", id="string across the end of a message"),
        pytest.param(b"\x1a\x05docs", id="string across the end of the payload"),
        pytest.param(b"\x1a" + varint(2**31), id="length of 32 bits"),
        pytest.param(b"\x1a" + varint(2**32 + 1) + b"a", id="length of 33 bits"),
        pytest.param(b"\x1a\x01\xff", id="not UTF-8"),
        pytest.param(b"\x1a\x03\xed\xa0\x80", id="a surrogate"),
        pytest.param(b"\x1a", id="no length"),
        pytest.param(b"\x60", id="no number"),
        pytest.param(tag(1000, 1) + b"1234567", id="short fixed64"),
        pytest.param(tag(1000, 5) + b"123", id="short fixed32"),
    ],
)
def test_broken_payload_is_refused(payload: bytes) -> None:
    assert parsed(SearchRequest, payload) is None
    assert read(SearchRequest, ("nq", "collection_name", "base.msgID"), payload) is None


@pytest.mark.parametrize(("depth", "accepted"), [(99, True), (100, True), (101, False), (50_000, False)])
def test_groups_nest_100_deep(depth: int, accepted: bool) -> None:
    groups = tag(1000, 3) * depth + tag(1000, 4) * depth
    assert (parsed(SearchRequest, groups) is not None) is accepted
    assert (read(SearchRequest, ("nq",), groups) is not None) is accepted


@pytest.mark.parametrize(("depth", "accepted"), [(99, True), (100, False)])
def test_a_message_counts_towards_the_depth_of_groups_in_it(depth: int, accepted: bool) -> None:
    payload = length_field(1, tag(1000, 3) * depth + tag(1000, 4) * depth)
    assert (parsed(SearchRequest, payload) is not None) is accepted
    assert (read(SearchRequest, ("base.msgID",), payload) is not None) is accepted


def test_map_entry_with_an_unknown_field_is_refused() -> None:
    request = METHODS["AddUserTags"].request
    number = request.DESCRIPTOR.fields_by_name["tags"].number
    plain = length_field(number, text_field(1, "team") + text_field(2, "red"))
    odd = length_field(number, text_field(1, "team") + text_field(2, "red") + number_field(3, 1))
    assert read(request, ("tags.key",), plain + plain) == {"tags.key": ["team", "team"]}
    understood: Any = request.FromString(plain)
    assert dict(understood.tags) == {"team": "red"}
    refused: Any = request.FromString(odd)
    assert not refused.tags
    assert read(request, ("tags.key",), odd) is None
    assert read(request, ("user_name",), odd) == {"user_name": ""}


def test_two_reads_share_nothing() -> None:
    reader = FieldReader([field_path(SearchRequest, "partition_names")])
    first = reader.read(text_field(4, "a"))
    assert reader.read(text_field(4, "b")) == [["b"]]
    assert first == [["a"]]


@given(number=st.integers(0, 2**64 - 1))
def test_encoded_varint_reads_back(number: int) -> None:
    message = SearchRequest.FromString(encode_varint(NQ << 3) + encode_varint(number))
    assert message.nq % 2**64 == number
