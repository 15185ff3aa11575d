"""A real server of several workers on a PostgreSQL, and requests to a certain one of them."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.replicas.clients import page
from tests.replicas.world import ROOT, UNAVAILABLE, answers
from tests.support import fake_upstream, postgresql, server
from tests.support.fake_upstream import FakeMilvus

from kiteward.store.postgresql.settings import PostgresqlSettings

_PATIENCE: Final = 120.0
_ACCEPTED_WITHIN: Final = 5.0
_ESTABLISHED: Final = "01"


@dataclass(eq=False)
class WorkerServer:
    """The server.

    Attributes:
        running: its parent process.
        metrics_port: where health and metrics of all workers are.
        database: the database of its store.
        engine: the engine behind it.
        config: its configuration.
    """

    running: server.RunningServer
    metrics_port: int
    database: PostgresqlSettings
    engine: FakeMilvus
    config: str

    def workers(self) -> list[int]:
        """Return the process ids of the workers that run, in the order in which they were started."""
        parent = self.running.process.pid
        try:
            return [int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        except FileNotFoundError:
            return []

    async def ask(self, worker: int, path: str, body: Mapping[str, Any] | None = None, *, by: str = ROOT) -> Any:
        """Send a request to the REST API of a worker, and return the JSON of the answer; `path` is below `/v2/`."""
        reader, writer = await self._connected(worker)
        payload = json.dumps(dict(body or {})).encode()
        head = (
            f"POST /v2/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {by}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + payload)
            return json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        finally:
            writer.transport.abort()

    async def data(self, worker: int, path: str, body: Mapping[str, Any] | None = None, *, by: str = ROOT) -> Any:
        """Send a request that must succeed, and return what is answered.

        It is sent again while the worker has no lease, as on a machine that is too busy to renew it.
        """
        async with asyncio.timeout(_PATIENCE):
            while (answer := await self.ask(worker, path, body, by=by))["code"] == UNAVAILABLE:
                await asyncio.sleep(0.1)
        assert answer["code"] == 0, (path, body, answer)
        return answer.get("data")

    async def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page of the port for health and metrics, from whichever worker answers."""
        return await page(self.metrics_port, path)

    async def sample(self, name: str, worker: int) -> float:
        """Return a value of the metrics of a worker, by its number."""
        _, text = await self.page("/metrics")
        lines = [line.rpartition(" ") for line in text.splitlines()]
        (value,) = (float(value) for head, _, value in lines if head == f'{name}{{worker="{worker}"}}')
        return value

    async def _connected(self, worker: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that this worker has accepted. The system chooses one, so that it may take some.

        One that a worker was given which was killed before it accepted is never accepted.
        """
        async with asyncio.timeout(_PATIENCE):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.running.port)
                own = writer.get_extra_info("sockname")[1]
                accepted = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ACCEPTED_WITHIN):
                        while (accepted := _accepted_by(self.running.port, own, self.workers())) is None:
                            await asyncio.sleep(0.02)
                if accepted == worker:
                    return reader, writer
                writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(
    directory: Path, cluster: postgresql.Cluster, *, workers: int, lease: int = 10
) -> AsyncIterator[WorkerServer]:
    """Run a server for as long as the block lasts; a test that ended it before may have done so.

    Args:
        directory: for its files.
        cluster: has its database.
        workers: how many it has.
        lease: seconds of their leases.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = stack.enter_context(cluster.database())
        engine = FakeMilvus(answers=answers())
        address = await stack.enter_async_context(fake_upstream.serving(engine))
        metrics_port = postgresql.free_port()
        config = (
            f"kiteward: {{engine: {{address: '{address}'}}, metrics: {{port: {metrics_port}}}, "
            f"replicas: {{name: here, lease: {lease}}}, workers: {workers}, "
            f"store: {{url: '{cluster.url(database.database)}', password: '{database.password.reveal()}'}}}}"
        )
        # In a thread: the server connects to what this event loop serves.
        running = await asyncio.to_thread(server.start, directory / "data", config=config)
        try:
            yield WorkerServer(running, metrics_port, database, engine, config)
        finally:
            if running.process.poll() is None:
                running.process.send_signal(signal.SIGCONT)
                assert await asyncio.to_thread(running.stop) == 0, running.log()


def _accepted_by(port: int, peer: int, processes: list[int]) -> int | None:
    """Return which of these processes has accepted the connection between two ports of this machine, if one has."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16), state) == (port, peer, _ESTABLISHED):
            wanted = f"socket:[{rest[5]}]"
            return next((process for process in processes if wanted in _files_of(process)), None)
    return None


def _files_of(process: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(each.readlink()))
    return found


def runs(process: int) -> bool:
    """Return whether a process runs. One that nobody has waited for does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
