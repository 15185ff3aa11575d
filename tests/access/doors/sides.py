"""The two sides of a comparison: a server behind its REST door, and its twin behind the gRPC door."""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import httpx
from tests.access.doors import pairs
from tests.access.doors.drawing import PASSWORDS, Database
from tests.access.doors.pairs import Exchange, Failed, Outcome
from tests.access.doors.stock import StockedEngine
from tests.support.doors import LOOPBACK, grpc_alone
from tests.support.engine import EngineCall
from tests.support.gateway import House, opened, presented
from tests.support.rest import Rest, served

from kiteward.api.rest.endpoints import PREFIX
from kiteward.domain.errors import AuthenticationError
from kiteward.gateway.gateway import Gateway

_PATIENCE: Final = 20.0
_PATH: Final = "/milvus.proto.milvus.MilvusService/"
_UNEXPECTED: Final = 65535
_DATABASE_DEEPER: Final = ("OperatePrivilege", "SelectGrant")

_BY_STATUS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: Outcome(pairs.UNAUTHENTICATED, 1800),
    grpc.StatusCode.PERMISSION_DENIED: Outcome(pairs.DENIED, _UNEXPECTED),
    grpc.StatusCode.UNIMPLEMENTED: Outcome(pairs.REFUSED, pairs.UNIMPLEMENTED),
    grpc.StatusCode.UNAVAILABLE: Outcome(pairs.REFUSED, pairs.UNAVAILABLE),
    grpc.StatusCode.INVALID_ARGUMENT: Outcome(pairs.REFUSED, 1100),
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome(pairs.LATE, 10001),
}
"""What REST has to say where gRPC fails at the protocol level (contract 1.6, 5.1, appendix A)."""

_BY_HTTP: Final = {
    HTTPStatus.UNAUTHORIZED: pairs.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: pairs.DENIED,
    HTTPStatus.REQUEST_TIMEOUT: pairs.LATE,
}

_NAMES: Final = ("collection_name", "partition_name", "partition_names", "index_name", "field_name")
_BUILT_DIFFERENTLY: Final = frozenset(
    {
        "CreateCollection",
        "CreateIndex",
        "AddCollectionField",
        "Insert",
        "Upsert",
        "Delete",
        "Query",
        "Search",
        "HybridSearch",
    }
)
"""Requests that carry rows, vectors and parameters; of them the names are compared, of all others everything."""


class GrpcTalk:
    """One exchange over gRPC; see `pairs.Talk`.

    Attributes:
        said: every call with its answer, for the report.
    """

    def __init__(self, channel: grpc.aio.Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._authorization = exchange.caller.grpc
        self._database: Database = exchange.database
        self.said: list[str] = []

    @property
    def database(self) -> str:
        return self._database.field

    async def call(self, operation: str, /, **fields: Any) -> Any:
        message = pairs.request(operation, fields)
        metadata = self._metadata(operation, message)
        if "db_name" in message.DESCRIPTOR.fields_by_name and "db_name" not in fields:
            message.db_name = self._database.field
        self.said.append(f"{operation} {{{_line(message)}}} dbname={dict(metadata).get('dbname')!r}")
        invoke = self._channel.unary_unary(f"{_PATH}{operation}")
        try:
            payload = await invoke(message.SerializeToString(), metadata=metadata, timeout=_PATIENCE)
        except grpc.aio.AioRpcError as error:
            self.said[-1] += f" -> {error.code().name}: {error.details()}"
            raise Failed(_BY_STATUS.get(error.code(), Outcome(pairs.BROKEN))) from None
        response = pairs.response(operation, payload)
        self.said[-1] += f" -> {{{_line(response)}}}"
        status = pairs.status(response)
        if status is not None and (status.code or status.error_code):
            raise Failed(Outcome(pairs.REFUSED, status.code or _UNEXPECTED))
        return response

    def _metadata(self, operation: str, message: Any) -> Sequence[tuple[str, str]]:
        placed = operation in _DATABASE_DEEPER or "db_name" in message.DESCRIPTOR.fields_by_name
        database = self._database.metadata if placed else self._database.settled
        pairs_of = (("authorization", self._authorization), ("dbname", database))
        return [(key, value) for key, value in pairs_of if value is not None]


@dataclass(frozen=True, slots=True)
class Said:
    """What one side did with an exchange.

    Attributes:
        outcome: what became of it.
        reached: what the engine was asked for.
        words: requests and answers, for the report.
    """

    outcome: Outcome
    reached: Sequence[tuple[str, str, str]]
    words: Sequence[str]


class Twins:
    """Two servers in the same state."""

    def __init__(self, by_rest: House, by_grpc: House, rest: Rest, channel: grpc.aio.Channel) -> None:
        self.by_rest = by_rest
        self.by_grpc = by_grpc
        self._rest = rest
        self._channel = channel

    @property
    def houses(self) -> tuple[House, House]:
        return self.by_rest, self.by_grpc

    async def send_rest(self, exchange: Exchange) -> Said:
        """Send an exchange by REST."""
        mark = len(self.by_rest.engine.calls)
        raw = isinstance(exchange.content, bytes)
        headers = {b"Authorization": exchange.caller.rest, b"DB-Name": (exchange.database.header or "").encode()}
        response = await self._rest.client.post(
            f"{PREFIX}{exchange.path}",
            content=exchange.content if raw else json.dumps(exchange.content).encode(),
            headers={key: value for key, value in headers.items() if value},
        )
        words = f"HTTP {response.status_code} {response.text}"
        return Said(_outcome(response), _reached(self.by_rest.engine.calls[mark:]), (str(exchange), words))

    async def send_grpc(self, exchange: Exchange) -> Said:
        """Hold the same conversation over gRPC."""
        mark = len(self.by_grpc.engine.calls)
        talk = GrpcTalk(self._channel, exchange)
        try:
            outcome = Outcome(pairs.OK, told=await exchange.by_grpc(talk))
        except Failed as failed:
            outcome = failed.outcome
        return Said(outcome, _reached(self.by_grpc.engine.calls[mark:]), talk.said)

    async def states(self) -> tuple[object, object]:
        """Return what either has stored, but for what no two servers share: hashes and times."""
        return await _state(self.by_rest), await _state(self.by_grpc)

    def revisions(self) -> tuple[int, int]:
        """Return how often either policy has changed."""
        return self.by_rest.policy_cache.current().revision, self.by_grpc.policy_cache.current().revision

    async def passwords(self, user: str) -> tuple[object, object]:
        """Return which of the usual passwords let a user in."""
        return await _let_in(self.by_rest, user), await _let_in(self.by_grpc, user)


@contextlib.asynccontextmanager
async def twins(
    bootstrapped: Path, directory: Path, behind_rest: Callable[[Gateway], Gateway] = lambda gateway: gateway
) -> AsyncIterator[Twins]:
    """Open two servers on copies of a store, each behind its door.

    Args:
        bootstrapped: the store.
        directory: where the copies go.
        behind_rest: puts something between the REST door and its gateway, to see whether that is noticed.
    """
    async with contextlib.AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(opened(Path(shutil.copy(bootstrapped, directory / name)), StockedEngine()))
            for name in ("rest.db", "grpc.db")
        ]
        rest = await stack.enter_async_context(served(behind_rest(houses[0].gateway)))
        port = await stack.enter_async_context(grpc_alone(houses[1].gateway))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"{LOOPBACK}:{port}"))
        yield Twins(houses[0], houses[1], rest, channel)


def _outcome(response: httpx.Response) -> Outcome:
    verdict = _BY_HTTP.get(HTTPStatus(response.status_code))
    if verdict is None and response.status_code != HTTPStatus.OK:
        return Outcome(pairs.BROKEN, response.status_code)
    answer = response.json()
    if verdict is None:
        verdict = pairs.REFUSED if answer["code"] else pairs.OK
    return Outcome(verdict, answer["code"], answer if verdict == pairs.OK else {})


def _reached(calls: Sequence[EngineCall]) -> Sequence[tuple[str, str, str]]:
    """Return what calls are about: method, database, and names or the whole request."""
    return [(call.method, call.metadata.get("dbname", ""), _about(call)) for call in calls]


def _about(call: EngineCall) -> str:
    request = call.request
    if call.method in _BUILT_DIFFERENTLY:
        return str([getattr(request, name, None) for name in _NAMES])
    for name in ("base", "db_name"):
        if name in request.DESCRIPTOR.fields_by_name:
            request.ClearField(name)
    return _line(request)


def _line(message: Any) -> str:
    return " ".join(str(message).split())


async def _state(house: House) -> object:
    policy, users = await house.state()
    return policy, [(user.name, user.description, sorted(user.roles)) for user in users]


async def _let_in(house: House, user: str) -> object:
    found = []
    for password in PASSWORDS:
        try:
            await house.authenticator.authenticate(presented(user, password))
        except AuthenticationError:
            continue
        found.append(password)
    return found
