"""One request in the form in which APIs pass it: a payload, a presented credential and facts about the caller."""

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import PresentedCredential
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.undoing import Watch

Payload_co = TypeVar("Payload_co", bound=bytes | Arguments, covariant=True)


def new_request_id() -> str:
    """Return a random id by which one request is found in logs and responses."""
    return f"{random.getrandbits(64):016x}"


class RequestTurn:
    """One request of a client, however many calls of the gateway it takes: it counts once against limits of requests.

    Attributes:
        counted_for: the user and the credential whose request was counted; None before that.
    """

    __slots__ = ("counted_for",)

    def __init__(self) -> None:
        self.counted_for: tuple[str, str] | None = None


class Call(NamedTuple, Generic[Payload_co]):
    """A request, from any transport. It is a tuple, which costs a quarter of a frozen dataclass: one for every request.

    Attributes:
        operation: the name of an RPC or of one of our own operations.
        payload: for an RPC the serialised request message, which is forwarded without decoding; for an operation of our
            own its typed arguments, which whoever received the request has decoded.
        credential: what the caller presented, or the error that the transport found in it.
        database: the database of the connection (`dbname` metadata), or empty.
        timeout: seconds until the caller gives up, or None.
        forward: metadata of the caller that may be forwarded to the engine.
        address: the caller's network address as `host:port`, for the record.
        request_id: the id by which the request is found again, of `new_request_id`; empty where nobody looks for it.
        transport: the service that received it, for the record: `grpc`, `rest`, `scim`, `console`, `health` or `local`.
        client: how the caller's software describes itself, for the record.
        client_id: the number that `Connect` gave the client, which refers to its description of itself at that time.
        turn: the client's request that it is a part of; None where it is the whole.
        watch: what looks at the store at the begin and at the end of its transaction, if it is a change; None for none.
    """

    operation: str
    payload: Payload_co
    credential: PresentedCredential | AuthenticationError
    database: str = ""
    timeout: float | None = None
    forward: Mapping[str, str] = MappingProxyType({})
    address: str = ""
    request_id: str = ""
    transport: str = ""
    client: str = ""
    client_id: str = ""
    turn: RequestTurn | None = None
    watch: Watch | None = None

    def __repr__(self) -> str:
        """Return the request without its payload, which may hold a password."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "payload")
        return f"Call({', '.join(shown)})"


AnyCall: TypeAlias = Call[bytes | Arguments]
"""A request to an RPC or to an operation of our own."""


def rpc_call(call: AnyCall) -> Call[bytes]:
    """Return a request as one to an RPC.

    Raises:
        TypeError: its payload is no serialised message.
    """
    if not isinstance(call.payload, bytes):
        raise TypeError(f"{call.operation} was called with {type(call.payload).__name__} instead of a message")
    return cast("Call[bytes]", call)
