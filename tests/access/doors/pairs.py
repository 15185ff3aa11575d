"""What is compared: one request to the REST door, and the conversation over gRPC that asks for the same."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import milvus_pb2
from tests.access.doors.drawing import Caller, Database, Draw

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
        told: of a success, the members of the answer; the gRPC side says only what is to be compared.
    """

    verdict: str
    code: int = 0
    told: Mapping[str, Any] = field(default_factory=dict)


class Failed(Exception):
    """A call over gRPC that did not succeed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Talk(Protocol):
    """One caller's side of the gRPC door."""

    @property
    def database(self) -> str:
        """What requests carry whose database stands deeper inside: the field's value, or empty."""
        ...

    async def call(self, operation: str, /, **fields: Any) -> Any:
        """Call one RPC; `db_name` and metadata are added.

        Raises:
            Failed: it did not succeed.
        """
        ...


Conversation: TypeAlias = Callable[[Talk], Awaitable[dict[str, Any]]]
"""Returns the members of the answer that REST has to give: `data`, and what stands beside it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same request for either door.

    Attributes:
        body: the REST body, without `dbName`.
        by_grpc: the conversation over gRPC.
        required: members of the body that must be there.
        names_database: the database that the request is about, where it is about one.
        header_counts: whether `DB-Name` counts.
    """

    body: dict[str, Any]
    by_grpc: Conversation
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
    """One request, ready to be sent by either door."""

    path: str
    content: Any
    caller: Caller
    database: Database
    by_grpc: Conversation

    def __str__(self) -> str:
        return f"{self.caller.name}: {self.path} {self.content!r} DB-Name={self.database.header!r}"


@dataclass(frozen=True, slots=True)
class Making:
    """Something `root` changes behind either door: people, roles and grants."""

    operation: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return f"root makes: {self.operation} {dict(self.fields)}"


@dataclass(frozen=True, slots=True)
class Restocking:
    """Both engines get their databases, collections and aliases back."""

    def __str__(self) -> str:
        return "the engines are restocked"


Step: TypeAlias = Exchange | Making | Restocking


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


def told(data: Any, **beside: Any) -> dict[str, Any]:
    """Return the members of an answer."""
    return {"data": data, **beside}


def once(operation: str, tell: Callable[[Any], Any] = lambda _: {}, /, **fields: Any) -> Conversation:
    """Return a conversation of one call.

    Args:
        operation: RPC name.
        tell: makes the answer's `data` of the response.
        fields: fields of the request.
    """

    async def converse(talk: Talk) -> dict[str, Any]:
        return told(tell(await talk.call(operation, **fields)))

    return converse


def not_served(code: int = UNIMPLEMENTED) -> Conversation:
    """Return the conversation of a request that REST refuses by itself, to whoever may come in."""

    async def converse(talk: Talk) -> dict[str, Any]:
        await talk.call("GetVersion")
        raise Failed(Outcome(REFUSED, code))

    return converse


async def unless_refused(call: Awaitable[Any]) -> Any:
    """Return the response, or None where it was denied or refused.

    Raises:
        Failed: who calls is not known, or nobody answered.
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
