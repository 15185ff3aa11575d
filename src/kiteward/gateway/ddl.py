"""Changes of databases, collections and aliases: the engine executes them, and grants and catalog are updated.

Dropping a collection or database drops its grants, and renaming moves them, so that a new object with an old name
inherits nothing. Only a user who drops a collection keeps what its own roles hold on the name, until another user
creates one with that name (decision 0030).

A change is stored as an intent before the engine is called, so that a crash in between cannot separate grants from
objects. Open intents are compared with the engine at the next start, and completed or discarded.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CollectionNotFound, EngineError, EngineUnavailable, InvalidArgument, StoreError
from kiteward.engine.base import Engine
from kiteward.gateway import row_properties
from kiteward.gateway.authorize import AuthorizedRequest, require_authorized
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl_following import follow, followed_details, prepare, undo
from kiteward.gateway.operations import Operation
from kiteward.gateway.policy_cache import PolicyCache, SystemEventRecorder
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.iam.row_policies import (
    ENABLED,
    FORCE,
    Place,
    PropertyChange,
    apply_properties,
    logged,
    warnings_of,
)
from kiteward.milvus import messages
from kiteward.store.records import Intent, IntentKind

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
            properties = row_properties.read(row, resolved)
            if row.intent is None:
                return await self._define(row, resolved, properties)
            intent = row.intent(request.principal, resolved)
            if properties is not None:
                payload = row_properties.without(row.name, resolved.payload) or b""
                resolved = resolved._replace(payload=payload)
            if await self._is_possible(intent, properties):
                return await self._with_intent(row, resolved, intent, properties)
            if intent.kind is IntentKind.DROP_DATABASE:
                return messages.success(row.name)
            return await self._ask(row, resolved, intent)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep databases, collections and aliases from being changed here until the block ends.

        Raises:
            EngineError, StoreError: an earlier change cannot be completed now.
        """
        async with self._turn:
            await self._reconcile()
            yield

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
                    told: dict[str, Any] = {"because": "created_around_us", "database": database, "object": name}
                    told["roles"] = list(lost)
                    await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "ReleaseGrants", **told)
                    self._recorder.note_system_event(Event.GRANT_CHANGE, "ReleaseGrants", **told)

    async def _is_possible(self, intent: Intent, properties: PropertyChange | None) -> bool:
        """Return whether the change can happen, so that grants may have to follow.

        An object that does not exist cannot be dropped, and the engine refuses a name that is taken.
        """
        if intent.kind is IntentKind.DROP_DATABASE:
            await self._catalog.ensure(intent.db_name)
            return self._catalog.has_database(intent.db_name)
        if intent.kind is IntentKind.CREATE_COLLECTION:
            if properties is None and not await self._is_kept(intent):
                return False
            there = await self._has_collection(intent.db_name, intent.object_name)
            if there and properties is not None:
                self._require_protected_so(intent, properties)
            return not there
        if not await self._has_collection(intent.db_name, intent.object_name):
            return False
        renamed = intent.kind is IntentKind.RENAME_COLLECTION
        return not (renamed and await self._has_collection(intent.new_db_name, intent.new_object_name))

    def _require_protected_so(self, intent: Intent, properties: PropertyChange) -> None:
        """Require that a collection that exists already is protected as the request to create it says.

        An engine may answer that the collection was created, where it exists with the same schema.

        Raises:
            InvalidArgument: it is not.
        """
        rules = self._policy_cache.current().row_rules.get((intent.db_name, intent.object_name))
        given = ((ENABLED, properties.enabled), (FORCE, properties.force))
        held = (False, False) if rules is None else (rules.enabled, rules.force)
        for (name, wanted), value in zip(given, held, strict=True):
            if wanted not in (None, value):
                raise InvalidArgument(
                    f"the collection {intent.object_name} exists with another {name}: change it with AlterCollection",
                    ErrorDetail(ErrorCode.RLS_PROPERTY_DIFFERS, {"name": name}),
                )

    async def _define(self, row: Operation, resolved: ResolvedRequest, properties: PropertyChange | None) -> bytes:
        """Have the engine execute a change that nothing has to follow, and change the properties of row policies.

        What enforces them precedes the engine's part, and stays if that fails. What does not follows it.

        Raises:
            CollectionNotFound: there is no such collection.
        """
        if properties is None:
            return await self._ask(row, resolved, None)
        target = Place(resolved.database, next(iter(resolved.collections), ""))
        if not target.collection or not await self._has_collection(target.database, target.collection):
            raise CollectionNotFound(
                f"collection not found[database={target.database}][collection={target.collection}]"
            )
        async with self._policy_cache.change() as transaction:
            await apply_properties(transaction, target, properties.tightening)
        payload = row_properties.without(row.name, resolved.payload)
        answer = messages.success(row.name)
        if payload is not None:
            answer = await self._ask(row, resolved._replace(payload=payload), None)
        if messages.status_code(row.name, answer) == 0:
            async with self._policy_cache.change() as transaction:
                await apply_properties(transaction, target, properties)
            self._warn_of_row_policies(target)
        return answer

    def _warn_of_row_policies(self, target: Place) -> None:
        """Log and record what the operator of a collection should know whose properties were just set."""
        rules = self._policy_cache.current().row_rules.get((target.database, target.collection))
        warnings = [] if rules is None else warnings_of(rules.stored, shared=self._catalog.shared)
        if rules is not None and warnings:
            self._recorder.note_system_event(
                Event.ROW_POLICY_CHANGE,
                "WarnOfRowPolicies",
                database=target.database,
                object=target.collection,
                warnings=logged(rules.stored, warnings),
            )

    async def _is_kept(self, intent: Intent) -> bool:
        async with self._policy_cache.change() as transaction:
            return bool(await transaction.grants.kept_on(intent.db_name, intent.object_name))

    async def _with_intent(
        self, row: Operation, resolved: ResolvedRequest, intent: Intent, properties: PropertyChange | None
    ) -> bytes:
        if intent.kind in (IntentKind.DROP_COLLECTION, IntentKind.RENAME_COLLECTION):
            object_id = await self._catalog.identity(intent.db_name, intent.object_name)
            if object_id is None:  # it has just been dropped or renamed around us
                return await self._ask(row, resolved, intent)
            intent = replace(intent, object_id=object_id)
        if await self._store_intent(intent, properties) is None:
            return await self._ask(row, resolved, intent)
        try:
            answer = await self._ask(row, resolved, intent)
            await self._reconcile(refused=messages.status_code(row.name, answer) != 0)
            if properties is not None:
                self._warn_of_row_policies(Place(intent.db_name, intent.object_name))
        except (EngineError, StoreError):
            self._recover_later()
            raise
        return answer

    async def _store_intent(self, intent: Intent, properties: PropertyChange | None) -> Intent | None:
        """Store an intent, after `prepare`.

        Returns:
            The intent as stored; None for a creation that nothing has to follow.
        """
        async with self._policy_cache.change() as transaction:
            released = await prepare(transaction, intent, properties)
            stored = None
            if released.kept or properties is not None or intent.kind is not IntentKind.CREATE_COLLECTION:
                stored = replace(intent, intent_id=await transaction.intents.add(intent))
            told = {**followed_details(intent), "roles": list(released.lost)}
            if released.lost:
                await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "ReleaseGrants", **told)
        if released.lost:
            self._recorder.note_system_event(Event.GRANT_CHANGE, "ReleaseGrants", **told)
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
            told: dict[str, Any] = {}
            async with self._policy_cache.change() as transaction:
                if happened:
                    followed = await follow(transaction, intent)
                    told = {**followed_details(intent), **followed.details(intent)}
                    await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "FollowObject", **told)
                else:
                    await undo(transaction, intent)
                await transaction.intents.remove(intent.intent_id)
            self._open.pop(0)
            if happened:
                self._forget_ids(intent)
                self._recorder.note_system_event(Event.GRANT_CHANGE, "FollowObject", **told)

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
