"""Executes authorized requests. Each executor takes an `AuthorizedRequest`, so that nothing runs without a decision."""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

from kiteward.authn.exchanges import Accepted
from kiteward.authn.sign_in import BegunSignIn
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AuthenticationError, EngineRejected, EngineUnavailable
from kiteward.domain.identity import PresentedCredential, Principal, Secret
from kiteward.domain.second_factors import FactorProof
from kiteward.engine.base import Engine
from kiteward.gateway import row_properties
from kiteward.gateway.audit_details import details_of, result_of
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.authorize import AuthorizedRequest, Authorizer, require_authorized
from kiteward.gateway.call import rpc_call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.changes import Changes
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.instrumentation import InstrumentedAuthenticator
from kiteward.gateway.operations import RowUse
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.recording import Recording
from kiteward.gateway.row_access.access import RowAccess
from kiteward.gateway.row_access.reading import FilteredReads
from kiteward.gateway.row_access.responses import HIDDEN_FAILURE, shown
from kiteward.gateway.row_access.writing import RowWrites, excluded
from kiteward.iam.json_api.base import Outcome, text_not_stored
from kiteward.iam.json_api.base import Request as AdminRequest
from kiteward.iam.milvus_rpc.base import Request as RpcRequest
from kiteward.iam.recorded_states import add_result
from kiteward.iam.services import Services
from kiteward.milvus import messages
from kiteward.milvus.texts import field_not_stored
from kiteward.store.transaction import Transaction


class RequestExecutor(Protocol):
    """Executes one kind of RPC."""

    async def run(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        """Execute a request and return the serialised response.

        Args:
            request: the authorized request.
            recording: its state; the executor adds results for the audit trail.

        Raises:
            TypeError: the request is not authorized, or of another kind.
            KitewardError: as of `Gateway.handle`.
        """
        ...


class EngineExecutor:
    """Passes requests through to the engine; only names behind aliases are replaced."""

    def __init__(
        self, engine: Engine, catalog: Catalog, authorizer: Authorizer, *, reads: FilteredReads, writes: RowWrites
    ) -> None:
        self._engine = engine
        self._reads = reads
        self._writes = writes
        self._catalog = catalog
        self._authorizer = authorizer

    async def run(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        """Execute a request. See `RequestExecutor.run`."""
        require_authorized(request)
        row = request.operation
        if request.hides_database:
            return messages.success(row.name)
        if row.rows is RowUse.WRITTEN:
            return await self._writes.run(request, recording)
        if excluded(request):
            return await self._writes.run_apart(request, recording, self._forward)
        if request.snapshot.row_rules and row.rows is not RowUse.NONE:
            return await self._writes.read(request, recording, self._forward)
        return await self._forward(request, recording, request.call.timeout)

    async def _forward(self, request: AuthorizedRequest, recording: Recording, timeout: float | None) -> bytes:
        """Forward a request, and return the response as its caller may see it.

        Raises:
            KitewardError: as of `Gateway.handle`.
        """
        row, resolved, call = request.operation, request.resolved, request.call
        metadata = {**call.forward, "dbname": resolved.database}
        if request.row_access is not None:
            return await self._restricted(request, request.row_access, recording, metadata)
        ids, mark = self._catalog.ids, self._catalog.ids.mark()
        answer = await self._engine.call(row.name, resolved.payload, metadata=metadata, timeout=timeout)
        recording.status = messages.status_code(row.name, answer)
        if row.shows_alias is not None and row.shows_alias(answer, resolved):
            # The name was a collection's when the request was decided. Whose it is now has not been decided.
            self._catalog.forget([resolved.database], resolved.collections)
            name = resolved.collections[0]
            raise EngineUnavailable(
                f"{name} was just made an alias: send the request again",
                ErrorDetail(ErrorCode.ENGINE_CATALOG_CHANGING),
            )
        if row.response_ids is not None and not recording.status:
            ids.learn(
                answer,
                ids_of=row.response_ids,
                database=resolved.database,
                collections=resolved.collections,
                mark=mark,
            )
        if row.shows_properties and not recording.status:
            answer = row_properties.shown(row.name, answer, request.snapshot, resolved)
        if row.filter_response is None or request.principal.unrestricted:
            return answer
        # By the current policy, not the one when the engine was called: what was revoked meanwhile is not shown.
        snapshot = await self._authorizer.policy()
        return row.filter_response(answer, request.principal, snapshot, resolved, self._catalog)

    async def _restricted(
        self, request: AuthorizedRequest, access: RowAccess, recording: Recording, metadata: Mapping[str, str]
    ) -> bytes:
        """Execute a request whose response is restricted by row policies, and return what its caller may see.

        Raises:
            KitewardError: as of `Gateway.handle`.
        """
        row, payload, timeout = request.operation, request.resolved.payload, request.call.timeout
        if access.read is not None:
            payload = await self._reads.payload(
                access.read,
                database=access.database,
                collection=access.collection,
                metadata=metadata,
                timeout=timeout,
            )
        try:
            answer = await self._engine.call(row.name, payload, metadata=metadata, timeout=timeout)
        except EngineRejected as error:
            raise EngineRejected(
                HIDDEN_FAILURE, ErrorDetail(ErrorCode.ENGINE_REJECTED), grpc_code=error.grpc_code
            ) from None
        recording.status = messages.status_code(row.name, answer)
        return shown(row.name, answer, row.rows)


class CatalogExecutor:
    """Changes databases, collections and aliases, one at a time."""

    def __init__(self, ddl: DdlExecutor, changes: Changes, *, writes: RowWrites) -> None:
        self._ddl = ddl
        self._changes = changes
        self._writes = writes

    async def run(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        """Execute a request. See `RequestExecutor.run`."""
        require_authorized(request)

        async def change() -> bytes:
            # While the change waits, the caller may be deleted or lose a role, and an alias may move.
            async with self._ddl.turn():
                answer = await self._writes.change(request, recording, self._ddl.run)
            recording.status = messages.status_code(request.operation.name, answer)
            return answer

        return await self._changes.run(recording, change)


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """What handlers are called with, and how their changes are executed."""

    services: Services
    authorizer: Authorizer
    _: KW_ONLY
    authenticator: InstrumentedAuthenticator
    policy_cache: PolicyCache
    recorder: Recorder
    changes: Changes

    @contextlib.asynccontextmanager
    async def change(
        self, recording: Recording, still_allowed: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[Transaction]:
        """Open the transaction of a request, as `PolicyCache.change`; its watch looks at begin and end."""
        watch, record = recording.call.watch, self.recorder.in_store(recording)
        async with self.policy_cache.change(still_allowed, record=record) as transaction:
            if watch is not None:
                recording.result.update(watch.recorded)
                await watch.begin(transaction)
            yield transaction
            if watch is not None:
                await watch.end(transaction)


class RpcExecutor:
    """Executes the RPCs that Kiteward has handlers for."""

    def __init__(self, context: HandlerContext) -> None:
        self._context = context

    async def run(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        """Execute a request. See `RequestExecutor.run`."""
        require_authorized(request)
        row, call = request.operation, rpc_call(request.call)
        handler = row.handler
        if handler is None:
            raise TypeError(f"{row.name} has no handler")
        message = recording.message = messages.decode(row.name, call.payload)
        # Only a payload with a zero byte can hold a NUL, and no text of the protocol holds half of a surrogate pair.
        if row.changes and b"\0" in call.payload and (field := field_not_stored(message)):
            raise text_not_stored(field)

        async def still_allowed() -> None:
            await self._context.authorizer.authorize(recording, again=True)

        asked = RpcRequest(
            call,
            message,
            request.principal,
            request.snapshot,
            functools.partial(self._context.change, recording, still_allowed),
            functools.partial(self._context.authenticator.verify_password, address=call.address),
            functools.partial(add_result, recording.result),
        )
        if row.changes:
            return await self._context.changes.run(recording, lambda: handler(self._context.services, asked))
        self._context.recorder.require_working(row)
        answer = await handler(self._context.services, asked)
        if row.introduces_client:
            self._context.recorder.learn(asked.read(messages.ConnectRequest), answer)
        return answer


class AdminExecutor:
    """Executes operations of our own. Arguments and outcomes are typed; no JSON is read or written here."""

    def __init__(self, context: HandlerContext) -> None:
        self._context = context

    async def run(self, request: AuthorizedRequest, recording: Recording) -> Outcome:
        """Execute a request and return its outcome.

        Args:
            request: the authorized request.
            recording: its state; its details and results are added.

        Raises:
            TypeError: as `RequestExecutor.run`.
            KitewardError: as of `Gateway.handle`.
        """
        require_authorized(request)
        row = request.admin_operation
        arguments = row.complete(request.call.payload)
        recording.details = details_of(arguments)
        asked = self._asked(request, recording)

        async def work() -> Outcome:
            outcome = await row.run(self._context.services, asked, arguments)
            if row.changes:
                recording.result.update(result_of(outcome, row.unrecorded_results))
            return outcome

        if row.changes:
            return await self._context.changes.run(recording, work)
        if not row.while_unrecorded:
            self._context.recorder.require_working(row)
        return await work()

    def _asked(self, request: AuthorizedRequest, recording: Recording) -> AdminRequest:
        call = request.call

        async def caller_now() -> tuple[Principal, PolicySnapshot]:
            again = await self._context.authorizer.authorize(recording, again=True)
            return again.principal, again.snapshot

        authenticator = self._context.authenticator

        async def begin_session(description: str) -> BegunSignIn:
            return await authenticator.begin_session(call.credential, address=call.address, description=description)

        async def finish_sign_in(proof: FactorProof) -> Secret:
            return await authenticator.finish_sign_in(call.credential, proof, address=call.address)

        async def end_by_provider() -> Sequence[str]:
            return await authenticator.end_by_provider(call.credential)

        async def accept(presented: PresentedCredential | None, sign_up: bool) -> Accepted:
            credential = call.credential if presented is None else presented
            if isinstance(credential, AuthenticationError):
                raise credential
            return await authenticator.accept(credential, address=call.address, sign_up=sign_up)

        return AdminRequest(
            request.principal,
            request.snapshot,
            functools.partial(self._context.change, recording),
            caller_now,
            begin_session=begin_session,
            finish_sign_in=finish_sign_in,
            verify_password=functools.partial(authenticator.verify_password, address=call.address),
            verify_factor=functools.partial(self._context.services.factors.verify, address=call.address),
            end_by_provider=end_by_provider,
            accept=accept,
            root_bypass=self._context.services.root_bypass,
            record=functools.partial(add_result, recording.result),
            note_decision=recording.note_decision,
            record_change=recording.parts.append,
        )
