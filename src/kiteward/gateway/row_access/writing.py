"""Executes writes: on a collection with row policies each after its check, while nobody else writes to the collection.

Whoever bypasses the policies is not checked, and writes beside others who are not. The lock of a collection is held
until the engine has answered, even when the caller is gone: a write that is still under way would otherwise come between
the check of the next one and its write.
"""

import asyncio
from contextlib import ExitStack
from typing import Final

from kiteward.domain.errors import EngineDeadlineExceeded
from kiteward.engine.base import Engine
from kiteward.filters import Dialect
from kiteward.gateway.audit_recorder import Recording
from kiteward.gateway.authorize import AuthorizedRequest, Authorizer, require_authorized
from kiteward.gateway.row_access.deletes import narrowed, without_engine_text
from kiteward.gateway.row_access.locks import CollectionLocks, Key
from kiteward.gateway.row_access.stored_rows import StoredRows
from kiteward.gateway.row_access.write_checks import WriteCheck
from kiteward.milvus.row_columns import read_write

_LONGEST: Final = 300.0
"""Seconds that the engine may take for a write to a collection with row policies. The deadline of the caller ends the
wait of the caller, not the write.
"""

_DRAIN: Final = 30.0
"""Seconds that a stopping server waits for writes whose callers are gone."""


class RowWrites:
    """Executes Insert, Upsert and Delete."""

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
        """Execute a write and return the serialised response. If its caller leaves, a write that has begun is completed.

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

    async def drain(self) -> None:
        """Wait for writes whose callers are gone, for a limited time."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN)

    async def _in_turn(self, request: AuthorizedRequest, recording: Recording) -> bytes:
        while True:
            key, alone = _lock_of(request)
            with ExitStack() as held:
                waited = await self._locks.acquire(key, alone=alone)
                held.callback(self._locks.release, key, alone=alone)
                if waited:
                    request = await self._authorizer.authorize(recording)
                    if _lock_of(request) != (key, alone):
                        continue
                if request.row_access is None:
                    return await self._write(request, request.resolved.payload, timeout=request.call.timeout)
                payload = await self._checked(request)
                return await self._to_its_end(request, payload, held)

    async def _checked(self, request: AuthorizedRequest) -> bytes:
        """Return what is forwarded of a write to a collection with row policies, after its check."""
        access, resolved, name = request.row_access, request.resolved, request.row.name
        if access is None or access.bypassed:
            return resolved.payload
        if name == "Delete":
            return narrowed(resolved.payload, access.rules, request.principal, dialect=self._dialect)
        stored = StoredRows(self._engine, self._dialect, resolved.database, resolved.collections[0])
        check = WriteCheck(access.rules, request.principal, stored)
        write = read_write(name, resolved.payload)
        await (check.insert(write) if name == "Insert" else check.upsert(write))
        return resolved.payload

    async def _to_its_end(self, request: AuthorizedRequest, payload: bytes, held: ExitStack) -> bytes:
        """Have the engine write, and keep the lock until it has answered."""
        task = asyncio.ensure_future(self._write(request, payload, timeout=_LONGEST))
        self._running.add(task)
        lock = held.pop_all()
        task.add_done_callback(lambda ended: self._end(ended, lock))
        return await asyncio.shield(task)

    def _end(self, task: "asyncio.Task[bytes]", lock: ExitStack) -> None:
        self._running.discard(task)
        lock.close()
        if not task.cancelled():
            task.exception()  # its caller may be gone

    async def _write(self, request: AuthorizedRequest, payload: bytes, *, timeout: float | None) -> bytes:
        metadata = {**request.call.forward, "dbname": request.resolved.database}
        return await self._engine.call(request.row.name, payload, metadata=metadata, timeout=timeout)


def _lock_of(request: AuthorizedRequest) -> tuple[Key, bool]:
    """Return the lock that a write needs, and whether it needs it alone."""
    resolved, access = request.resolved, request.row_access
    return (resolved.database, resolved.collections[0]), access is not None and not access.bypassed
