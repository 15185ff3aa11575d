from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect
import pytest

from kiteward.api.rest.bodies import MOST_CONTAINERS, decode
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import Body, Endpoint, Name, ResponseData
from kiteward.api.rest.status import RestFailure
from kiteward.domain.identity import Secret


class Part(ResponseData):
    field_name: Name
    weight: int = 0


class ThingReq(Body):
    thing_name: Name
    password: Secret = msgspec.field(default_factory=lambda: Secret(""))
    note: str | None = None
    parts: list[Part] = msgspec.field(default_factory=list)
    extra: Part | None = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class RequiredReq(Body):
    number: int
    names: list[str]
    data: msgspec.Raw
    secret: Secret


def structs(kind: Any) -> Iterator[msgspec.inspect.StructType]:
    """Yield the structs that a body may hold, itself included."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
        for field in kind.fields:
            yield from structs(field.type)
    inside = [getattr(kind, name) for name in ("item_type", "value_type", "type") if hasattr(kind, name)]
    for each in (*inside, *getattr(kind, "types", ())):
        yield from structs(each)


def failure(kind: type[Body], raw: bytes) -> tuple[int, str]:
    with pytest.raises(RestFailure) as caught:
        decode(kind, raw)
    assert caught.value.http == 200
    return caught.value.code, caught.value.message


def test_fields_are_read_in_camel_case() -> None:
    body = decode(ThingReq, b'{"thingName": "t", "dbName": "d"}')
    assert (body.thing_name, body.db_name, body.note) == ("t", "d", None)


@pytest.mark.parametrize("unknown", ["unknown", "thing_name", "thingname"])
def test_an_unknown_field_is_refused_by_its_name(unknown: str) -> None:
    code, message = failure(ThingReq, b'{"thingName": "t", "%s": {"a": [1]}}' % unknown.encode())
    assert code == 1801
    assert f"unknown field `{unknown}`" in message


SERVED = [endpoint for endpoint in TABLE.values() if endpoint.served]
"""Whatever comes with the others, the answer is that they are not."""


@pytest.mark.parametrize("endpoint", SERVED, ids=lambda endpoint: endpoint.path)
def test_no_endpoint_ignores_a_field(endpoint: Endpoint[Any]) -> None:
    for kind in structs(msgspec.inspect.type_info(endpoint.body)):
        assert kind.forbid_unknown_fields, kind.cls


def test_a_secret_is_wrapped_as_it_is_read() -> None:
    body = decode(ThingReq, b'{"thingName": "t", "password": "hunter2"}')
    assert body.password == Secret("hunter2")
    assert "hunter2" not in repr(body)


@pytest.mark.parametrize("raw", [b"", b" \n"])
def test_an_empty_body_is_told_apart(raw: bytes) -> None:
    assert failure(Body, raw) == (
        1801,
        "can only accept json format request, the request body should be nil, however {} is valid",
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"text"',
        b"5",
        b'{"thingName": "t"} x',
        b"\xef\xbb\xbf{}",
        b'{"thingName": "\xff"}',
        b'{"thingName": "t", "data": [{"te\xffxt": 1}]}',
        b'{"thingName": "t", "data": ["\xff"]}',
        b'{"thingName": "t", "unknown": "\xff"}',
        b'{"thingName": "\\ud800"}',
        b'{"thingName": NaN}',
        b'{"thingName": "t", "unknown": ' + b"[" * 100_000,
        b'{"thingName": "t", "unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"--boundary\r\nContent-Disposition: form-data",
    ],
)
def test_what_is_not_a_json_object_is_refused(raw: bytes) -> None:
    code, message = failure(ThingReq, raw)
    assert code == 1801
    assert message.startswith("can only accept json format request, error: ")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"thingName": 5}', "$.thingName"),
        (b'{"thingName": "t", "password": 5}', "$.password"),
        (b'{"thingName": "t", "parts": [{"fieldName": "f", "weight": "much"}]}', "$.parts[0].weight"),
    ],
)
def test_a_value_of_another_type_is_refused_and_its_place_reported(raw: bytes, path: str) -> None:
    code, message = failure(ThingReq, raw)
    assert code == 1801
    assert f"`{path}`" in message


def test_no_value_is_in_a_message() -> None:
    _, message = failure(ThingReq, b'{"thingName": "t", "password": ["hunter2"]}')
    assert "hunter2" not in message


@pytest.mark.parametrize("raw", [b"{}", b"null", b" null\n", b'{"thingName": ""}', b'{"thingName": null}'])
def test_a_required_field_that_is_missing_or_empty_is_named_as_milvus_does(raw: bytes) -> None:
    code, message = failure(ThingReq, raw)
    assert code == 1802
    assert message == (
        "missing required parameters, error: "
        "Key: 'ThingReq.ThingName' Error:Field validation for 'ThingName' failed on the 'required' tag"
    )


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"thingName": "t", "parts": [{"fieldName": "f"}, {}]}', "Parts[1].FieldName"),
        (b'{"thingName": "t", "parts": [{"fieldName": "f"}, {"fieldName": ""}]}', "Parts[1].FieldName"),
        (b'{"thingName": "t", "extra": {"fieldName": ""}}', "Extra.FieldName"),
        (b'{"thingName": "t", "extra": {}}', "Extra.FieldName"),
    ],
)
def test_required_fields_further_inside_are_required_too(raw: bytes, path: str) -> None:
    code, message = failure(ThingReq, raw)
    assert code == 1802
    assert f"'ThingReq.{path}'" in message


@pytest.mark.parametrize(
    "change", [{"number": 0}, {"names": []}, {"data": None}, {"data": []}, {"data": {}}, {"secret": ""}]
)
def test_zero_empty_text_and_empty_lists_count_as_missing(change: dict[str, Any]) -> None:
    full = {"number": 1, "names": ["a"], "data": [1], "secret": "s"}
    decode(RequiredReq, msgspec.json.encode(full))
    code, message = failure(RequiredReq, msgspec.json.encode(full | change))
    assert code == 1802
    assert f"RequiredReq.{next(iter(change)).capitalize()}'" in message


@pytest.mark.parametrize("raw", ["[ ]", "{\n}"])
def test_space_within_an_empty_list_makes_no_difference(raw: str) -> None:
    with pytest.raises(RestFailure, match=r"RequiredReq\.Data"):
        decode(RequiredReq, f'{{"number": 1, "names": ["a"], "data": {raw}, "secret": "s"}}'.encode())


@pytest.mark.parametrize("value", ["", 0, False])
def test_field_of_any_type_may_hold_zero_and_empty_text(value: object) -> None:
    raw = msgspec.json.encode({"number": 1, "names": ["a"], "data": value, "secret": "s"})
    assert msgspec.json.decode(decode(RequiredReq, raw).data) == value


def test_every_empty_field_is_named_at_once() -> None:
    _, message = failure(RequiredReq, b'{"number": 0, "names": [], "data": [1], "secret": "s"}')
    assert "'RequiredReq.Number'" in message
    assert "'RequiredReq.Names'" in message


def test_body_that_is_null_counts_as_an_empty_object() -> None:
    assert decode(Body, b"null") == decode(Body, b"{}")


def test_null_at_the_top_counts_as_not_given_and_further_inside_stays() -> None:
    body = decode(
        ThingReq, b'{"dbName": null, "password": null, "thingName": "t", "data": [{"a": null}], "note": null}'
    )
    assert (body.db_name, body.password, body.note) == ("", Secret(""), None)
    assert bytes(body.data) == b'[{"a": null}]'


def test_a_body_that_would_take_many_times_its_size_is_refused() -> None:
    many = b'{"thingName": "t", "data": [' + b"{}," * (MOST_CONTAINERS - 3) + b"{}]}"
    decode(ThingReq, many)
    code, message = failure(ThingReq, many[:-2] + b",[]]}")
    assert code == 1801
    assert str(MOST_CONTAINERS) in message
