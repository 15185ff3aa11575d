"""The engine of a gateway that serves no vectors: the command line's."""

from collections.abc import Mapping
from typing import Final, NoReturn

from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.base import EngineHealth

_REASON: Final = "there is no engine here"


class AbsentEngine:
    """Implements `kiteward.engine.base.Engine`; every call fails."""

    @property
    def generation(self) -> int:
        """Always the same: nothing comes to life."""
        return 0

    async def call(
        self,
        method: str,  # noqa: ARG002  as the protocol has it, likewise below
        payload: bytes,  # noqa: ARG002
        *,
        metadata: Mapping[str, str],  # noqa: ARG002
        timeout: float | None,  # noqa: ARG002
    ) -> NoReturn:
        raise EngineUnavailable(_REASON)

    def health(self) -> EngineHealth:
        return EngineHealth(ready=False, reason=_REASON)

    async def close(self) -> None:
        """Let go of nothing."""
