"""One HTTP/1.x connection: uvicorn's protocol, with limits where it has none.

Requests are parsed one at a time. Pipelined requests stay unparsed in a buffer of at most one read, and the connection
is not read meanwhile.

Offers to switch to another protocol are removed. uvicorn's parser would skip the body of a request with such an offer
(Java's own client sends one with every first request) and parse it as the next request.
"""

import asyncio
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kiteward.domain.addresses import source_of
from kiteward.net.budget import REQUEST, Budget
from kiteward.net.closing import close_and_discard, is_received
from kiteward.net.http1.flow_control import Http1FlowControl
from kiteward.net.http1.limits import HttpLimits

_HEAD_TOO_LARGE_BODY: Final = (
    b'{"code":1100,"message":"the headers of the request are larger than allowed: a token may have 16384 bytes"}'
)
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-type: application/json; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_HEAD_TOO_LARGE_BODY), _HEAD_TOO_LARGE_BODY)
_NO_ROOM_BODY: Final = b'{"code":8,"message":"too many requests in progress, try again later: rate limit exceeded"}'
_NO_ROOM: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-type: application/json; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_NO_ROOM_BODY), _NO_ROOM_BODY)
_END: Final = b"\r\n\r\n"
"""The end of a head, and of a chunked body."""

_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]+)(?::[0-9]{0,5})?")
"""A host and an optional port (RFC 9110, 7.2)."""

_PIECE: Final = 32 * 1024
"""Bytes of a body that are parsed at once, at most."""

_READ: Final = 256 * 1024
"""Bytes that one read returns at most."""

_UNASKED: Final = HIGH_WATER_LIMIT + _PIECE + _READ
"""Bytes of a body that are buffered at most before the application reads them."""

_OFFER: Final = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*(?=\r\n)", re.IGNORECASE)

LOOK_SECONDS: Final = 1.0
"""Seconds between two checks of a connection."""


class ConnectionOwner(Protocol):
    """The server that a connection belongs to.

    Attributes:
        config: uvicorn's configuration, with the application in it.
        state: uvicorn's state, which all connections share.
        limits: the limits of a client.
        budget: the memory budget.
    """

    config: Config
    state: ServerState
    limits: HttpLimits
    budget: Budget

    def entered(self, connection: "Http1Connection") -> None:
        """Register a new connection; its `overdue` is called every `LOOK_SECONDS`."""
        ...

    def left(self) -> None:
        """Note that a connection was lost."""
        ...

    def began(self) -> None:
        """Note that a request begins to arrive."""
        ...


class _Phase(Enum):
    """What a connection is receiving."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _Closing:
    """A transport that is closed, by uvicorn too, as the connection wants it."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[asyncio.Transport], None]) -> None:
        self._transport = transport
        self._close = close
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if not self.is_closing():
            self._closing = True
            self._close(self._transport)


class Http1Connection(HttpToolsProtocol):
    """uvicorn's protocol of one connection, which records what it waits for and since when.

    INVARIANT: `_ahead` holds what was read and not parsed: an incomplete head, bytes after a request that is not
    answered yet, or a body that the application does not read yet. The connection is read only in the first case.
    """

    flow: Http1FlowControl

    def __init__(self, owner: ConnectionOwner, on_lost: Callable[[], None]) -> None:
        super().__init__(owner.config, owner.state, app_state={})
        self._bounds = owner.limits
        self._owner = owner
        self._on_lost = on_lost
        self._phase = _Phase.HEAD
        self._since = self.loop.time()
        self._received = 0
        self._body = 0
        self._fields = 0
        self._ahead = bytearray()
        self._searched = 0
        self._length: int | None = 0  # of the body; None if it is chunked
        self._tail = bytearray()  # of a chunked body: the last bytes that were parsed
        self._last = self._ending = False
        self._unread: tuple[float, int] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._taken = False  # when the closed connection was checked last

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        super().connection_made(_Closing(transport, self._close))  # type: ignore[arg-type]  # what uvicorn uses of one
        self.flow = Http1FlowControl(transport, self._parse)
        source = source_of(self.client[0]) if self.client else ""
        self._kept = self._owner.budget.of_source(source)
        self._request = self._owner.budget.of_source(source)
        self._untaken = self._owner.budget.of_address(source)
        self._owner.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._last = True
        if self._closing is not None:
            self._closing.cancel()
        self._ahead.clear()
        for claim in (self._kept, self._request, self._untaken):
            claim.close()
        self._owner.left()
        self._on_lost()

    def _close(self, transport: asyncio.Transport) -> None:
        """Close the connection; while requests still arrive, its client shall be able to read what was sent last."""
        self._last = True
        if self._answering():
            # Of this answer nothing is sent any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._phase is _Phase.NOTHING and not self._ahead:
            transport.close()
        else:
            self._closing = close_and_discard(transport, self._bounds.leftover)

    # Input

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        self._ahead += data
        self._parse()

    def _parse(self) -> None:
        """Parse what may be parsed now, and resume or pause reading."""
        while self._ahead and self._goes_on():
            piece = self._next_piece()
            if not piece:
                break
            self._received += len(piece)
            super().data_received(piece)
            # A chunk of one byte has five bytes of framing; trailers are not part of a body.
            if self._phase is _Phase.BODY and self._received - 16 * self._body > self._bounds.head_bytes:
                self._refuse(_HEAD_TOO_LARGE)
        if self._last or self.transport.is_closing():
            self._ahead.clear()
        # Bytes of a body that the application does not read yet are reserved with the request.
        if not self._kept.resize(0 if self._phase is _Phase.BODY else len(self._ahead)):
            self._refuse(_NO_ROOM)
        self.flow.read(on=self._last or not self._ahead or self._goes_on())

    def _goes_on(self) -> bool:
        """Return whether more may be parsed: the last request is answered, and the application reads the body."""
        if self._last or self._ending or self.transport.is_closing():
            return False
        if self._phase is _Phase.NOTHING:
            return not self._answering()
        return self._phase is _Phase.HEAD or not self.flow.read_paused

    def _next_piece(self) -> bytes:
        """Remove from the buffer what is parsed next: a complete head, or a piece of a body, not beyond its end."""
        if self._phase is _Phase.NOTHING:
            self._enter(_Phase.HEAD)
        if self._phase is _Phase.HEAD:
            return self._whole_head()
        return self._cut(self._body_piece())

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._ahead[:size])
        del self._ahead[:size]
        return piece

    def _whole_head(self) -> bytes:
        """Remove a head from the buffer once it is complete, without its offers to switch protocols."""
        self._unset_keepalive_if_required()
        end = self._ahead.find(_END, self._searched)
        if (end if end >= 0 else len(self._ahead)) > self._bounds.head_bytes:
            self._refuse(_HEAD_TOO_LARGE)
            return b""
        if end < 0:
            self._searched = max(0, len(self._ahead) - len(_END) + 1)
            return b""
        self._searched = 0
        head = self._cut(end + len(_END))
        return _OFFER.sub(b"", head[:-2]) + head[-2:]

    def _body_piece(self) -> int:
        """Return how many bytes of the body may be parsed now."""
        if self._length is not None:
            return min(_PIECE, self._length - self._received)
        joined = self._tail + self._ahead[:_PIECE]
        end = joined.find(_END)
        size = len(joined) if end < 0 else end + len(_END)
        fed = len(self._tail)
        self._tail = joined[:size][1 - len(_END) :]
        return size - fed

    # Events of the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fields = 0
        self._enter(_Phase.HEAD)
        self._owner.began()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value)
        if self._fields > self._bounds.head_bytes:
            raise ValueError("too many bytes of header fields")  # uvicorn answers 400
        if self._phase is _Phase.HEAD:  # fields after a body (trailers) are not fields of the request
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._require_host()
        self._enter(_Phase.BODY)
        fields = dict(self.headers)
        self._length = None if b"transfer-encoding" in fields else int(fields.get(b"content-length", 0))
        self._tail.clear()
        unasked = _UNASKED if self._length is None else min(self._length, _UNASKED)
        if not self._request.take(REQUEST + self._fields + unasked):
            self._refuse(_NO_ROOM)
            raise ValueError("the memory limit does not allow another request")
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # CONNECT asks for a tunnel: the bytes after it are not a request.
            self._last = True
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._enter(_Phase.NOTHING)

    def on_response_complete(self) -> None:
        self._request.close()
        self._ending = True  # uvicorn starts its timer in the call below
        super().on_response_complete()
        self._ending = False
        if self._phase is _Phase.BODY:
            # The rest of this body is not needed: if it does not end soon, the connection is closed.
            self._since = self.loop.time()
        self._parse()

    def send_400_response(self, msg: str) -> None:
        if self._last:
            return
        if self._answering() and self.cycle.response_started:
            self.transport.abort()  # a second response must not be written into the first
        else:
            super().send_400_response(msg)

    def _require_host(self) -> None:
        """Raise ValueError unless a request has exactly one valid `Host` (RFC 9112, 3.2)."""
        hosts = [value for name, value in self.headers if name == b"host"]
        least = 0 if self.parser.get_http_version() == "1.0" else 1
        if not least <= len(hosts) <= 1 or not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError("no `Host`, several or a malformed one")  # uvicorn answers 400

    # Time limits

    def overdue(self, now: float) -> bool:
        """Return whether the client has exceeded a time limit, at `now` on the loop's clock."""
        if self.transport.is_closing():
            return self._stuck(now) or self._kept_for_nothing()
        return self._stuck(now) or self._late(now)

    def _kept_for_nothing(self) -> bool:
        """Return whether the connection waits only for a client to close it too, as TLS does for half a minute."""
        before, self._taken = self._taken, self._closing is None and is_received(self.transport)
        return before and self._taken

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _refuse(self, answer: bytes) -> None:
        self._last = True
        if self._answering():
            # A second response must not be written into the first.
            self.transport.abort()
        else:
            self.transport.write(answer)
            self.transport.close()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()
        self._received = self._body = 0

    def _late(self, now: float) -> bool:
        """Return whether the time limit of what is being received has passed."""
        if self.flow.stopped or self.flow.read_paused:
            # The server has paused reading: the time does not count against the client.
            self._since += LOOK_SECONDS
            return False
        waited = now - self._since
        match self._phase:
            case _Phase.HEAD:
                return waited > self._bounds.head
            case _Phase.BODY if not self._answering():
                return waited > self._bounds.leftover
            case _Phase.BODY:
                return waited > min(self._bounds.longest, self._bounds.stall + self._received / self._bounds.rate)
            case _:
                return False

    def _stuck(self, now: float) -> bool:
        """Return whether the client reads a response too slowly, or the budget has no room for what it has not read."""
        waiting = self.transport.get_write_buffer_size()
        if not self._untaken.resize(waiting):
            return True
        if not waiting or (self._answering() and not self.flow.write_paused):
            self._unread = None
            return False
        since, before = self._unread or (now, waiting)
        if now - since > self._bounds.stall:
            if before - waiting < self._bounds.rate * self._bounds.stall:
                return True
            since, before = now, waiting
        self._unread = (since, before)
        return False
