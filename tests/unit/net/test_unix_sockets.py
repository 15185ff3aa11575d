"""Sockets in a data directory: private, replaced after a crash, and reached by long paths too."""

import asyncio
import os
import socket
import stat
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from kiteward.net.unix_sockets import address_in, listen_in, user_of_peer


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{user_of_peer(writer.get_extra_info('socket'))}\n".encode())
    writer.close()


async def greeted(directory: Path) -> str:
    with address_in(directory, "a.sock") as address:
        reader, writer = await asyncio.open_unix_connection(address)
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def test_a_socket_is_for_its_user_and_says_who_connects(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await listen_in(stack, tmp_path, "a.sock", greet, longest_line=100)
        stack.callback(server.close)
        assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o600
        assert await greeted(tmp_path) == f"{os.geteuid()}\n"
    assert not (tmp_path / "a.sock").exists()


async def test_the_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(os.fspath(tmp_path / "a.sock"))
    async with AsyncExitStack() as stack:
        server = await listen_in(stack, tmp_path, "a.sock", greet, longest_line=100)
        stack.callback(server.close)
        assert await greeted(tmp_path)


@pytest.mark.parametrize("length", [1, 120])
async def test_a_path_may_be_longer_than_an_address(tmp_path: Path, length: int) -> None:
    directory = tmp_path / ("d" * length)
    directory.mkdir()
    async with AsyncExitStack() as stack:
        server = await listen_in(stack, directory, "a.sock", greet, longest_line=100)
        stack.callback(server.close)
        assert await greeted(directory)


def test_where_the_system_does_not_say_who_connects_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert user_of_peer(one) == os.geteuid()
        monkeypatch.delattr(socket, "SO_PEERCRED")
        assert user_of_peer(one) is None
