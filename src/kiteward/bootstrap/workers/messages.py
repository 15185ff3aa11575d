"""What the parent and a worker tell each other: one JSON object a line, over a pair of sockets."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Prepared:
    """Of a worker: everything but its ports has started."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Of a worker: it serves.

    Attributes:
        default_password: whether `root` has the default password.
        engine_fault: why the engine is not ready, or empty.
    """

    default_password: bool
    engine_fault: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Of a worker: it could not start, and ends.

    Attributes:
        reason: why, as a sentence.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """Of the parent: the worker is to serve these ports.

    Attributes:
        port: the main port.
        metrics_port: the port for health and metrics; None if there is none.
    """

    port: int
    metrics_port: int | None


@dataclass(frozen=True, slots=True)
class Restarts:
    """Of the parent: how often workers were started again.

    Attributes:
        counts: of each worker, in the order of their numbers.
    """

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Of the parent: the whole server stops."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Of the parent: all other workers have ended, during a stop."""


OfWorker = Prepared | Opened | Failed
OfParent = Open | Restarts | Stop | Alone

_KINDS: Final[Mapping[str, Callable[..., Any]]] = {
    kind.__name__: kind for kind in (Prepared, Opened, Failed, Open, Restarts, Stop, Alone)
}


def encoded(message: OfWorker | OfParent) -> bytes:
    """Return a message as a line."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decoded(line: bytes) -> OfWorker | OfParent:
    """Return the message of a line, as `encoded` has made it."""
    fields = json.loads(line)
    made: OfWorker | OfParent = _KINDS[fields.pop("kind")](
        **{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    )
    return made
