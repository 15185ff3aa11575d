"""Executes writes: on a collection with row policies each after its check, while nobody else writes to or changes it.

Whoever bypasses the policies is not checked, and writes beside others who are not. The lock of a collection is held
until the engine has answered, even when the caller is gone: a write that is still in progress would otherwise come
between the check of the next one and its write.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from kiteward.authz.policy import Decision
from kiteward.authz.row_policies import RowAction
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, EngineDeadlineExceeded, EngineRejected, KitewardError
from kiteward.engine.base import Engine
from kiteward.filters import Dialect
from kiteward.gateway.authorize import AuthorizedRequest, Authorizer, require_authorized
from kiteward.gateway.operations import RowUse
from kiteward.gateway.recording import Recording
from kiteward.gateway.row_access.access import RowAccess
from kiteward.gateway.row_access.deletes import narrowed
from kiteward.gateway.row_access.locks import CollectionLocks, Key
from kiteward.gateway.row_access.responses import HIDDEN_FAILURE, shown
from kiteward.gateway.row_access.stored_rows import StoredRows
from kiteward.gateway.row_access.write_checks import WriteCheck
from kiteward.milvus import messages
from kiteward.milvus.row_columns import read_write

_LONGEST: Final = 300.0
"""Seconds that the engine may take for a write to a collection with row policies, and for a change of a collection. The
deadline of the caller ends the wait of the caller, not the write.
"""

_DRAIN: Final = 30.0
"""Seconds that a stopping server waits for writes whose callers are gone."""


Forward = Callable[[AuthorizedRequest, Recording, float | None], Awaitable[bytes]]
"""Executes a request, for so many seconds at most; without end for None."""

Change = Callable[[AuthorizedRequest, Callable[[], Awaitable[AuthorizedRequest]]], Awaitable[bytes]]
"""Executes a change of the catalog; calls the second argument before that, to have it authorized again."""


class _Moved(Exception):
    """What a change is about has become another collection while it waited."""


class RowWrites:
    """Executes Insert, Upsert and Delete, and keeps them, and reads, apart from what changes collections."""

    def __init__(self, engine: Engine, authorizer: Authorizer, dialect: Dialect) -> None:
        """Set up without any write.

        Args:
            engine: what writes.
            authorizer: authorizes a write again that has waited for its turn.
            dialect: the engine's language of filters.
        """
        self._engine = engine
        self._authorizer = authorizer
        self._dialect = dialect
        self._locks = CollectionLocks()
        self._running: set[asyncio.Task[bytes]] = set()

    async def run(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        """Execute a write and return the serialised response. Where its caller leaves, what has begun is completed.

        Args:
            request: the authorized request.
            recording: its state; the policies by which it was checked are added.

        Raises:
            TypeError: the request is not authorized.
            AccessDenied: a row policy does not allow it, or the caller has lost a privilege while it waited.
            RequestRefused, PayloadMalformed: it is wrong, or cannot be checked. Nothing has changed.
            EngineError: it could not be executed.
        """
        require_authorized(request)
        try:
            async with asyncio.timeout(request.call.timeout):
                return await self._in_turn(request, recording)
        except TimeoutError:
            raise EngineDeadlineExceeded(f"the engine did not answer `{request.row.name}` in time") from None

    async def run_apart(self, request: AuthorizedRequest, recording: Recording, forward: Forward) -> bytes:
        """Execute a request while nothing is written to the collections that it excludes from writes.

        Args:
            request: the authorized request.
            recording: its state.
            forward: executes it; it is completed even if the caller leaves.

        Raises:
            AccessDenied: the caller has lost a privilege while it waited.
            EngineDeadlineExceeded: writes, or the engine, took longer than the caller waits.
            KitewardError: as of `forward`.
        """
        require_authorized(request)
        try:
            async with asyncio.timeout(request.call.timeout):
                while True:
                    keys = excluded(request)
                    async with AsyncExitStack() as held:
                        changes = request.operation.excludes_writes
                        if await held.enter_async_context(self._locks.held(keys, changes=changes)):
                            request = await self._authorizer.authorize(recording)
                            if excluded(request) != keys:
                                continue
                        return await self._to_its_end(forward(request, recording, _LONGEST), held)
        except TimeoutError:
            raise EngineDeadlineExceeded(f"the engine did not answer `{request.row.name}` in time") from None

    async def change(self, request: AuthorizedRequest, recording: Recording, change: Change) -> bytes:
        """Execute a change of the catalog, while nothing is written to the collections that it names.

        Args:
            request: the authorized request.
            recording: its state.
            change: executes it.

        Raises:
            KitewardError: as of `change`.
        """
        while True:
            keys = excluded(request)

            async def again(keys: frozenset[Key] = keys) -> AuthorizedRequest:
                nonlocal request
                request = await self._authorizer.authorize(recording, again=True)
                if excluded(request) != keys:
                    raise _Moved
                return request

            try:
                async with self._locks.held(keys, changes=True):
                    return await change(request, again)
            except _Moved:
                continue

    async def read(self, request: AuthorizedRequest, recording: Recording, forward: Forward) -> bytes:
        """Execute a read, and again if its collection was changed meanwhile: another one may have been given the name.

        Args:
            request: the authorized request.
            recording: its state.
            forward: executes it.

        Raises:
            AccessDenied: the caller may not read what has the name now.
            EngineDeadlineExceeded: changes, or the engine, took longer than the caller waits.
            KitewardError: as of `forward`.
        """
        require_authorized(request)
        try:
            async with asyncio.timeout(request.call.timeout):
                while (answer := await self._read(request, recording, forward)) is None:
                    await self._locks.settled(_named(request))
                    request = await self._authorizer.authorize(recording)
                return answer
        except TimeoutError:
            raise EngineDeadlineExceeded(f"the engine did not answer `{request.row.name}` in time") from None

    async def drain(self) -> None:
        """Wait for writes whose callers are gone, for a limited time."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN)

    async def _read(self, request: AuthorizedRequest, recording: Recording, forward: Forward) -> bytes | None:
        """Return the response to a read; None if its collection was changed meanwhile."""
        with self._locks.reading(_named(request)) as read:
            try:
                answer = await forward(request, recording, request.call.timeout)
            except KitewardError:
                if not read.overtaken:
                    raise
                return None
            return None if read.overtaken else answer

    async def _in_turn(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        while True:
            key, alone = _lock_of(request)
            async with AsyncExitStack() as held:
                waited = await self._locks.acquire(key, alone=alone)
                held.callback(self._locks.release, key, alone=alone)
                if waited:
                    request = await self._authorizer.authorize(recording)
                    if _lock_of(request) != (key, alone):
                        continue
                access = request.row_access
                if access is None:
                    return await self._write(request, recording, timeout=request.call.timeout)
                if access.bypassed:
                    return await self._to_its_end(self._write(request, recording, timeout=_LONGEST), held)
                payload = await self._checked(request, recording, access)
                if not await self._still(access):
                    request = await self._authorizer.authorize(recording)
                    continue
                return await self._to_its_end(self._restricted(request, recording, payload), held)

    async def _checked(self, request: AuthorizedRequest, recording: Recording, access: RowAccess) -> bytes:
        """Return what is forwarded of a write, after its check by row policies.

        Raises:
            AccessDenied: they do not allow it.
            InvalidArgument, PayloadMalformed: it is wrong, or cannot be checked.
            EngineError: the stored rows cannot be read.
        """
        name, payload, rules, principal = request.row.name, request.resolved.payload, access.rules, request.principal
        stored = StoredRows(self._engine, self._dialect, access.database, access.collection)
        try:
            if name == "Delete":
                rule = rules.using(principal, RowAction.DELETE)
                payload = await narrowed(payload, rule, stored=stored, dialect=self._dialect)
            else:
                rule = rules.check(principal, RowAction(name))
                check, write = WriteCheck(rules, principal, stored), read_write(name, payload)
                await (check.insert(write) if name == "Insert" else check.upsert(write))
        except AccessDenied as error:
            recording.decision = Decision(
                False, f"row policies: {error}", str(error), ErrorDetail(error.code, error.details[0].parameters)
            )
            raise
        recording.result["row_policies"] = list(rule.policies)
        return payload

    async def _still(self, access: RowAccess) -> bool:
        """Return whether a collection has the policies by which a write was checked.

        Meanwhile they may have been changed, or another collection may have been given the name.
        """
        now = (await self._authorizer.policy()).protected(access.database, access.collection)
        return now is access.rules or now == access.rules

    async def _to_its_end(self, writing: Awaitable[bytes], held: AsyncExitStack) -> bytes:
        """Return the engine's answer, and keep the locks until it is there, even if the caller is gone before."""
        task = asyncio.ensure_future(self._holding(writing, held.pop_all()))
        self._running.add(task)
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    async def _holding(self, writing: Awaitable[bytes], locks: AsyncExitStack) -> bytes:
        async with locks:
            return await writing

    def _end(self, task: "asyncio.Task[bytes]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone

    async def _restricted(self, request: AuthorizedRequest, recording: Recording, payload: bytes) -> bytes:
        """Have the engine write what was checked. What it says of a delete may be about rows that are hidden."""
        try:
            answer = await self._write(request, recording, payload, timeout=_LONGEST)
        except EngineRejected as error:
            if request.row.name != "Delete":
                raise
            failed = ErrorDetail(ErrorCode.ENGINE_FAILED, {"operation": request.row.name})
            raise EngineRejected(HIDDEN_FAILURE, failed, grpc_code=error.grpc_code) from None
        return shown("Delete", answer, RowUse.WRITTEN) if request.row.name == "Delete" else answer

    async def _write(
        self, request: AuthorizedRequest, recording: Recording, payload: bytes | None = None, *, timeout: float | None
    ) -> bytes:
        """Forward a write: its payload, or another one."""
        resolved, name = request.resolved, request.row.name
        metadata = {**request.call.forward, "dbname": resolved.database}
        forwarded = resolved.payload if payload is None else payload
        answer = await self._engine.call(name, forwarded, metadata=metadata, timeout=timeout)
        recording.status = messages.status_code(name, answer)
        return answer


def excluded(request: AuthorizedRequest) -> frozenset[Key]:
    """Return the collections to which nothing is written while a request is executed; none for most requests.

    They are those that it changes as a whole, and that of a search by ids: the rows that were found to be visible must
    still be those whose vectors are searched for.

    Args:
        request: the authorized request.
    """
    row, resolved, access = request.operation, request.resolved, request.row_access
    if access is not None and access.read is not None and access.read.ids:
        return frozenset([(access.database, access.collection)])
    if not row.excludes_writes:
        return frozenset()
    target = str(resolved.fields[row.target_database]) if row.target_database else ""
    created = ((target or resolved.database, str(resolved.fields[path])) for path in row.new_collections)
    return _named(request).union(created)


def _named(request: AuthorizedRequest) -> frozenset[Key]:
    """Return the collections that a request names, aliases resolved."""
    return frozenset((request.resolved.database, name) for name in request.resolved.collections)


def _lock_of(request: AuthorizedRequest) -> tuple[Key, bool]:
    """Return the lock that a write needs, and whether it needs it alone."""
    resolved, access = request.resolved, request.row_access
    return (resolved.database, resolved.collections[0]), access is not None and not access.bypassed
