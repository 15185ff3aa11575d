"""Changes of databases, collections and aliases: the engine executes them, and grants and catalog are updated.

Dropping a collection or database drops its grants, and renaming moves them, so that a new object with an old name
inherits nothing. Only a user who drops a collection keeps what its own roles hold on the name, until another user
creates one with that name (decision 0030).

A change is stored as an intent before the engine is called, so that a crash in between cannot separate grants from
objects. Open intents are compared with the engine at the next start, and completed or discarded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.domain.errors import EngineError, EngineUnavailable, StoreError
from kiteward.engine.base import Engine
from kiteward.gateway.authorize import AuthorizedRequest, require_authorized
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.operations import Operation
from kiteward.gateway.policy_cache import PolicyCache, SystemEventRecorder
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.milvus import messages
from kiteward.store.records import Intent, IntentKind, Released
from kiteward.store.transaction import Transaction

_log = logging.getLogger("kiteward.gateway")
_TIMEOUT: Final = 300.0
"""Seconds that the engine may take for such a change.

The caller's own deadline does not apply, so that a change is not abandoned halfway.
"""

_NO_SUCH_NAME: Final = frozenset({100, 1100})
"""Codes of a name that no collection has: there is none, or the name is illegal (contract appendix A)."""

_PAUSE: Final = 0.5
"""Seconds between two attempts to reach an engine that did not respond."""


class DdlExecutor:
    """Executes the operations that create, drop or rename databases, collections or aliases, one at a time."""

    def __init__(
        self, engine: Engine, catalog: Catalog, policy_cache: PolicyCache, recorder: SystemEventRecorder
    ) -> None:
        self._engine = engine
        self._recorder = recorder
        self._catalog = catalog
        self._policy_cache = policy_cache
        self._turn = asyncio.Lock()
        self._open: list[Intent] = []
        self._recovery: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop waiting for the results of changes whose response was lost; the next start completes them."""
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])

    async def recover(self) -> None:
        """Complete or discard the intents that were open when the server last stopped.

        If the engine does not respond now, this is done when it does; no change is made before.
        """
        async with self._policy_cache.change() as transaction:
            self._open = list(await transaction.intents.all())
        try:
            async with self._turn:
                await self._reconcile()
        except EngineError as error:
            _log.warning("changes that the last stop interrupted are completed when the engine responds: %s", error)
            self._recover_later()

    async def run(
        self, request: AuthorizedRequest, authorize_again: Callable[[], Awaitable[AuthorizedRequest]]
    ) -> bytes:
        """Have the engine execute a change, and update grants and catalog.

        Args:
            request: the change.
            authorize_again: authorizes it once more. It is called when the change leaves the queue, because meanwhile
                an alias may have moved, and the caller may have lost a role.

        Returns:
            The engine's response.

        Raises:
            TypeError: the request is not authorized.
            AuthenticationError, AccessDenied, EngineError, StoreError: it failed; what is half done is completed later.
        """
        require_authorized(request)
        async with self._turn:
            await self._reconcile()
            await self._catalog.renew(*_objects_of(request.operation, request.resolved))
            request = await authorize_again()
            require_authorized(request)
            row, resolved = request.operation, request.resolved
            intent = row.intent(request.principal, resolved) if row.intent is not None else None
            if intent is not None and await self._is_possible(intent):
                return await self._with_intent(row, resolved, intent)
            if intent is not None and intent.kind is IntentKind.DROP_DATABASE:
                return messages.success(row.name)
            return await self._ask(row, resolved, intent)

    async def release_kept(self, appeared: Callable[[str, str], bool]) -> None:
        """Remove the grants that are kept on names of collections that others than we have created (decision 0030).

        Args:
            appeared: returns whether there is a collection, by its database and name.

        Raises:
            EngineError, StoreError: it failed, and can be repeated.
        """
        async with self._turn:
            await self._reconcile()  # what was created by its claimant is kept for nobody any more
            async with self._policy_cache.change() as transaction:
                for database, name in await transaction.grants.kept_objects():
                    if not appeared(database, name):
                        continue
                    lost = (await transaction.grants.release_object(database, name, None)).lost
                    self._recorder.note_system_event(
                        Event.GRANT_CHANGE,
                        "ReleaseGrants",
                        because="created_around_us",
                        database=database,
                        object=name,
                        roles=list(lost),
                    )

    async def _is_possible(self, intent: Intent) -> bool:
        """Return whether the change can happen, so that grants may have to follow.

        An object that does not exist cannot be dropped, and the engine refuses a name that is taken.
        """
        if intent.kind is IntentKind.DROP_DATABASE:
            await self._catalog.ensure(intent.db_name)
            return self._catalog.has_database(intent.db_name)
        if intent.kind is IntentKind.CREATE_COLLECTION:
            return await self._is_kept(intent) and not await self._has_collection(intent.db_name, intent.object_name)
        if not await self._has_collection(intent.db_name, intent.object_name):
            return False
        renamed = intent.kind is IntentKind.RENAME_COLLECTION
        return not (renamed and await self._has_collection(intent.new_db_name, intent.new_object_name))

    async def _is_kept(self, intent: Intent) -> bool:
        async with self._policy_cache.change() as transaction:
            return bool(await transaction.grants.kept_on(intent.db_name, intent.object_name))

    async def _with_intent(self, row: Operation, resolved: ResolvedRequest, intent: Intent) -> bytes:
        if intent.kind in (IntentKind.DROP_COLLECTION, IntentKind.RENAME_COLLECTION):
            object_id = await self._catalog.identity(intent.db_name, intent.object_name)
            if object_id is None:  # it has just been dropped or renamed around us
                return await self._ask(row, resolved, intent)
            intent = replace(intent, object_id=object_id)
        if await self._store_intent(intent) is None:
            return await self._ask(row, resolved, intent)
        try:
            answer = await self._ask(row, resolved, intent)
            await self._reconcile(refused=messages.status_code(row.name, answer) != 0)
        except (EngineError, StoreError):
            self._recover_later()
            raise
        return answer

    async def _store_intent(self, intent: Intent) -> Intent | None:
        """Store an intent, after removing what other users' roles have left on the name that it gives to a collection.

        Returns:
            The intent as stored; None for a creation that no grant has to follow.
        """
        async with self._policy_cache.change() as transaction:
            released = await _release(transaction, intent)
            stored = None
            if released.kept or intent.kind is not IntentKind.CREATE_COLLECTION:
                stored = replace(intent, intent_id=await transaction.intents.add(intent))
        if released.lost:
            self._recorder.note_system_event(
                Event.GRANT_CHANGE, "ReleaseGrants", **_followed_details(intent), roles=list(released.lost)
            )
        if stored is not None:
            self._open.append(stored)
        return stored

    def _recover_later(self) -> None:
        """Recover open intents later, after a lost response. Until then, grants may be on the wrong name."""
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.create_task(self._recover_open_intents(), name="ddl-recovery")

    async def _recover_open_intents(self) -> None:
        while self._open:
            await asyncio.sleep(_PAUSE)
            try:
                async with self._turn:
                    await self._reconcile()
            except (EngineError, StoreError) as error:
                _log.warning("the outcome of a change is not known yet: %s", error)

    async def _ask(self, row: Operation, resolved: ResolvedRequest, intent: Intent | None) -> bytes:
        self._forget_ids(intent)
        try:
            return await self._engine.call(
                row.name, resolved.payload, metadata={"dbname": resolved.database}, timeout=_TIMEOUT
            )
        finally:
            self._forget_ids(intent)
            self._catalog.forget(*_objects_of(row, resolved))
            await self._refresh_quietly()

    def _forget_ids(self, intent: Intent | None) -> None:
        """Forget the ids of a dropped or renamed object, so that they are not resolved to a name that is reused."""
        if intent is not None and intent.kind is not IntentKind.CREATE_COLLECTION:
            self._catalog.forget_ids(intent.db_name, intent.object_name or None)

    async def _refresh_quietly(self) -> None:
        try:
            await self._catalog.refresh()
        except EngineError as error:
            # The catalog stays marked as stale; the next request that needs it tries again.
            _log.warning("reading databases and aliases after a change failed: %s", error)

    async def _reconcile(self, *, refused: bool = False) -> None:
        """Compare every open intent with the engine's objects, and update grants.

        Args:
            refused: whether the engine has just refused the change: what it did not create, others did.
        """
        while self._open:
            intent = self._open[0]
            created_by_others = refused and intent.kind is IntentKind.CREATE_COLLECTION
            happened = not created_by_others and await self._happened(intent)
            kept: Sequence[str] = ()
            async with self._policy_cache.change() as transaction:
                if happened:
                    kept = await _FOLLOW[intent.kind](transaction, intent)
                await transaction.intents.remove(intent.intent_id)
            self._open.pop(0)
            if happened:
                self._forget_ids(intent)
                self._recorder.note_system_event(
                    Event.GRANT_CHANGE, "FollowObject", **_followed_details(intent), **_kept_details(intent, kept)
                )

    async def _happened(self, intent: Intent) -> bool:
        """Return whether the engine executed the change.

        An intent to drop or rename is only stored for an object that exists, so its absence is the proof. An intent to
        create is only stored for an object that does not exist. Where others change objects too, one with another id is
        another object, and a collection has been renamed if it is found under its new name.
        """
        if intent.kind is IntentKind.DROP_DATABASE:
            await self._catalog.ensure(intent.db_name)
            return not self._catalog.has_database(intent.db_name)
        if intent.object_id:
            if intent.kind is IntentKind.DROP_COLLECTION:
                return await self._identity(intent.db_name, intent.object_name) != intent.object_id
            return await self._identity(intent.new_db_name, intent.new_object_name) == intent.object_id
        there = await self._has_collection(intent.db_name, intent.object_name)
        return there is (intent.kind is IntentKind.CREATE_COLLECTION)

    async def _identity(self, database: str, name: str) -> int | None:
        await self._catalog.ensure(database)
        return await self._catalog.identity(database, name) if self._catalog.has_database(database) else None

    async def _has_collection(self, database: str, name: str) -> bool:
        await self._catalog.ensure(database)
        if not self._catalog.has_database(database):
            return False
        request = messages.HasCollectionRequest(db_name=database, collection_name=name).SerializeToString()
        answer = await self._engine.call("HasCollection", request, metadata={"dbname": database}, timeout=_TIMEOUT)
        code = messages.status_code("HasCollection", answer)
        if code in _NO_SUCH_NAME:
            return False
        if code:
            raise EngineUnavailable("the engine cannot report whether a collection exists")
        return bool(messages.read_response(messages.BoolResponse, answer).value)


def _objects_of(row: Operation, resolved: ResolvedRequest) -> tuple[set[str], set[str]]:
    """Return the databases and the names of collections and aliases that a change is about."""
    databases = {resolved.database}
    if row.target_database:
        databases.add(str(resolved.fields[row.target_database]) or resolved.database)
    names = set(resolved.collections)
    for path in (*row.collections, *row.new_collections, *row.aliases, *row.creates):
        names.add(str(resolved.fields[path]))
    return databases, names - {""}


def _followed_details(intent: Intent) -> dict[str, str]:
    """Return what is recorded of grants that followed their object."""
    old = {"because": intent.kind.value, "database": intent.db_name, "object": intent.object_name}
    moved = {"to_database": intent.new_db_name, "to_object": intent.new_object_name}
    return {name: value for name, value in {**old, **moved}.items() if value}


def _kept_details(intent: Intent, roles: Sequence[str]) -> dict[str, Any]:
    """Return what is recorded of kept grants on a dropped collection, or of those that became ordinary grants again."""
    return {"user": intent.claimant.user_name, "kept_roles": list(roles)} if intent.claimant and roles else {}


async def _release(transaction: Transaction, intent: Intent) -> Released:
    """Remove the kept grants on the name of a collection to be created, except those of its creator."""
    if intent.kind is IntentKind.CREATE_COLLECTION:
        return await transaction.grants.release_object(intent.db_name, intent.object_name, intent.claimant)
    if intent.kind is IntentKind.RENAME_COLLECTION:
        return await transaction.grants.release_object(intent.new_db_name, intent.new_object_name, None)
    return Released((), ())


async def _after_drop_collection(transaction: Transaction, intent: Intent) -> Sequence[str]:
    return await transaction.grants.drop_object(intent.db_name, intent.object_name, kept_for=intent.claimant)


async def _after_drop_database(transaction: Transaction, intent: Intent) -> Sequence[str]:
    return await transaction.grants.drop_object(intent.db_name, None)


async def _after_rename(transaction: Transaction, intent: Intent) -> Sequence[str]:
    await transaction.grants.move_object(
        (intent.db_name, intent.object_name), (intent.new_db_name, intent.new_object_name)
    )
    return ()


async def _after_create_collection(transaction: Transaction, intent: Intent) -> Sequence[str]:
    return await transaction.grants.confirm_object(intent.db_name, intent.object_name)


_FOLLOW: Final[dict[IntentKind, Callable[[Transaction, Intent], Awaitable[Sequence[str]]]]] = {
    IntentKind.DROP_COLLECTION: _after_drop_collection,
    IntentKind.RENAME_COLLECTION: _after_rename,
    IntentKind.CREATE_COLLECTION: _after_create_collection,
    IntentKind.DROP_DATABASE: _after_drop_database,
}
