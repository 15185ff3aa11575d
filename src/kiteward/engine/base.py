"""The contract of an engine: calls, what they access, health and closing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from kiteward.domain.error_codes import ErrorCode, ErrorDetail

_UNREACHABLE: Final = ErrorDetail(ErrorCode.ENGINE_UNAVAILABLE)


class Access(StrEnum):
    """What an RPC does to stored data."""

    READ = "read"
    WRITE = "write"
    """It changes a collection, its entities, or the properties of a database."""
    CATALOG_CHANGE = "catalog-change"
    """It creates, drops or renames databases, collections or aliases."""


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """The current state of the engine.

    Attributes:
        ready: true when a call sent now would reach it.
        reason: one sentence for the operator when it is not ready, else empty.
        detail: the same as a code, for programs and translations; without meaning while it is ready.
        version: the version of the Milvus that it is, without a leading `v`; empty for the embedded engine, and while
            it is not known.
        deploy_mode: how that Milvus is deployed, as it says itself; empty likewise.
        embedded: whether it is the embedded engine.
    """

    ready: bool
    reason: str = ""
    detail: ErrorDetail = _UNREACHABLE
    version: str = ""
    deploy_mode: str = ""
    embedded: bool = False


class Engine(Protocol):
    """Executes vector operations, which it receives as serialised messages.

    Obligations of every implementation:
    - `call` passes the payload unchanged in both directions and never retries: only the caller knows whether an
      operation may run twice.
    - `call` ends by the deadline, and a cancelled `call` cancels the work upstream where that is possible.
    - Of the caller's metadata only `metadata` reaches the engine.
    - `generation` grows whenever the engine may have lost or changed state since the last call, for example by a
      restart.
    """

    @property
    def generation(self) -> int:
        """The number of times this engine was started, restarts included, or has become reachable."""
        ...

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request and return the response bytes.

        Args:
            method: RPC name, for example `Search`.
            payload: the serialised request message.
            metadata: what is forwarded with the request, already filtered by `kiteward.engine.metadata.allowed`.
            timeout: seconds until the deadline of the caller; None leaves it to the limit of the engine.

        Raises:
            EngineUnavailable, EngineDeadlineExceeded, EngineLacksOperation, EngineRejected.
        """
        ...

    def health(self) -> EngineHealth:
        """Return the state of the engine, without calling it."""
        ...

    async def close(self) -> None:
        """Finish the calls in flight, make the engine flush all data, and release its resources."""
        ...
