"""Connections are looked at as long as there are any, and the end leaves none."""

import asyncio

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame
from tests.support import http2_frames as frames
from tests.support.http2 import Asked, Wire, headers, parsed, turns
from tests.support.http2_frames import PREFACE

from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.server import Http2Server
from kiteward.net.http2.streams import Head, Stream

GREETING = PREFACE + frames.settings({})


class Harness:
    """A server, what it was asked, and how many connections were lost."""

    def __init__(self, **limits: float) -> None:
        self.asked: list[Asked] = []
        self.server = Http2Server(self._begin, Http2Limits(**limits))  # type: ignore[arg-type]
        self.losses: list[Wire] = []

    def connect(self, *sent: bytes) -> Wire:
        wire = Wire()
        self.server.adopt(wire, b"".join((GREETING, *sent)), lambda: self.losses.append(wire))
        return wire

    def _begin(self, stream: Stream, head: Head) -> Asked:
        asked = Asked(stream, head)
        self.asked.append(asked)
        return asked


def send(wire: Wire, *sent: bytes) -> None:
    protocol = wire.get_protocol()
    assert isinstance(protocol, asyncio.Protocol)
    protocol.data_received(b"".join(sent))


def pong(wire: Wire) -> None:
    """Let a client answer the ping that it was sent."""
    (ping,) = (frame for frame in parsed(bytes(wire.sent)) if isinstance(frame, PingFrame))
    send(wire, frames.frame(frames.PING, frames.ACK, 0, ping.opaque_data))


async def until_aborted(wire: Wire) -> None:
    while not wire.is_aborted():
        await asyncio.sleep(0)


async def test_what_came_with_the_preface_is_served() -> None:
    harness = Harness()
    wire = harness.connect(headers(1, end=True))
    assert harness.asked[0].whole == 1
    harness.asked[0].answer(b"answer")
    await turns()
    assert [frame.stream_id for frame in parsed(bytes(wire.sent))][-3:] == [1, 1, 1]


async def test_the_preface_may_come_alone() -> None:
    harness = Harness()
    wire = Wire()
    harness.server.adopt(wire, PREFACE, lambda: None)
    send(wire, frames.settings({}), headers(1, end=True))
    assert harness.asked[0].whole == 1


async def test_a_connection_that_is_gone_is_reported_once_and_forgotten() -> None:
    harness = Harness()
    wire = harness.connect()
    harness.connect()
    wire.abort()
    await turns()
    assert harness.losses == [wire]
    assert len(harness.server._connections) == 1


# Rounds


async def test_rounds_begin_with_the_first_connection_and_end_with_the_last() -> None:
    harness = Harness(check_interval=0.0)
    going = [harness.server._checks is not None]
    wires = [harness.connect(), harness.connect()]
    for wire in wires:
        await turns()
        going.append(harness.server._checks is not None)
        wire.abort()
    await turns(5)
    going.append(harness.server._checks is not None)
    harness.connect()
    going.append(harness.server._checks is not None)
    await harness.server.stop(0.0)
    assert going == [False, True, True, False, True]


async def test_connections_are_looked_at_in_rounds() -> None:
    harness = Harness(check_interval=0.0, settings_timeout=-1.0)
    wire = Wire()
    harness.server.adopt(wire, PREFACE, lambda: harness.losses.append(wire))
    await asyncio.wait_for(until_aborted(wire), 30)
    await turns()
    assert harness.losses == [wire]


async def test_a_connection_that_cannot_be_looked_at_does_not_end_the_rounds() -> None:
    harness = Harness(check_interval=0.0, stall=-1.0)
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    harness.connect(headers(1))

    def fails() -> None:
        raise RuntimeError("lost")

    harness.asked[0].lost = fails  # type: ignore[method-assign]
    async with asyncio.timeout(30):
        while not seen:
            await asyncio.sleep(0)
        other = Wire()
        harness.server.adopt(other, GREETING[:-1], lambda: None)
        await until_aborted(other)
    assert [str(error) for error in seen] == ["lost"]
    await harness.server.stop(0.0)


# The end


async def test_stopping_without_connections_takes_no_time() -> None:
    harness = Harness()
    await asyncio.wait_for(harness.server.stop(1_000.0), 30)


async def test_stopping_waits_for_requests_in_flight() -> None:
    harness = Harness()
    wire = harness.connect(headers(1, end=True))
    idle = harness.connect()
    stopping = asyncio.create_task(harness.server.stop(1_000.0))
    await turns()
    for each in (wire, idle):
        pong(each)
    await turns()
    assert idle.is_closing()
    assert not wire.is_closing()
    assert not stopping.done()
    wire.sent.clear()
    harness.asked[0].answer(b"answer")
    await turns()
    assert [frame.stream_id for frame in parsed(bytes(wire.sent))] == [1, 1, 1]
    await asyncio.wait_for(stopping, 30)
    assert {id(lost) for lost in harness.losses} == {id(wire), id(idle)}
    assert not wire.is_aborted()
    assert harness.server._checks is None


async def test_stopping_breaks_off_what_does_not_end() -> None:
    harness = Harness(goaway_grace=0.0)
    wire = harness.connect(headers(1, end=True))
    await asyncio.wait_for(harness.server.stop(0.01), 30)
    assert wire.is_aborted()
    await turns()
    assert harness.losses == [wire]
    assert harness.asked[0].gone == 1
    assert harness.server._checks is None
    assert len([frame for frame in parsed(bytes(wire.sent)) if isinstance(frame, GoAwayFrame)]) == 2


@pytest.mark.parametrize("grace", [0.0, -1.0])
async def test_stopping_without_grace_breaks_off_at_once(grace: float) -> None:
    harness = Harness()
    wire = harness.connect(headers(1, end=True))
    await asyncio.wait_for(harness.server.stop(grace), 30)
    assert wire.is_aborted()
