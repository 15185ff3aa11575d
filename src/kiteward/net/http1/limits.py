"""The limits of an HTTP/1.x client."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of a client, in seconds and bytes.

    Attributes:
        head: seconds from the first byte of a request to the end of its head.
        head_bytes: size of a request's head; its trailers and chunk sizes together may be as large.
        idle: seconds between a response and the next request.
        stall: seconds that a client may fall behind `rate`, when it sends a body or reads a response.
        rate: bytes a second at which a client must send a body and read a response.
        longest: seconds that a body may take, at any rate.
        leftover: seconds in which a body must end after its request was answered.
    """

    head: float = 10.0
    head_bytes: int = 64 * 1024
    idle: int = 30
    stall: float = 20.0
    rate: int = 512
    longest: float = 600.0
    leftover: float = 5.0
