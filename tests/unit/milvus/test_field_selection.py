"""Plans read what they name; replacing changes what it names and nothing else."""

from random import Random

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.unit.milvus.payloads import PayloadWriter, number_field, text_field
from tests.unit.milvus.test_wire_format import EXAMPLES

from kiteward.domain.errors import OperationUnknown, PayloadMalformed
from kiteward.milvus import messages
from kiteward.milvus.field_selection import REQUEST_BUDGET, FieldSelection, replace
from kiteward.milvus.messages import (
    METHODS,
    FlushRequest,
    HybridSearchRequest,
    KeyValuePair,
    SearchRequest,
    ShowCollectionsResponse,
    descriptor_of,
)
from kiteward.milvus.wire_format import encode_varint


def text_fields(method: str) -> list[FieldDescriptor]:
    """Return the top-level string fields of a request that are outside oneofs of several members."""
    return [
        field
        for field in descriptor_of(METHODS[method].request).fields
        if field.type == FieldDescriptor.TYPE_STRING
        and (field.containing_oneof is None or len(field.containing_oneof.fields) == 1)
    ]


WITH_TEXT = sorted(name for name in METHODS if text_fields(name))


def test_plan_reads_what_it_names() -> None:
    request = HybridSearchRequest(
        db_name="books",
        collection_name="docs",
        requests=[SearchRequest(collection_name="docs", nq=3), SearchRequest(db_name="other")],
    )
    selection = FieldSelection.of(
        "HybridSearch", ["db_name", "collection_name", "requests.collection_name", "requests.nq"]
    )
    assert selection.read(request.SerializeToString()) == {
        "db_name": "books",
        "collection_name": "docs",
        "requests.collection_name": ["docs", ""],
        "requests.nq": [3, 0],
    }


def test_plan_reads_responses_too() -> None:
    response = ShowCollectionsResponse(collection_names=["a", "b"], collection_ids=[7, 8])
    selection = FieldSelection.of(ShowCollectionsResponse, ["collection_names", "collection_ids"])
    assert selection.read(response.SerializeToString()) == {"collection_names": ["a", "b"], "collection_ids": [7, 8]}


def test_plan_of_nothing_still_refuses_what_is_not_a_message() -> None:
    selection = FieldSelection.of("GetVersion", [])
    assert selection.read(number_field(1000, 1)) == {}
    with pytest.raises(PayloadMalformed):
        selection.read(b"\x07")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "base",
        "base.nothing",
        "db_name.length",
        "placeholder_group",
        "function_score.functions",
        "ids.int_id.data",
        "search_params.",
    ],
)
def test_plan_refuses_a_path_it_could_not_read(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FieldSelection.of("Search", [path])


def test_plan_refuses_a_member_of_a_oneof() -> None:
    with pytest.raises(ValueError, match="oneof"):
        FieldSelection.of("AlterCollectionSchema", ["action.drop_request.field_name"])


def test_plan_reads_more_than_the_parser_keeps_of_a_oneof_where_that_is_allowed() -> None:
    request = messages.method_of("AlterCollectionSchema").request
    first = request(action={"add_request": {"field_infos": [{"index_name": "first"}]}}).SerializeToString()
    second = request(action={"drop_request": {"field_name": "x"}}).SerializeToString()
    path = "action.add_request.field_infos.index_name"
    selection = FieldSelection.of("AlterCollectionSchema", ["db_name"], erasable=[path])
    assert selection.read(first + second) == {"db_name": "", path: ["first"]}


@given(parts=st.lists(st.lists(st.text("ab", max_size=2), max_size=3), max_size=3), name=st.text("xy", max_size=2))
def test_plan_reads_a_serialised_message_as_the_parser_would(parts: list[list[str]], name: str) -> None:
    request = messages.CreateCollectionRequest
    payload = request(collection_name=name).SerializeToString()
    for fields in parts:
        schema = messages.DescribeCollectionResponse().schema
        schema.name = name
        for field in fields:
            schema.fields.add(name=field).type_params.add(key=field)
        payload += request(schema=schema.SerializeToString()).SerializeToString()
    kept = messages.DescribeCollectionResponse().schema.FromString(request.FromString(payload).schema)
    paths = ["collection_name", "schema.name", "schema.fields.name", "schema.fields.type_params.key"]
    assert list(FieldSelection.of("CreateCollection", paths).read(payload).values()) == [
        name,
        kept.name,
        [field.name for field in kept.fields],
        [pair.key for field in kept.fields for pair in field.type_params],
    ]


def test_fields_of_a_serialised_message_count_too() -> None:
    schema = b"\x22\x00" * (REQUEST_BUDGET + 1)
    payload = messages.CreateCollectionRequest(schema=schema).SerializeToString()
    with pytest.raises(PayloadMalformed, match="too many"):
        FieldSelection.of("CreateCollection", ["schema.fields.name"]).read(payload)


def test_plan_reads_an_optional_field() -> None:
    payload = SearchRequest(namespace="tenant").SerializeToString()
    assert FieldSelection.of("Search", ["namespace"]).read(payload) == {"namespace": "tenant"}


def test_plan_refuses_a_path_given_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        FieldSelection.of("Search", ["db_name", "db_name"])


def test_plan_of_an_unknown_rpc_is_refused() -> None:
    with pytest.raises(OperationUnknown):
        FieldSelection.of("NoSuchRpc", ["db_name"])


def test_a_fault_in_an_unread_field_goes_unnoticed() -> None:
    payload = text_field(5, b"\xff") + text_field(3, "docs")
    assert FieldSelection.of("Search", ["collection_name"]).read(payload) == {"collection_name": "docs"}
    with pytest.raises(PayloadMalformed):
        FieldSelection.of("Search", ["dsl"]).read(payload)


def test_refusal_does_not_repeat_the_payload() -> None:
    with pytest.raises(PayloadMalformed) as refusal:
        FieldSelection.of("CreateCredential", ["username"]).read(text_field(3, "secret") + b"\x12\x7f")
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_replace_sets_names_and_keeps_every_other_byte() -> None:
    params = [KeyValuePair(key="nprobe", value="8")]
    request = SearchRequest(db_name="mine", collection_name="docs", output_fields=["a", "b"], search_params=params)
    payload = text_field(2, "first") + request.SerializeToString() + number_field(1000, 5)
    replaced = replace(payload, "Search", {"db_name": "theirs", "output_fields": ["c"]})
    kept = SearchRequest(collection_name="docs", search_params=params).SerializeToString() + number_field(1000, 5)
    assert replaced == kept + text_field(2, "theirs") + text_field(8, "c")


def test_replace_can_empty_a_field() -> None:
    payload = FlushRequest(db_name="mine", collection_names=["a", "b"]).SerializeToString()
    emptied = FlushRequest.FromString(replace(payload, "Flush", {"db_name": "", "collection_names": []}))
    assert emptied == FlushRequest()


def test_replace_of_nothing_changes_nothing() -> None:
    payload = text_field(2, "mine") + text_field(2, "theirs")
    assert replace(payload, "Search", {}) == payload


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nothing", "x"),
        ("nq", "x"),
        ("base.msgID", "x"),
        ("db_name", ["x"]),
        ("output_fields", "x"),
        ("search_params.key", "x"),
    ],
)
def test_replace_refuses_what_is_not_text_of_the_request(name: str, value: str | list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(b"", "Search", {name: value})


@pytest.mark.parametrize("payload", [b"\x12", b"\x00\x00", b"\x12\x05ab", b"\x07"])
def test_replace_refuses_what_is_not_a_message(payload: bytes) -> None:
    with pytest.raises(PayloadMalformed):
        replace(payload, "Search", {"db_name": "x"})


def test_replace_refuses_text_that_utf8_cannot_write() -> None:
    with pytest.raises(PayloadMalformed):
        replace(b"", "Search", {"db_name": "\ud800"})


@pytest.mark.slow
@settings(max_examples=EXAMPLES // 2)
@given(method=st.sampled_from(WITH_TEXT), random=st.randoms(use_true_random=True), data=st.data())
def test_replace_is_what_setting_the_fields_of_the_decoded_message_is(
    method: str, random: Random, data: st.DataObject
) -> None:
    request = METHODS[method].request
    chosen = random.sample(text_fields(method), random.randint(1, min(3, len(text_fields(method)))))
    texts = st.text(max_size=5)
    values = {field.name: data.draw(st.lists(texts, max_size=3) if field.is_repeated else texts) for field in chosen}
    payload = PayloadWriter(random).payload(descriptor_of(request), frozenset(values))
    note(f"{method} {values} {payload.hex()}")
    try:
        expected = request.FromString(payload)
    except DecodeError:
        return
    for name, value in values.items():
        if isinstance(value, str):
            setattr(expected, name, value)
        else:
            getattr(expected, name)[:] = value
    replaced = request.FromString(replace(payload, method, values))
    assert replaced.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    assert FieldSelection.of(method, list(values)).read(replace(payload, method, values)) == values


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"\x08\x01", id="small fields"),
        pytest.param(b"\xa3\x06\xa4\x06", id="empty groups"),
        pytest.param(b"\x1a\x00", id="empty strings"),
    ],
)
def test_a_payload_of_very_many_fields_is_refused_instead_of_blocking_the_event_loop(flood: bytes) -> None:
    with pytest.raises(PayloadMalformed, match="too many fields"):
        FieldSelection.of("Search", ["collection_name"]).read(flood * (REQUEST_BUDGET + 1))


def test_packed_numbers_count_as_fields() -> None:
    flood = b"\x1a" + encode_varint(REQUEST_BUDGET + 1) + b"\x01" * (REQUEST_BUDGET + 1)
    with pytest.raises(PayloadMalformed, match="too many fields"):
        FieldSelection.of("BatchDescribeCollection", ["collectionID"]).read(flood)
