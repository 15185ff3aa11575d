"""Whatever a client and an application do in whatever order, what they say arrives, and nothing is left behind.

The client is the h2 library, which holds every frame that we send to the protocol.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import h2.events
import pytest
from h2.settings import SettingCodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.support.http2 import REQUEST, Asked, Link, client, turns, without_preface
from tests.support.http2_frames import SETTINGS_ACK

from kiteward.net.http2.limits import Http2Limits

LIMITS = Http2Limits(streams=6, unauthenticated=150_000, authenticated=300_000, control_frames=10**9)

sizes = st.sampled_from([0, 1, 5, 1_000, 16_384, 16_385, 65_535, 65_536, 200_000, 400_000])
some_fields = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.text("xyz", max_size=5)), max_size=3)
endings = st.sampled_from(["data", "trailers"])
indexes = st.integers(0, 50)


def on_loop(step: Callable[..., None]) -> Callable[..., None]:
    """Take a step of a machine on its loop, and then whatever was to be done soon."""

    @wraps(step)
    def taken(self: "Traffic", **arguments: Any) -> None:
        async def take() -> None:
            step(self, **arguments)
            await turns(1)

        self.runner.run(take())

    return taken


class Request:
    """A request as its client sees it.

    Attributes:
        stream: its number.
        body: its body.
        sent: how much of that was sent.
        ended: whether all of it was, and the end.
        reset: whether the client has reset it.
        answer: what came of the answer's body.
        endings: how often the answer has ended.
        resets: the error codes with which we ended it.
    """

    def __init__(self, stream: int, body: bytes) -> None:
        self.stream = stream
        self.body = body
        self.sent = 0
        self.ended = False
        self.reset = False
        self.answer = bytearray()
        self.endings = 0
        self.resets: list[int] = []

    @property
    def open(self) -> bool:
        """Whether the client may still send on it."""
        return not (self.ended or self.reset or self.resets)


class Traffic(RuleBasedStateMachine):
    """A client, an application and a connection between them, whose bytes are in transit until they are delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.client = client()
        self.to_server = b""
        self.to_client = b""
        self.requests: dict[int, Request] = {}
        self.answers: dict[int, bytes] = {}
        self.answered_early: set[int] = set()
        self.admitted = False
        self.unacknowledged: Counter[int] = Counter()
        self.delivered = 0
        self.settled = False  # whether the client's settings were acknowledged: h2 mixes up those of several frames
        self.tail = b""

    @initialize()
    @on_loop
    def connect(self) -> None:
        self.link = Link(LIMITS, greeted=False)
        self.to_server = without_preface(self.client.data_to_send())

    # What the client does

    @property
    def sending(self) -> list[Request]:
        return [request for request in self.requests.values() if request.open]

    @rule(size=sizes, announced=st.booleans(), fields=some_fields)
    @on_loop
    def ask(self, size: int, announced: bool, fields: list[tuple[str, str]]) -> None:
        if self.client.open_outbound_streams >= self.client.remote_settings.max_concurrent_streams:
            return
        stream = self.client.get_next_available_stream_id()
        request = self.requests[stream] = Request(stream, bytes((stream % 251,)) * size)
        head = [*REQUEST, *fields, *([("content-length", str(size))] if announced else [])]
        request.ended = not size and announced
        self.client.send_headers(stream, head, end_stream=request.ended)

    @precondition(lambda self: self.sending)
    @rule(index=indexes, amount=sizes, padding=st.none() | st.integers(0, 255), end=endings)
    @on_loop
    def send(self, index: int, amount: int, padding: int | None, end: str) -> None:
        self._send(self.sending[index % len(self.sending)], amount, padding, end)

    def _send(self, request: Request, amount: int, padding: int | None, end: str = "data") -> None:
        overhead = 0 if padding is None else padding + 1
        window = self.client.local_flow_control_window(request.stream) - overhead
        room = max(0, min(amount, window, self.client.max_outbound_frame_size - overhead))
        piece = request.body[request.sent : request.sent + room]
        whole = request.sent + len(piece) == len(request.body)
        if window < 0 or not (piece or whole):
            return
        request.sent += len(piece)
        request.ended = whole
        trailers = whole and end == "trailers"
        self.client.send_data(request.stream, piece, end_stream=whole and not trailers, pad_length=padding)
        if trailers:
            self.client.send_headers(request.stream, [("x-checksum", "1")], end_stream=True)

    @precondition(lambda self: self.requests)
    @rule(index=indexes)
    @on_loop
    def reset(self, index: int) -> None:
        request = list(self.requests.values())[index % len(self.requests)]
        if not (request.reset or request.resets or (request.endings and request.ended)):
            request.reset = True
            self.client.reset_stream(request.stream, 8)

    @rule()
    @on_loop
    def ping(self) -> None:
        self.client.ping(b"12345678")

    @precondition(lambda self: self.settled)
    @rule(
        changed=st.dictionaries(
            st.just(SettingCodes.INITIAL_WINDOW_SIZE), st.sampled_from([0, 1, 100, 65_535, 300_000]), max_size=1
        ),
        table=st.none() | st.sampled_from([0, 100, 4_096, 10_000]),
        frame=st.none() | st.sampled_from([16_384, 20_000, 100_000]),
    )
    @on_loop
    def change_settings(self, changed: dict[SettingCodes, int], table: int | None, frame: int | None) -> None:
        if table is not None:
            changed = {**changed, SettingCodes.HEADER_TABLE_SIZE: table}
        if frame is not None:
            changed = {**changed, SettingCodes.MAX_FRAME_SIZE: frame}
        self.settled = False
        self.client.update_settings({int(code): value for code, value in changed.items()})

    @rule(amount=st.integers(1, 70_000), index=indexes)
    @on_loop
    def allow(self, amount: int, index: int) -> None:
        waiting = [0, *(request.stream for request in self.requests.values() if not request.endings and request.open)]
        self.client.increment_flow_control_window(amount, waiting[index % len(waiting)] or None)

    @rule()
    @on_loop
    def acknowledge(self) -> None:
        """Allow again what was taken."""
        for stream, amount in self.unacknowledged.items():
            self.client.acknowledge_received_data(amount, stream)
        self.unacknowledged.clear()

    # What the network does

    @rule(amount=st.sampled_from([1, 9, 10, 100, 20_000, 10**6]))
    @on_loop
    def deliver_to_server(self, amount: int) -> None:
        self.to_server += self.client.data_to_send()
        if self.link.wire.is_reading():
            now, self.to_server = self.to_server[:amount], self.to_server[amount:]
            self.delivered += len(now)
            self.link.send(now)

    @rule(amount=st.sampled_from([1, 9, 10, 100, 20_000, 10**6]))
    @on_loop
    def deliver_to_client(self, amount: int) -> None:
        self.to_client += self.link.wire.sent
        self.link.wire.sent.clear()
        now, self.to_client = self.to_client[:amount], self.to_client[amount:]
        self.delivered += len(now)
        for part in self._parts(now):
            for event in self.client.receive_data(part):
                self._hear(event)

    def _parts(self, sent: bytes) -> Iterable[bytes]:
        """Cut behind each acknowledgement of settings: h2 takes larger frames only when it is given more bytes."""
        before, self.tail = self.tail, (self.tail + sent)[-len(SETTINGS_ACK) + 1 :]
        start = 0
        for found in re.finditer(re.escape(SETTINGS_ACK), before + sent):
            end = found.end() - len(before)
            yield sent[start:end]
            start = end
        yield sent[start:]

    @rule(taking=st.booleans())
    @on_loop
    def take_or_not(self, taking: bool) -> None:
        self.link.wire.take(taking=taking)

    def _hear(self, event: h2.events.Event) -> None:
        assert not isinstance(event, h2.events.ConnectionTerminated), event
        if isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].answer += event.data
            self.unacknowledged[event.stream_id] += event.flow_controlled_length
        elif isinstance(event, h2.events.StreamEnded):
            self.requests[event.stream_id].endings += 1
        elif isinstance(event, h2.events.SettingsAcknowledged):
            self.settled = True
        elif isinstance(event, h2.events.StreamReset):
            self.requests[event.stream_id].resets.append(int(event.error_code))

    # What the application does

    @property
    def unanswered(self) -> list[Asked]:
        return [asked for asked in self.link.asked if asked.stream.number not in self.answers and not asked.gone]

    @precondition(lambda self: self.unanswered)
    @rule(index=indexes)
    @on_loop
    def admit(self, index: int) -> None:
        self._admit(self.unanswered[index % len(self.unanswered)])

    def _admit(self, asked: Asked) -> None:
        asked.stream.admit(len(self.requests[asked.stream.number].body))
        self.admitted = True

    @precondition(lambda self: self.unanswered)
    @rule(index=indexes, size=sizes, whole=st.booleans())
    @on_loop
    def answer(self, index: int, size: int, whole: bool) -> None:
        asked = self.unanswered[index % len(self.unanswered)]
        if asked.whole or not whole:
            self._answer(asked, size)

    def _answer(self, asked: Asked, size: int) -> None:
        number = asked.stream.number
        body = bytes((number % 241,)) * size
        self.answers[number] = body
        if not asked.whole:
            self.answered_early.add(number)
        asked.answer(*((body[:7], body[7:]) if size else ()))

    # The end

    def teardown(self) -> None:
        if hasattr(self, "link"):
            self._finish()
            self.runner.run(self._check())
        self.runner.close()

    def _finish(self) -> None:
        """Finish everything that has begun."""
        self._deliver()
        assert self.settled
        self.change_settings(changed={SettingCodes.INITIAL_WINDOW_SIZE: 65_535}, table=None, frame=None)
        before = -1
        while self.delivered != before:
            before = self.delivered
            self._go_on()
            self._deliver()

    def _deliver(self) -> None:
        self.take_or_not(taking=True)
        self.deliver_to_server(amount=10**9)
        self.deliver_to_client(amount=10**9)
        self.acknowledge()
        self.deliver_to_server(amount=10**9)

    @on_loop
    def _go_on(self) -> None:
        """Run the remaining actions of the application and of the client."""
        for asked in self.unanswered:
            if asked.whole:
                self._answer(asked, 70_000)
            else:
                self._admit(asked)
        for request in self.sending:
            self._send(request, 10**6, None)

    async def _check(self) -> None:
        assert not self.link.wire.is_closing()
        seen = {asked.stream.number: asked for asked in self.link.asked}
        assert len(seen) == len(self.link.asked)
        for request in self.requests.values():
            if request.stream in seen:
                self._check_request(request, seen[request.stream])
            else:
                assert request.reset or request.resets == [7]  # refused: more at once than allowed
        self._check_what_is_left()

    def _check_request(self, request: Request, asked: Asked) -> None:
        assert request.body.startswith(asked.body)
        assert asked.whole <= 1
        assert asked.gone <= 1
        if request.reset:
            return
        assert not asked.gone
        assert bytes(request.answer) == self.answers[request.stream]
        assert request.endings == 1
        if request.stream in self.answered_early:
            assert request.resets in ([], [0])
        else:
            assert bytes(asked.body) == request.body
            assert asked.whole == 1
            assert not request.resets

    def _check_what_is_left(self) -> None:
        connection = self.link.connection
        session = connection._session
        assert not connection._streams
        assert not connection._responded
        assert session.queued_body_size() == 0
        window = LIMITS.unauthenticated + (LIMITS.authenticated if self.admitted else 0)
        assert self.client.outbound_flow_control_window == session.local_window_size
        assert window // 2 < session.local_window_size <= window
        assert connection._reservations.requests.held == 0
        assert connection._reservations._responses.held == 0
        assert self.client.open_outbound_streams == 0


TestTraffic = pytest.mark.slow(Traffic.TestCase)
TestTraffic.settings = settings(stateful_step_count=40, max_examples=settings().max_examples // 4)
