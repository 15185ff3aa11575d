"""The server's end, against an engine that the test plays frame by frame."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.engine.samples import until

from kiteward.domain.errors import EngineDeadlineExceeded, EngineLacksOperation, EngineRejected, EngineUnavailable
from kiteward.engine.embedded.client import EngineConnection
from kiteward.engine.embedded.frames import (
    Frame,
    FrameReader,
    Kind,
    answer_frame,
    cancel_frame,
    read_head,
    refusal_frame,
)
from kiteward.milvus.limits import MAX_MESSAGE_BYTES


class Peer:
    """The other end of one connection; it reads and writes only when a test asks for it."""

    def __init__(self) -> None:
        self.streams: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        self._frames = FrameReader([Kind.CALL, Kind.CANCEL])
        self._read: list[Frame] = []

    async def frame(self) -> Frame:
        """The next frame."""
        reader, _ = await self.streams
        while not self._read:
            self._read = self._frames.read(await asyncio.wait_for(reader.read(1 << 20), 30))
        return self._read.pop(0)

    async def send(self, *blocks: bytes) -> None:
        (await self.streams)[1].write(b"".join(blocks))

    async def close(self) -> None:
        (await self.streams)[1].close()


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    other = Peer()
    server = await asyncio.start_unix_server(lambda *streams: other.streams.set_result(streams), tmp_path / "s")
    yield other
    await other.close()
    server.close()


@pytest.fixture
async def connection(peer: Peer, tmp_path: Path) -> AsyncIterator[EngineConnection]:
    opened = await EngineConnection.open(tmp_path / "s")
    yield opened
    opened.close()


def calling(connection: EngineConnection, payload: bytes, *, timeout: float | None = None) -> "asyncio.Task[bytes]":
    return asyncio.create_task(connection.call("Search", payload, metadata={"dbname": "shelf"}, timeout=timeout))


async def test_call_carries_method_metadata_payload_and_deadline(connection: EngineConnection, peer: Peer) -> None:
    answer = calling(connection, b"\x00\xff", timeout=60)
    frame = await peer.frame()
    assert (frame.kind, read_head(frame.head), frame.payload) == (
        Kind.CALL,
        ("Search", (("dbname", "shelf"),)),
        b"\x00\xff",
    )
    assert 0 < frame.deadline - asyncio.get_running_loop().time() < 61
    await peer.send(*answer_frame(frame.call, b"found"))
    assert await answer == b"found"


async def test_call_without_a_timeout_has_no_deadline(connection: EngineConnection, peer: Peer) -> None:
    answer = calling(connection, b"")
    frame = await peer.frame()
    assert frame.deadline == 0
    await peer.send(*answer_frame(frame.call, b""))
    assert await answer == b""


async def test_answers_reach_their_calls_in_any_order(connection: EngineConnection, peer: Peer) -> None:
    answers = [calling(connection, b"%d" % number) for number in range(20)]
    frames = [await peer.frame() for _ in answers]
    for frame in reversed(frames):
        await peer.send(*answer_frame(frame.call, frame.payload + b"!"))
    assert await asyncio.gather(*answers) == [b"%d!" % number for number in range(20)]


async def test_refusal_is_a_fact_with_our_own_text(connection: EngineConnection, peer: Peer) -> None:
    for code, error in ((12, EngineLacksOperation), (3, EngineRejected), (14, EngineUnavailable)):
        answer = calling(connection, b"")
        await peer.send(*refusal_frame((await peer.frame()).call, code))
        with pytest.raises(error):
            await answer


async def test_cancelled_call_is_cancelled_at_the_other_end_and_its_answer_is_dropped(
    connection: EngineConnection, peer: Peer
) -> None:
    given_up, kept = calling(connection, b"1"), calling(connection, b"2")
    first, second = await peer.frame(), await peer.frame()
    given_up.cancel()
    cancellation = await peer.frame()
    assert (cancellation.kind, cancellation.call) == (Kind.CANCEL, first.call)
    await peer.send(*answer_frame(first.call, b"late"), *answer_frame(second.call, b"kept"))
    assert await kept == b"kept"
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_deadline_ends_the_call_here_and_cancels_it_there(connection: EngineConnection, peer: Peer) -> None:
    answer = calling(connection, b"", timeout=0.05)
    frame = await peer.frame()
    with pytest.raises(EngineDeadlineExceeded, match="Search"):
        await answer
    cancellation = await peer.frame()
    assert (cancellation.kind, cancellation.call) == (Kind.CANCEL, frame.call)


async def test_call_whose_time_is_over_is_not_sent(connection: EngineConnection, peer: Peer) -> None:
    with pytest.raises(EngineDeadlineExceeded):
        await connection.call("Search", b"", metadata={}, timeout=0)
    answer = calling(connection, b"next")
    frame = await peer.frame()
    assert frame.payload == b"next"
    await peer.send(*answer_frame(frame.call, b""))
    await answer


async def test_calls_wait_here_while_the_engine_does_not_read_and_are_withdrawn_when_given_up(
    connection: EngineConnection, peer: Peer
) -> None:
    large = [calling(connection, bytes(4 * 1024 * 1024)) for _ in range(3)]
    late = calling(connection, b"late", timeout=0.05)
    last = calling(connection, b"last")
    await asyncio.wait([late])
    large[1].cancel()
    large[2].cancel()
    await asyncio.wait(large[1:])
    frames = [await peer.frame() for _ in range(2)]
    assert [(frame.kind, len(frame.payload)) for frame in frames] == [(Kind.CALL, 4 * 1024 * 1024), (Kind.CALL, 4)]
    for frame in frames:
        await peer.send(*answer_frame(frame.call, b"done"))
    assert await large[0] == await last == b"done"
    with pytest.raises(EngineDeadlineExceeded):
        await late


@pytest.mark.slow
async def test_largest_message_passes_both_ways_and_a_larger_one_is_not_sent(
    connection: EngineConnection, peer: Peer
) -> None:
    message = bytes(MAX_MESSAGE_BYTES)
    answer = calling(connection, message)
    frame = await peer.frame()
    assert frame.payload == message
    await peer.send(*answer_frame(frame.call, message))
    assert await answer == message
    with pytest.raises(EngineRejected, match="larger"):
        await connection.call("Search", message + b"x", metadata={}, timeout=None)


async def test_metadata_that_cannot_be_carried_is_refused(connection: EngineConnection) -> None:
    with pytest.raises(EngineRejected):
        await connection.call("Search", b"", metadata={"dbname": "x" * 70_000}, timeout=None)


async def test_end_of_the_engine_ends_every_call_and_those_to_come(connection: EngineConnection, peer: Peer) -> None:
    answers = [calling(connection, b"") for _ in range(3)]
    await peer.frame()
    await peer.close()
    for answer in answers:
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await answer
    await asyncio.wait_for(connection.wait_lost(), 30)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await calling(connection, b"")


async def test_call_in_flight_when_the_connection_is_closed_is_unavailable(
    connection: EngineConnection, peer: Peer
) -> None:
    answer = calling(connection, b"", timeout=60)
    await peer.frame()
    connection.close()
    with pytest.raises(EngineUnavailable, match="closed during the call"):
        await answer
    with pytest.raises(EngineUnavailable, match="is closed"):
        await calling(connection, b"")


@pytest.mark.parametrize(
    "data",
    [b"".join(cancel_frame(1)), b"".join(answer_frame(7, b"")), b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["kind of the other end", "answer to no call", "another protocol"],
)
async def test_malformed_frame_closes_the_connection_with_a_log_line(
    connection: EngineConnection, peer: Peer, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    answer = calling(connection, b"")
    await peer.frame()
    await peer.send(data)
    with pytest.raises(EngineUnavailable):
        await answer
    await until(lambda: "malformed frame" in caplog.text)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await EngineConnection.open(tmp_path / "nobody")
