"""The authenticator and the engine of a gateway with measurements. They behave like the ones that they wrap."""

from collections.abc import Mapping, Sequence
from time import perf_counter

from kiteward.authn.authenticator import Authenticator
from kiteward.authn.exchanges import Accepted, accept
from kiteward.authn.sign_in import BegunSignIn
from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import PasswordCredential, PresentedCredential, Principal, Secret
from kiteward.domain.second_factors import FactorProof
from kiteward.engine.base import Engine, EngineHealth
from kiteward.engine.metadata import REQUEST_ID, TRACE_KEYS
from kiteward.telemetry import logs
from kiteward.telemetry.counters import Outcome, outcome_of
from kiteward.telemetry.telemetry import Stage, Telemetry


class InstrumentedAuthenticator:
    """Measures how long an authenticator takes, for authenticated and for refused callers."""

    def __init__(self, authenticator: Authenticator, telemetry: Telemetry) -> None:
        self._authenticator = authenticator
        self._telemetry = telemetry

    async def authenticate(
        self, presented: PresentedCredential | AuthenticationError, *, address: str = "", sign_up: bool = True
    ) -> Principal:
        """Return the principal. See `Authenticator.authenticate`."""
        begun = perf_counter()
        try:
            return await self._authenticator.authenticate(presented, address=address, sign_up=sign_up)
        finally:
            self._telemetry.observe(Stage.AUTHENTICATE, begun)

    async def accept(self, presented: PresentedCredential, *, address: str, sign_up: bool) -> Accepted:
        """Return a presented credential that is accepted. See `kiteward.authn.exchanges.accept`."""
        return await accept(self._authenticator, presented, address=address, sign_up=sign_up)

    async def verify_password(self, presented: PasswordCredential, *, address: str) -> str:
        """Verify a password for another purpose. See `Authenticator.verify_password`."""
        return await self._authenticator.verify_password(presented, address=address)

    async def begin_session(
        self, presented: PresentedCredential | AuthenticationError, *, address: str, description: str
    ) -> BegunSignIn:
        """Begin a session of the console. See `ConsoleSignIn.begin`."""
        return await self._authenticator.console.begin(presented, address=address, description=description)

    async def end_by_provider(self, presented: PresentedCredential | AuthenticationError) -> Sequence[str]:
        """End the sessions that a notice of an identity provider is about. See `ConsoleSignIn.end_by_provider`."""
        return await self._authenticator.console.end_by_provider(presented)

    async def finish_sign_in(
        self, presented: PresentedCredential | AuthenticationError, proof: FactorProof, *, address: str
    ) -> Secret:
        """Begin a session of the console with a second factor. See `ConsoleSignIn.finish`."""
        return await self._authenticator.console.finish(presented, proof, address=address)


class InstrumentedEngine:
    """Measures how long an engine takes. Implements `kiteward.engine.base.Engine`.

    Attributes:
        telemetry: where to.
    """

    def __init__(self, engine: Engine, telemetry: Telemetry) -> None:
        self._engine = engine
        self.telemetry = telemetry

    @property
    def generation(self) -> int:
        """How often the engine has started. See `kiteward.engine.base.Engine`."""
        return self._engine.generation

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send a request. See `kiteward.engine.base.Engine.call`."""
        request_id = logs.current_request()
        carried = {**metadata, REQUEST_ID: request_id} if request_id else dict(metadata)
        span = None if self.telemetry.tracing is None else self.telemetry.tracing.engine(method)
        if span is not None:
            carried = {key: value for key, value in carried.items() if key not in TRACE_KEYS} | span.carried()
        begun, outcome = perf_counter(), Outcome.OK
        try:
            return await self._engine.call(method, payload, metadata=carried, timeout=timeout)
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            self.telemetry.observe(Stage.ENGINE, begun)
            if span is not None:
                span.end(outcome.value, failed=outcome is not Outcome.OK)

    def health(self) -> EngineHealth:
        """Return the health of the engine."""
        return self._engine.health()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()
