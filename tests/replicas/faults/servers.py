"""Three servers on a primary and its synchronous standby, all of which can be made to fail."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from tests.replicas.world import NAMES, Proxy, Replica, World, answers, clients_of
from tests.support import fake_upstream, postgresql, postgresql_pair, server
from tests.support.fake_upstream import FakeMilvus
from tests.support.postgresql_pair import Pair

DATABASE: Final = "kiteward"
_STARTS: Final = 10
"""Attempts to start a server. One ends where the database fails while it is opened, and is started again."""


class CommitProxy(Proxy):
    """Passes connections to one database server on, and can end them.

    Attributes:
        armed: ends the connection at the next COMMIT: `before` it is passed on, or `after` that; None does not.
        ended: set when it has done so.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.armed: str | None = None
        self.ended = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def sever(self) -> int:
        """End all connections, and return how many there were."""
        found = list(self._writers)
        for each in found:
            each.transport.abort()
        return len(found)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowed: bool) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                await self._passing.wait()
                cut = self.armed if not slowed and b"COMMIT" in data else None
                if cut != "before":
                    writer.write(data)
                    await writer.drain()
                if cut is not None:
                    self.armed = None
                    self.ended.set()
                    return
        finally:
            self._writers.discard(writer)


class Clock:
    """The wall clock of a server, which libfaketime moves; the clocks that only go forward are left alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.move(0)

    @staticmethod
    def library() -> Path | None:
        """Return Debian's libfaketime, or None where it is not installed."""
        return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

    def move(self, seconds: int) -> None:
        """Let it show a time that is so many seconds from the right one."""
        self._file.write_text(f"{seconds:+d}s\n", encoding="ascii")

    def environment(self) -> Mapping[str, str]:
        """Return what a process is started with to have this clock."""
        library = self.library()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@dataclass(eq=False)
class Server(Replica):
    """One of the servers, which is started again whenever it ends.

    Attributes:
        directory: of its files.
        proxies: what is between it and each of the two database servers.
        clock: its wall clock.
        starts_repeated: how often a start failed.
    """

    directory: Path
    proxies: tuple[CommitProxy, ...]
    clock: Clock
    starts_repeated: int = 0

    async def start(self) -> None:
        """Start it as it was configured first."""
        self.running, repeated = await _supervised(self.directory, self.port, self.clock)
        self.starts_repeated += repeated

    def log(self) -> str:
        """Return what it has written, in all its starts."""
        found = sorted(self.directory.glob("data.*.log"))
        return "\n".join(each.read_text(encoding="utf-8", errors="replace") for each in found)


@dataclass(eq=False)
class FailingWorld(World):
    """The servers and their databases.

    Attributes:
        pair: the database servers.
        servers: the same as `replicas`.
    """

    pair: Pair = field(kw_only=True)
    servers: list[Server] = field(default_factory=list)


@contextlib.asynccontextmanager
async def running(directory: Path, *, lease: int) -> AsyncIterator[FailingWorld]:
    """Run all of it for as long as the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        pair = stack.enter_context(postgresql_pair.running())
        pair.primary.sql(f"CREATE DATABASE {DATABASE} OWNER {postgresql.USER}")
        engine = FakeMilvus(answers=answers())
        address = await stack.enter_async_context(fake_upstream.serving(engine))
        world = FailingWorld(pair.primary, pair.primary.settings(DATABASE), engine, pair=pair)

        async def start(name: str) -> Server:
            await asyncio.to_thread((directory / name).mkdir)
            return await _started(stack, directory / name, name, pair=pair, engine=str(address), lease=lease)

        world.servers.append(await start(NAMES[0]))
        world.servers += await asyncio.gather(*map(start, NAMES[1:]))
        world.replicas += world.servers
        yield world


async def _started(
    stack: contextlib.AsyncExitStack, directory: Path, name: str, *, pair: Pair, engine: str, lease: int
) -> Server:
    proxies = [await stack.enter_async_context(CommitProxy("127.0.0.1", node.port).serving()) for node in pair.nodes]
    metrics_port, port = postgresql.free_port(), postgresql.free_port()
    url = postgresql_pair.url(postgresql.USER, [each.port for each in proxies], DATABASE)
    (directory / "config.yaml").write_text(
        f"kiteward: {{engine: {{address: '{engine}'}}, metrics: {{port: {metrics_port}}}, "
        f"replicas: {{name: {name}, lease: {lease}}}, store: {{url: '{url}', password: '{postgresql.PASSWORD}'}}}}",
        encoding="utf-8",
    )
    clock = Clock(directory / "clock")
    running, _ = await _supervised(directory, port, clock)
    rest, channel = await clients_of(stack, port)
    made = Server(
        name,
        port,
        metrics_port,
        rest,
        channel,
        running,
        proxies[0],
        directory=directory,
        proxies=tuple(proxies),
        clock=clock,
    )
    stack.push_async_callback(_ended, made)
    return made


async def _supervised(directory: Path, port: int, clock: Clock) -> tuple[server.RunningServer, int]:
    """Start a server as often as it takes; return it and how many starts were in vain."""
    for repeated in range(_STARTS):
        try:
            return await asyncio.to_thread(_start, directory, port, clock), repeated
        except pytest.fail.Exception as error:
            if repeated == _STARTS - 1:
                raise AssertionError(str(error)) from None
    raise AssertionError


def _start(directory: Path, port: int, clock: Clock) -> server.RunningServer:
    arguments = ("--port", str(port), "--config", str(directory / "config.yaml"))
    return server.start(directory / "data", *arguments, environment=clock.environment())


async def _ended(made: Server) -> None:
    for each in made.proxies:
        each.mend()
    if made.running.process.poll() is None:
        made.go_on()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(made.running.stop)
