"""The process that pumps gRPC connections: the same connections, with their addresses, whatever happens to it."""

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tests.support.doors import GET_VERSION, LOOPBACK, Doors, call, connected, ended, local_port, opened, refused, until
from tests.unit.transports.test_listener import preface_and_call

from kiteward.transports import pump_process
from kiteward.transports.pump_process import PumpProcess


@contextlib.asynccontextmanager
async def pumping() -> AsyncIterator[tuple[Doors, PumpProcess]]:
    pump = PumpProcess()
    async with opened(pump=pump) as doors:
        yield doors, pump


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_the_process_pumps_and_calls_carry_the_address_of_their_client() -> None:
    async with pumping() as (doors, pump), connected(doors.port) as (_, writer):
        writer.write(preface_and_call())
        await until(lambda: doors.gateway.calls)
        assert doors.gateway.calls[0].address == f"127.0.0.1:{local_port(writer)}"
        assert len(pump._taken) == 1
        assert doors.open_connections() == 1


async def test_a_connection_that_ends_is_forgotten_here_too() -> None:
    async with pumping() as (doors, pump):
        assert await call(doors.port, b"hello") == b"hello"
        await until(lambda: not doors.open_connections())
        assert (pump._taken, doors.listener._peers) == ({}, {})


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files in /proc")
async def test_connections_leave_no_file_open_here() -> None:
    async with pumping() as (doors, _):
        await call(doors.port)
        await until(lambda: not doors.open_connections())
        before = descriptors()
        await asyncio.gather(*(call(doors.port) for _ in range(20)))
        await until(lambda: not doors.open_connections() and descriptors() <= before)


async def test_large_messages_pass_both_ways_unchanged() -> None:
    payload = bytes(range(256)) * 80_000
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with (
        pumping() as (doors, pump),
        grpc.aio.insecure_channel(f"{LOOPBACK}:{doors.port}", options=options) as channel,
    ):
        method = channel.unary_unary(GET_VERSION)
        for answer in await asyncio.gather(*(method(payload, timeout=60) for _ in range(3))):
            assert answer == payload
        assert len(pump._taken) == 1


async def test_what_follows_the_preface_at_once_is_not_lost() -> None:
    async with pumping() as (doors, _):
        client = socket.create_connection((LOOPBACK, doors.port))
        whole = preface_and_call()
        client.sendall(whole[:30])
        await asyncio.sleep(0)
        client.sendall(whole[30:])
        await until(lambda: doors.gateway.calls)
        client.close()


async def test_a_client_that_hangs_up_ends_its_call() -> None:
    async with pumping() as (doors, _):
        doors.gateway.hold.clear()
        async with connected(doors.port) as (_, writer):
            writer.write(preface_and_call())
            await until(lambda: doors.gateway.calls)
        await until(lambda: not doors.open_connections())


async def test_a_client_that_is_gone_before_it_is_joined_is_forgotten() -> None:
    async with pumping() as (doors, pump):
        for _ in range(20):
            client = socket.create_connection((LOOPBACK, doors.port))
            client.sendall(preface_and_call()[:24])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
        await until(lambda: not doors.open_connections() and not pump._taken and not doors.listener._peers)
        assert await call(doors.port, b"still there") == b"still there"


async def test_when_the_process_is_killed_its_connections_end_and_new_ones_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pump_process, "_PAUSE", 0.0)
    async with pumping() as (doors, pump):
        doors.gateway.hold.clear()
        waiting = asyncio.ensure_future(refused(call(doors.port)))
        await until(lambda: doors.gateway.calls)
        killed = pump.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert await waiting is grpc.StatusCode.UNAVAILABLE
        await until(lambda: not doors.open_connections())
        doors.gateway.hold.set()
        assert await call(doors.port, b"again") == b"again"
        await until(lambda: pump.pid not in (None, killed))
        assert await call(doors.port, b"and again") == b"and again"


async def test_while_there_is_no_process_bytes_are_pumped_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_process, "_PAUSE", 3600.0)
    async with pumping() as (doors, pump):
        assert pump.pid is not None
        os.kill(pump.pid, signal.SIGKILL)
        await until(lambda: pump.pid is None and pump._control is None)
        assert await call(doors.port, b"here") == b"here"
        assert pump._taken == {}


async def test_calls_under_way_are_finished_before_the_process_is_stopped() -> None:
    async with pumping() as (doors, pump):
        doors.gateway.hold.clear()
        waiting = asyncio.ensure_future(call(doors.port, b"late"))
        await until(lambda: doors.gateway.calls)
        closing = asyncio.ensure_future(doors.close(grace=10.0))
        await until(lambda: not doors.listener._accepting)
        doors.gateway.hold.set()
        assert await waiting == b"late"
        await closing
        assert pump.pid is None


async def test_the_process_ends_with_the_server_and_not_before_it_says_so() -> None:
    pump = PumpProcess()
    await pump.start()
    process = pump._process
    assert process is not None
    await answering(pump)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    await answering(pump)
    pump._drop()
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    await pump.stop()


async def test_the_process_ends_with_a_server_that_did_not_hear_its_last_words() -> None:
    pump = PumpProcess()
    await pump.start()
    process, control = pump._process, pump._control
    assert process is not None
    assert control is not None
    await answering(pump)
    loop = asyncio.get_running_loop()
    loop.remove_reader(control)
    (client, gone), (front, gone_too) = socket.socketpair(), socket.socketpair()
    with client, gone, front, gone_too:
        assert pump.take(client.fileno(), front.fileno(), lambda: None)
    # What it tells now is not read; closing with it unread resets the connection.
    async with asyncio.timeout(10):
        while not select.select([control], [], [], 0)[0]:
            await asyncio.sleep(0.01)
    pump._drop()
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    await pump.stop()


async def answering(pump: PumpProcess) -> None:
    """Let the process take a pair of sockets whose far ends are closed, and wait until it is done with them."""
    lost = asyncio.Event()
    (client, gone), (front, gone_too) = socket.socketpair(), socket.socketpair()
    with client, gone, front, gone_too:
        assert pump.take(client.fileno(), front.fileno(), lost.set)
    async with asyncio.timeout(10):
        await lost.wait()


async def test_what_begins_with_the_preface_and_is_no_http2_is_closed_by_the_front() -> None:
    async with pumping() as (doors, _), connected(doors.port) as (reader, writer):
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100)
        await ended(reader)
        await until(lambda: not doors.open_connections())
