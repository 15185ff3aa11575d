"""The contract with libnghttp2: what is relied on, and which fault of a peer ends a stream or the connection."""

from collections.abc import Sequence

import pytest
from tests.support import http2_frames as frames
from tests.support.http2 import REQUEST, data, headers
from tests.support.memory import measured

from kiteward.net.http2.session import (
    PREFACE,
    Configuration,
    Connection,
    ConnectionClosed,
    DataReceived,
    DenialOfServiceError,
    ErrorCode,
    GoAwayReceived,
    PingAcknowledged,
    Priority,
    RequestReceived,
    Role,
    SessionError,
    Setting,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)

HEAD = ((b":status", b"200"),)
TRAILERS = ((b"status", b"0"),)
NO_RFC7540_PRIORITIES = {Setting.NO_RFC7540_PRIORITIES: 1}


class Server:
    """A session of a server, whose client has greeted it."""

    def __init__(self, settings: dict[Setting, int] | None = None, *, header_list: int = 65_536) -> None:
        self.session = Connection(
            Role.SERVER, Configuration(auto_window_update=False, max_inbound_header_list_size=header_list)
        )
        self.session.initiate_connection(settings)
        self.session.receive_data(PREFACE + frames.settings({}))
        self.sent()
        self.session.events()

    def events(self, *sent: bytes) -> list[object]:
        """Return the events of what a client sends, and of what is sent for it."""
        self.session.receive_data(b"".join(sent))
        self.sent_last = self.sent()
        return list(self.session.events())

    def sent(self) -> list[tuple[int, int, bytes]]:
        """Return types, streams and payloads of the frames that are sent."""
        found, rest = [], self.session.data_to_send()
        while rest:
            upper, lower, kind, _, stream = frames.HEAD.unpack_from(rest)
            end = frames.HEAD.size + (upper << 8 | lower)
            found.append((kind, stream, rest[frames.HEAD.size : end]))
            rest = rest[end:]
        return found

    def respond(self, stream: int, body: bytes) -> None:
        self.session.send_response(stream, HEAD)
        self.session.send_data(stream, body)
        self.session.send_trailers(stream, TRAILERS)


def kinds(events: Sequence[object]) -> list[type]:
    return [type(event) for event in events]


def fault(events: Sequence[object]) -> int | None:
    """Return the code with which the session ends the connection."""
    return next((event.error_code for event in events if isinstance(event, ConnectionClosed)), None)


# Requests


def test_a_request_is_its_fields_and_its_body() -> None:
    events = Server().events(headers(1, [*REQUEST, ("a", "\xff b")]), data(1, b"one"), data(1, b"", end=True))
    request, first, last = events
    assert isinstance(request, RequestReceived)
    assert request.headers == (*((name.encode(), value.encode()) for name, value in REQUEST), (b"a", b"\xff b"))
    assert not request.end_stream
    assert isinstance(first, DataReceived)
    assert (first.data, first.end_stream) == (b"one", False)
    assert isinstance(last, DataReceived)
    assert (last.data, last.end_stream) == (b"", True)


def test_trailers_end_a_request() -> None:
    events = Server().events(headers(1), headers(1, [("a", "b")], end=True))
    assert kinds(events) == [RequestReceived, TrailersReceived]


def test_events_come_in_the_order_of_the_frames() -> None:
    events = Server().events(headers(1), data(1, b"x"), frames.reset(1, 8), headers(3, end=True))
    assert kinds(events) == [RequestReceived, DataReceived, StreamReset, StreamClosed, RequestReceived]


def test_a_request_needs_an_authority() -> None:
    events = Server().events(headers(1, [field for field in REQUEST if field[0] != ":authority"]))
    assert kinds(events) == [StreamClosed]


MALFORMED = {
    "no path": [field for field in REQUEST if field[0] != ":path"],
    "a pseudo-header field twice": [REQUEST[0], *REQUEST],
    "a pseudo-header field of responses": [*REQUEST, (":status", "200")],
    "a pseudo-header field behind others": [*REQUEST[:-1], ("a", "b"), REQUEST[-1]],
    "a capital": [*REQUEST, ("A", "b")],
    "an empty name": [*REQUEST, ("", "b")],
    "NUL in a value": [*REQUEST, ("a", "b\0")],
    "LF in a value": [*REQUEST, ("a", "b\nc")],
    "CR in a value": [*REQUEST, ("a", "b\rc")],
    "DEL in a value": [*REQUEST, ("a", "\x7f")],
    "LF in a path": [(name, "/a\nb" if name == ":path" else value) for name, value in REQUEST],
    "space around a value": [*REQUEST, ("a", " b")],
    "a field of the connection": [*REQUEST, ("connection", "close")],
    "transfer-encoding": [*REQUEST, ("transfer-encoding", "chunked")],
    "te": [*REQUEST, ("te", "gzip")],
    "no length": [*REQUEST, ("content-length", "x")],
    "two lengths": [*REQUEST, ("content-length", "1"), ("content-length", "2")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_reset_alone_and_never_reported(fields: list[tuple[str, str]]) -> None:
    server = Server()
    assert RequestReceived not in kinds(server.events(headers(1, fields, end=True)))
    assert [(kind, stream) for kind, stream, _ in server.sent_last] == [(frames.RST_STREAM, 1)]
    assert kinds(server.events(headers(3, end=True))) == [RequestReceived]


@pytest.mark.parametrize(
    "sent",
    [
        [headers(1, [*REQUEST, ("content-length", "2")]), data(1, b"x", end=True)],
        [headers(1, [*REQUEST, ("content-length", "2")], end=True)],
        [headers(1), headers(1, [("a", "b")])],
        [headers(1), headers(1, [(":path", "/")], end=True)],
    ],
    ids=["a body of another length", "no body", "fields in the middle", "pseudo-header field in trailers"],
)
def test_a_fault_of_a_request_resets_it_alone(sent: list[bytes]) -> None:
    server = Server()
    assert fault(server.events(*sent)) is None
    assert [(kind, stream) for kind, stream, _ in server.sent_last] == [(frames.RST_STREAM, 1)]


@pytest.mark.parametrize("number", [2, 0])
def test_a_stream_that_is_not_the_clients_ends_the_connection(number: int) -> None:
    assert fault(Server().events(headers(number))) == frames.PROTOCOL_ERROR


# Limits


def test_a_header_list_beyond_the_limit_makes_the_session_unusable() -> None:
    server = Server(header_list=1_000)
    with pytest.raises(DenialOfServiceError):
        server.events(headers(1, [*REQUEST, ("a", "b" * 1_000)]))
    with pytest.raises(SessionError):
        server.session.data_to_send()


def test_a_header_block_in_more_than_eight_continuations_makes_the_session_unusable() -> None:
    server = Server()
    with pytest.raises(DenialOfServiceError):
        server.events(frames.frame(frames.HEADERS, 0, 1, b""), *[frames.frame(frames.CONTINUATION, 0, 1, b"")] * 9)


def test_requests_beyond_the_limit_are_refused_until_the_client_knows_it() -> None:
    server = Server({Setting.MAX_CONCURRENT_STREAMS: 1})
    assert kinds(server.events(headers(1), headers(3))) == [RequestReceived]
    assert server.sent_last == [(frames.RST_STREAM, 3, bytes((0, 0, 0, frames.REFUSED_STREAM)))]
    server.events(frames.SETTINGS_ACK)
    assert fault(server.events(headers(5))) == frames.PROTOCOL_ERROR


def test_a_frame_with_too_many_settings_ends_the_connection() -> None:
    one = frames.SETTING.pack(frames.INITIAL_WINDOW_SIZE, 1)
    assert kinds(Server().events(frames.frame(frames.SETTINGS, 0, 0, one * 32))) == [SettingsReceived]
    assert fault(Server().events(frames.frame(frames.SETTINGS, 0, 0, one * 33))) == frames.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "sent",
    [
        frames.frame(frames.PRIORITY, 0, 0, bytes(5)),
        frames.frame(0xEE, 0, 0, b"?"),
        data(3, b"on a stream that has ended"),
        headers(3, end=True),
    ],
)
def test_frames_that_the_server_checks_itself_have_no_event(sent: bytes) -> None:
    server = Server()
    server.events(headers(3), frames.reset(3, 8))
    assert server.events(sent) == []
    assert server.sent_last == []


# Flow control


def test_windows_are_updated_as_data_is_acknowledged_and_not_before() -> None:
    server = Server()
    server.session.set_local_window_size(100_000)
    assert server.sent() == [(frames.WINDOW_UPDATE, 0, frames.NUMBER.pack(100_000 - frames.DEFAULT_WINDOW))]
    for _ in range(4):
        server.events(headers(1) if not _ else b"", data(1, bytes(15_000)))
    assert server.session.local_window_size == 40_000
    assert server.session.stream_local_window_size(1) == frames.DEFAULT_WINDOW - 60_000
    server.session.acknowledge_received_data(60_000, 1)
    assert server.session.local_window_size == 100_000


def test_data_of_a_stream_that_has_ended_may_be_acknowledged() -> None:
    server = Server()
    server.events(headers(1), *[data(1, bytes(15_000))] * 4, frames.reset(1, 8))
    server.session.acknowledge_received_data(60_000, 1)
    assert server.session.local_window_size == frames.DEFAULT_WINDOW


def test_data_on_a_closed_stream_does_not_use_up_the_window() -> None:
    server = Server()
    server.events(headers(1), frames.reset(1, 8))
    for _ in range(100):
        server.events(data(1, bytes(16_000)))
    assert server.session.local_window_size > frames.DEFAULT_WINDOW // 2


def test_the_window_of_a_stream_is_set_as_a_whole() -> None:
    server = Server()
    server.events(headers(1), data(1, bytes(10_000)))
    server.session.set_local_window_size(1_000_000, stream_id=1)
    assert server.session.stream_local_window_size(1) == 990_000
    with pytest.raises(SessionError):
        server.session.set_local_window_size(1_000_000, stream_id=3)


def test_padding_does_not_use_up_windows() -> None:
    server = Server()
    server.events(headers(1))
    for _ in range(1_000):
        server.events(frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255)))
    assert server.session.stream_local_window_size(1) > frames.DEFAULT_WINDOW // 2


@pytest.mark.parametrize("number", [1, 3])
def test_data_beyond_a_window_ends_the_connection(number: int) -> None:
    sent = [data(1, bytes(16_000))] * 4 + [data(number, bytes(16_000))]
    assert fault(Server().events(headers(1), headers(3), *sent)) == frames.FLOW_CONTROL_ERROR


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frames.window_update(1, 0), frames.PROTOCOL_ERROR),
        (frames.window_update(0, 0), frames.PROTOCOL_ERROR),
        (frames.window_update(1, frames.LARGEST_WINDOW), frames.FLOW_CONTROL_ERROR),
        (frames.window_update(0, frames.LARGEST_WINDOW), frames.FLOW_CONTROL_ERROR),
        (frames.window_update(3, 1), frames.PROTOCOL_ERROR),
    ],
)
def test_a_window_that_cannot_be_ends_the_connection(sent: bytes, code: int) -> None:
    assert fault(Server().events(headers(1), sent)) == code


# Responses


def test_a_response_closes_its_stream_once_it_is_sent() -> None:
    server = Server()
    server.events(headers(1, end=True))
    server.respond(1, b"body")
    assert server.session.events() == []
    assert [kind for kind, *_ in server.sent()] == [frames.HEADERS, frames.DATA, frames.HEADERS]
    (closed,) = server.session.events()
    assert isinstance(closed, StreamClosed)
    assert (closed.stream_id, closed.error_code) == (1, 0)


def test_what_the_client_has_no_window_for_is_queued() -> None:
    server = Server()
    server.events(frames.settings({frames.INITIAL_WINDOW_SIZE: 3}), headers(1, end=True))
    server.respond(1, b"body!")
    assert [payload for kind, _, payload in server.sent() if kind == frames.DATA] == [b"bod"]
    assert server.session.queued_body_size(1) == server.session.queued_body_size() == 2
    server.events(frames.window_update(1, 1))
    assert server.session.queued_body_size(1) == 1
    server.events(frames.reset(1, 8))
    assert server.session.queued_body_size() == 0


def test_no_more_is_sent_at_once_than_asked_for() -> None:
    server = Server()
    server.events(headers(1, end=True))
    server.respond(1, bytes(50_000))
    pieces = []
    while piece := server.session.data_to_send(1_000):
        pieces.append(piece)
    assert {len(piece) for piece in pieces[:-1]} == {1_000}
    assert sum(map(len, pieces)) > 50_000
    assert kinds(server.session.events()) == [StreamClosed]


def test_a_body_is_not_copied_as_it_is_queued() -> None:
    server = Server()
    server.events(headers(1, end=True))
    body = bytes(10_000_000)
    with measured() as taken:
        server.respond(1, body)
    assert taken.bytes < 100_000


def test_large_responses_have_their_turns_where_they_are_told_to() -> None:
    server = Server(NO_RFC7540_PRIORITIES)
    server.events(headers(1, end=True), headers(3, end=True))
    for stream in (1, 3):
        server.respond(stream, bytes(30_000))
        assert server.session.set_stream_priority(stream, Priority(incremental=True))
    assert [stream for kind, stream, _ in server.sent() if kind == frames.DATA] == [1, 3, 1, 3]


def test_a_reset_takes_back_what_was_not_sent() -> None:
    server = Server()
    server.events(headers(1))
    server.respond(1, b"body")
    server.session.reset_stream(1, ErrorCode.CANCEL)
    assert server.sent() == [(frames.RST_STREAM, 1, frames.NUMBER.pack(ErrorCode.CANCEL))]


def test_a_response_to_a_stream_that_has_ended_is_an_error() -> None:
    server = Server()
    server.events(headers(1), frames.reset(1, 8))
    with pytest.raises(SessionError):
        server.session.send_response(1, HEAD)


# The end


def test_a_shutdown_notice_lets_requests_come_and_the_last_goaway_none() -> None:
    server = Server()
    server.session.send_shutdown_notice()
    (notice,) = server.sent()
    assert notice == (frames.GOAWAY, 0, frames.NUMBER.pack(frames.LAST_STREAM) + bytes(4))
    assert kinds(server.events(headers(1, end=True))) == [RequestReceived]
    server.session.send_goaway(ErrorCode.NO_ERROR)
    assert server.sent() == [(frames.GOAWAY, 0, frames.NUMBER.pack(1) + bytes(4))]
    assert server.events(headers(3, end=True)) == []
    server.respond(1, b"x")
    server.sent()
    assert kinds(server.session.events()) == [StreamClosed, ConnectionClosed]


def test_a_ping_leaves_before_a_goaway_that_was_there_first() -> None:
    server = Server()
    server.session.send_shutdown_notice()
    server.session.ping(b"shutdown")
    assert [kind for kind, *_ in server.sent()] == [frames.PING, frames.GOAWAY]


def test_acknowledged_pings_and_goaways_are_reported() -> None:
    server = Server()
    server.session.ping(b"12345678")
    server.events(headers(1))
    (answered,) = server.events(frames.frame(frames.PING, frames.ACK, 0, b"12345678"))
    assert isinstance(answered, PingAcknowledged)
    assert answered.opaque_data == b"12345678"
    assert kinds(server.events(frames.goaway(0, 0))) == [GoAwayReceived]


def test_a_fault_is_reported_once_its_goaway_has_been_sent_and_nothing_is_taken_behind_it() -> None:
    server = Server()
    server.session.receive_data(headers(1) + headers(2) + headers(3))
    assert kinds(server.session.events()) == [RequestReceived]
    assert [kind for kind, *_ in server.sent()] == [frames.GOAWAY]
    (closed,) = server.session.events()
    assert isinstance(closed, ConnectionClosed)
    assert closed.error_code == frames.PROTOCOL_ERROR
    with pytest.raises(SessionError):
        server.session.receive_data(headers(5))


def test_the_first_frame_must_be_settings() -> None:
    session = Connection(Role.SERVER)
    session.initiate_connection()
    session.receive_data(PREFACE + frames.frame(frames.PING, 0, 0, bytes(8)))
    session.data_to_send()
    assert fault(list(session.events())) == frames.PROTOCOL_ERROR


def test_an_acknowledgement_of_settings_that_were_not_sent_ends_the_connection() -> None:
    server = Server()
    assert fault(server.events(frames.SETTINGS_ACK)) is None
    assert fault(server.events(frames.SETTINGS_ACK)) == frames.PROTOCOL_ERROR


def test_what_a_fault_says_is_nothing_that_the_client_sent() -> None:
    server = Server()
    server.events(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x00\x01a\x7fhunter2"))
    (goaway,) = server.sent_last
    assert b"hunter2" not in goaway[2]
