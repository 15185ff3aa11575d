"""Frames that ask for nothing and are work all the same: a few are borne, a flood is not."""

from typing import Final

from kiteward.net.http2.frames import ENHANCE_YOUR_CALM, ConnectionFault
from kiteward.net.http2.limits import Http2Limits

_EARNED: Final = 4
"""How many more an answer with a body makes bearable: SDKs measure a busy connection by pings."""


class NoiseMeter:
    """Counts them on one connection."""

    def __init__(self, limits: Http2Limits, now: float) -> None:
        """Begin.

        Args:
            limits: how many are borne, at once and in the long run.
            now: on any clock.
        """
        self._limits = limits
        self._left = float(limits.noise)
        self._at = now

    def bear(self, now: float) -> None:
        """Count one.

        Raises:
            ConnectionFault: they are too many.
        """
        limits = self._limits
        self._left = min(limits.noise, self._left + (now - self._at) * limits.noise_rate) - 1
        self._at = now
        if self._left < 0:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "too many control frames")

    def earn(self) -> None:
        """Learn that a request was answered."""
        self._left += _EARNED
