"""One request and its answer, as the application sees them."""

from typing import Final, Protocol

from kiteward.net.budget import INCLUDED
from kiteward.net.http2 import frames


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


class Ignored:
    """An exchange that ignores its events."""

    def received(self, data: bytes) -> None:
        """Ignore bytes of the body."""

    def ended(self) -> None:
        """Ignore the end of the body."""

    def lost(self) -> None:
        """Ignore the loss of the stream."""


NOBODY: Final = Ignored()
"""The exchange of a request that was answered before it was read, or has none yet."""


class Owner(Protocol):
    """The connection of a stream."""

    address: str
    source: str

    def answer(self, stream: "Stream", section: bytes, body: tuple[bytes, ...], trailers: bytes) -> None:
        """Answer a request."""
        ...

    def let_in(self, stream: "Stream", size: int) -> None:
        """Take a body of some size."""
        ...


class Stream:
    """One request, and a place for its answer.

    Attributes:
        number: the identifier on its connection.
        exchange: what the application makes of it.
        length: the size of its body that its head announced, or None.
        since: when it began, on the loop's clock.
        receiving: whether more of it may come.
        size: bytes of its body that have come.
        allowed: bytes that the client may still send.
        held: bytes received that the connection's window lacks until the body is admitted; None after that.
        counted: bytes of its body for which there is room, whoever sends it.
        cost: bytes that its head takes, and the request itself.
        untaken: bytes of its answer that count as held because the client does not take them.
        window: bytes that the client takes of the answer's body.
        unsent: what is left of that.
        waits_since: when it began to wait for the client, on the loop's clock.
        taken: bytes of it that have been sent since.
        trailers: the encoded field section behind it.
    """

    __slots__ = (
        "_owner",
        "allowed",
        "cost",
        "counted",
        "exchange",
        "held",
        "length",
        "number",
        "receiving",
        "since",
        "size",
        "taken",
        "trailers",
        "unsent",
        "untaken",
        "waits_since",
        "window",
    )

    def __init__(self, owner: Owner, number: int, *, since: float, window: int, length: int | None) -> None:
        self._owner = owner
        self.number = number
        self.exchange: Exchange = NOBODY
        self.length = length
        self.since = since
        self.receiving = True
        self.size = 0
        self.allowed = frames.DEFAULT_WINDOW
        self.held: int | None = 0
        self.counted = INCLUDED
        self.cost = 0
        self.untaken = 0
        self.window = window
        self.unsent: list[memoryview] = []
        self.waits_since = since
        self.taken = 0
        self.trailers = b""

    @property
    def address(self) -> str:
        """The client's address."""
        return self._owner.address

    @property
    def source(self) -> str:
        """The address, or the network, that the client counts as (`addresses.source_of`)."""
        return self._owner.source

    def let_in(self, size: int) -> None:
        """Admit a body of `size` bytes in all: its caller is authenticated."""
        self._owner.let_in(self, size)

    def answer(self, section: bytes, body: tuple[bytes, ...] = (), trailers: bytes = b"") -> None:
        """Answer: a head, and perhaps a body with trailers; nothing where nobody waits any more.

        Args:
            section: the encoded field section of the head.
            body: its parts.
            trailers: the encoded section behind it.
        """
        self._owner.answer(self, section, body, trailers)
