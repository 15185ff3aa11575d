"""Noticing that a peer is gone while requests wait for it."""

import asyncio
from typing import Protocol


class Watched(Protocol):
    """A connection that is to end when its peer is unreachable."""

    @property
    def load(self) -> int:
        """The number of requests that wait."""

    def ping(self) -> None:
        """Ask the peer for a sign of life."""

    def abort(self, cause: str) -> None:
        """End the connection, because its peer is gone."""


class Keepalive:
    """Asks a silent peer for a sign of life, and ends the connection without one.

    Servers end connections with too many PINGs, so there is none while the peer sends something, nor without requests.
    An idle connection is left to TCP's own probes.

    Attributes:
        heard: whether the peer has sent something lately; the connection sets it.
    """

    def __init__(self, connection: Watched, *, silence: float, answer: float) -> None:
        """Start watching.

        Args:
            connection: is watched until `stop`.
            silence: seconds without anything received until a PING; it may take up to twice as long.
            answer: seconds that the peer has to send anything after it.
        """
        self.heard = True
        self._connection = connection
        self._silence = silence
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(silence, self._listen)

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _listen(self) -> None:
        heard, self.heard = self.heard, False
        if heard or not self._connection.load:
            self._timer = self._loop.call_later(self._silence, self._listen)
        else:
            self._connection.ping()
            self._timer = self._loop.call_later(self._answer, self._judge)

    def _judge(self) -> None:
        if self.heard:
            self._listen()
        else:
            self._connection.abort("gives no sign of life")
