"""One request in the form in which transports pass it: bytes, a presented credential and facts about the caller."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import PresentedCredential


def new_request_id() -> str:
    """Return a random id by which one request is found in logs and responses."""
    return f"{random.getrandbits(64):016x}"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, from any transport.

    Attributes:
        operation: RPC name.
        payload: the serialised request message; it is forwarded without decoding.
        credential: what the caller presented, or the error that the transport found in it.
        database: the database of the connection (`dbname` metadata), or empty.
        timeout: seconds until the caller gives up, or None.
        forward: metadata of the caller that may be forwarded to the engine.
        address: the caller's network address as `host:port`, for the record.
        request_id: the id by which the request is found again.
        transport: the service that received it, for the record: `grpc`, `rest`, `console`, `health` or `local`.
        client: how the caller's software describes itself, for the record.
        client_id: the number that `Connect` gave the client, which refers to its description of itself at that time.
    """

    operation: str
    payload: bytes
    credential: PresentedCredential | AuthenticationError
    database: str = ""
    timeout: float | None = None
    forward: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    request_id: str = field(default_factory=new_request_id)
    transport: str = ""
    client: str = ""
    client_id: str = ""
