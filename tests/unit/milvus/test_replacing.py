"""Replacing changes the fields that it names and nothing else."""

from random import Random

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.unit.milvus.payloads import PayloadWriter, number_field, text_field
from tests.unit.milvus.test_wire_format import EXAMPLES

from kiteward.domain.errors import OperationUnknown, PayloadMalformed
from kiteward.milvus.messages import METHODS, FlushRequest, KeyValuePair, SearchRequest, descriptor_of
from kiteward.milvus.replacing import replace


def text_fields(method: str) -> list[FieldDescriptor]:
    """Return the top-level string fields of a request that are outside oneofs of several members."""
    return [
        field
        for field in descriptor_of(METHODS[method].request).fields
        if field.type == FieldDescriptor.TYPE_STRING
        and (field.containing_oneof is None or len(field.containing_oneof.fields) == 1)
    ]


WITH_TEXT = sorted(name for name in METHODS if text_fields(name))


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


def test_replace_in_the_request_of_an_unknown_rpc_is_refused() -> None:
    with pytest.raises(OperationUnknown):
        replace(b"", "NoSuchRpc", {"db_name": "x"})
