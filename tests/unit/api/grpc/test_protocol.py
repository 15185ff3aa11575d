"""How gRPC is written on HTTP/2: timeouts, statuses, compressed messages."""

import contextlib
import gzip
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory import measured

from kiteward.api.grpc import protocol
from kiteward.engine.statuses import StatusCode
from kiteward.net.http2.session import Header
from kiteward.net.http2.streams import Head

CLIENTS_LIMIT = 8 * 1024
"""Metadata that gRPC clients take without complaint, counted as HTTP/2 counts field sections."""


def fields_of(headers: tuple[Header, ...]) -> dict[str, str]:
    """Return what a client reads in a header list."""
    fields = [(name.decode(), value.decode()) for name, value in headers]
    assert sum(32 + len(name) + len(value) for name, value in fields) <= CLIENTS_LIMIT
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def message_of_failure(text: str) -> str:
    """Return what a client reads of the text of a failure."""
    return unquote(fields_of(protocol.failure(StatusCode.NOT_FOUND, text))["grpc-message"], errors="strict")


# Timeouts


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2H", 7_200.0),
        ("3M", 180.0),
        ("4S", 4.0),
        ("500m", 0.5),
        ("250u", 0.000_25),
        ("100n", 0.000_000_1),
        ("0S", 0.0),
        ("00000001S", 1.0),
        ("99999999H", 99_999_999 * 3_600.0),
    ],
)
def test_a_timeout_is_read_in_each_unit(value: str, seconds: float) -> None:
    assert protocol.timeout_of(value.encode()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "S",
        "1",
        "1s",
        "1h",
        "-1S",
        "+1S",
        "1.5S",
        "1e3S",
        "123456789S",
        "1 S",
        " 1S",
        "1S ",
        "1S\n",
        "1SS",
        "\N{ARABIC-INDIC DIGIT ONE}S",
        "²S",
    ],
)
def test_what_is_not_a_timeout_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is not a timeout"):
        protocol.timeout_of(value.encode("latin-1", "replace"))


@given(st.text(max_size=12))
def test_a_timeout_is_never_less_than_nothing(value: str) -> None:
    try:
        seconds = protocol.timeout_of(value.encode("latin-1", "replace"))
    except ValueError:
        return
    assert 0 <= seconds < float("inf")


# Statuses


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_a_failure_is_one_section_with_status_and_text(code: StatusCode) -> None:
    fields = fields_of(protocol.failure(code, "collection `docs` not found"))
    assert fields[":status"] == "200"
    assert fields["content-type"] == "application/grpc"
    assert fields["grpc-status"] == str(code.value)
    assert fields["grpc-message"] == "collection `docs` not found"


def test_what_is_not_implemented_tells_which_encodings_are() -> None:
    fields = fields_of(protocol.failure(StatusCode.UNIMPLEMENTED, "no"))
    assert fields["grpc-accept-encoding"] == "identity,gzip,deflate"
    assert "grpc-accept-encoding" not in fields_of(protocol.failure(StatusCode.NOT_FOUND, "no"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("100 % sure", "100 %25 sure"),
        ("a\r\ngrpc-status: 0", "a%0D%0Agrpc-status: 0"),
        ("tab\tnul\0del\x7f", "tab%09nul%00del%7F"),
        ("für", "f%C3%BCr"),
        ("集合", "%E9%9B%86%E5%90%88"),
        ("🪁", "%F0%9F%AA%81"),
        ("half \ud83e kite", "half ? kite"),
        ("", ""),
        ("~!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}", "~!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}"),
    ],
)
def test_the_text_of_a_failure_is_percent_encoded(text: str, written: str) -> None:
    assert fields_of(protocol.failure(StatusCode.NOT_FOUND, text))["grpc-message"] == written


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_the_text_of_a_failure_comes_out_as_it_went_in_but_for_space_around_it(text: str) -> None:
    assert message_of_failure(text) == text.strip(" ")


@given(st.text(max_size=40))
def test_the_text_of_a_failure_is_a_value_that_http2_carries(text: str) -> None:
    value = fields_of(protocol.failure(StatusCode.NOT_FOUND, text))["grpc-message"]
    assert value == value.strip()
    assert all(" " <= character <= "~" for character in value)


@pytest.mark.parametrize("character", ["a", "%", "\n", "ü", "集", "🪁"])
@pytest.mark.parametrize("length", [2_049, 100_000])
def test_a_long_text_is_cut_so_that_every_client_takes_it(character: str, length: int) -> None:
    fields_of(protocol.failure(StatusCode.UNIMPLEMENTED, character * length))  # is within what clients take
    text = message_of_failure(character * length)
    assert text.endswith("…")
    assert set(text[:-1]) == {character}


def test_a_text_that_is_just_short_enough_is_not_cut() -> None:
    assert message_of_failure("a" * 2_048) == "a" * 2_048


def test_the_answer_to_a_call_that_succeeded_has_a_head_and_trailers() -> None:
    assert fields_of(protocol.RESPONSE_HEAD) == {":status": "200", "content-type": "application/grpc"}
    assert fields_of(protocol.OK_TRAILERS) == {"grpc-status": "0"}


def test_a_message_is_announced_by_its_length_in_network_order() -> None:
    assert protocol.prefix(b"abc") == b"\0\0\0\0\3"
    assert protocol.prefix(b"") == bytes(5)
    assert protocol.prefix(bytes(0x010203)) == b"\0\0\1\2\3"


# Requests that are not gRPC


def head(method: str, *fields: tuple[str, str]) -> Head:
    pseudo = ((":method", method), (":path", "/a/b"))
    return Head(tuple((name.encode(), value.encode()) for name, value in (*pseudo, *fields)), 16_384)


@pytest.mark.parametrize(
    "kind",
    ["application/grpc", "application/grpc+proto", "application/grpc+json", "application/grpc;charset=utf-8"],
)
def test_a_post_of_the_right_type_is_grpc(kind: str) -> None:
    assert protocol.not_grpc(head("POST", ("content-type", kind))) is None


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head("GET", ("content-type", "application/grpc")), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("CONNECT"), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("post", ("content-type", "application/grpc")), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("POST"), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (head("POST", ("content-type", "")), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (head("POST", ("content-type", "application/json")), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (head("POST", ("content-type", "application/grpc-web")), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (head("POST", ("content-type", "xapplication/grpc")), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    ],
)
def test_everything_else_is_refused_by_an_http_status(request_head: Head, status: HTTPStatus) -> None:
    assert protocol.not_grpc(request_head) is status
    assert fields_of(protocol.bare(status)) == {":status": str(status.value)}


# Compressed messages

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("message", [b"", b"a", bytes(range(256)) * 40])
def test_a_compressed_message_comes_out_as_it_was(encoding: str, message: bytes) -> None:
    assert protocol.decompressed(COMPRESS[encoding](message), encoding, len(message)) == message


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_message_cut_short_anywhere_is_refused(encoding: str) -> None:
    whole = COMPRESS[encoding](b"message" * 20)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="is cut short"):
            protocol.decompressed(whole[:length], encoding, 1_000)


@pytest.mark.parametrize("encoding", COMPRESS)
def test_what_is_not_compressed_so_is_refused(encoding: str) -> None:
    (other,) = COMPRESS.keys() - {encoding}
    whole = COMPRESS[encoding](b"message" * 20)
    damaged = whole[:-2] + bytes((whole[-2] ^ 1,)) + whole[-1:]  # what is left does not fit the checksum
    for message in (b"plain text", COMPRESS[other](b"message"), damaged, zlib.compress(b"message")[2:-4]):
        with pytest.raises(ValueError, match=f"is not compressed by {encoding}"):
            protocol.decompressed(message, encoding, 1_000)


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_compressed_message_larger_than_allowed_is_refused(encoding: str) -> None:
    with pytest.raises(protocol.TooLarge, match="more than 999 bytes"):
        protocol.decompressed(COMPRESS[encoding](bytes(1_000)), encoding, 999)


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with measured() as peak, pytest.raises(protocol.TooLarge):
        protocol.decompressed(bomb, "gzip", 1_000)
    assert peak.bytes < 1_000_000


@given(st.binary(max_size=200), st.sampled_from(sorted(COMPRESS)))
def test_no_bytes_do_more_than_be_refused(message: bytes, encoding: str) -> None:
    with contextlib.suppress(ValueError):
        assert len(protocol.decompressed(message, encoding, 100)) <= 100


def test_a_failure_says_in_whole_milliseconds_when_to_try_again() -> None:
    head = dict(protocol.failure(StatusCode.RESOURCE_EXHAUSTED, "later", retry_after=0.0121))
    assert head[b"grpc-retry-pushback-ms"] == b"13"
    assert b"grpc-retry-pushback-ms" not in dict(protocol.failure(StatusCode.RESOURCE_EXHAUSTED, "later"))
