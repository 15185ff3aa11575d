"""`Gateway.handle`: the one door. Every request, whichever transport it came by, passes it in six steps."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from kiteward.authn.authenticator import Authenticator
from kiteward.authz.policy import Decision, PolicySnapshot, listed_databases
from kiteward.domain.errors import (
    AccessDenied,
    DatabaseNotFound,
    KitewardError,
    NotReady,
    OperationRefused,
    OperationUnknown,
    StoreError,
)
from kiteward.domain.identity import Principal
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine import metadata as engine_metadata
from kiteward.engine.base import Engine
from kiteward.gateway import outbound, response_filter
from kiteward.gateway.audit_details import details_of, result_of
from kiteward.gateway.audit_recorder import Recorder, Recording
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl import DDL_OPERATIONS, DdlExecutor, Decided
from kiteward.gateway.instrumentation import InstrumentedAuthenticator
from kiteward.gateway.large_requests import LARGE, LONG, EventLoopShares, require_reach
from kiteward.gateway.operations import OPERATIONS, Executor, Operation
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.resolve import ResolvedRequest, check_new_names, resolve_request
from kiteward.iam import readiness
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation, encoded
from kiteward.iam.json_api.base import Request as AdminRequest
from kiteward.iam.milvus_rpc import HANDLERS
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.services import Services
from kiteward.milvus import messages
from kiteward.telemetry import logs
from kiteward.telemetry.counters import OTHER, Outcome, outcome_of
from kiteward.telemetry.telemetry import Telemetry

_log = logging.getLogger("kiteward.gateway")
_DRAIN: Final = 30.0
_T = TypeVar("_T")


class Gateway:
    """Authenticates, decides, records and executes every request."""

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
        telemetry: Telemetry | None = None,
    ) -> None:
        self._telemetry = telemetry or Telemetry()
        self._authenticator = InstrumentedAuthenticator(authenticator, self._telemetry)
        self._policy_cache = policy_cache
        self._engine = engine
        self._catalog = catalog
        self._ddl = ddl
        self._services = services
        self._recorder = recorder
        self._turns = EventLoopShares()
        self._running: set[asyncio.Task[bytes]] = set()

    async def handle(self, call: Call) -> bytes:
        """Answer one request.

        Args:
            call: the request with the credential its caller presented.

        Returns:
            The serialised response message.

        Raises:
            OperationUnknown: before anything else, as Milvus does (contract 1.3).
            AuthenticationError: who calls is not established.
            AccessDenied, OperationRefused: the principal may not.
            RequestRefused, PayloadMalformed: the request is wrong; nothing has changed.
            EngineError, StoreError, NotReady: it could not be executed.
            AuditUnavailable: it could not be recorded, so it was not done.
        """
        logs.bind_request_id(call.request_id)
        operation = OPERATIONS.get(call.operation)
        extension = ADMIN_OPERATIONS.get(call.operation) if operation is None else None
        recording = Recording(call)
        if operation is None and extension is None:
            self._telemetry.requests.count(OTHER, Outcome.REFUSED)
            unknown = OperationUnknown(f"unknown method {call.operation}")
            self._recorder.note(recording, unknown)
            raise unknown
        span = self._telemetry.start_request(call.operation, call.request_id, call.forward)
        try:
            if len(call.payload) <= LARGE:
                answer = await self._run(operation, extension, recording)
            else:
                work = functools.partial(self._run, operation, extension, recording)
                answer = await self._in_turn(operation, recording, work, size=len(call.payload))
        except BaseException as error:
            span.end(outcome_of(error))
            if not recording.apart:
                self._recorder.note(recording, error)
            raise
        span.end(Outcome.OK)
        if not recording.apart:
            self._recorder.note(recording, None, answer)
        return answer

    async def admit(self, call: Call) -> Principal:
        """Return who calls; refuse, as `handle` would, a caller who is not known, before the rest of a request is read.

        Args:
            call: the request, its payload still empty.

        Raises:
            AuthenticationError, AccessDenied, StoreError: as of `handle`, and recorded alike.
        """
        logs.bind_request_id(call.request_id)
        recording = Recording(call)
        try:
            return await self._authenticate(recording)
        except BaseException as error:
            self._telemetry.start_request(call.operation, call.request_id, call.forward).end(outcome_of(error))
            self._recorder.note(recording, error)
            raise

    async def read_large(self, call: Call, read: Callable[[], _T], *, size: int) -> _T:
        """Read what a transport holds of a large request, and return what was read, when its sender's turn has come.

        Args:
            call: what the request will ask for, without a payload.
            read: reads it, on the event loop.
            size: its bytes.

        Raises:
            AuthenticationError, AccessDenied, NotReady, StoreError: as of `handle`, and recorded alike.
        """
        logs.bind_request_id(call.request_id)
        recording = Recording(call)

        async def work() -> _T:
            return read()

        try:
            return await self._in_turn(OPERATIONS[call.operation], recording, work, size=size)
        except KitewardError as error:
            self._telemetry.start_request(call.operation, call.request_id, call.forward).end(outcome_of(error))
            self._recorder.note(recording, error)
            raise

    async def missing_components(self) -> tuple[str, ...]:
        """Return what keeps requests from being answered: any of `store`, `engine`, `audit`, `policy`."""
        missing = [name for name, part in (await readiness.components(self._services)).items() if not part.ready]
        try:
            await self._policy()
        except (NotReady, StoreError):
            missing.append("policy")
        return tuple(missing)

    def _run(
        self, operation: Operation | None, extension: AdminOperation | None, recording: Recording
    ) -> Coroutine[Any, Any, bytes]:
        if operation is not None:
            return self._answer(operation, recording)
        if extension is not None:
            return self._extend(extension, recording)
        raise AssertionError("unreachable: an unknown operation was refused")

    async def _in_turn(
        self,
        operation: Operation | None,
        recording: Recording,
        work: Callable[[], Coroutine[Any, Any, _T]],
        *,
        size: int,
    ) -> _T:
        """Do work for a large request, if its sender may send one, when its sender's turn has come."""
        principal = await self._authenticate(recording)
        policy = await self._policy()
        try:
            if operation is None:
                require_reach(principal, None, policy)
            else:
                require_reach(
                    principal, operation.privilege, policy, visibility_is_enough=operation.visibility_is_enough
                )
        except AccessDenied:
            recording.details = {"request_bytes": size}
            raise
        return await (work() if size <= LONG else self._turns.run(principal.user_name, work))

    async def _answer(self, operation: Operation, recording: Recording) -> bytes:
        call = recording.call
        principal = await self._authenticate(recording)
        if operation.executor is Executor.NOBODY:
            raise OperationRefused(f"{operation.name} is not supported here: {operation.closed}")
        if not self._catalog.fresh and _needs_catalog(operation):
            await self._catalog.refresh()
            # Whoever was deleted, or lost a role, while the engine was asked does not get through on what was before.
            principal = await self._authenticate(recording)
        if operation.executor is Executor.HERE:
            answer = await self._administer(operation, recording, principal)
            if operation.name == "Connect":
                self._recorder.learn(call.payload, answer)
            return answer
        if operation.name in DDL_OPERATIONS:
            return await self._change(operation, recording, principal)
        return await self._pass_through(operation, recording, principal)

    async def _authenticate(self, recording: Recording) -> Principal:
        call = recording.call
        principal = await self._authenticator.authenticate(call.credential, address=call.address)
        recording.principal = principal
        if principal.one_time and call.operation not in _WITH_ONE_TIME_PASSWORD:
            raise AccessDenied(
                f"the password of {principal.user_name} is a one-time password: set another one first (update_password)"
            )
        return principal

    async def drain(self) -> None:
        """Wait for changes under way, which go on when their caller is gone."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN)
        await self._ddl.close()

    async def _pass_through(self, operation: Operation, recording: Recording, principal: Principal) -> bytes:
        call = recording.call
        await self._policy()
        resolved, decision = self._decide(operation, recording, principal)
        if not decision.allowed:
            hidden = _refuse(operation, resolved, decision)
            recording.hidden = True
            return hidden
        resolved.require_consistent()
        if operation.exists and operation.database and not self._has_database(operation, resolved, principal):
            return response_filter.empty_response(operation.name)
        if not operation.database and not engine_metadata.is_metadata_text(resolved.database):
            # Nobody has looked for this one: the operation is about no database, the connection names it all the same.
            raise _no_database(resolved.database)
        self._require_legal(operation, resolved)
        metadata = {**call.forward, "dbname": resolved.database}
        ids, mark = self._catalog.ids, self._catalog.ids.mark()
        answer = await self._engine.call(operation.name, resolved.payload, metadata=metadata, timeout=call.timeout)
        ids.learn(operation.name, answer, database=resolved.database, collections=resolved.collections, mark=mark)
        if operation.name in response_filter.FILTERED_OPERATIONS:
            # Judged on the policy of now, not of when the engine was asked: what was revoked meanwhile is not shown.
            return response_filter.filter_response(
                operation.name, answer, principal, await self._policy(), resolved, self._catalog
            )
        return answer

    def _decide(
        self, operation: Operation, recording: Recording, principal: Principal
    ) -> tuple[ResolvedRequest, Decision]:
        """Settle what a request is about, and decide whether its caller may do that with this credential."""
        resolved = recording.resolved = resolve_request(operation, recording.call, self._catalog)
        decision = recording.decision = self._telemetry.decide(
            principal, resolved.conditions, self._policy_cache.current(), credential=operation.credential
        )
        return resolved, decision

    async def _change(self, operation: Operation, recording: Recording, principal: Principal) -> bytes:
        """Let databases, collections or aliases change; once begun, it goes on when the caller is gone."""

        def resolved_and_decided(caller: Principal) -> ResolvedRequest:
            resolved, decision = self._decide(operation, recording, caller)
            decision.require_allowed()
            if operation.exists and not self._catalog.has_database(resolved.database):
                raise _no_database(resolved.database)
            resolved.require_consistent()
            self._require_legal(operation, resolved)
            return resolved

        async def in_turn() -> Decided:
            # The caller may have been deleted, or lost a role, while it waited for its turn.
            caller = await self._authenticate(recording)
            return Decided(caller, resolved_and_decided(caller))

        await self._policy()
        resolved_and_decided(principal)
        return await self._to_the_end(recording, lambda: self._ddl.run(operation.name, in_turn))

    def _require_legal(self, operation: Operation, resolved: ResolvedRequest) -> None:
        """Refuse what no engine may be asked for, whoever asks; after the decision, lest it tell what may not be seen.

        Raises:
            RequestRefused: an illegal name, or an address, file or credential that comes with the request.
        """
        check_new_names(operation, resolved, self._services.naming)
        outbound.check(operation.places, resolved.fields)

    async def _administer(self, operation: Operation, recording: Recording, principal: Principal) -> bytes:
        call = recording.call
        snapshot = await self._policy()
        self._decide(operation, recording, principal)[1].require_allowed()
        handler = HANDLERS[operation.name]
        message = messages.decode(operation.name, call.payload)

        async def still_allowed() -> None:
            caller = await self._authenticate(recording)
            self._decide(operation, recording, caller)[1].require_allowed()

        request = Request(
            call,
            principal,
            snapshot,
            functools.partial(self._policy_cache.change, still_allowed),
            functools.partial(self._authenticator.verify_password, address=call.address),
            recording.result.update,
        )
        if handler.changes:
            return await self._to_the_end(recording, lambda: handler.run(self._services, request))
        recording.message = message
        self._recorder.require_working(operation)
        return await handler.run(self._services, request)

    async def _extend(self, extension: AdminOperation, recording: Recording) -> bytes:
        """Answer an operation of our own."""

        async def caller_now() -> Principal:
            caller = await self._authenticate(recording)
            recording.decision = self._telemetry.decide_by_rule(extension.decide, caller)
            recording.decision.require_allowed()
            return caller

        principal = await caller_now()
        snapshot = await self._policy()
        arguments = extension.read(recording.call.payload)
        recording.details = details_of(arguments)
        request = AdminRequest(
            principal,
            snapshot,
            self._policy_cache.change,
            caller_now,
            begin_session=lambda description: self._authenticator.begin_session(
                recording.call.credential, address=recording.call.address, description=description
            ),
            root_bypass=self._services.root_bypass,
            record=recording.result.update,
        )

        async def work() -> bytes:
            outcome = await extension.run(self._services, request, arguments)
            if extension.changes:
                recording.result.update(result_of(extension.name, outcome))
            return encoded(outcome)

        if extension.changes:
            return await self._to_the_end(recording, work)
        self._recorder.require_working(extension)
        return await work()

    async def _policy(self) -> PolicySnapshot:
        """Return the policy in force; where it could not follow a change, load it anew."""
        try:
            return self._policy_cache.current()
        except NotReady:
            await self._policy_cache.load()
            return self._policy_cache.current()

    async def _to_the_end(self, recording: Recording, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """Carry out a change, recorded before and after, and go on with it when its caller is gone."""
        recording.apart = True
        task = asyncio.ensure_future(self._recorded(recording, work))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def _recorded(self, recording: Recording, work: Callable[[], Awaitable[bytes]]) -> bytes:
        await self._recorder.begin(recording)
        try:
            answer = await work()
        except BaseException as error:
            self._recorder.give_up(recording, error)
            raise
        await self._recorder.end(recording, answer)
        return answer

    def _finished(self, task: "asyncio.Task[bytes]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    def _has_database(self, operation: Operation, resolved: ResolvedRequest, principal: Principal) -> bool:
        """Tell whether the database of an allowed request exists, as far as the caller may know.

        Who is shown a database, or whose privileges have allowed the request in it, is told. Others are answered alike,
        without the engine, for one that exists and one that does not; that `default` exists is known to everybody.

        Returns:
            False where the answer is an empty list.

        Raises:
            DatabaseNotFound: it does not exist for this caller.
        """
        trimmed = operation.name in response_filter.FILTERED_OPERATIONS
        if trimmed or not (resolved.conditions or resolved.database == DEFAULT_DATABASE):
            shown = listed_databases(principal, [resolved.database], self._policy_cache.current())[0]
            if trimmed and not shown:
                return False
            if not shown:
                raise _no_database(resolved.database)
        if not self._catalog.has_database(resolved.database):
            raise _no_database(resolved.database)
        return True


def _needs_catalog(operation: Operation) -> bool:
    return bool(operation.database or operation.collections or operation.aliases) or operation.name in _RESOLVING


_WITH_ONE_TIME_PASSWORD: Final = frozenset(
    {"Connect", "GetVersion", "UpdateCredential", "BeginSession", "WhoAmI", "DescribePasswordPolicy"}
)
"""What may be called with a password that is good for nothing but setting another one."""

_RESOLVING: Final = frozenset({"Connect", "OperatePrivilege", "OperatePrivilegeV2", "SelectGrant"})
"""Administrative operations that look at databases or aliases although their table row names none."""


def _refuse(operation: Operation, resolved: ResolvedRequest, decision: Decision) -> bytes:
    hidden = response_filter.not_found_response(operation.name, resolved)
    if hidden is None:
        decision.require_allowed()
        raise AssertionError("unreachable: a denied decision raises")
    return hidden


def _no_database(name: str) -> DatabaseNotFound:
    return DatabaseNotFound(f"database not found[database={name}]")
