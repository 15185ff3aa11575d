"""One Ctrl-C ends a command, also while it waits without giving its event loop a turn."""

import asyncio
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiteward.cli.running import run_async

PATIENCE = 30
"""Seconds; a request waits for its response twice as long."""


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """Handle Ctrl-C as Python does, whatever the handler of the tests is."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield server


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kiteward", *words]


def test_a_command_that_waits_for_a_server_ends_at_the_first_interrupt(deaf: socket.socket, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:Milvus\n")
    started = command("users", "list", "--server", address(deaf), "--token-file", str(token))
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        connection, _ = deaf.accept()
        with connection:
            connection.settimeout(PATIENCE)
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            try:
                assert process.communicate(timeout=PATIENCE) == (b"", b"")
            finally:
                process.kill()
        assert process.returncode == 130


def test_a_command_that_asks_for_a_password_ends_at_the_first_interrupt(deaf: socket.socket, tmp_path: Path) -> None:
    terminal, its_side = pty.openpty()
    started = command("users", "list", "--server", address(deaf))
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        started, stdin=its_side, stdout=its_side, stderr=its_side, env=environment, start_new_session=True
    ) as process:
        os.close(its_side)
        try:
            shown = b""
            while b"or an API key for" not in shown:
                assert select.select([terminal], [], [], PATIENCE)[0], shown
                shown += os.read(terminal, 1024)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
            os.close(terminal)


def test_work_that_blocks_the_loop_is_ended_where_it_is_and_cleans_up() -> None:
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            ended.append("went on")
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_async(work())
    assert ended == ["cleaned up"]


def test_work_that_waits_on_the_loop_is_cancelled_and_cleans_up() -> None:
    ended = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_async(work())
    assert ended == ["cancelled"]


def test_ctrl_c_is_handled_as_before_when_the_work_is_done() -> None:
    async def work() -> int:
        return 7

    assert run_async(work()) == 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_another_kind_stays() -> None:
    got = []

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, lambda number, _: got.append(number))
    run_async(work())
    assert got == [signal.SIGINT]


def test_work_runs_on_other_threads_too() -> None:
    done = []

    async def work() -> None:
        done.append(threading.current_thread())

    thread = threading.Thread(target=lambda: run_async(work()))
    thread.start()
    thread.join(PATIENCE)
    assert done == [thread]
