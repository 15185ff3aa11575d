"""One port: both protocols arrive, with the address of their client, and nothing else does."""

import asyncio
import socket

import grpc.aio
import pytest
from tests.support.http2_frames import PREFACE
from tests.support.listeners import (
    GET_VERSION,
    LOOPBACK,
    call,
    connected,
    ended,
    local_port,
    opened,
    slow_reader,
    until,
)

from kiteward.domain.addresses import address_text
from kiteward.net.listener import Listener, ListenerLimits, affordable_connections

REQUEST = b"GET /x HTTP/1.1\r\nhost: kiteward\r\n\r\n"


async def test_http_and_grpc_share_the_port() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        assert await call(running.port, b"hello") == b"hello"
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
        assert running.gateway.calls[0].operation == "GetVersion"
        assert running.echo.requests[0]["path"] == "/x"


async def test_calls_carry_the_address_of_their_client() -> None:
    async with opened() as running:
        source = socket.socket()
        source.bind(("127.0.0.2", 0))
        source.setblocking(False)
        await asyncio.get_running_loop().sock_connect(source, (LOOPBACK, running.port))
        _, writer = await asyncio.open_connection(sock=source)
        port = local_port(writer)
        writer.write(preface_and_call())
        await until(lambda: running.gateway.calls)
        assert running.gateway.calls[0].address == f"127.0.0.2:{port}"
        writer.close()


async def test_http_requests_carry_the_address_of_their_client() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\nx-forwarded-for: 9.9.9.9\r\n\r\n")
        assert (await ended(reader)).endswith(f"\r\n\r\n127.0.0.1:{local_port(writer)} ".encode())


async def test_a_connection_that_is_gone_is_forgotten() -> None:
    async with opened() as running:
        await call(running.port)
        await until(lambda: not running.open_connections())
        assert not running.listener._by_source


@pytest.mark.parametrize("beginning", [PREFACE, REQUEST])
async def test_a_beginning_may_come_byte_by_byte(beginning: bytes) -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        for position in range(len(beginning)):
            writer.write(beginning[position : position + 1])
            await writer.drain()
            await asyncio.sleep(0.001)
        answer = await reader.readexactly(9)
        assert answer == b"HTTP/1.1 " if beginning is REQUEST else answer[3] == 4  # a SETTINGS frame


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET /\r\n",
        b"GET / HTTP/2.0\r\n",
        b"get / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\r\n\r\n",
        b"\x00",
        b"A" * 100,
    ],
)
async def test_garbage_is_closed_at_once(garbage: bytes) -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(garbage)
        assert await ended(reader) == b""
        assert running.listener.refused["garbage"] == 1
        await until(lambda: not running.open_connections())


async def test_a_request_line_without_end_is_answered_and_closed() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(b"GET /" + b"a" * 9000)
        assert (await ended(reader)).startswith(b"HTTP/1.1 414 ")


async def test_what_begins_with_the_preface_and_is_no_http2_is_closed() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(PREFACE + b"\xff" * 100)
        await ended(reader)
        await until(lambda: not running.open_connections())


async def test_large_messages_pass_both_ways_unchanged() -> None:
    payload = bytes(range(256)) * 80_000
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with opened() as running, grpc.aio.insecure_channel(f"{LOOPBACK}:{running.port}", options=options) as channel:
        method = channel.unary_unary(GET_VERSION)
        for answer in await asyncio.gather(*(method(payload, timeout=60) for _ in range(3))):
            assert answer == payload


async def test_a_client_that_reads_nothing_is_not_buffered_for_without_end() -> None:
    async with opened() as running:
        client = slow_reader(running.port)
        running.gateway.answer = bytes(32 * 1024 * 1024)
        settings = frame(4, 0, 0, (4).to_bytes(2, "big") + (2**31 - 1).to_bytes(4, "big"))
        window = frame(8, 0, 0, (2**30).to_bytes(4, "big"))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, preface_and_call(settings + window))
        await until(lambda: running.gateway.calls)
        transport = next(iter(running.listener._open)).transport
        await until(lambda: not transport.is_reading())
        assert transport.get_write_buffer_size() < 1024 * 1024
        client.close()


async def test_a_client_that_hangs_up_ends_its_call() -> None:
    async with opened() as running:
        running.gateway.hold.clear()
        async with connected(running.port) as (_, writer):
            writer.write(preface_and_call())
            await until(lambda: running.gateway.calls)
        await until(lambda: not running.open_connections())


async def test_a_client_that_only_stops_sending_is_closed() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        writer.write(PREFACE)
        await reader.readexactly(9)
        writer.write_eof()
        await ended(reader)
        await until(lambda: not running.open_connections())


async def test_a_taken_port_is_reported_with_its_address() -> None:
    async with opened() as running:
        second = Listener(http=running.http)
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{running.port}: is another server running"):
            await second.start(LOOPBACK, running.port)


async def test_an_unknown_host_is_reported() -> None:
    with pytest.raises(OSError, match=r"cannot listen on no-such-host\.invalid:1"):
        await Listener().start("no-such-host.invalid", 1)


async def test_a_name_is_listened_on_at_all_its_addresses_with_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, (host, 0)) for host in ("127.0.0.1", "127.0.0.3")]

    async with opened() as running:
        listener = Listener(http=running.http)
        monkeypatch.setattr("kiteward.net.sockets._resolve", resolve)
        port = await listener.start("everywhere", 0)
        for host in ("127.0.0.1", "127.0.0.3"):
            async with connected(port, host) as (reader, writer):
                writer.write(REQUEST)
                assert await reader.read(4) == b"HTTP"
        await listener.close(0)


async def test_stopping_lets_what_is_in_flight_finish() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        running.gateway.hold.clear()
        running.echo.hold.clear()
        calling = asyncio.ensure_future(call(running.port, b"late"))
        writer.write(REQUEST)
        await until(lambda: running.gateway.calls and running.echo.requests)
        closing = asyncio.ensure_future(running.close(10))
        await until(lambda: not running.listener._accepting)
        with pytest.raises(OSError):  # noqa: PT011  refused or reset, as the system has it
            await asyncio.open_connection(LOOPBACK, running.port)
        running.gateway.hold.set()
        running.echo.hold.set()
        assert await calling == b"late"
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"127.0.0.1" in answer
        await closing
        assert running.open_connections() == 0


async def test_stopping_does_not_wait_for_those_who_are_idle() -> None:
    async with (
        opened() as running,
        connected(running.port) as idle,
        connected(running.port) as silent,
        grpc.aio.insecure_channel(f"{LOOPBACK}:{running.port}") as channel,
    ):
        await channel.unary_unary(GET_VERSION)(b"", timeout=10)
        idle[1].write(REQUEST)
        await idle[0].read(4)
        async with asyncio.timeout(30):
            await running.close(60)
        await ended(idle[0])
        await ended(silent[0])
        assert running.open_connections() == 0


async def test_stopping_breaks_off_what_takes_longer_than_the_grace() -> None:
    async with opened() as running, connected(running.port) as (reader, writer):
        running.echo.hold.clear()
        writer.write(REQUEST)
        await until(lambda: running.echo.requests)
        async with asyncio.timeout(30):
            await running.close(0.1)
        await ended(reader)
        assert running.open_connections() == 0


async def test_without_a_service_a_protocol_is_garbage() -> None:
    listener = Listener()
    port = await listener.start(LOOPBACK, 0)
    for beginning in (PREFACE, REQUEST):
        async with connected(port) as (reader, writer):
            writer.write(beginning)
            assert await ended(reader) == b""
    await listener.close(0)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [("1.2.3.4", 5, "1.2.3.4:5"), ("::1", 5, "[::1]:5"), ("::ffff:1.2.3.4", 5, "1.2.3.4:5")],
)
def test_addresses_are_written_the_same_for_every_protocol(host: str, port: int, text: str) -> None:
    assert address_text(host, port) == text


def test_no_more_connections_are_taken_than_there_are_files_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    assert affordable_connections(10_000) == 768
    monkeypatch.setattr("resource.getrlimit", lambda _: (100_000, 100_000))
    assert affordable_connections(10_000) == 10_000


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def preface_and_call(settings: bytes = frame(4, 0, 0, b"")) -> bytes:
    """Return the bytes of an HTTP/2 connection with one unary call, uncompressed and unindexed."""

    def field(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": GET_VERSION.encode(),
        b":authority": b"kiteward",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    head = b"".join(field(name, value) for name, value in fields.items())
    return PREFACE + settings + frame(1, 4, 1, head) + frame(0, 1, 1, bytes(5))


def test_processes_that_serve_one_port_divide_its_limits() -> None:
    share = ListenerLimits(connections=10, undecided=4, per_address=5, preface_timeout=3.0).share(4)
    assert share == ListenerLimits(connections=3, undecided=1, per_address=2, preface_timeout=3.0)
