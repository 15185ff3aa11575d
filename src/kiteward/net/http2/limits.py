"""What a client may take of an HTTP/2 connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """Seconds, bytes and numbers that a client may take.

    Attributes:
        streams: requests in flight on one connection.
        section: size of a field section, counted as SETTINGS_MAX_HEADER_LIST_SIZE is (RFC 9113, 6.5.2).
        block: bytes of a field section as it is sent.
        unknown: bytes on one connection of bodies that the application has not admitted.
        known: bytes more on a connection on which it has admitted one.
        greeting: seconds until the first frame.
        idle: seconds of silence after which the client is asked whether it is there.
        pong: seconds in which it must answer that.
        stall: seconds that a frame, a body, or the taking of an answer may fall behind.
        rate: bytes a second that a client must send of a body, and take of an answer that waits for it.
        longest: seconds that a body, or the taking of an answer, may last, however steady it is.
        linger: seconds in which a client must take what was still to be sent when its connection closes.
        parting: seconds in which it may learn which rule it has broken.
        last_call: seconds that requests may be on their way when the server stops.
        turn: frames that are taken of a connection before others have their turn.
        control_frames: frames at once that ask for nothing: resets, pings, settings, empty ones.
        control_frame_rate: how many of them a second are accepted in the long run.
        round: seconds between two looks at a connection.
    """

    streams: int = 1_024
    section: int = 16 * 1024
    block: int = 64 * 1024
    unknown: int = 256 * 1024
    known: int = 16 * 1024 * 1024
    greeting: float = 10.0
    idle: float = 120.0
    pong: float = 20.0
    stall: float = 30.0
    rate: int = 512
    longest: float = 600.0
    linger: float = 30.0
    parting: float = 1.0
    last_call: float = 1.0
    turn: int = 64
    control_frames: int = 1_000
    control_frame_rate: int = 200
    round: float = 1.0

    def seconds_for(self, size: int) -> float:
        """Return the seconds for a body of which so many bytes have come, or an answer of which so many were taken."""
        return min(self.longest, self.stall + size / self.rate)
