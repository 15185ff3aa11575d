"""The two sides of a comparison: a server that is called over REST, and an equal one that is called over gRPC."""

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
from tests.access.equivalence import request_pairs
from tests.access.equivalence.populated_engine import PopulatedEngine
from tests.access.equivalence.random_values import PASSWORDS, Database
from tests.access.equivalence.request_pairs import Exchange, Failed, Outcome
from tests.support.engine import EngineCall
from tests.support.gateway import GatewayHarness, opened, presented
from tests.support.listeners import LOOPBACK, grpc_alone
from tests.support.rest import Rest, served

from kiteward.api.rest.endpoints import PREFIX
from kiteward.domain.errors import AuthenticationError
from kiteward.gateway.gateway import Gateway

_PATIENCE: Final = 60.0
_PATH: Final = "/milvus.proto.milvus.MilvusService/"
_UNEXPECTED: Final = 65535
_DATABASE_DEEPER: Final = ("OperatePrivilege", "SelectGrant")

_BY_STATUS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: Outcome(request_pairs.UNAUTHENTICATED, 1800),
    grpc.StatusCode.PERMISSION_DENIED: Outcome(request_pairs.DENIED, _UNEXPECTED),
    grpc.StatusCode.UNIMPLEMENTED: Outcome(request_pairs.REFUSED, request_pairs.UNIMPLEMENTED),
    grpc.StatusCode.UNAVAILABLE: Outcome(request_pairs.REFUSED, request_pairs.UNAVAILABLE),
    grpc.StatusCode.INVALID_ARGUMENT: Outcome(request_pairs.REFUSED, 1100),
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome(request_pairs.LATE, 10001),
}
"""What REST has to say where gRPC fails at the protocol level (contract 1.6, 5.1, appendix A)."""

_BY_HTTP: Final = {
    HTTPStatus.UNAUTHORIZED: request_pairs.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: request_pairs.DENIED,
    HTTPStatus.REQUEST_TIMEOUT: request_pairs.LATE,
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


class RecordingGrpcClient:
    """One exchange over gRPC; see `request_pairs.GrpcClient`.

    Attributes:
        log: every call with its answer, for the report.
    """

    def __init__(self, channel: grpc.aio.Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._authorization = exchange.caller.grpc
        self._database: Database = exchange.database
        self.log: list[str] = []

    @property
    def database(self) -> str:
        return self._database.field

    async def call(self, operation: str, /, **fields: Any) -> Any:
        message = request_pairs.request(operation, fields)
        metadata = self._metadata(operation, message)
        if "db_name" in message.DESCRIPTOR.fields_by_name and "db_name" not in fields:
            message.db_name = self._database.field
        self.log.append(f"{operation} {{{_line(message)}}} dbname={dict(metadata).get('dbname')!r}")
        invoke = self._channel.unary_unary(f"{_PATH}{operation}")
        try:
            payload = await invoke(message.SerializeToString(), metadata=metadata, timeout=_PATIENCE)
        except grpc.aio.AioRpcError as error:
            self.log[-1] += f" -> {error.code().name}: {error.details()}"
            raise Failed(_BY_STATUS.get(error.code(), Outcome(request_pairs.BROKEN))) from None
        response = request_pairs.response(operation, payload)
        self.log[-1] += f" -> {{{_line(response)}}}"
        status = request_pairs.status(response)
        if status is not None and (status.code or status.error_code):
            raise Failed(Outcome(request_pairs.REFUSED, status.code or _UNEXPECTED))
        return response

    def _metadata(self, operation: str, message: Any) -> Sequence[tuple[str, str]]:
        placed = operation in _DATABASE_DEEPER or "db_name" in message.DESCRIPTOR.fields_by_name
        database = self._database.metadata if placed else self._database.resolved
        pairs_of = (("authorization", self._authorization), ("dbname", database))
        return [(key, value) for key, value in pairs_of if value is not None]


@dataclass(frozen=True, slots=True)
class TransportResult:
    """What one side did with an exchange.

    Attributes:
        outcome: what became of it.
        engine_calls: what the engine was asked for.
        log: requests and answers, for the report.
    """

    outcome: Outcome
    engine_calls: Sequence[tuple[str, str, str]]
    log: Sequence[str]


class ServerPair:
    """Two servers in the same state."""

    def __init__(self, by_rest: GatewayHarness, by_grpc: GatewayHarness, rest: Rest, channel: grpc.aio.Channel) -> None:
        self.by_rest = by_rest
        self.by_grpc = by_grpc
        self._rest = rest
        self._channel = channel

    @property
    def harnesses(self) -> tuple[GatewayHarness, GatewayHarness]:
        return self.by_rest, self.by_grpc

    async def send_rest(self, exchange: Exchange) -> TransportResult:
        """Send an exchange by REST."""
        mark = len(self.by_rest.engine.calls)
        raw = isinstance(exchange.content, bytes)
        headers = {b"Authorization": exchange.caller.rest, b"DB-Name": (exchange.database.header or "").encode()}
        response = await self._rest.client.post(
            f"{PREFIX}{exchange.path}",
            content=exchange.content if raw else json.dumps(exchange.content).encode(),
            headers={key: value for key, value in headers.items() if value},
        )
        shown = f"HTTP {response.status_code} {response.text}"
        return TransportResult(
            _outcome(response), _engine_calls(self.by_rest.engine.calls[mark:]), (str(exchange), shown)
        )

    async def send_grpc(self, exchange: Exchange) -> TransportResult:
        """Make the same request over gRPC."""
        mark = len(self.by_grpc.engine.calls)
        client = RecordingGrpcClient(self._channel, exchange)
        try:
            outcome = Outcome(request_pairs.OK, answer=await exchange.by_grpc(client))
        except Failed as failed:
            outcome = failed.outcome
        return TransportResult(outcome, _engine_calls(self.by_grpc.engine.calls[mark:]), client.log)

    async def states(self) -> tuple[object, object]:
        """Return what either has stored, but for what no two servers share: hashes and times."""
        return await _state(self.by_rest), await _state(self.by_grpc)

    def revisions(self) -> tuple[int, int]:
        """Return how often either policy has changed."""
        return self.by_rest.policy_cache.current().revision, self.by_grpc.policy_cache.current().revision

    async def passwords(self, user: str) -> tuple[object, object]:
        """Return which of the usual passwords are accepted for a user."""
        return await _accepted_passwords(self.by_rest, user), await _accepted_passwords(self.by_grpc, user)


@contextlib.asynccontextmanager
async def server_pair(
    bootstrapped: Path, directory: Path, behind_rest: Callable[[Gateway], Gateway] = lambda gateway: gateway
) -> AsyncIterator[ServerPair]:
    """Open two servers on copies of a store, one for each transport.

    Args:
        bootstrapped: the store.
        directory: where the copies go.
        behind_rest: puts something between REST and its gateway, to see whether that is noticed.
    """
    async with contextlib.AsyncExitStack() as stack:
        harnesses = [
            await stack.enter_async_context(
                opened(Path(shutil.copy(bootstrapped, directory / name)), PopulatedEngine())
            )
            for name in ("rest.db", "grpc.db")
        ]
        rest = await stack.enter_async_context(served(behind_rest(harnesses[0].gateway)))
        port = await stack.enter_async_context(grpc_alone(harnesses[1].gateway))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"{LOOPBACK}:{port}"))
        yield ServerPair(harnesses[0], harnesses[1], rest, channel)


def _outcome(response: httpx.Response) -> Outcome:
    verdict = _BY_HTTP.get(HTTPStatus(response.status_code))
    if verdict is None and response.status_code != HTTPStatus.OK:
        return Outcome(request_pairs.BROKEN, response.status_code)
    answer = response.json()
    if verdict is None:
        verdict = request_pairs.REFUSED if answer["code"] else request_pairs.OK
    return Outcome(verdict, answer["code"], answer if verdict == request_pairs.OK else {})


def _engine_calls(calls: Sequence[EngineCall]) -> Sequence[tuple[str, str, str]]:
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


async def _state(harness: GatewayHarness) -> object:
    policy, users = await harness.state()
    return policy, [(user.name, user.description, sorted(user.roles)) for user in users]


async def _accepted_passwords(harness: GatewayHarness, user: str) -> object:
    found = []
    for password in PASSWORDS:
        try:
            await harness.authenticator.authenticate(presented(user, password))
        except AuthenticationError:
            continue
        found.append(password)
    return found
