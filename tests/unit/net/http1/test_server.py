"""How a connection of HTTP/1.x is read: one request at a time, and no more than there is room for."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.support.listeners import RunningListener, connected, ended, opened, until
from tests.support.memory import measured

from kiteward.net.asgi import Receive, Scope, Send
from kiteward.net.budget import REQUEST, Budget, ByteLimits

REQUEST_AHEAD = b"GET /ahead HTTP/1.1\r\nhost: kiteward\r\n\r\n"
LAST = b"GET /last HTTP/1.0\r\n\r\n"


def post(body: bytes, *fields: bytes, path: bytes = b"/") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"host: kiteward", *fields]
    if not any(field.startswith(b"transfer-encoding") for field in fields):
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return post(pieces + b"0\r\n" + trailers + b"\r\n", b"transfer-encoding: chunked")


def paths(running: RunningListener) -> list[str]:
    return [request["path"] for request in running.echo.requests]


# Pipelined requests


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        bodies = [b"body %d" % number for number in range(20)]
        writer.write(b"".join(post(body) if number % 2 else chunked(body) for number, body in enumerate(bodies)) + LAST)
        answers = await ended(reader)
        assert [answers.index(body) for body in bodies] == sorted(answers.index(body) for body in bodies)
        assert paths(running) == ["/"] * 20 + ["/last"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
async def test_requests_in_pieces_of_any_size_are_the_same_requests(size: int) -> None:
    sent = chunked(b"one\r\n\r\n0\r\n", b"two") + post(b"\r\n\r\nthree") + chunked(trailers=b"a: b\r\n") + LAST
    async with opened() as running, connected(running.port) as (reader, writer):
        for position in range(0, len(sent), size):
            writer.write(sent[position : position + size])
            await asyncio.sleep(0)
        answers = await ended(reader)
        assert b"one\r\n\r\n0\r\ntwo" in answers
        assert b"\r\n\r\nthree" in answers
        assert paths(running) == ["/", "/", "/", "/last"]


async def test_a_pipelined_request_is_not_begun_before_the_one_before_it_is_answered() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        running.echo.hold.clear()
        writer.write(post(b"first") + LAST)
        await until(lambda: running.echo.requests)
        for _ in range(20):
            await asyncio.sleep(0)
        assert paths(running) == ["/"]
        running.echo.hold.set()
        await ended(reader)
        assert paths(running) == ["/", "/last"]


async def test_a_flood_of_requests_ahead_is_not_read_while_the_first_is_answered() -> None:
    flood = REQUEST_AHEAD * 500_000
    async with opened(application=_Waiting()) as running, connected(running.port) as (_, writer):
        connection = writer.transport
        with measured() as taken:
            writer.write(REQUEST_AHEAD)
            await until(lambda: running.http.state.connections)
            writer.write(flood)
            await until(lambda: _stopped(running))
            unsent = connection.get_write_buffer_size()
            await asyncio.sleep(0.1)  # what must not happen cannot be awaited
            assert connection.get_write_buffer_size() == unsent > len(flood) // 4
            assert len(running.http.state.tasks) == 1
        connection.abort()
    assert taken.bytes < 2 * len(flood)  # most of it on the client's side


async def test_what_was_pipelined_is_served_although_the_first_request_waited_for_its_caller_to_hang_up() -> None:
    application = _Waiting()
    async with opened(application=application) as running, connected(running.port) as (reader, writer):
        writer.write(REQUEST_AHEAD * 3 + LAST)
        for number in range(4):
            await until(lambda count=number: application.begun == count + 1)  # type: ignore[misc]
            application.answer.set()
            await until(lambda count=number: application.answered == count + 1)  # type: ignore[misc]
        assert (await ended(reader)).count(b"HTTP/1.1 200") == 4


async def test_a_large_body_is_read_no_further_than_it_is_asked_for_and_whole_in_the_end() -> None:
    body = bytes(range(256)) * 16_384
    application = _Slow()
    async with opened(application=application) as running, connected(running.port) as (reader, writer):
        writer.write(post(body) + LAST)
        await until(lambda: _stopped(running))
        application.ask.set()
        await ended(reader)
        assert application.bodies == [body, b""]


class _Waiting:
    """Answers each request when the test says so, and waits meanwhile for the caller to hang up."""

    def __init__(self) -> None:
        self.begun = self.answered = 0
        self.answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  as ASGI has it
        self.begun += 1
        await receive()
        gone = asyncio.ensure_future(receive())
        await self.answer.wait()
        self.answer.clear()
        gone.cancel()
        await _ok(send)
        self.answered += 1


class _Slow:
    """Asks for bodies only when the test says so."""

    def __init__(self) -> None:
        self.ask = asyncio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  as ASGI has it
        await self.ask.wait()
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        await _ok(send)


async def _ok(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _stopped(running: RunningListener) -> bool:
    return any(each.flow.stopped for each in running.http._connections())


# Bytes that are not part of a request


async def test_trailers_are_no_headers() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(chunked(b"body", trailers=b"authorization: Bearer root:Milvus\r\nx-trailer: 1\r\n") + LAST)
        await ended(reader)
        assert {name for name, _ in running.echo.requests[0]["headers"]} == {b"host", b"transfer-encoding"}


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"host: a\r\nhost: a\r\n",
        b"host: a\r\nHost: b\r\n",
        b"host:\r\n",
        b"host: a b\r\n",
        b"host: a/b\r\n",
        b"host: a@b\r\n",
        b"host: a, b\r\n",
        b"host: a:b\r\n",
        b"host: a:1:2\r\n",
        b"host: ::1\r\n",
        b"host: [::1\r\n",
        b"host: a\x80\r\n",
    ],
)
async def test_a_request_without_exactly_one_well_formed_host_is_refused(host: bytes) -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + host + b"\r\n" + LAST)
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
        assert running.echo.requests == []


@pytest.mark.parametrize(
    "host",
    [b"kiteward", b"kiteward:19530", b"127.0.0.1:19530", b"[::1]:19530", b"[fe80::1%25eth0]", b"a_b.c-d.", b"a:"],
)
async def test_a_request_with_one_well_formed_host_is_served(host: bytes) -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + LAST)
        await ended(reader)
        assert paths(running) == ["/", "/last"]


async def test_two_hosts_are_refused_of_an_older_client_too() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
        assert running.echo.requests == []


# How much is held


@pytest.fixture
async def narrow() -> AsyncIterator[RunningListener]:
    """A listener with room for one small request."""
    limits = ByteLimits(unauthenticated_address=REQUEST + 2_000)
    async with opened(budget=Budget(limits)) as running:
        yield running


def held(running: RunningListener) -> int:
    return running.http.budget.unauthenticated.held


async def test_a_request_is_held_until_it_is_answered(narrow: RunningListener) -> None:
    async with connected(narrow.port) as (reader, writer):
        narrow.echo.hold.clear()
        writer.write(post(bytes(1_000)))
        await until(lambda: narrow.echo.requests)
        assert held(narrow) >= REQUEST + 1_000
        narrow.echo.hold.set()
        await reader.readuntil(b"\r\n")
        await until(lambda: not held(narrow))


async def test_a_request_for_which_there_is_no_room_is_refused_and_those_after_it_are_served(
    narrow: RunningListener,
) -> None:
    async with connected(narrow.port) as (first, writer):
        narrow.echo.hold.clear()
        writer.write(post(b"first"))
        await until(lambda: narrow.echo.requests)
        async with connected(narrow.port) as (reader, other):
            other.write(post(b"second"))
            head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"content-length: %d" % len(body) in head
            assert json.loads(body)["code"] == 8
        narrow.echo.hold.set()
        await first.readuntil(b"first")
    async with connected(narrow.port) as (reader, writer):
        writer.write(LAST)
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")
    assert narrow.http.budget.unauthenticated.refused == 1


async def test_heads_that_do_not_end_are_held_too(narrow: RunningListener) -> None:
    async with connected(narrow.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: kiteward\r\nx: " + bytes(5_000).replace(b"\0", b"x"))
        await until(lambda: held(narrow) > 5_000)
        async with connected(narrow.port) as (other, second):
            second.write(b"GET / HTTP/1.1\r\nhost: kiteward\r\nx: " + bytes(8_000).replace(b"\0", b"x"))
            assert (await ended(other)).startswith(b"HTTP/1.1 429 ")
    await until(lambda: not held(narrow))
    del reader


async def test_a_client_that_hangs_up_leaves_nothing_held() -> None:
    async with opened() as running:
        running.echo.hold.clear()
        for sent in (post(bytes(100)), post(bytes(100_000))[:50_000], REQUEST_AHEAD * 1_000, REQUEST_AHEAD[:30]):
            async with connected(running.port) as (_, writer):
                writer.write(sent)
                await until(lambda: held(running))
                writer.transport.abort()
            running.echo.hold.set()
            await until(lambda: not held(running))
            running.echo.hold.clear()


async def test_an_answer_that_waits_is_held_and_given_up_when_there_is_no_room() -> None:
    async with opened(budget=Budget(ByteLimits(address=1_000_000))) as running, connected(running.port) as (_, writer):
        running.echo.answer = bytes(32 * 1024 * 1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(REQUEST_AHEAD)
        await until(lambda: running.echo.requests)
        await until(lambda: not running.open_connections())
        assert running.http.budget.authenticated.held == 0
