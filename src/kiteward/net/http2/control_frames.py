"""The control-frame limiter: frames that carry no request cost time, and a flood of them ends the connection."""

from typing import Final

from kiteward.net.http2.limits import Http2Limits

_PER_RESPONSE: Final = 4
"""How many more a response with a body allows: SDKs measure a busy connection by pings."""


class ControlFrameLimiter:
    """A token bucket for the control frames of one connection."""

    __slots__ = ("_at", "_left", "_limits")

    def __init__(self, limits: Http2Limits, now: float) -> None:
        """Create a full bucket.

        Args:
            limits: how many frames are accepted, at once and in the long run.
            now: the time, on any clock.
        """
        self._limits = limits
        self._left = float(limits.control_frames)
        self._at = now

    @property
    def exceeded(self) -> bool:
        """Whether there were more frames than allowed."""
        return self._left < 0

    def allowance(self, now: float) -> int:
        """Return how many frames are allowed at `now`."""
        limits = self._limits
        self._left = min(limits.control_frames, self._left + (now - self._at) * limits.control_frame_rate)
        self._at = now
        return int(self._left)

    def count(self, frames: int) -> None:
        """Count frames."""
        self._left -= frames

    def count_response(self) -> None:
        """Allow more frames because a request was answered."""
        self._left += _PER_RESPONSE
