"""Whatever bytes arrive, a reader finds in them what the real parser finds, or says what is not accepted."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.unit.milvus.payloads import PayloadWriter, length_field, text_field
from tests.unit.milvus.test_wire_format import EXAMPLES, parsed

from kiteward.domain.errors import KitewardError, PayloadMalformed
from kiteward.milvus import messages
from kiteward.milvus.messages import (
    METHODS,
    HybridSearchRequest,
    KeyValuePair,
    MessageType,
    SearchRequest,
    descriptor_of,
)
from kiteward.milvus.request_reader import RequestReader, Unaccepted
from kiteward.milvus.request_types import RequestTypes

BULK = [f"milvus.proto.schema.{kind}Array" for kind in ["Bool", "Bytes", "Double", "JSON", "Long", "String", "Float"]]


class NotAccepted(Exception):
    """Raised for the first field that is not accepted."""


def check(field: Unaccepted) -> None:
    raise NotAccepted(field)


class _Everything(dict[str, list[Any]]):
    """Accepts of every type what the protocol declares, but for what is given."""

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, name: str) -> list[Any]:
        pool: Any = descriptor_of(SearchRequest).file.pool
        return [field.name for field in pool.FindMessageTypeByName(name).fields]


class _EveryValue(_Everything):
    def __missing__(self, name: str) -> list[Any]:
        pool: Any = descriptor_of(SearchRequest).file.pool
        return list(pool.FindEnumTypeByName(name).values_by_number)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def reader(method: str, *paths: str, bulk: Sequence[str] = (), **fields: list[str]) -> RequestReader:
    """Return a reader of an RPC's requests; `fields` are those that are accepted, by the short name of a message."""
    admitted = _Everything({f"milvus.proto.milvus.{name}": accepted for name, accepted in fields.items()})
    request = METHODS[method].request
    held = messages.serialised_in(request).values()
    types = RequestTypes([request, *held], admitted, enums=_EveryValue(), bulk=bulk)
    return RequestReader(types, request, paths)


def test_reader_reads_what_it_names() -> None:
    request = HybridSearchRequest(
        db_name="books",
        collection_name="docs",
        requests=[SearchRequest(collection_name="docs", nq=3), SearchRequest(db_name="other")],
    )
    paths = ["db_name", "collection_name", "requests.collection_name", "requests.nq", "requests.partition_names"]
    assert reader("HybridSearch", *paths).read(request.SerializeToString(), check) == {
        "db_name": "books",
        "collection_name": "docs",
        "requests.collection_name": ["docs", ""],
        "requests.nq": [3, 0],
        "requests.partition_names": [],
    }


def test_absent_fields_have_their_defaults() -> None:
    paths = {"dsl": "", "nq": 0, "not_return_all_meta": False, "partition_names": [], "search_params.key": []}
    assert reader("Search", *paths).read(b"", check) == paths


def test_entries_of_a_map_have_a_key_and_a_value() -> None:
    request = METHODS["LoadCollection"].request(load_params={"load_priority": "low"})
    read = reader("LoadCollection", "load_params.key", "load_params.value")
    assert read.read(request.SerializeToString(), check) == {
        "load_params.key": ["load_priority"],
        "load_params.value": ["low"],
    }


def test_reader_of_nothing_still_refuses_what_is_not_a_message() -> None:
    assert reader("GetVersion").read(b"", check) == {}
    with pytest.raises(PayloadMalformed):
        reader("GetVersion").read(b"\x07", check)


@pytest.mark.parametrize("path", ["", "nothing", "base", "base.nothing", "db_name.length", "search_params."])
def test_a_path_that_leads_to_no_value_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        reader("Search", path)


def test_a_path_to_a_field_that_is_not_accepted_is_refused() -> None:
    with pytest.raises(ValueError, match="has no field `dsl`"):
        reader("Search", "dsl", SearchRequest=["db_name"])


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        reader("Search", "db_name", "db_name")


def test_a_type_of_which_nothing_is_said_is_an_error() -> None:
    accepted = {"milvus.proto.milvus.SearchRequest": ["base"]}
    with pytest.raises(KeyError, match="MsgBase"):
        RequestTypes([SearchRequest], accepted, enums={}, bulk=())
    with pytest.raises(KeyError, match="DslType"):
        RequestTypes([SearchRequest], {"milvus.proto.milvus.SearchRequest": ["dsl_type"]}, enums={}, bulk=())


def test_a_field_that_is_not_accepted_is_told_by_name_and_number() -> None:
    read = reader("Search", "db_name", SearchRequest=["db_name"])
    with pytest.raises(NotAccepted) as told:
        read.read(SearchRequest(db_name="a", dsl="b").SerializeToString(), check)
    assert told.value.args == (Unaccepted("milvus.proto.milvus.SearchRequest", 5, "dsl", is_set=True),)


def test_what_the_judge_lets_pass_is_ignored() -> None:
    found: list[Unaccepted] = []
    payload = SearchRequest(db_name="a").SerializeToString() + b"\xf8\xf0\x04\x01"
    assert reader("Search", "db_name").read(payload, found.append) == {"db_name": "a"}
    assert found == [Unaccepted("milvus.proto.milvus.SearchRequest", 9_999, "", is_set=True)]


def test_few_fields_are_looked_at_to_name_one() -> None:
    params = SearchRequest(search_params=[KeyValuePair(key="a")] * 2_000).SerializeToString()
    with pytest.raises(PayloadMalformed, match="too many others"):
        reader("Search").read(params + length_field(9, b"\xf8\xf0\x04\x01"), lambda _: None)
    with pytest.raises(PayloadMalformed, match="too many others"):
        reader("Search").read(b"\xf8\xf0\x04\x01" * 2_000, lambda _: None)


@given(parts=st.lists(st.lists(st.text("ab", max_size=2), max_size=3), max_size=3), name=st.text("xy", max_size=2))
def test_reader_reads_a_serialised_message_as_the_engine_does(parts: list[list[str]], name: str) -> None:
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
    assert list(reader("CreateCollection", *paths).read(payload, check).values()) == [
        name,
        kept.name,
        [field.name for field in kept.fields],
        [pair.key for field in kept.fields for pair in field.type_params],
    ]


def test_a_field_of_a_serialised_message_is_judged_too() -> None:
    payload = messages.CreateCollectionRequest(schema=b"\xf8\xf0\x04\x01").SerializeToString()
    with pytest.raises(NotAccepted, match="CollectionSchema"):
        reader("CreateCollection").read(payload, check)


def test_bulk_data_is_not_walked_through() -> None:
    request = METHODS["Insert"].request(fields_data=[{"field_name": "a", "scalars": {"long_data": {"data": [1, 2]}}}])
    read = reader("Insert", "fields_data.field_name", bulk=BULK)
    broken = request.SerializeToString().replace(b"\x0a\x02\x01\x02", b"\xff\xff\xff\xff")
    assert broken != request.SerializeToString()
    assert read.read(broken, check) == {"fields_data.field_name": ["a"]}


def test_refusal_does_not_repeat_the_payload() -> None:
    with pytest.raises(PayloadMalformed) as refusal:
        reader("CreateCredential", "username").read(text_field(3, "secret") + b"\x12\x7f", check)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


# Beside the real parser

SHAPED = sorted(name for name in METHODS if name not in ("Insert", "Upsert", "CreateCollection", "AddCollectionField"))
READERS: dict[str, tuple[tuple[str, ...], RequestReader]] = {}


def paths_into(descriptor: Any, depth: int = 3, above: frozenset[str] = frozenset()) -> Iterator[str]:
    for field in descriptor.fields:
        if field.message_type is None:
            yield field.name
        elif depth > 1 and field.message_type.full_name not in above:
            inside = paths_into(field.message_type, depth - 1, above | {descriptor.full_name})
            yield from (f"{field.name}.{path}" for path in inside)


def reader_of_all(method: str) -> tuple[tuple[str, ...], RequestReader]:
    if method not in READERS:
        paths = tuple(paths_into(descriptor_of(METHODS[method].request)))
        READERS[method] = paths, reader(method, *paths)
    return READERS[method]


def holds_what_is_not_declared(message: Any) -> bool:
    """Return whether the real parser found an unknown field, or a value without a name of an enum."""
    if len(UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        values = list(value) if field.is_repeated and not is_map(field) else [value]
        if field.enum_type is not None and any(each not in field.enum_type.values_by_number for each in values):
            return True
        if is_map(field):
            held = field.message_type.fields_by_name["value"].message_type
            values = list(value.values()) if held else []
        if field.message_type is not None and any(map(holds_what_is_not_declared, values)):
            return True
    return False


def is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def value_at(message: Any, path: str) -> Any:
    """Return what a parsed message holds at a path: a flat list if an element of the path is repeated."""
    values, is_list = [message], False
    for name in path.split("."):
        if values and isinstance(values[0], tuple):
            values = [pair[name == "value"] for pair in values]
            continue
        field = None if not values else values[0].DESCRIPTOR.fields_by_name[name]
        if field is None:
            return []
        if is_map(field):
            values, is_list = [pair for each in values for pair in getattr(each, name).items()], True
        elif field.is_repeated:
            values, is_list = [element for each in values for element in getattr(each, name)], True
        else:
            values = [getattr(each, name) for each in values]
    return values if is_list else values[0]


def read(method: str, payload: bytes) -> Any:
    try:
        return reader_of_all(method)[1].read(payload, check)
    except (KitewardError, NotAccepted):
        return None


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(method=st.sampled_from(SHAPED), random=st.randoms(use_true_random=True))
def test_reader_agrees_with_the_real_parser_on_every_payload(method: str, random: Random) -> None:
    kind: MessageType = METHODS[method].request
    payload = PayloadWriter(random).payload(descriptor_of(kind), frozenset())
    note(f"{method} {payload.hex()}")
    agree(method, payload)


@settings(max_examples=EXAMPLES // 5)
@given(payload=st.binary(max_size=40))
def test_reader_agrees_with_the_real_parser_on_arbitrary_bytes(payload: bytes) -> None:
    agree("HybridSearch", payload)


def agree(method: str, payload: bytes) -> None:
    real: Any = parsed(METHODS[method].request, payload)
    found = read(method, payload)
    if real is None or holds_what_is_not_declared(real):
        assert found is None
        return
    if found is None:
        # Of an enum a number with more than 32 bits, which the real parser cuts. No encoder writes that.
        found = read(method, real.SerializeToString())
    assert {path: in_order(value) for path, value in found.items()} == {
        path: in_order(value_at(real, path)) for path in reader_of_all(method)[0]
    }


def in_order(value: Any) -> Any:
    """Return a value so that it compares: the entries of a map have no order."""
    return sorted(value, key=repr) if isinstance(value, list) else repr(value)
