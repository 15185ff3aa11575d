"""What every engine promises: one way to call it, one to ask how it is, one to close it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """How the engine is right now.

    Attributes:
        ready: true when a call sent now would reach it.
        reason: one sentence for the operator when it is not ready, else empty.
    """

    ready: bool
    reason: str = ""


class Engine(Protocol):
    """What executes vector operations, spoken to in bytes.

    Obligations of every implementation:
    - `call` carries the payload unchanged in both directions and never retries: only the caller knows whether an
      operation may run twice.
    - `call` ends by the deadline, and a cancelled `call` cancels the work upstream where that is possible.
    - Nothing of the caller's metadata reaches the engine but what `metadata` holds.
    - `generation` grows whenever the engine may have lost or changed state since the last call, for example by a
      restart.
    """

    @property
    def generation(self) -> int:
        """The number of times this engine came (back) to life."""
        ...

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request and return the response bytes.

        Args:
            method: RPC name, for example `Search`.
            payload: the serialised request message.
            metadata: what goes along, already reduced by `kiteward.engine.metadata.allowed`.
            timeout: seconds until the caller gives up; None waits for the engine's own limit.

        Raises:
            EngineUnavailable, EngineDeadlineExceeded, EngineLacksOperation, EngineRejected.
        """
        ...

    def health(self) -> EngineHealth:
        """Return how the engine is, without calling it."""
        ...

    async def close(self) -> None:
        """Finish what is in flight, make the engine write everything down, and let go of it."""
        ...
