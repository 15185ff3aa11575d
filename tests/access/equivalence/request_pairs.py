"""What is compared: one request over REST, and the RPCs over gRPC that ask for the same."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import milvus_pb2
from tests.access.equivalence.random_values import Caller, Database, Draw

OK: Final = "ok"
UNAUTHENTICATED: Final = "unauthenticated"
DENIED: Final = "denied"
REFUSED: Final = "refused"
LATE: Final = "late"
BROKEN: Final = "broken"

UNAVAILABLE: Final = 2
UNIMPLEMENTED: Final = 10
BODY_MALFORMED: Final = 1801
FIELD_MISSING: Final = 1802
"""Codes that a REST client knows (contract 5.1)."""

_NUMBER: Final = "jobId"
"""Empty or 0 it is no number of a job, and the body malformed."""

_SERVICE: Final = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        verdict: one of the words above.
        code: of a refusal.
        answer: of a success, the members of the answer; the gRPC side has only those that are compared.
    """

    verdict: str
    code: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict)


class Failed(Exception):
    """A call over gRPC that did not succeed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class GrpcClient(Protocol):
    """One caller's client of the gRPC API."""

    @property
    def database(self) -> str:
        """The value of the database field for requests that name their database in a nested message, or empty."""
        ...

    async def call(self, operation: str, /, **fields: Any) -> Any:
        """Call one RPC; `db_name` and metadata are added.

        Raises:
            Failed: it did not succeed.
        """
        ...


RpcCalls: TypeAlias = Callable[[GrpcClient], Awaitable[dict[str, Any]]]
"""Returns the members of the answer that REST has to give: `data`, and members beside it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same request over either transport.

    Attributes:
        body: the REST body, without `dbName`.
        by_grpc: the RPCs over gRPC.
        required: members of the body that must be there.
        names_database: the database that the request is about, where it is about one.
        header_counts: whether `DB-Name` counts.
    """

    body: dict[str, Any]
    by_grpc: RpcCalls
    required: Sequence[str] | None = None
    names_database: str | None = None
    header_counts: bool = True

    def required_members(self) -> Sequence[str]:
        """Return what the body must hold; unless stated, that is a collection where it has one."""
        if self.required is not None:
            return self.required
        return ("collectionName",) if "collectionName" in self.body else ()


Counterpart: TypeAlias = Callable[[Draw], Pair]
"""Draws a request to one endpoint."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, ready to be sent over either transport."""

    path: str
    content: Any
    caller: Caller
    database: Database
    by_grpc: RpcCalls

    def __str__(self) -> str:
        return f"{self.caller.name}: {self.path} {self.content!r} DB-Name={self.database.header!r}"


@dataclass(frozen=True, slots=True)
class SetupCall:
    """A change that `root` makes on both servers: to users, roles or grants."""

    operation: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return f"root calls: {self.operation} {dict(self.fields)}"


@dataclass(frozen=True, slots=True)
class EngineReset:
    """Both engines get their databases, collections and aliases back."""

    def __str__(self) -> str:
        return "the engines are restocked"


Step: TypeAlias = Exchange | SetupCall | EngineReset


def request(operation: str, fields: Mapping[str, Any]) -> Any:
    """Return the request message of an RPC."""
    return GetMessageClass(_SERVICE.methods_by_name[operation].input_type)(**fields)


def response(operation: str, payload: bytes) -> Any:
    """Return the response message of an RPC."""
    return GetMessageClass(_SERVICE.methods_by_name[operation].output_type).FromString(payload)


def status(message: Any) -> Any:
    """Return the `Status` of a response, or None."""
    if message.DESCRIPTOR.name == "Status":
        return message
    held = [each.name for each in message.DESCRIPTOR.fields if each.message_type and each.message_type.name == "Status"]
    return getattr(message, held[0]) if held else None


def answer_with(data: Any, **extra: Any) -> dict[str, Any]:
    """Return the members of an answer."""
    return {"data": data, **extra}


def once(operation: str, extract: Callable[[Any], Any] = lambda _: {}, /, **fields: Any) -> RpcCalls:
    """Return the calls of a request that is one RPC.

    Args:
        operation: RPC name.
        extract: makes the answer's `data` of the response.
        fields: fields of the request.
    """

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        return answer_with(extract(await client.call(operation, **fields)))

    return call_rpcs


def not_served(code: int = UNIMPLEMENTED) -> RpcCalls:
    """Return the calls of a request that REST refuses by itself, once its caller is authenticated."""

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        await client.call("GetVersion")
        raise Failed(Outcome(REFUSED, code))

    return call_rpcs


async def unless_refused(call: Awaitable[Any]) -> Any:
    """Return the response, or None where it was denied or refused.

    Raises:
        Failed: the caller is unauthenticated, or there was no answer.
    """
    try:
        return await call
    except Failed as failed:
        if failed.outcome.verdict in (DENIED, REFUSED) and failed.outcome.code != UNAVAILABLE:
            return None
        raise


def exchange(path: str, draw: Draw, counterpart: Counterpart) -> Exchange:
    """Draw one request to an endpoint; a few have bodies that cannot be read, or lack something."""
    pair = counterpart(draw)
    database = draw.database(header_counts=pair.header_counts, named=pair.names_database)
    caller = draw.caller()
    content: Any = {**pair.body, **database.body}
    by_grpc = pair.by_grpc
    if draw.chance(0.04):
        content, code = _spoiled(draw, content, pair.required_members())
        by_grpc = not_served(code)
    return Exchange(path, content, caller, database, by_grpc)


def _spoiled(draw: Draw, body: dict[str, Any], required: Sequence[str]) -> tuple[Any, int]:
    if not required or draw.chance(0.3):
        return draw.of((b"", b"no json", b"[]", b'{"dbName": 7}', b'{"dbName": "db1"', b'"text"')), BODY_MALFORMED
    name = draw.of(required)
    rest = {key: value for key, value in body.items() if key != name}
    spoiled = [rest, {**rest, name: None}]
    if name != _NUMBER:
        spoiled.append({**rest, name: type(body[name])()})
    return draw.of(spoiled), FIELD_MISSING
