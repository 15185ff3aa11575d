"""Several real servers on one PostgreSQL and one engine, which is a fake that remembers what reaches it."""

import asyncio
import base64
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import grpc.aio
from tests.replicas.clients import NoAnswer, NotSent, RestClient, exchanged, page
from tests.support import fake_upstream, postgresql, server
from tests.support.fake_upstream import FakeMilvus

from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2, schema_pb2
from kiteward.store import connections
from kiteward.store.postgresql.settings import PostgresqlSettings

NAMES: Final = ("one", "two", "three")
ROOT: Final = server.ROOT_TOKEN
COLLECTION: Final = "docs"
NOT_AUTHENTICATED: Final = 1800
UNAVAILABLE: Final = 2
TIMEOUT: Final = 10001
UNKNOWN: Final = "store_commit_unknown"
MESSAGE: Final = connections.UNKNOWN
"""What routes of Milvus answer, which have no reasons."""

_EXPRESSION: Final = re.compile(r"id == (\d+)\b")
CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)
"""A server that was killed is back soon."""


class Unavailable(Exception):
    """A server, or its store, is not available now: it says so, or nobody is there. Nothing was changed."""


class Unknown(Exception):
    """It is not known whether a change was made.

    Attributes:
        why: a class of reasons.
        late: whether it may still be made at any time.
    """

    def __init__(self, why: str, *, late: bool) -> None:
        super().__init__(why)
        self.why = why
        self.late = late


class Rejected(Exception):
    """A server does not accept a request as it is."""


class Proxy:
    """Passes connections to the database on, until it is cut or made slow.

    Attributes:
        cut: whether nothing passes any more; the connections stay.
        delay: seconds that everything from the database takes longer.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._passing = asyncio.Event()
        self._passing.set()
        self.delay = 0.0
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Serve for as long as the block lasts."""
        async with fake_upstream.listening(self._pass) as address:
            self.port = address.port
            yield self

    def cut(self) -> None:
        """Let nothing pass any more, without a sign of it."""
        self._passing.clear()

    def mend(self) -> None:
        """Let everything pass again, what had to wait first."""
        self._passing.set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        tasks = [
            asyncio.create_task(self._pump(reader, back, slowed=False)),
            asyncio.create_task(self._pump(there, writer, slowed=True)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for each in (back, writer):
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowed: bool) -> None:
        while data := await reader.read(65536):
            if slowed and self.delay:
                await asyncio.sleep(self.delay)
            await self._passing.wait()
            writer.write(data)
            await writer.drain()


@dataclass(eq=False)
class Peer:
    """One of the servers, in whichever process.

    Attributes:
        name: its name among the others.
        port: of its API.
        metrics_port: where its metrics are.
        rest: a client of its REST API.
        channel: a client of its gRPC API.
    """

    name: str
    port: int
    metrics_port: int
    rest: RestClient
    channel: grpc.aio.Channel

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, *, by: str = ROOT) -> Any:
        """Send a request to its REST API and return the answer; `path` is below `/v2/`."""
        return await self.rest.post(f"/v2/{path}", body or {}, by=by)

    async def data(self, path: str, body: Mapping[str, Any] | None = None, *, by: str = ROOT) -> Any:
        """Send a request that must succeed, and return what is answered.

        Raises:
            Unavailable: the server says that it, or its store, is not available now, or it is not there.
            Unknown: it says that it does not know the outcome or that the time is over, or says nothing.
            Rejected: it answers otherwise.
        """
        try:
            answer = await self.ask(path, body, by=by)
        except NotSent as error:
            raise Unavailable(f"{self.name}: {error}") from None
        except NoAnswer as error:
            raise Unknown("no answer in time" if error.late else "the connection broke", late=error.late) from None
        if answer["code"] == TIMEOUT:
            raise Unknown("request timeout", late=True)
        if answer.get("reason") == UNKNOWN or answer.get("message") == MESSAGE:
            raise Unknown("reported so", late=False)
        if answer["code"] == UNAVAILABLE:
            raise Unavailable(f"{self.name}: {answer['message']}")
        if answer["code"] != 0:
            raise Rejected(f"{self.name} answers {answer} to {path} {body}")
        return answer.get("data")

    async def guess(self, user: str, password: str, *, source: str = "127.0.0.1") -> int:
        """Present a password from an address, and return the code of the answer."""
        head = (
            "POST /v2/kiteward/whoami/describe HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"authorization: Bearer {user}:{password}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
        )
        answer = await exchanged(self.port, f"{head}{{}}", source=source)
        return int(json.loads(answer.partition("\r\n\r\n")[2])["code"])

    async def query(self, marker: int, *, by: str, collection: str = COLLECTION) -> str:
        """Query a collection with a filter that the engine can recognise, and return why that failed, or empty."""
        request = messages.QueryRequest(collection_name=collection, expr=f"id == {marker}", output_fields=["id"])
        return await self.call("Query", request, by=by)

    async def call(self, method: str, request: Any, *, by: str = ROOT) -> str:
        """Call an RPC, and return why that failed, or empty."""
        call = self.channel.unary_unary(f"/{messages.SERVICE}/{method}")
        credential = base64.b64encode(by.encode()).decode()
        try:
            answer = await call(request.SerializeToString(), metadata=[("authorization", credential)], timeout=60)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        response: Any = messages.method_of(method).response.FromString(answer)
        status = response if isinstance(response, messages.Status) else response.status
        return f"{status.code}: {status.reason}" if status.code else ""

    async def sign_in(self, user: str, password: str) -> str:
        """Sign in to its console and return the cookie; empty if it is not available."""
        form = urlencode({"user": user, "password": password})
        head = await self._console("POST", "sign-in", form, "origin: http://localhost")
        found = re.search(r"^set-cookie: ([^;\r]+)", head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    async def is_signed_in(self, cookie: str) -> bool:
        """Return whether a session with this cookie may see its account in the console."""
        return (await self._console("GET", "account", "", f"cookie: {cookie}")).startswith("HTTP/1.1 200")

    async def _console(self, method: str, path: str, form: str, header: str) -> str:
        head = f"{method} /console/{path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\nconnection: close\r\n"
        typed = f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(form)}\r\n" if form else ""
        try:
            return (await exchanged(self.port, f"{head}{typed}\r\n{form}")).partition("\r\n\r\n")[0]
        except (OSError, TimeoutError):
            return ""

    async def metrics(self) -> dict[str, float]:
        """Return its metrics: name with labels -> value."""
        _, text = await page(self.metrics_port, "/metrics")
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    async def health(self) -> tuple[int, str]:
        """Return what its health says: status and text."""
        return await page(self.metrics_port, "/healthz")


@dataclass(eq=False)
class Replica(Peer):
    """One of the servers, in a process of its own.

    Attributes:
        running: its process.
        proxy: what is between it and the database.
    """

    running: server.RunningServer
    proxy: Proxy

    async def kill(self) -> None:
        """Kill its process."""
        self.running.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.running.process.wait)

    def stop(self) -> None:
        """Let its process not run."""
        self.running.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let its process run again."""
        self.running.process.send_signal(signal.SIGCONT)


@dataclass(eq=False)
class World:
    """All of it.

    Attributes:
        cluster: the server of the database.
        database: the database.
        engine: the engine of all servers.
        replicas: the servers.
        filters: marker -> the filter of a query that has reached the engine.
    """

    cluster: postgresql.Cluster
    database: PostgresqlSettings
    engine: FakeMilvus
    replicas: list[Replica] = field(default_factory=list)
    filters: dict[int, str] = field(default_factory=dict)

    async def insist(self, path: str, body: Mapping[str, Any]) -> None:
        """Make a change that nobody else makes, however often that has to be tried."""
        repeated = False
        while True:
            try:
                await self.replicas[0].data(path, body)
            except (Unavailable, Unknown):
                repeated = True
                await asyncio.sleep(0.1)
            except Rejected:
                if not repeated:
                    raise
                return  # it is made
            else:
                return

    def filter_of(self, marker: int) -> str | None:
        """Return the filter with a marker that has reached the engine, or None, and forget it."""
        for method, payload, _ in self.engine.seen:
            if method == "Query":
                expression = messages.QueryRequest.FromString(payload).expr
                found = _EXPRESSION.search(expression)
                assert found is not None, expression
                self.filters[int(found[1])] = expression
        self.engine.seen.clear()
        return self.filters.pop(marker, None)


@contextlib.asynccontextmanager
async def running(
    directory: Path,
    cluster: postgresql.Cluster,
    *,
    lease: int = 3,
    proxied: bool = True,
    engine: FakeMilvus | None = None,
) -> AsyncIterator[World]:
    """Run three servers for as long as the block lasts; the first of them creates the store.

    Args:
        directory: for their files.
        cluster: has their database.
        lease: seconds of their leases.
        proxied: whether each reaches the database through a proxy of its own.
        engine: their engine; None for one with one empty collection.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = stack.enter_context(cluster.database())
        engine = FakeMilvus(answers=answers()) if engine is None else engine
        address = await stack.enter_async_context(fake_upstream.serving(engine))
        world = World(cluster, database, engine)

        async def start(name: str) -> Replica:
            return await _started(
                stack, directory / name, name, engine=str(address), lease=lease, world=world, proxied=proxied
            )

        world.replicas.append(await start(NAMES[0]))
        world.replicas += await asyncio.gather(*map(start, NAMES[1:]))
        yield world


async def _started(
    stack: contextlib.AsyncExitStack,
    directory: Path,
    name: str,
    *,
    engine: str,
    lease: int,
    world: World,
    proxied: bool,
) -> Replica:
    proxy = await stack.enter_async_context(Proxy(*world.database.hosts[0]).serving())
    port = proxy.port if proxied else world.database.hosts[0][1]
    metrics_port = postgresql.free_port()
    url = f"postgresql://{world.database.user}@127.0.0.1:{port}/{world.database.database}"
    password = world.database.password.reveal()
    config = (
        f"kiteward: {{engine: {{address: '{engine}'}}, metrics: {{port: {metrics_port}}}, "
        f"replicas: {{name: {name}, lease: {lease}}}, store: {{url: '{url}', password: '{password}'}}}}"
    )
    # In a thread: the servers connect to what this event loop serves.
    running = await asyncio.to_thread(server.start, directory / "data", config=config)
    stack.push_async_callback(_ended, running, proxy)
    rest, channel = await clients_of(stack, running.port)
    return Replica(name, running.port, metrics_port, rest, channel, running, proxy)


async def clients_of(stack: contextlib.AsyncExitStack, port: int) -> tuple[RestClient, grpc.aio.Channel]:
    """Return clients of the APIs at a port, which are closed with the stack."""
    rest = RestClient(port)
    stack.callback(rest.close)
    return rest, await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", CHANNEL))


async def _ended(running: server.RunningServer, proxy: Proxy) -> None:
    proxy.mend()
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGCONT)
        await asyncio.to_thread(running.stop)


def answers() -> dict[str, bytes]:
    """Return the answers of an engine that has one empty collection."""
    done = messages.Status()
    schema = schema_pb2.CollectionSchema(
        name=COLLECTION,
        fields=[
            schema_pb2.FieldSchema(fieldID=100, name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True),
            schema_pb2.FieldSchema(fieldID=101, name="owner", data_type=schema_pb2.DataType.VarChar),
        ],
    )
    described = messages.DescribeCollectionResponse(
        status=done, schema=schema, collectionID=7, collection_name=COLLECTION, db_name="default"
    )
    shown = milvus_pb2.ShowCollectionsResponse(status=done, collection_names=[COLLECTION], collection_ids=[7])
    found = messages.QueryResults(status=done, collection_name=COLLECTION, output_fields=["id"])
    return {
        "DescribeCollection": described.SerializeToString(),
        "HasCollection": messages.BoolResponse(status=done, value=True).SerializeToString(),
        "Query": found.SerializeToString(),
        "ShowCollections": shown.SerializeToString(),
    }
