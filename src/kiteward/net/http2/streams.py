"""One request and its response, as the application sees them."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final, Protocol

from kiteward.net.budget import INCLUDED
from kiteward.net.http2.session import Header

_OVERHEAD: Final = 32
"""Bytes that each field counts besides its name and value (RFC 9113, 6.5.2)."""


class Head:
    """The head of a request.

    Attributes:
        method, path: what is asked for.
        fields: its fields by their names in lower case, pseudo-header fields included; of a repeated one, the first.
        size: bytes of its header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE is (RFC 9113, 6.5.2).
        too_large: whether the header list is larger than allowed.
        kept: what the application made of it, to be found again in the next request of the connection with the same
            fields.
        before: what the application kept of an earlier request of the connection with other fields, while the request
            begins; else None.
    """

    __slots__ = ("before", "fields", "kept", "method", "path", "size", "too_large")

    def __init__(self, headers: tuple[Header, ...], limit: int, *, before: object = None) -> None:
        """Create the head of a header list that the session has checked (RFC 9113, 8.2 and 8.3).

        Args:
            headers: the fields in the order they came.
            limit: bytes that a header list may have.
            before: what the application kept of an earlier request.
        """
        self.fields: Mapping[bytes, bytes] = dict(headers[::-1])
        self.method = self.fields[b":method"]
        self.path = self.fields.get(b":path", b"")  # CONNECT has none
        self.size = _OVERHEAD * len(headers) + sum(map(len, chain.from_iterable(headers)))
        self.too_large = self.size > limit
        self.kept: object = None
        self.before = before

    def __repr__(self) -> str:
        return f"Head({self.method!r}, {self.path!r})"


class Exchange(Protocol):
    """What the application makes of one request."""

    def received(self, data: bytes) -> None:
        """Take bytes of the body."""
        ...

    def ended(self) -> None:
        """Note that the body is complete."""
        ...

    def lost(self) -> None:
        """Note that the stream was lost, so that a response could not be sent."""
        ...


class IgnoredExchange:
    """An exchange that ignores its events."""

    def received(self, data: bytes) -> None:
        """Ignore bytes of the body."""

    def ended(self) -> None:
        """Ignore the end of the body."""

    def lost(self) -> None:
        """Ignore the loss of the stream."""


IGNORED: Final = IgnoredExchange()
"""The exchange of a request that was answered before its body was read."""


class Owner(Protocol):
    """The connection of a stream."""

    loop: asyncio.AbstractEventLoop
    address: str
    source: str

    def respond(
        self, stream: "Stream", head: Sequence[Header], body: tuple[bytes, ...], trailers: Sequence[Header]
    ) -> None:
        """Answer a request."""
        ...

    def admit(self, stream: "Stream", size: int) -> None:
        """Admit a body of some size."""
        ...


class Stream:
    """One request, and a place for its response.

    Attributes:
        number: the identifier on its connection.
        exchange: what the application makes of it.
        since: when it began, on the loop's clock.
        receiving: whether more of the request may come.
        size: bytes of its body that have come.
        held: bytes received that the connection's window lacks until the body is admitted; None after that.
        counted: bytes of its body for which there is room, whoever sends it.
        cost: bytes reserved for its head and the request itself.
        responded: whether there is a response.
        response_size: bytes of the response's body.
        unread: bytes of it that are reserved because the client has not read them.
        waits_since: when the response began to wait for the client, on the loop's clock; None unless it does.
    """

    __slots__ = (
        "_owner",
        "cost",
        "counted",
        "exchange",
        "held",
        "number",
        "receiving",
        "responded",
        "response_size",
        "since",
        "size",
        "unread",
        "waits_since",
    )

    def __init__(self, owner: Owner, number: int, *, since: float, cost: int = 0) -> None:
        self._owner = owner
        self.number = number
        self.exchange: Exchange = IGNORED
        self.since = since
        self.receiving = True
        self.size = 0
        self.held: int | None = 0
        self.counted = INCLUDED
        self.cost = cost
        self.responded = False
        self.response_size = 0
        self.unread = 0
        self.waits_since: float | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection; to ask for the running one takes a system call (CPython 3.11)."""
        return self._owner.loop

    @property
    def address(self) -> str:
        """The client's address."""
        return self._owner.address

    @property
    def source(self) -> str:
        """The address, or the network, that the client counts as (`addresses.source_of`)."""
        return self._owner.source

    def admit(self, size: int) -> None:
        """Admit a body of `size` bytes in all: its caller is authenticated."""
        self._owner.admit(self, size)

    def respond(self, head: Sequence[Header], body: tuple[bytes, ...] = (), trailers: Sequence[Header] = ()) -> None:
        """Answer: a head, and perhaps a body with trailers; nothing where nobody waits any more.

        Args:
            head: the fields of the head, `:status` first.
            body: the parts of the body.
            trailers: the fields behind it.
        """
        self._owner.respond(self, head, body, trailers)
