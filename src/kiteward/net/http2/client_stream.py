"""What a client's connection reports: the events of each request, and its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kiteward.net.http2.client_connection import ClientConnection


class ClientStream:
    """A request and what becomes of it. Made and subclassed by who sends it; driven by a `ClientConnection`.

    INVARIANT: `stream_id` is 0 until the request is handed to a session. Until then no peer can have seen any of it.

    Attributes:
        head: the request's fields, pseudo-fields first.
        start: the beginning of its body, or all of it.
        rest: what follows `start`; it is handed to the session in pieces.
        sent: bytes of `rest` that the session has got.
        connection: where it was sent to.
        stream_id: its number there.
        finished: whether the owner has its result, so that nothing more is reported.
        unacknowledged: bytes received that the peer may not replace by others yet.
    """

    __slots__ = ("connection", "finished", "head", "rest", "sent", "start", "stream_id", "unacknowledged")

    def __init__(self, head: Sequence[tuple[bytes, bytes]], start: bytes, rest: bytes) -> None:
        self.head = head
        self.start = start
        self.rest = rest
        self.sent = 0
        self.connection: ClientConnection | None = None
        self.stream_id = 0
        self.finished = False
        self.unacknowledged = 0

    def respond(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the fields of the response."""
        raise NotImplementedError

    def receive(self, data: bytes) -> bool:
        """Take a part of the response's body, and return whether the peer may send as much again."""
        raise NotImplementedError

    def end(self, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the end of the response, and its trailers, which a response of fields alone has among those."""
        raise NotImplementedError

    def reset(self, code: int) -> None:
        """Take the end of the stream before the response was complete, with a code of RFC 9113, section 7."""
        raise NotImplementedError

    def lose(self, cause: str) -> None:
        """Take that there is no connection, because of what the server does. A request with a number was sent."""
        raise NotImplementedError


class ConnectionOwner(Protocol):
    """The user of a connection, which is notified of its states."""

    def connected(self, connection: "ClientConnection") -> None:
        """Take a connection that is ready for requests: the peer speaks HTTP/2."""

    def retired(self, connection: "ClientConnection", unsent: list[ClientStream], cause: str) -> None:
        """Take back requests that were not sent: the connection takes no more.

        The cause is what its peer did; it is empty if it did nothing, and the connection is used up.
        """

    def lost(self, connection: "ClientConnection", cause: str) -> None:
        """Take the end of a connection, which was retired before, because of what its peer did."""
