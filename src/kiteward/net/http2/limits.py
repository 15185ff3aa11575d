"""What a client may take of an HTTP/2 connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """Seconds, bytes and numbers that a client may take.

    Attributes:
        streams: concurrent streams of a connection (SETTINGS_MAX_CONCURRENT_STREAMS).
        header_list: bytes of a header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE is (RFC 9113, 6.5.2). The head of
            a larger one says so. The default has room for a token of 16 KiB in base64, and for 16 KiB of other fields.
        header_block: bytes of a header block as it is sent, in one HEADERS and at most eight CONTINUATION frames. A
            longer one is refused and ends the connection, because what follows it could not be decoded. No value in a
            block of this length is longer than the 64 KiB that libnghttp2 decodes: a byte holds 1.6 characters at most
            (RFC 7541, appendix B). No limit is announced: clients would refuse a request themselves, with words of
            their own that tell its user less.
        unauthenticated: bytes on one connection of bodies whose callers are not authenticated.
        authenticated: bytes more on a connection on which a caller was authenticated.
        settings_timeout: seconds until the first frame.
        idle: seconds of silence after which the client gets a PING.
        ping_timeout: seconds in which it must acknowledge that.
        stall: seconds that a frame, a body, or the reading of a response may fall behind.
        rate: bytes a second that a client must send of a body, and read of a response that waits for it.
        longest: seconds that a body, or the reading of a response, may last, however steady it is.
        close_timeout: seconds in which a client must read what was still to be sent when its connection closes.
        linger: seconds for which input is discarded when a connection has ended, so that the client can read what was
            sent last: after an error, altogether; otherwise from when its system has confirmed all of it.
        goaway_grace: seconds that requests may be on their way when the server stops.
        frames_per_turn: frames that are read of a connection before others have their turn.
        control_frames: control frames that are accepted at once: RST_STREAM, PING, SETTINGS, PRIORITY, GOAWAY, frames
            of unknown types, empty DATA frames, and requests that are malformed or refused.
        control_frame_rate: how many of them a second are accepted in the long run.
        check_interval: seconds between two checks of the time limits.
    """

    streams: int = 1_024
    header_list: int = 40 * 1024
    header_block: int = 40 * 1024
    unauthenticated: int = 256 * 1024
    authenticated: int = 16 * 1024 * 1024
    settings_timeout: float = 10.0
    idle: float = 120.0
    ping_timeout: float = 20.0
    stall: float = 30.0
    rate: int = 512
    longest: float = 600.0
    close_timeout: float = 30.0
    linger: float = 1.0
    goaway_grace: float = 1.0
    frames_per_turn: int = 64
    control_frames: int = 1_000
    control_frame_rate: int = 200
    check_interval: float = 1.0

    def seconds_for(self, size: int) -> float:
        """Return the seconds for a body of which so many bytes have come, or a response of which so many were read."""
        return min(self.longest, self.stall + size / self.rate)
