"""The contract with the HTTP/2 library in the role of a client: what `client_connection` relies on."""

from kiteward.net.http2.session import (
    Configuration,
    Connection,
    ConnectionClosed,
    DataReceived,
    Event,
    GoAwayReceived,
    NeverIndexedHeader,
    RequestReceived,
    ResponseReceived,
    Role,
    Setting,
    StreamClosed,
    TrailersReceived,
)

HEAD = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x"))
OK = ((b":status", b"200"),)
WINDOW = 128 * 1024


class Pair:
    """A client and a server in memory."""

    def __init__(self, settings: dict[int, int] | None = None) -> None:
        self.client = Connection(Role.CLIENT, Configuration(auto_window_update=False))
        self.server = Connection(Role.SERVER)
        self.client.initiate_connection({Setting.ENABLE_PUSH: 0})
        self.client.set_local_window_size(WINDOW)
        self.server.initiate_connection(settings or {})
        self.to_server()
        self.to_client()
        self.to_server()

    def to_server(self) -> list[Event]:
        self.server.receive_data(self.client.data_to_send())
        return self.server.events()

    def to_client(self) -> list[Event]:
        self.client.receive_data(self.server.data_to_send())
        return self.client.events()


def test_response_is_reported_in_order_and_then_closed() -> None:
    pair = Pair()
    number = pair.client.send_request(HEAD)
    pair.client.send_data(number, b"question", end_stream=True)
    pair.to_server()
    pair.server.send_response(number, OK)
    pair.server.send_data(number, b"answer")
    pair.server.send_trailers(number, [(b"grpc-status", b"0")])
    events = pair.to_client()
    assert [type(event) for event in events] == [ResponseReceived, DataReceived, TrailersReceived, StreamClosed]


def test_never_indexed_field_stays_so_on_the_wire() -> None:
    pair = Pair()
    for _ in range(2):
        pair.client.send_request([*HEAD, NeverIndexedHeader(b"authorization", b"secret")], end_stream=True)
        (request,) = [event for event in pair.to_server() if isinstance(event, RequestReceived)]
        assert isinstance(request.headers[-1], NeverIndexedHeader)


def test_reset_by_the_client_is_reported_as_closed_once_it_is_sent() -> None:
    pair = Pair()
    number = pair.client.send_request(HEAD)
    pair.to_server()
    pair.client.reset_stream(number, 0x08)
    assert pair.client.events() == []
    pair.client.data_to_send()
    (closed,) = pair.client.events()
    assert isinstance(closed, StreamClosed)
    assert (closed.stream_id, closed.error_code) == (number, 0x08)


def test_streams_that_goaway_excludes_are_closed_as_refused_after_it() -> None:
    pair = Pair()
    numbers = [pair.client.send_request(HEAD) for _ in range(2)]
    pair.to_server()
    pair.server.send_goaway(0, last_stream_id=numbers[0])
    events = pair.to_client()
    assert [type(event) for event in events] == [GoAwayReceived, StreamClosed]
    assert isinstance(events[1], StreamClosed)
    assert (events[1].stream_id, events[1].error_code) == (numbers[1], 0x07)
    assert not pair.client.can_send_request


def test_end_of_the_session_is_the_last_event() -> None:
    pair = Pair()
    number = pair.client.send_request(HEAD, end_stream=True)
    pair.to_server()
    pair.server.send_goaway(0, last_stream_id=number)
    pair.server.send_response(number, OK, end_stream=True)
    events = pair.to_client()
    assert isinstance(events[-1], ConnectionClosed)
    assert any(isinstance(event, ResponseReceived) for event in events)


def test_limited_output_is_continued_by_the_next_call() -> None:
    pair = Pair()
    number = pair.client.send_request(HEAD)
    pair.client.send_data(number, bytes(60_000), end_stream=True)
    pieces = []
    while piece := pair.client.data_to_send(10_000):
        pieces.append(len(piece))
    assert max(pieces) == 10_000
    assert sum(pieces) > 60_000


def test_received_bytes_count_until_they_are_acknowledged() -> None:
    pair = Pair()
    number = pair.client.send_request(HEAD, end_stream=True)
    pair.to_server()
    pair.server.send_response(number, OK)
    pair.server.send_data(number, bytes(200_000), end_stream=True)
    received = sum(len(event.data) for event in pair.to_client() if isinstance(event, DataReceived))
    assert received == 65_535
    pair.client.acknowledge_received_data(received, number)
    pair.to_server()
    assert sum(len(event.data) for event in pair.to_client() if isinstance(event, DataReceived)) > 0


def test_reset_inside_a_data_frame_loses_its_part_of_the_window() -> None:
    """A limitation, because of which connections are replaced after many cancelled calls: drop that if this fails."""
    pair = Pair()
    for _ in range(40):
        number = pair.client.send_request(HEAD, end_stream=True)
        pair.to_server()
        pair.server.send_response(number, OK)
        pair.server.send_data(number, bytes(10_000))
        sent = pair.server.data_to_send()
        pair.client.receive_data(sent[: len(sent) - 5_000])
        pair.client.reset_stream(number, 0x08)
        reset = pair.client.data_to_send()
        pair.client.receive_data(sent[len(sent) - 5_000 :])
        assert not any(isinstance(event, DataReceived) for event in pair.client.events())
        pair.server.receive_data(reset)
        pair.server.events()
        pair.to_server()
    assert pair.client.local_window_size == 0
