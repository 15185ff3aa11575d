"""The socket of a running server: the engine is paused for as long as a backup asks, and never longer."""

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from kiteward.bootstrap.backup import control
from kiteward.bootstrap.backup.control import SOCKET, BackupSocket, Facts, RunningServer, listen_for_backups
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, EngineUnavailable

FACTS = Facts(version="1", store=True, rows=True, audit="/audit")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that can be paused."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as running:
        yield running
        running.kill()


@pytest.fixture
async def listening(tmp_path: Path, process: subprocess.Popen[bytes]) -> AsyncIterator[AsyncExitStack]:
    """The socket of a server whose engine is that process."""
    async with AsyncExitStack() as stack:
        await BackupSocket(FACTS, lambda: process.pid).open(stack, tmp_path)
        yield stack


def state_of(process: subprocess.Popen[bytes]) -> str:
    """Return the state of a process: S sleeps, T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def in_thread(work: Callable[[RunningServer], None], directory: Path) -> None:
    def connected() -> None:
        with ExitStack() as stack:
            server = RunningServer.connect(stack, directory)
            assert server is not None
            work(server)

    await asyncio.to_thread(connected)


@pytest.mark.usefixtures("listening")
async def test_engine_is_stopped_for_as_long_as_the_block_lasts(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    def work(server: RunningServer) -> None:
        assert server.facts == FACTS
        for _ in range(2):
            with server.paused():
                assert state_of(process) == "T"
            assert state_of(process) != "T"
        assert 0 < server.paused_for < 30

    await in_thread(work, tmp_path)


@pytest.mark.usefixtures("listening")
async def test_command_that_goes_away_leaves_no_pause(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    _, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
    writer.write(b"pause\n")
    await until(lambda: state_of(process) == "T")
    writer.transport.abort()
    await until(lambda: state_of(process) != "T")


async def test_server_that_stops_leaves_no_pause(
    tmp_path: Path, process: subprocess.Popen[bytes], listening: AsyncExitStack
) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
    writer.write(b"pause\n")
    await until(lambda: state_of(process) == "T")
    await listening.aclose()
    assert not (tmp_path / SOCKET).exists()
    await until(lambda: state_of(process) != "T")
    await reader.read()
    writer.close()


@pytest.mark.usefixtures("listening")
async def test_pause_that_takes_too_long_ends_and_the_backup_fails(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LONGEST_PAUSE", 0.5)

    def work(server: RunningServer) -> None:
        with pytest.raises(EngineUnavailable, match=r"the pause took longer than 0\.5 s: try again"):
            paused_until_it_ends(server)

    def paused_until_it_ends(server: RunningServer) -> None:
        with server.paused():
            while state_of(process) == "T":
                pass

    await in_thread(work, tmp_path)


@pytest.mark.usefixtures("listening")
async def test_one_backup_at_a_time_pauses_the_engine(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    _, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
    writer.write(b"pause\n")
    await until(lambda: state_of(process) == "T")

    def work(server: RunningServer) -> None:
        with pytest.raises(EngineUnavailable, match="another backup is being made"), server.paused():
            pass
        assert state_of(process) == "T"

    await in_thread(work, tmp_path)
    writer.close()
    await until(lambda: state_of(process) != "T")


async def test_engine_that_restarts_is_not_paused(tmp_path: Path) -> None:
    def work(server: RunningServer) -> None:
        with pytest.raises(EngineUnavailable, match="its engine is restarting: try again"), server.paused():
            pass

    async with AsyncExitStack() as stack:
        await BackupSocket(FACTS, lambda: None).open(stack, tmp_path)
        await in_thread(work, tmp_path)


@pytest.mark.usefixtures("listening")
async def test_what_is_no_request_ends_the_connection(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    for sent in (b"stop\n", b"pause", b"x" * 200_000, b"resume\nquit\n"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 30)
        writer.close()
        assert state_of(process) != "T"


@pytest.mark.usefixtures("listening")
async def test_only_the_user_of_the_server_may_connect(tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600


async def test_socket_in_a_long_path_can_be_used(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    async with AsyncExitStack() as stack:
        await BackupSocket(FACTS, lambda: None).open(stack, directory)
        await in_thread(lambda _: None, directory)


def test_without_a_server_there_is_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        assert RunningServer.connect(stack, tmp_path) is None
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
            dead.bind(os.fspath(tmp_path / SOCKET))
        assert RunningServer.connect(stack, tmp_path) is None


async def test_what_does_not_answer_as_a_server_is_refused(tmp_path: Path) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / SOCKET)
    with pytest.raises(ConfigurationError, match="does not answer: try again"):
        await in_thread(lambda _: None, tmp_path)
    server.close()


async def test_facts_are_those_of_the_settings_and_workers_have_no_socket(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with AsyncExitStack() as stack:
        await listen_for_backups(stack, settings, object())

        def work(server: RunningServer) -> None:
            assert (server.facts.store, server.facts.rows, server.facts.audit) == (True, True, str(tmp_path / "audit"))

        await in_thread(work, tmp_path)
