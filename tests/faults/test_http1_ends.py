"""Requests that are refused while they arrive or are answered: one response at most, and nothing is left behind."""

import asyncio

import pytest
from tests.support.listeners import Echo, connected, ended, opened, slow_reader, until

from kiteward.net.asgi import Receive, Scope, Send

HEAD = b"POST / HTTP/1.1\r\nhost: kiteward\r\ntransfer-encoding: chunked\r\n\r\n"
NO_CHUNK = b"no chunk\r\n"
AGAIN = b"GET / HTTP/1.1\r\nhost: kiteward\r\n\r\n"
LARGE = 1_000_000
"""Bytes of a response that is more than a client's system takes before the client reads."""


async def unasked(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request without reading it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_an_application_that_answers_a_malformed_request_fails_not(caplog: pytest.LogCaptureFixture) -> None:
    async with opened(application=unasked) as running, connected(running.port) as (reader, writer):
        writer.write(HEAD + NO_CHUNK)
        came = await ended(reader)
        assert came.startswith(b"HTTP/1.1 400 ")
        assert came.count(b"HTTP/1.1 ") == 1
        writer.close()
        await until(lambda: not running.open_connections())
    assert not [each for each in caplog.records if each.exc_info]


async def test_an_application_does_not_wait_for_the_rest_of_a_malformed_body() -> None:
    gone = asyncio.Event()

    async def waiting(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with opened(application=waiting) as running, connected(running.port) as (reader, writer):
        writer.write(HEAD + b"1\r\na\r\n" + NO_CHUNK)
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
        assert running.open_connections() == 1
        await asyncio.wait_for(gone.wait(), 1)


async def test_no_second_response_is_written_into_the_first(caplog: pytest.LogCaptureFixture) -> None:
    async def in_parts(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b"ay"})

    async with opened(application=in_parts) as running, connected(running.port) as (reader, writer):
        writer.write(HEAD)
        await until(lambda: reader._buffer.endswith(b"ok"))  # type: ignore[attr-defined]
        writer.write(NO_CHUNK)
        assert (await ended(reader)).endswith(b"\r\n\r\nok")
        await until(lambda: not running.open_connections())
    assert not [each for each in caplog.records if each.exc_info]


async def test_a_response_is_read_whole_though_another_request_is_behind_it_when_the_server_stops() -> None:
    echo = Echo()
    echo.answer = bytes(LARGE)
    echo.hold.clear()
    async with opened(application=echo) as running:
        loop, client = asyncio.get_running_loop(), slow_reader(running.port)
        reader, writer = await asyncio.open_connection(sock=client, limit=4096)
        writer.write(AGAIN)
        await until(lambda: echo.requests)
        writer.write(AGAIN)
        (connection,) = running.http._connections()
        await until(lambda: connection._ahead)
        stopping = loop.create_task(running.http.stop(30))
        await asyncio.sleep(0)
        echo.hold.set()
        await until(lambda: connection.transport.is_closing() and not connection.transport.get_write_buffer_size())
        writer.write(AGAIN)
        assert (await ended(reader)).endswith(bytes(LARGE))
        assert len(echo.requests) == 1
        writer.close()
        await stopping


@pytest.mark.parametrize(
    "beginning", [b"GET /" + b"a" * 20_000, b"GET / HTTP/1.1\r\nno field\r\n\r\n"], ids=["by line", "by head"]
)
async def test_a_refused_connection_leaves_no_timer(beginning: bytes) -> None:
    def timers() -> list[object]:
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return [each for each in scheduled if not each.cancelled() and "abort" in repr(each)]

    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(beginning)
        await until(timers)
        await ended(reader)
        writer.close()
        await until(lambda: not running.open_connections())
        assert not timers()
