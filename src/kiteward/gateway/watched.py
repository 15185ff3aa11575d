"""The authenticator and the engine of a gateway, with a watch beside them: what they do is what is behind them does."""

from collections.abc import Mapping
from time import perf_counter

from kiteward.authn.authenticator import Authenticator
from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import PresentedCredential, Principal
from kiteward.engine.base import Engine, EngineHealth
from kiteward.engine.metadata import REQUEST_ID
from kiteward.observe import logs
from kiteward.observe.watch import Stage, Watch


class WatchedAuthenticator:
    """Takes note of how long an authenticator takes, whether it lets the caller in or not."""

    def __init__(self, authenticator: Authenticator, watch: Watch) -> None:
        self._authenticator = authenticator
        self._watch = watch

    async def authenticate(
        self, presented: PresentedCredential | AuthenticationError, *, address: str = ""
    ) -> Principal:
        """Return the principal. See `Authenticator.authenticate`."""
        begun = perf_counter()
        try:
            return await self._authenticator.authenticate(presented, address=address)
        finally:
            self._watch.took(Stage.AUTHENTICATE, begun)


class WatchedEngine:
    """Takes note of how long an engine takes. Implements `kiteward.engine.base.Engine`."""

    def __init__(self, engine: Engine, watch: Watch) -> None:
        self._engine = engine
        self._watch = watch

    @property
    def generation(self) -> int:
        """The number of times the engine came (back) to life."""
        return self._engine.generation

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send a request. See `kiteward.engine.base.Engine.call`."""
        begun = perf_counter()
        request_id = logs.current_request()
        carried = {**metadata, REQUEST_ID: request_id} if request_id else metadata
        try:
            return await self._engine.call(method, payload, metadata=carried, timeout=timeout)
        finally:
            self._watch.took(Stage.ENGINE, begun)

    def health(self) -> EngineHealth:
        """Return how the engine is."""
        return self._engine.health()

    async def close(self) -> None:
        """Let go of the engine."""
        await self._engine.close()
