"""Sockets in a data directory: private, replaced after a crash, and reached by long paths too."""

import asyncio
import os
import socket
import stat
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from kiteward.net import unix_sockets
from kiteward.net.unix_sockets import connect_in, listen_in, user_of_peer


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{user_of_peer(writer.get_extra_info('socket'))}\n".encode())
    writer.close()


async def greeted(directory: Path) -> str:
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        reader, _ = await connect_in(stack, directory, "a.sock", longest_line=100)
        return (await reader.read()).decode()


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


async def test_the_socket_of_another_server_is_not_removed(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as earlier:
            earlier.callback((await listen_in(earlier, directory, "a.sock", greet, longest_line=100)).close)
            directory.rename(tmp_path / "moved")
            directory.mkdir()
            stack.callback((await listen_in(stack, directory, "a.sock", greet, longest_line=100)).close)
        assert await greeted(directory)


async def test_who_finds_no_place_in_the_queue_waits_for_one(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening, closing(socket.socket(socket.AF_UNIX)) as first:
        listening.bind(os.fspath(tmp_path / "a.sock"))
        listening.listen(0)
        listening.setblocking(False)
        first.connect(os.fspath(tmp_path / "a.sock"))
        waiting = asyncio.create_task(greeted(tmp_path))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            for _ in range(2):
                accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
                accepted.close()
        assert await waiting == ""


async def test_many_connections_at_once_have_a_place_in_the_queue(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.callback((await listen_in(stack, tmp_path, "a.sock", greet, longest_line=100)).close)
        waiting = [stack.enter_context(closing(socket.socket(socket.AF_UNIX))) for _ in range(400)]
        for each in waiting:
            each.setblocking(False)
            each.connect(os.fspath(tmp_path / "a.sock"))


@pytest.mark.parametrize("whose", ["directory", "socket"])
async def test_a_socket_of_another_user_is_not_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    user = os.geteuid()
    if whose == "directory":
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    else:
        monkeypatch.setattr(unix_sockets, "user_of_peer", lambda _: user + 1)
    async with AsyncExitStack() as stack:
        stack.callback((await listen_in(stack, tmp_path, "a.sock", greet, longest_line=100)).close)
        with pytest.raises(PermissionError, match="another user"):
            await connect_in(stack, tmp_path, "a.sock", longest_line=100)


@pytest.mark.parametrize("absolute", [True, False])
async def test_the_superuser_names_a_directory_of_another_user_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    owner = 4242
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:
        stack.callback((await listen_in(stack, tmp_path, "a.sock", greet, longest_line=100)).close)
        monkeypatch.setattr(Path, "stat", lambda _: SimpleNamespace(st_uid=owner))
        monkeypatch.setattr(unix_sockets, "user_of_peer", lambda _: owner)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        connecting = connect_in(stack, tmp_path if absolute else Path(), "a.sock", longest_line=100)
        if absolute:
            reader, _ = await connecting
            assert await reader.read()
        else:
            with pytest.raises(PermissionError, match="another user"):
                await connecting
        monkeypatch.undo()


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
