"""What an operation is: requests of one caller, and what is wrong with their answers."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.row_policies import wire

MARKS: Final = re.compile(rb"mark-\d+x")
PERMISSION_DENIED: Final = 7
INVALID_ARGUMENT: Final = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: of gRPC.
        raw: all that was received.
        message: the message; None unless the status is 0.
    """

    status: int
    raw: bytes
    message: Any

    @property
    def carried_out(self) -> bool:
        """Return whether the operation succeeded."""
        return self.message is not None and wire.code_of(self.message) == 0

    @property
    def reason(self) -> str:
        """Return why it did not."""
        if self.message is not None:
            return f"code {wire.code_of(self.message)}: {wire.reason_of(self.message)}"
        return f"gRPC status {self.status}: {self.raw!r}"

    def marks(self) -> set[str]:
        """Return the marks of rows that it contains anywhere."""
        return {each.decode() for each in MARKS.findall(self.raw)}


Ask = Callable[[str, str, Any], Awaitable[Reply]]
"""Sends a request: caller, RPC, message."""


class Operation(Protocol):
    """One operation of one caller.

    Attributes:
        alone: whether nothing else may run beside it, because it changes something.
    """

    alone: bool

    async def run(self, ask: Ask) -> str:
        """Carry it out; return what was wrong, or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collection is, by the names that requests may give it."""

    database: str
    names: tuple[str, ...]


def unseen(reply: Reply, allowed: Iterable[str]) -> str:
    """Return what an answer discloses of rows that its caller may not see, in words."""
    leaked = reply.marks() - set(allowed)
    return f"disclosed {sorted(leaked)}" if leaked else ""


def refused(reply: Reply) -> str:
    """Return that what is allowed was refused, in words."""
    return "" if reply.carried_out else f"refused: {reply.reason}"


def shown(message: Any) -> str:
    """Return a message on one line."""
    return " ".join(str(message).split())
