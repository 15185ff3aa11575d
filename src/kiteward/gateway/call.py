"""One request as a transport hands it over: bytes, a presented credential and the facts about the caller."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import PresentedCredential


def new_request_id() -> str:
    """Return a random id that finds one request again in logs and answers."""
    return f"{random.getrandbits(64):016x}"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, whichever transport it came by.

    Attributes:
        operation: RPC name.
        payload: the serialised request message, never decoded on the way to the engine.
        credential: what the caller presented, or why that could not be read.
        database: the database of the connection (`dbname` metadata), or empty.
        timeout: seconds until the caller gives up, or None.
        forward: metadata of the caller that may go along to the engine.
        address: the caller's network address, for the record.
        request_id: finds this request again.
        transport: the door it came by, for the record: `grpc`, `rest`, `console`, `health` or `local`.
        client: what its software calls itself, for the record.
        client_id: the number that `Connect` gave the client, which stands for what it told of itself then.
    """

    operation: str
    payload: bytes = field(repr=False)  # it may hold a password
    credential: PresentedCredential | AuthenticationError
    database: str = ""
    timeout: float | None = None
    forward: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    request_id: str = field(default_factory=new_request_id)
    transport: str = ""
    client: str = ""
    client_id: str = ""
