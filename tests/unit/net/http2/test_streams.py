"""The head of a request, as the application sees it."""

from kiteward.net.http2.session import Header
from kiteward.net.http2.streams import Head

REQUEST: tuple[Header, ...] = ((b":method", b"POST"), (b":path", b"/a/b"), (b"a", b"first"), (b"b", b""))


def test_a_head_has_its_method_its_path_and_all_fields() -> None:
    head = Head(REQUEST, 1_000)
    assert (head.method, head.path) == (b"POST", b"/a/b")
    assert head.fields == dict(REQUEST)


def test_of_a_repeated_field_the_first_value_counts() -> None:
    assert Head((*REQUEST, (b"a", b"second")), 1_000).fields[b"a"] == b"first"


def test_a_request_to_connect_has_no_path() -> None:
    assert Head(((b":method", b"CONNECT"), (b":authority", b"a")), 1_000).path == b""


def test_the_size_of_a_head_is_counted_as_the_protocol_has_it() -> None:
    size = sum(32 + len(name) + len(value) for name, value in REQUEST)
    assert Head(REQUEST, size).size == size
    assert not Head(REQUEST, size).too_large
    assert Head(REQUEST, size - 1).too_large


def test_repeated_fields_count_each_time() -> None:
    assert Head(REQUEST * 2, 1_000).size == 2 * Head(REQUEST, 1_000).size


def test_the_representation_of_a_head_shows_no_value() -> None:
    assert "hunter2" not in repr(Head((*REQUEST, (b"authorization", b"hunter2")), 1_000))
