"""Inbound flow control (RFC 9113, 5.2), and the limits on bodies of unauthenticated callers."""

from typing import Final

from kiteward.net.budget import INCLUDED, Claim
from kiteward.net.http2 import frames
from kiteward.net.http2.frames import ConnectionFault, StreamFault
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.sending import Sender
from kiteward.net.http2.streams import Stream

_BEYOND: Final = frames.FRAME_LIMIT
"""Bytes of a stream's window that stay open behind a body.

grpc-js ends a stream by an empty DATA frame, which it holds back while the window is closed, although such a frame
needs no window (RFC 9113, 6.9).
"""


class Receiver:
    """Counts the bodies that come on one connection.

    INVARIANT: `allowed`, what waits to be allowed, and what all streams hold are together the window of the connection:
    `Http2Limits.unknown`, and `known` more once a caller on it was authenticated.

    Attributes:
        allowed: bytes that the client may send, on all streams together.
        known: whether a caller on the connection was authenticated.
    """

    def __init__(self, sender: Sender, limits: Http2Limits, claim: Claim) -> None:
        """Open the window of a connection for unauthenticated callers.

        Args:
            sender: sends WINDOW_UPDATE frames.
            limits: the limits of a client.
            claim: counts what the connection holds for unauthenticated callers.
        """
        self._sender = sender
        self._limits = limits
        self._claim = claim
        self.known = False
        self._to_return = 0
        self.allowed = frames.DEFAULT_WINDOW
        self.give_back(limits.unknown - self.allowed)

    def take(self, stream: Stream | None, length: int) -> None:
        """Count a frame's bytes, padding included. Bytes without a stream are discarded.

        Raises:
            ConnectionFault, StreamFault: they are more than was allowed, or there is no room for them.
        """
        self.allowed -= length
        if self.allowed < 0:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "more bytes than the connection allows")
        if stream is None or stream.held is None:
            self.give_back(length)
        else:
            stream.held += length
            if stream.held > stream.counted:
                self._count(stream, stream.held - stream.counted)
        if stream is not None:
            stream.allowed -= length
            if stream.allowed < 0:
                raise StreamFault(frames.FLOW_CONTROL_ERROR, "more bytes than the stream allows")

    def _count(self, stream: Stream, amount: int) -> None:
        if not self._claim.take(amount):
            raise StreamFault(
                frames.ENHANCE_YOUR_CALM, "the memory limit does not allow more bodies of unauthenticated callers"
            )
        stream.counted += amount

    def let_in(self, stream: Stream, size: int) -> None:
        """Allow a body of `size` bytes in all and its end, and hold no more of it against the connection."""
        if not self.known:
            self.known = True
            self.give_back(self._limits.known)
        missing = size + _BEYOND - stream.size - stream.allowed
        if stream.receiving and missing > 0:
            self.allow_more(stream, missing)
        self.release(stream)

    def allow_more(self, stream: Stream, amount: int) -> None:
        """Let the client send so many bytes more on a stream."""
        stream.allowed += amount
        self._sender.write(frames.window_update(stream.number, amount))

    def release(self, stream: Stream) -> None:
        """Exclude a stream, with what it holds, from the window of the connection."""
        held, stream.held = stream.held, None
        if held:
            self.give_back(held)
            if stream.counted > INCLUDED:
                self._claim.give_back(stream.counted - INCLUDED)
                stream.counted = INCLUDED

    def give_back(self, amount: int) -> None:
        """Let the client send so many bytes more on the connection, once it is worth a frame."""
        self._to_return += amount
        if self._to_return * 2 >= self._limits.unknown:
            self.allowed += self._to_return
            self._sender.write(frames.window_update(0, self._to_return))
            self._to_return = 0
