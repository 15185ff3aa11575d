"""How a client keeps its connections, and what it accepts on them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds of one connection.

    Attributes:
        window: bytes of a response that the peer may send before they are acknowledged.
        connection_window: the same for all responses together. It is not to make them wait for one another: each has
            its own window.
        field_section: bytes of fields accepted in one response.
        silence: seconds without a byte received, while requests wait, after which the peer is asked for a sign of life.
        answer_to_ping: seconds that it has for that.
    """

    window: int = 1024 * 1024
    connection_window: int = 2**31 - 1
    field_section: int = 64 * 1024
    silence: float = 10.0
    answer_to_ping: float = 10.0


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How connections are kept.

    Attributes:
        connections: how many at most.
        requests: how many at once on a connection before another one is made.
        connect_timeout: seconds until a connection must be ready.
        first_pause: seconds between a failed attempt and the next.
        longest_pause: seconds that this grows to.
        limits: bounds of each connection.
    """

    connections: int = 1
    requests: int = 64
    connect_timeout: float = 5.0
    first_pause: float = 0.25
    longest_pause: float = 10.0
    limits: ClientLimits = field(default_factory=ClientLimits)
