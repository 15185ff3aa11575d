"""What a client of HTTP/1.x may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a client may take, in seconds and bytes.

    Attributes:
        head: seconds from the first byte of a request to the end of its head.
        head_bytes: size of a request's head; its trailers and chunk sizes together may be as large.
        idle: seconds between an answer and the next request.
        stall: seconds that a body, or the taking of an answer, may fall behind `rate`.
        rate: bytes a second that a client must send of its body, and take of its answer.
        longest: seconds that a body may last, however steady it is.
        leftover: seconds in which a body must end that nobody waits for any more.
    """

    head: float = 10.0
    head_bytes: int = 64 * 1024
    idle: int = 30
    stall: float = 20.0
    rate: int = 512
    longest: float = 600.0
    leftover: float = 5.0
