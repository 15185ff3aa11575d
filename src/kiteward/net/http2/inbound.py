"""Inbound flow control (RFC 9113, 5.2), and the limits on bodies of unauthenticated callers."""

import contextlib
from typing import Final

from kiteward.net.budget import INCLUDED, Claim
from kiteward.net.http2.framing import MAX_FRAME_SIZE
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.session import DEFAULT_WINDOW, Connection, SessionError
from kiteward.net.http2.streams import Stream

_BEYOND: Final = MAX_FRAME_SIZE
"""Bytes of a stream's window that stay open behind a body.

grpc-js ends a stream by an empty DATA frame, which it holds back while the window is closed, although such a frame
needs no window (RFC 9113, 6.9).
"""


class InboundFlowControl:
    """Counts the bodies that come on one connection.

    INVARIANT: what the client may still send, and what all streams hold, are together the window of the connection:
    `Http2Limits.unauthenticated`, and `authenticated` more once a caller on it was authenticated.

    Attributes:
        authenticated: whether a caller on the connection was authenticated.
    """

    __slots__ = ("_claim", "_limits", "_session", "authenticated")

    def __init__(self, session: Connection, limits: Http2Limits, claim: Claim) -> None:
        """Open the window of a connection for unauthenticated callers.

        Args:
            session: the session, which does not update windows by itself.
            limits: the limits of a client.
            claim: counts what the connection holds for unauthenticated callers.
        """
        self._session = session
        self._limits = limits
        self._claim = claim
        self.authenticated = False
        session.set_local_window_size(limits.unauthenticated)

    def receive(self, stream: Stream, amount: int) -> bool:
        """Count bytes of a body, and return whether there is room for them."""
        stream.size += amount
        if stream.held is None:
            self.discard(stream.number, amount)
            return True
        stream.held += amount
        more = stream.held - stream.counted
        if more > 0:
            if not self._claim.take(more):
                return False
            stream.counted += more
        return True

    def discard(self, number: int, amount: int) -> None:
        """Let the client send as many bytes as were received on a stream and are not held."""
        if amount:
            try:
                self._session.acknowledge_received_data(amount, number)
            except SessionError:
                return  # the session has ended, which its next event says

    def admit(self, stream: Stream, size: int) -> None:
        """Allow a body of `size` bytes in all and its end, and hold no more of it against the connection."""
        opens = stream.receiving and size + _BEYOND > DEFAULT_WINDOW
        if opens or not self.authenticated:
            self._open(stream.number, size + _BEYOND if opens else 0)
        self.release(stream)

    def _open(self, number: int, window: int) -> None:
        """Open the window of the connection for authenticated callers, and that of a stream if it has a size."""
        with contextlib.suppress(SessionError):  # where stream or session have ended, which their next event says
            if not self.authenticated:
                self.authenticated = True
                self._session.set_local_window_size(self._limits.unauthenticated + self._limits.authenticated)
            if window:
                self._session.set_local_window_size(window, stream_id=number)

    def release(self, stream: Stream) -> None:
        """Exclude a stream, with what it holds, from the window of the connection."""
        held, stream.held = stream.held, None
        if held:
            self.discard(stream.number, held)
            if stream.counted > INCLUDED:
                self._claim.give_back(stream.counted - INCLUDED)
                stream.counted = INCLUDED
