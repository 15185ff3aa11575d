"""Those who connect and do harm by waiting, trickling, flooding or not reading are bounded in time and number."""

import asyncio
import contextlib
import json
import socket
from dataclasses import replace

import pytest
from tests.support.http2_frames import PREFACE
from tests.support.listeners import PATIENCE, call, connected, ended, opened, slow_reader, until

from kiteward.net.asgi import Receive, Scope, Send
from kiteward.net.http1.limits import HttpLimits
from kiteward.net.listener import ListenerLimits

REQUEST = b"GET /x HTTP/1.1\r\nhost: kiteward\r\n\r\n"
SOON = ListenerLimits(preface_timeout=0.3)
QUICK = HttpLimits(head=1.0, idle=1, stall=1.0, leftover=1.0)


async def too_large(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request without reading it, and end its connection."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with opened(limits=SOON) as running, connected(running.port) as (reader, _):
        assert await ended(reader) == b""
        assert running.listener.refused["silent"] == 1
        await until(lambda: not running.open_connections())


async def test_a_preface_that_never_ends_is_closed() -> None:
    async with opened(limits=SOON) as running, connected(running.port) as (reader, writer):
        writer.write(PREFACE[:-1])
        assert await ended(reader) == b""


async def test_a_request_line_that_trickles_is_closed_although_bytes_keep_coming() -> None:
    async with opened(limits=SOON) as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(b"GET /")
        await trickle(writer, b"a", finished)
        assert finished.result() == b""


async def test_a_head_that_trickles_is_closed_although_bytes_keep_coming() -> None:
    async with opened(http=QUICK) as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        await trickle(writer, b"a", finished)
        assert finished.result() == b""
        assert running.echo.requests == []


async def test_line_breaks_between_requests_do_not_hold_a_connection() -> None:
    async with opened(http=QUICK) as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(REQUEST)
        await until(lambda: running.echo.requests)
        writer.write(b"\r\n")
        await finished
        assert len(running.echo.requests) == 1


async def test_an_idle_connection_is_closed_after_its_answer() -> None:
    async with opened(http=QUICK) as running, connected(running.port) as (reader, writer):
        writer.write(REQUEST)
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_trickles_is_closed_although_bytes_keep_coming() -> None:
    async with opened(http=QUICK) as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(b"POST / HTTP/1.1\r\nhost: kiteward\r\ncontent-length: 100000\r\n\r\n")
        await trickle(writer, b"a", finished)
        assert finished.result() == b""


async def test_a_body_that_comes_steadily_is_waited_for() -> None:
    size = 20
    async with opened(http=replace(QUICK, stall=2.5)) as running, connected(running.port) as (reader, writer):
        writer.write(
            f"POST / HTTP/1.1\r\nhost: kiteward\r\ncontent-length: {size * 512}\r\nconnection: close\r\n\r\n".encode()
        )
        for _ in range(size):
            writer.write(b"a" * 512)
            await writer.drain()
            await asyncio.sleep(0.15)
        assert (await ended(reader)).endswith(b"a" * 512)


async def test_a_body_that_nobody_waits_for_any_more_must_end_soon() -> None:
    async def refuse(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    async with opened(http=QUICK, application=refuse) as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(b"POST / HTTP/1.1\r\nhost: kiteward\r\ntransfer-encoding: chunked\r\n\r\n")
        await trickle(writer, b"200\r\n" + b"a" * 512 + b"\r\n", finished)
        assert finished.result().startswith(b"HTTP/1.1 401 ")


async def test_a_head_larger_than_allowed_is_refused_before_it_ends() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(100):
            writer.write(b"a" * 1024)
            await asyncio.sleep(0)
        await finished
        assert running.echo.requests == []


@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_an_offer_to_switch_protocols_neither_loses_the_body_nor_makes_it_the_next_request(pause: float) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    body = b"GET /smuggled HTTP/1.1\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nhost: kiteward\r\n" + offer + b"content-length: %d\r\n\r\n" % len(body)
    async with opened() as running, connected(running.port) as (reader, writer):
        for part in (head[:40], head[40:], body, b"GET /next HTTP/1.0\r\n\r\n"):
            writer.write(part)
            await asyncio.sleep(pause)
        answers = await ended(reader)
        assert [request["path"] for request in running.echo.requests] == ["/", "/next"]
        assert body in answers


async def test_an_offer_right_behind_a_body_makes_no_request_of_its_own_body_either() -> None:
    body = b"GET /smuggled HTTP/1.1\r\n\r\n"
    async with opened() as running, connected(running.port) as (reader, writer):
        running.echo.hold.clear()
        writer.write(b"POST /one HTTP/1.1\r\nhost: kiteward\r\ncontent-length: 4\r\n\r\n")
        await until(lambda: running.echo.requests)
        offer = b"connection: upgrade\r\nupgrade: h2c\r\n"
        head = b"POST /two HTTP/1.1\r\nhost: kiteward\r\n" + offer + b"content-length: %d\r\n\r\n" % len(body)
        writer.write(b"body" + head + body + b"GET /three HTTP/1.0\r\n\r\n")
        running.echo.hold.set()
        assert body in await ended(reader)
        assert [request["path"] for request in running.echo.requests] == ["/one", "/two", "/three"]


async def test_a_request_for_a_tunnel_ends_the_connection_after_its_answer() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"CONNECT kiteward:80 HTTP/1.1\r\nhost: kiteward\r\n\r\nGET /next HTTP/1.0\r\n\r\n")
        await ended(reader)
        assert "/next" not in [request["path"] for request in running.echo.requests]


async def test_many_headers_that_are_too_large_together_are_refused() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        fields = b"".join(b"x-%d: %s\r\n" % (number, b"a" * 900) for number in range(90))
        writer.write(b"GET / HTTP/1.1\r\nhost: kiteward\r\n" + fields + b"\r\n")
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
        assert "a token may have 16384 bytes" in json.loads(body)["message"]
        assert running.echo.requests == []


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (b"GET /" + b"a" * 20_000, b"414"),
        (b"GET / HTTP/1.1\r\nhost: kiteward\r\nx: " + b"a" * 90_000, b"431"),
        (b"GET / HTTP/1.1\r\nhost: kiteward\r\nno field\r\n\r\n", b"400"),
    ],
    ids=["a long line", "a long head", "a malformed head"],
)
async def test_a_client_that_goes_on_sending_can_read_why_its_request_is_refused(
    beginning: bytes, status: bytes
) -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(beginning)
        await until(lambda: reader._buffer)  # type: ignore[attr-defined]  # its answer
        for _ in range(100):
            writer.write(b"a" * 50_000)
            await writer.drain()
        assert (await ended(reader)).startswith(b"HTTP/1.1 %s " % status)
        writer.close()
        await until(lambda: not running.open_connections())


@pytest.mark.parametrize("kept", [b"close", b"keep-alive"])
async def test_a_client_that_sends_a_whole_body_can_read_that_nobody_wants_it(kept: bytes) -> None:
    size = 20_000_000
    head = b"POST / HTTP/1.1\r\nhost: kiteward\r\nconnection: %s\r\ncontent-length: %d\r\n\r\n" % (kept, size)
    async with opened(application=too_large) as running, connected(running.port) as (reader, writer):
        writer.write(head)
        await until(lambda: reader._buffer)  # type: ignore[attr-defined]  # its answer
        for _ in range(size // 50_000):
            writer.write(b"a" * 50_000)
            await writer.drain()
        assert (await ended(reader)).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await until(lambda: not running.open_connections())


async def test_trailers_without_end_are_refused() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        finished = asyncio.ensure_future(ended(reader))
        # A large body earns its framing some room, which trailers must not use up.
        body = b"186a0\r\n" + b"a" * 100_000 + b"\r\n0\r\n"
        writer.write(b"POST / HTTP/1.1\r\nhost: kiteward\r\ntransfer-encoding: chunked\r\n\r\n" + body)
        with contextlib.suppress(ConnectionError):
            for number in range(2_000):
                writer.write(b"t%d: %s\r\n" % (number, b"a" * 100))
                await writer.drain()
        await finished
        await until(lambda: not running.open_connections())


async def test_an_answer_that_is_not_taken_is_given_up() -> None:
    async with opened(http=QUICK) as running:
        running.echo.answer = bytes(16 * 1024 * 1024)
        client = slow_reader(running.port)
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        await until(lambda: running.echo.requests)
        await until(lambda: not running.open_connections())
        client.close()


async def test_a_slow_but_steady_reader_gets_its_whole_answer() -> None:
    async with opened(http=QUICK) as running:
        running.echo.answer = bytes(3 * 1024 * 1024)
        client = slow_reader(running.port)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET / HTTP/1.0\r\n\r\n")
        came = 0
        async with asyncio.timeout(30):
            while data := await loop.sock_recv(client, 64 * 1024):
                came += len(data)
                await asyncio.sleep(0.002)
        assert came > len(running.echo.answer)
        client.close()


async def test_silent_connections_make_room_for_new_ones_and_calls_still_get_through() -> None:
    limits = ListenerLimits(undecided=20)
    async with opened(limits=limits) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
        await until(lambda: running.listener.refused["undecided"] == 40)
        assert running.listener.open_connections()["undecided"] == 20
        assert await call(running.port, b"still here") == b"still here"
        for each in silent:
            each.close()


async def test_no_more_connections_are_held_than_allowed_and_room_comes_back() -> None:
    limits = ListenerLimits(connections=3)
    async with opened(limits=limits) as running:
        async with connected(running.port) as one, connected(running.port) as two, connected(running.port) as three:
            for _, writer in (one, two, three):
                writer.write(REQUEST)
            await until(lambda: len(running.echo.requests) == 3)
            async with connected(running.port) as (reader, _):
                assert await ended(reader) == b""
            assert running.listener.refused["connections"] == 1
        await until(lambda: not running.open_connections())
        assert await call(running.port, b"room") == b"room"


async def test_one_address_cannot_take_the_room_of_all() -> None:
    limits = ListenerLimits(per_address=2)
    async with opened(limits=limits) as running, connected(running.port), connected(running.port):
        async with connected(running.port) as (reader, _):
            assert await ended(reader) == b""
        other = socket.socket()
        other.bind(("127.0.0.9", 0))
        other.setblocking(False)
        await asyncio.get_running_loop().sock_connect(other, ("127.0.0.1", running.port))
        reader, writer = await asyncio.open_connection(sock=other)
        writer.write(REQUEST)
        assert await reader.read(4) == b"HTTP"
        writer.close()


async def test_garbage_floods_leave_nothing_behind() -> None:
    async with opened() as running:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port)) as client:
                client.sendall(b"\xff\x00\xff\x00")
            await asyncio.sleep(0)
        await until(lambda: not running.open_connections())
        assert not running.listener._by_source
        assert await call(running.port, b"fine") == b"fine"


async def test_clients_that_vanish_after_the_preface_leave_nothing_behind() -> None:
    async with opened() as running:
        for _ in range(100):
            client = socket.create_connection(("127.0.0.1", running.port))
            client.sendall(PREFACE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.close()
            await asyncio.sleep(0)
        await until(lambda: not running.open_connections())
        assert await call(running.port, b"fine") == b"fine"


async def trickle(writer: asyncio.StreamWriter, drop: bytes, finished: "asyncio.Future[bytes]") -> None:
    """Send a little again and again until the other side has hung up."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            while not finished.done():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.02)
        await finished
