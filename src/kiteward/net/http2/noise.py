"""Limits control frames and others that ask for nothing: they cost time, and a flood of them ends the connection."""

from typing import Final

from kiteward.net.http2.frames import ENHANCE_YOUR_CALM, ConnectionFault
from kiteward.net.http2.limits import Http2Limits

_EARNED: Final = 4
"""How many more an answer with a body makes bearable: SDKs measure a busy connection by pings."""


class NoiseMeter:
    """Counts such frames on one connection."""

    def __init__(self, limits: Http2Limits, now: float) -> None:
        """Create a limiter for one connection.

        Args:
            limits: how many frames are accepted, at once and in the long run.
            now: the time, on any clock.
        """
        self._limits = limits
        self._left = float(limits.control_frames)
        self._at = now

    def bear(self, now: float) -> None:
        """Count one frame, at `now`.

        Raises:
            ConnectionFault: there were too many.
        """
        limits = self._limits
        self._left = min(limits.control_frames, self._left + (now - self._at) * limits.control_frame_rate) - 1
        self._at = now
        if self._left < 0:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "too many control frames")

    def earn(self) -> None:
        """Allow more frames because a request was answered."""
        self._left += _EARNED
