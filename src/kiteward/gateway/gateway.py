"""`Gateway.handle`: every request of every API is authenticated, resolved, authorized, recorded and executed here."""

import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, overload

from kiteward.authn.authenticator import Authenticator
from kiteward.domain.errors import AccessDenied, KitewardError, LeaseOver, NotReady, StoreError
from kiteward.domain.identity import Principal
from kiteward.domain.naming import NamingRules
from kiteward.engine.base import Engine
from kiteward.filters import Dialect
from kiteward.gateway.admission import Admission
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.authorize import AuthorizedRequest, Authorizer, unknown_operation
from kiteward.gateway.call import AnyCall, Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.changes import Changes
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.executors import (
    AdminExecutor,
    CatalogExecutor,
    EngineExecutor,
    HandlerContext,
    RequestExecutor,
    RpcExecutor,
)
from kiteward.gateway.instrumentation import InstrumentedAuthenticator
from kiteward.gateway.large_requests import LARGE, LONG, EventLoopShares, size_of
from kiteward.gateway.operations import Executor
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.recording import Recording
from kiteward.gateway.request_entry import RequestEntry, leave
from kiteward.gateway.request_limiter import RequestLimiter
from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.gateway.row_access.reading import FilteredReads
from kiteward.gateway.row_access.writing import RowWrites
from kiteward.gateway.rows import row_named, row_of
from kiteward.iam import readiness
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.base import Outcome as Returned
from kiteward.iam.services import Services
from kiteward.telemetry import logs
from kiteward.telemetry.counters import OTHER, Outcome, outcome_of
from kiteward.telemetry.telemetry import Telemetry

_T = TypeVar("_T")


class Gateway:
    """Authenticates, authorizes, records and executes every request.

    Attributes:
        telemetry: counts and times of the requests.
        entry: admits requests within the limits of their callers.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        policy_cache: PolicyCache,
        *,
        engine: Engine,
        catalog: Catalog,
        ddl: DdlExecutor,
        services: Services,
        recorder: Recorder,
        dialect: Dialect,
        admission: Admission | None = None,
        telemetry: Telemetry | None = None,
        entry: RequestEntry | None = None,
        locks: CollectionLocks | None = None,
    ) -> None:
        self.telemetry = telemetry or Telemetry()
        self.entry = entry or RequestEntry(RequestLimiter(), 0)
        self._services = services
        self._recorder, self._ddl = recorder, ddl
        self._turns = EventLoopShares()
        self._changes = changes = Changes(recorder)
        verifier = InstrumentedAuthenticator(authenticator, self.telemetry)
        self._authorizer = authorizer = Authorizer(
            verifier,
            policy_cache,
            catalog,
            engine=engine.health,
            naming=services.naming,
            admission=admission or Admission(),
            telemetry=self.telemetry,
            dialect=dialect,
            entry=self.entry,
        )
        context = HandlerContext(
            services, authorizer, authenticator=verifier, policy_cache=policy_cache, recorder=recorder, changes=changes
        )
        self._writes = writes = RowWrites(engine, authorizer, dialect, locks=locks)
        self._executors = _executors(context, engine=engine, catalog=catalog, ddl=ddl, dialect=dialect, writes=writes)
        self._admin_executor = AdminExecutor(context)

    @property
    def naming(self) -> NamingRules:
        """The rules for names of new things."""
        return self._services.naming

    @overload
    async def handle(self, call: Call[bytes]) -> bytes: ...

    @overload
    async def handle(self, call: Call[Arguments]) -> Returned: ...

    async def handle(self, call: AnyCall) -> bytes | Returned:
        """Handle one request and return its response.

        Args:
            call: the request with the credential that its caller presented.

        Returns:
            The serialised response message of an RPC, or the typed outcome of an operation of our own.

        Raises:
            OperationUnknown: before anything else, as Milvus does (contract 1.3).
            AuthenticationError: the caller is not authenticated.
            AccessDenied, OperationRefused: the principal is not allowed to make it.
            RequestRefused, RequestsLimited, PayloadMalformed: it is wrong, or too much; nothing has changed.
            EngineError, StoreError, NotReady: it could not be executed.
            AuditUnavailable: it could not be recorded, so it was not executed.
        """
        logs.bind_request_id(call.request_id)
        recording = Recording(call, row_of(call))
        if recording.row is None:
            self.telemetry.requests.count(OTHER, Outcome.REFUSED)
            unknown = unknown_operation(call.operation)
            self._recorder.note(recording, unknown)
            raise unknown
        span = self.telemetry.start_request(call.operation, call.request_id, call.forward)
        try:
            size = size_of(call.payload)
            if size <= LARGE:
                answer = await self._answer(recording)
            else:
                answer = await self._in_turn(recording, functools.partial(self._answer, recording), size=size)
        except BaseException as error:
            span.end(outcome_of(error))
            if not recording.apart:
                self._recorder.note(recording, error)
            raise
        span.end(Outcome.OK)
        if not recording.apart:
            self._recorder.note(recording, None)
        return answer

    async def admit(self, call: Call[bytes]) -> Principal:
        """Return the authenticated caller. APIs call it before they read the rest of a request.

        Args:
            call: the request, its payload still empty.

        Raises:
            AuthenticationError, AccessDenied, StoreError: as of `handle`, and recorded in the same way.
        """
        logs.bind_request_id(call.request_id)
        recording = Recording(call, row_named(call.operation))
        try:
            return await self._authorizer.authenticate(recording)
        except BaseException as error:
            self._note_unread(recording, error)
            raise

    async def read_large(self, call: Call[bytes], read: Callable[[], _T], *, size: int) -> _T:
        """Call `read` when the caller of a large request is next in the queue, and return its result.

        Args:
            call: the request, without a payload.
            read: reads what the API has received, on the event loop.
            size: bytes of the request.

        Raises:
            AuthenticationError, AccessDenied, NotReady, StoreError: as of `handle`, and recorded in the same way.
        """
        logs.bind_request_id(call.request_id)
        recording = Recording(call, row_named(call.operation))

        async def work() -> _T:
            return read()

        try:
            return await self._in_turn(recording, work, size=size)
        except KitewardError as error:
            self._note_unread(recording, error)
            raise

    async def missing_components(self) -> tuple[str, ...]:
        """Return what is not ready for requests: any of `store`, `engine`, `audit`, `lease` and `policy`."""
        without_policy: tuple[str, ...] = ()
        try:
            await self._authorizer.policy()
        except LeaseOver:
            return ("lease",)  # the store would be waited for
        except (NotReady, StoreError):
            without_policy = ("policy",)
        parts = await readiness.components(self._services)
        return (*(name for name, part in parts.items() if not part.ready), *without_policy)

    async def drain(self) -> None:
        """Wait for changes in progress, which continue when their caller is gone."""
        await self._changes.drain()
        await self._writes.drain()
        await self._ddl.close()

    async def _answer(self, recording: Recording) -> bytes | Returned:
        try:
            request = await self._authorizer.authorize(recording)
        except AccessDenied:
            hidden = hidden_response(recording)
            if hidden is None:
                raise
            recording.hidden = True
            return hidden
        else:
            return await self._execute(request, recording)
        finally:
            leave(recording)

    async def _execute(self, request: AuthorizedRequest, recording: Recording) -> bytes | Returned:
        row = recording.operation
        if row is None:
            return await self._admin_executor.run(request, recording)
        return await self._executors[row.executor].run(request, recording)

    async def _in_turn(self, recording: Recording, work: Callable[[], Coroutine[Any, Any, _T]], *, size: int) -> _T:
        """Do work for a large request in the queue of its caller, if the caller may send one."""
        principal = await self._authorizer.require_reach(recording, size=size)
        return await (work() if size <= LONG else self._turns.run(principal.user_name, work))

    def _note_unread(self, recording: Recording, error: BaseException) -> None:
        """Count and record a request that was refused before it was read."""
        call = recording.call
        self.telemetry.start_request(call.operation, call.request_id, call.forward).end(outcome_of(error))
        self._recorder.note(recording, error)


def _executors(
    context: HandlerContext, *, engine: Engine, catalog: Catalog, ddl: DdlExecutor, dialect: Dialect, writes: RowWrites
) -> Mapping[Executor, RequestExecutor]:
    """Return what executes RPCs, by the kinds that rows name."""
    reads = FilteredReads(engine, dialect)
    return {
        Executor.ENGINE: EngineExecutor(engine, catalog, context.authorizer, reads=reads, writes=writes),
        Executor.DDL: CatalogExecutor(ddl, context.changes, writes=writes),
        Executor.HERE: RpcExecutor(context),
    }


def hidden_response(recording: Recording) -> bytes | None:
    """Return the response to a refused request whose object is hidden from its caller: as if it did not exist.

    Returns:
        The response; None where the refusal is reported.
    """
    row, resolved, decision = recording.operation, recording.resolved, recording.decision
    if row is None or row.hidden_response is None or resolved is None:
        return None
    if decision is None or decision.allowed:
        return None
    return row.hidden_response(resolved)
