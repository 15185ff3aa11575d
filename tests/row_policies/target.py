"""A live server with the embedded engine, and what asks it: over the network as users, and past the server."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.fuzz.channels import GrpcChannel, RestChannel
from tests.fuzz.requests import Answer, Sent
from tests.row_policies import wire
from tests.row_policies.engine import RunEngine
from tests.row_policies.operations import Reply
from tests.row_policies.wire import Row
from tests.support.gateway import PASSWORD, quick_directory
from tests.support.listeners import LOOPBACK

from kiteward.api.health_settings import HealthSettings
from kiteward.api.rest.endpoints import OWN_PREFIX
from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.engine.base import Engine
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.milvus import messages

DATABASES: Final = ("default", "db1")
ROOT: Final = "root"
_PATHS: Final = {operation: f"/{method.service}/{operation}" for operation, method in messages.METHODS.items()}
_ALL: Final = ("*",)


class Target:
    """A running server; made by `serving`."""

    def __init__(self, server: Server, engine: RunEngine) -> None:
        self.server = server
        self.engine = engine

    def next_port(self) -> int:
        """Return the port that the next client connects to."""
        return self.server.port

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        """Connect, and hang up at the end."""
        client = Client(self.next_port())
        try:
            yield client
        finally:
            await client.close()

    async def stored(self, database: str, collection: str, filter_: str = "") -> list[Row]:
        """Return the rows that a filter finds, or all, as the engine has them, asked past the server."""
        request = milvus_pb2.QueryRequest(
            db_name=database, collection_name=collection, expr=filter_, output_fields=_ALL
        )
        payload = request.SerializeToString()
        answer = await self.engine.call("Query", payload, metadata={"dbname": database}, timeout=60)
        response = milvus_pb2.QueryResults.FromString(answer)
        assert wire.code_of(response) == 0, response
        return wire.rows_of(response.fields_data)


class Client:
    """Connections of many callers; requests that come together are sent together."""

    def __init__(self, port: int) -> None:
        self._grpc = GrpcChannel(LOOPBACK, port)
        self._rest = RestChannel(LOOPBACK, port)
        self._headers: dict[str, str] = {ROOT: _header("root:Milvus")}
        self._waiting: list[tuple[Sent, asyncio.Future[Answer]]] = []
        self._sender: asyncio.Task[None] | None = None

    def introduce(self, caller: str, token: str = "") -> None:
        """Take note of a caller's credential; users have the password of tests."""
        self._headers[caller] = _header(token or f"{caller}:{PASSWORD}")

    def adopt(self, other: "Client") -> None:
        """Take over the credentials that another client knows."""
        self._headers.update(other._headers)

    async def ask(self, caller: str, method: str, message: Any) -> Reply:
        """Send a request and return its answer; a body goes to an endpoint, by a path or the name of one of our own."""
        if isinstance(message, dict):
            return await self._ask_endpoint(caller, method, message)
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        fields = (("authorization", self._headers[caller]),)
        self._waiting.append((Sent(caller, _PATHS[method], message.SerializeToString(), fields), done))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        answer = await done
        message = messages.method_of(method).response.FromString(answer.body) if answer.status == 0 else None
        return Reply(answer.status, answer.data, message)

    async def _send(self) -> None:
        """Send what waits, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            answers = await self._grpc.ask([sent for sent, _ in batch])
            for (_, done), answer in zip(batch, answers, strict=True):
                done.set_result(answer)

    async def make(self, operation: str, **fields: Any) -> Any:
        """Call an RPC as `root`, which must succeed."""
        reply = await self.ask(ROOT, operation, messages.method_of(operation).request(**fields))
        assert reply.carried_out, (operation, fields, reply.reason)
        return reply.message

    async def document(self, path: str, body: dict[str, Any]) -> Any:
        """Ask one of our own endpoints as `root`, which must succeed, and return its data."""
        reply = await self._ask_endpoint(ROOT, path, body)
        assert reply.carried_out, (path, body, reply.reason)
        return json.loads(reply.raw)["data"]

    async def _ask_endpoint(self, caller: str, path: str, body: dict[str, Any]) -> Reply:
        token = base64.b64decode(self._headers[caller]).decode()
        fields = (("authorization", f"Bearer {token}"), ("content-type", "application/json"))
        whole = path if path.startswith("/") else f"{OWN_PREFIX}{path}"
        (answer,) = await self._rest.ask([Sent(caller, whole, json.dumps(body).encode(), fields)])
        held = json.loads(answer.body)
        status = common_pb2.Status(code=held["code"], reason=held.get("message", ""))
        return Reply(0, answer.body, status)

    async def close(self) -> None:
        """Hang up."""
        await self._grpc.close()
        await self._rest.close()


def _header(token: str) -> str:
    return base64.b64encode(token.encode()).decode()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Target]:
    """Start a server with the embedded engine on the loopback address, and stop it at the end."""
    engines: list[RunEngine] = []

    async def start(settings: EmbeddedEngineSettings) -> Engine:
        engines.append(RunEngine(await EmbeddedEngine.start(settings)))
        return engines[0]

    with _directory() as settings:
        server = await Server.start(settings, hashing=TESTING, start_engine=start)
        try:
            target = Target(server, engines[0])
            async with target.client() as client:
                for database in DATABASES[1:]:
                    await client.make("CreateDatabase", db_name=database)
            yield target
        finally:
            await server.stop()


@contextlib.contextmanager
def _directory() -> Iterator[Settings]:
    with quick_directory() as directory:
        yield Settings(data_dir=directory / "data", port=0, metrics=HealthSettings(enabled=False))
