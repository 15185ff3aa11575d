"""The engine's end: with the real other end where both agree, with frames of the test's own where they do not."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.engine.samples import until

from kiteward.domain.errors import EngineDeadlineExceeded, EngineRejected, EngineUnavailable
from kiteward.engine.embedded import server as served
from kiteward.engine.embedded.client import EngineConnection
from kiteward.engine.embedded.frames import answer_frame, call_frame, call_head, cancel_frame
from kiteward.engine.embedded.server import EngineServer, ServedCall


class Work:
    """What is done with calls: by default they are answered at once with what they brought."""

    def __init__(self) -> None:
        self.begun: list[ServedCall] = []
        self.begin: Callable[[ServedCall], None] = lambda call: call.finish((0, call.payload))

    def __call__(self, call: ServedCall) -> None:
        self.begun.append(call)
        self.begin(call)

    def wait(self, call: ServedCall) -> None:
        """Begin a call that the test finishes."""

    def later(self, done: "Future[None]") -> None:
        """Begin a call that a thread finishes."""


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
async def server(work: Work, tmp_path: Path) -> AsyncIterator[EngineServer]:
    listening = await EngineServer.listen(str(tmp_path / "s"), work)
    yield listening
    await listening.stop(0)


@pytest.fixture
async def connection(server: EngineServer, tmp_path: Path) -> AsyncIterator[EngineConnection]:
    opened = await EngineConnection.open(tmp_path / "s")
    yield opened
    opened.close()


@pytest.fixture
async def raw(server: EngineServer, tmp_path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    streams = await asyncio.open_unix_connection(tmp_path / "s")
    yield streams
    streams[1].close()


def ask(connection: EngineConnection, payload: bytes = b"", *, timeout: float | None = 60) -> "asyncio.Task[bytes]":
    return asyncio.create_task(connection.call("Search", payload, metadata={"dbname": "shelf"}, timeout=timeout))


async def test_call_arrives_as_it_was_made(connection: EngineConnection, work: Work) -> None:
    assert await ask(connection, b"\x00\xff") == b"\x00\xff"
    (call,) = work.begun
    assert (call.method, call.metadata, call.payload) == ("Search", (("dbname", "shelf"),), b"\x00\xff")
    assert not call.given_up


async def test_calls_are_answered_out_of_order(connection: EngineConnection, work: Work) -> None:
    work.begin = work.wait
    answers = [ask(connection, b"%d" % number) for number in range(50)]
    await until(lambda: len(work.begun) == 50)
    for call in reversed(work.begun):
        call.finish((0, call.payload))
    assert await asyncio.gather(*answers) == [b"%d" % number for number in range(50)]


async def test_threads_answer_beside_each_other(connection: EngineConnection, work: Work) -> None:
    with ThreadPoolExecutor(4) as threads:
        work.begin = lambda call: work.later(threads.submit(call.finish_soon, (0, call.payload)))
        answers = await asyncio.gather(*(ask(connection, b"%d" % number) for number in range(2000)))
    assert answers == [b"%d" % number for number in range(2000)]


async def test_large_messages_and_small_ones_pass_together(connection: EngineConnection) -> None:
    payloads = [os.urandom(size) for size in (5_000_000, 1, 70_000, 0, 20_000_000, 65_536, 3)]
    assert await asyncio.gather(*(ask(connection, payload) for payload in payloads)) == payloads


async def test_answer_that_is_too_large_is_refused(
    connection: EngineConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "MAX_MESSAGE_BYTES", 1000)
    with pytest.raises(EngineRejected, match="larger"):
        await ask(connection, bytes(1001))


async def test_cancellation_reaches_the_work_and_its_answer_is_dropped(
    connection: EngineConnection, work: Work
) -> None:
    work.begin = work.wait
    given_up = ask(connection, b"1")
    await until(lambda: len(work.begun) == 1)
    (call,) = work.begun
    stopped = asyncio.Event()
    call.on_give_up = stopped.set
    given_up.cancel()
    await asyncio.wait_for(stopped.wait(), 30)
    assert call.given_up
    call.finish((0, b"late"))
    work.begin = lambda call: call.finish((0, b"next"))
    assert await ask(connection) == b"next"


async def test_call_is_given_up_at_its_deadline_whether_or_not_the_caller_says_so(
    raw: tuple[asyncio.StreamReader, asyncio.StreamWriter], work: Work
) -> None:
    work.begin = work.wait
    head = call_head("Search", {})
    for number, deadline in ((1, time.monotonic() + 60), (2, time.monotonic() - 1)):
        raw[1].write(b"".join(call_frame(number, head, b"", deadline=deadline)))
    await until(lambda: len(work.begun) == 2)
    assert [call.given_up for call in work.begun] == [False, True]


async def test_deadline_of_the_caller_ends_the_call_while_the_work_goes_on(
    connection: EngineConnection, work: Work
) -> None:
    work.begin = work.wait
    with pytest.raises(EngineDeadlineExceeded):
        await ask(connection, timeout=0.05)
    await until(lambda: work.begun[0].given_up)
    work.begun[0].finish((0, b""))


async def test_end_of_the_server_gives_up_every_call(connection: EngineConnection, work: Work) -> None:
    work.begin = work.wait
    answers = [ask(connection) for _ in range(3)]
    await until(lambda: len(work.begun) == 3)
    connection.close()
    await asyncio.wait(answers)
    await until(lambda: all(call.given_up for call in work.begun))
    assert {type(answer.exception()) for answer in answers} == {EngineUnavailable}


def numbered(first: int, count: int, payload: bytes = b"") -> bytes:
    """Calls of consecutive numbers."""
    head = call_head("Search", {})
    return b"".join(
        block for number in range(first, first + count) for block in call_frame(number, head, payload, deadline=0)
    )


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other end closes the connection."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 30)
    return b""


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(20),
        b"".join(answer_frame(1, b"")),
        numbered(1, 1) * 2,
        b"".join(cancel_frame(1)),
        b"".join(call_frame(1, b"Search\0dbname", b"", deadline=0)),
    ],
    ids=["another protocol", "kind of the other end", "number used again", "cancelled before it was made", "head"],
)
async def test_malformed_frame_closes_the_connection_with_a_log_line(
    raw: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    connection: EngineConnection,
    caplog: pytest.LogCaptureFixture,
    data: bytes,
) -> None:
    raw[1].write(data)
    assert await until_closed(raw[0]) in (b"", b"".join(answer_frame(1, b"")))
    assert [record.levelno for record in caplog.records if "malformed frame" in record.message] == [logging.ERROR]
    assert await ask(connection, b"others go on") == b"others go on"


async def test_engine_reads_no_further_calls_than_it_may_hold_until_some_are_finished(
    raw: tuple[asyncio.StreamReader, asyncio.StreamWriter], work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.begin = work.wait
    monkeypatch.setattr(served, "MOST_CALLS", 10)
    monkeypatch.setattr(served, "MOST_BYTES", 3_000_000)
    for batch in range(6):
        raw[1].write(numbered(1 + 2 * batch, 2, bytes(1_000_000)))
    await until(lambda: len(work.begun) >= 3)
    await asyncio.sleep(0.2)
    assert len(work.begun) <= 5
    finished = 0
    while len(work.begun) < 12:
        begun = len(work.begun)
        for call in work.begun[finished:]:
            call.finish((0, b""))
        finished = begun
        await until(lambda begun=begun: len(work.begun) > begun)  # type: ignore[misc]  # mypy does not infer a default


async def test_engine_begins_no_work_while_its_answers_are_not_read(
    raw: tuple[asyncio.StreamReader, asyncio.StreamWriter], work: Work
) -> None:
    answered = 0

    def answer(call: ServedCall) -> None:
        nonlocal answered
        call.wait_until_read()
        answered += 1
        call.finish_soon((0, bytes(1_000_000)))

    with ThreadPoolExecutor(2) as threads:
        work.begin = lambda call: work.later(threads.submit(answer, call))
        raw[1].write(numbered(1, 100))
        await until(lambda: answered > 0)
        await asyncio.sleep(0.3)
        assert answered < 20
        expected = sum(len(block) for block in answer_frame(1, bytes(1_000_000))) * 100
        received = 0
        while received < expected:
            received += len(await asyncio.wait_for(raw[0].read(1 << 20), 30))
        assert answered == 100


async def test_stop_answers_what_is_in_work_and_refuses_what_comes(
    server: EngineServer, connection: EngineConnection, work: Work
) -> None:
    work.begin = work.wait
    answer = ask(connection)
    await until(lambda: len(work.begun) == 1)
    stopping = asyncio.create_task(server.stop(10))
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable):
        await ask(connection)
    large = bytes(30_000_000)
    work.begun[0].finish((0, large))
    assert await answer == large
    await asyncio.wait_for(stopping, 30)


async def test_stop_gives_up_what_takes_too_long(
    server: EngineServer, connection: EngineConnection, work: Work
) -> None:
    work.begin = work.wait
    answer = ask(connection)
    await until(lambda: len(work.begun) == 1)
    await server.stop(0.05)
    with pytest.raises(EngineUnavailable):
        await answer
    await until(lambda: work.begun[0].given_up)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who connects")
async def test_connection_of_another_user_is_refused(
    server: EngineServer,
    work: Work,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(numbered(1, 1))
    assert await until_closed(reader) == b""
    writer.close()
    assert work.begun == []
    assert f"a connection of user {own} is refused" in caplog.text
