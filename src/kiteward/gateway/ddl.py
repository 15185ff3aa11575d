"""Changes of databases, collections and aliases: the engine executes them, and grants and catalog are updated.

Dropping a collection or database drops its grants, and renaming moves them, so that a new object with an old name
inherits nothing. Only a user who drops a collection keeps what its own roles hold on the name, until another user
creates one with that name (decision 0030).

A change is stored as an intent before the engine is called, so that a crash in between cannot separate grants from
objects. Open intents are compared with the engine at the next start, and completed or discarded (`ddl_recovery.py`).

Servers that share a store change the catalog one after another, on whichever of them (decision 0059). Their intents
announce to the others which collections are about to be changed, so that nobody writes to these meanwhile. What a dead
server has begun is finished by the next one that has the turn.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.domain.errors import CollectionNotFound, EngineError, LeaseOver, StoreError
from kiteward.engine.base import Engine
from kiteward.gateway import row_properties
from kiteward.gateway.authorize import AuthorizedRequest, require_authorized
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl_following import followed_details, prepare
from kiteward.gateway.ddl_objects import mark_of, objects_of
from kiteward.gateway.ddl_recovery import ENGINE_TIMEOUT, IntentFinisher
from kiteward.gateway.operations import Operation
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.replicas.catalog_turn import OwnTurn
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.iam.row_policies import (
    Place,
    PropertyChange,
    apply_properties,
    logged,
    warnings_of,
)
from kiteward.milvus import messages
from kiteward.store.intent_records import Intent, IntentKind

_log = logging.getLogger("kiteward.gateway")
_PAUSE: Final = 0.5
"""Seconds between two attempts to reach an engine that did not respond."""

_OTHERS: Final = 3.0
"""Seconds that a change of another server may take before it is looked whether that server is dead."""


class DdlExecutor:
    """Executes the operations that create, drop or rename databases, collections or aliases, one at a time."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        policy_cache: PolicyCache,
        recorder: SystemEventRecorder,
        *,
        among: OwnTurn | None = None,
    ) -> None:
        """Set up without any change.

        Args:
            engine: executes the changes.
            catalog: what the engine has.
            policy_cache: changes the store.
            recorder: records what follows a change.
            among: the turn among the servers that share the store; None if there are no others.
        """
        self._engine = engine
        self._recorder = recorder
        self._catalog = catalog
        self._policy_cache = policy_cache
        self._among = among or OwnTurn()
        self._finisher = IntentFinisher(engine, catalog, policy_cache, recorder)
        self._turn = asyncio.Lock()
        self._begun: set[int] = set()
        self._recovery: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop waiting for the results of changes whose response was lost; the next start completes them."""
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])

    async def recover(self) -> None:
        """Complete or discard the intents that were open when the server last stopped.

        If the engine does not respond now, this is done when it does; no change is made before. Beside other servers,
        it is done when those that are alive have finished theirs.
        """
        await self._policy_cache.follow_others()
        if self._among.shared:
            if self._unfinished():
                self.finish_later()
            return
        self._begun.update(intent.intent_id for intent in self._policy_cache.intents)
        try:
            async with self._turn:
                await self._reconcile()
        except EngineError as error:
            _log.warning("changes that the last stop interrupted are completed when the engine responds: %s", error)
            self.finish_later()

    def turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold the turn among the servers that share the store, without which nothing is changed.

        It is taken before any lock of a collection: whoever has it waits for these locks on every server.
        """
        return self._among.held()

    def has_begun(self, intent: Intent) -> bool:
        """Return whether this process has begun a change."""
        return intent.intent_id in self._begun

    def finish_later(self) -> None:
        """Finish open intents soon: of ours after a lost response, of other servers if these are dead."""
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.create_task(self._recover_open_intents(), name="ddl-recovery")

    async def run(
        self, request: AuthorizedRequest, authorize_again: Callable[[], Awaitable[AuthorizedRequest]]
    ) -> bytes:
        """Have the engine execute a change, and update grants and catalog. The caller holds the `turn`.

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
            await self._catalog.renew(*objects_of(request.operation, request.resolved))
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
            if intent.kind is IntentKind.CREATE_COLLECTION:
                return await self._created(row, resolved, intent)
            return await self._ask(row, resolved, intent)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep databases, collections and aliases from being changed by Kiteward until the block ends.

        Raises:
            EngineError, StoreError: an earlier change cannot be completed now.
        """
        async with self.turn(), self._turn:
            await self._reconcile()
            yield

    async def release_kept(self, appeared: Callable[[str, str], bool]) -> None:
        """Remove the grants that are kept on names of collections that others than we have created (decision 0030).

        Args:
            appeared: returns whether there is a collection, by its database and name.

        Raises:
            EngineError, StoreError: it failed, and can be repeated.
        """
        async with self.turn(), self._turn:
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
            there = await self._finisher.has_collection(intent.db_name, intent.object_name)
            if there and properties is not None:
                rules = self._policy_cache.current().row_rules.get((intent.db_name, intent.object_name))
                row_properties.require_as_given(rules, intent.object_name, properties)
            return not there
        if not await self._finisher.has_collection(intent.db_name, intent.object_name):
            return False
        renamed = intent.kind is IntentKind.RENAME_COLLECTION
        return not (renamed and await self._finisher.has_collection(intent.new_db_name, intent.new_object_name))

    async def _define(self, row: Operation, resolved: ResolvedRequest, properties: PropertyChange | None) -> bytes:
        """Have the engine execute a change that nothing has to follow, and change the properties of row policies.

        What enforces them precedes the engine's part, and stays if that fails. What does not follows it.

        Raises:
            CollectionNotFound: there is no such collection.
        """
        mark = mark_of(row, resolved)
        if properties is None:
            return await self._apart(row, resolved, lambda: self._ask(row, resolved, None), mark=mark)
        target = Place(resolved.database, next(iter(resolved.collections), ""))
        if not target.collection or not await self._finisher.has_collection(target.database, target.collection):
            raise CollectionNotFound(
                f"collection not found[database={target.database}][collection={target.collection}]"
            )
        work = functools.partial(self._with_properties, row, resolved, target, properties)
        return await self._apart(row, resolved, work, mark=mark)

    async def _with_properties(
        self, row: Operation, resolved: ResolvedRequest, target: Place, properties: PropertyChange
    ) -> bytes:
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
            return await self._created(row, resolved, intent)
        answer = await self._finished(row, lambda: self._ask(row, resolved, intent))
        if properties is not None:
            self._warn_of_row_policies(Place(intent.db_name, intent.object_name))
        return answer

    async def _finished(self, row: Operation, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """Execute a change whose intent is stored, and finish it; later, if its outcome is not known."""
        try:
            answer = await work()
            await self._reconcile(refused=messages.status_code(row.name, answer) != 0)
        except (EngineError, StoreError, LeaseOver):
            self.finish_later()
            raise
        return answer

    async def _created(self, row: Operation, resolved: ResolvedRequest, intent: Intent) -> bytes:
        """Create a collection that nothing has to follow."""
        mark = Intent(IntentKind.CHANGE_COLLECTION, intent.db_name, intent.object_name)
        return await self._apart(row, resolved, lambda: self._ask(row, resolved, intent), mark=mark)

    async def _apart(
        self, row: Operation, resolved: ResolvedRequest, work: Callable[[], Awaitable[bytes]], *, mark: Intent | None
    ) -> bytes:
        """Execute a change that nothing has to follow, and that other servers must know before it is acknowledged.

        Args:
            row: its row.
            resolved: the request.
            work: executes it.
            mark: what nobody may write to meanwhile.
        """
        if not self._among.shared:
            return await work()
        if mark is not None:
            await self._store_intent(mark, None)
            return await self._finished(row, work)
        try:
            answer = await work()
        except EngineError:
            await self._announce(row, resolved)  # it may have been made
            raise
        if messages.status_code(row.name, answer) == 0:
            await self._announce(row, resolved)
        return answer

    async def _announce(self, row: Operation, resolved: ResolvedRequest) -> None:
        databases, names = objects_of(row, resolved)
        async with self._policy_cache.change() as transaction:
            transaction.note_catalog((database, name) for database in databases for name in names or {""})

    async def _store_intent(self, intent: Intent, properties: PropertyChange | None) -> Intent | None:
        """Store an intent, after `prepare`.

        Returns:
            The intent as stored; None for a creation that nothing has to follow.
        """
        async with self._policy_cache.change() as transaction:
            await self._among.confirm_in(transaction)
            released = await prepare(transaction, intent, properties)
            stored = None
            if released.kept or properties is not None or intent.kind is not IntentKind.CREATE_COLLECTION:
                stored = replace(intent, intent_id=await transaction.intents.add(intent))
                self._begun.add(stored.intent_id)
            told = {**followed_details(intent), "roles": list(released.lost)}
            if released.lost:
                await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "ReleaseGrants", **told)
        if released.lost:
            self._recorder.note_system_event(Event.GRANT_CHANGE, "ReleaseGrants", **told)
        return stored

    def _unfinished(self) -> Sequence[Intent]:
        """Return the intents that are to be finished here: our own, and with the turn among servers all of them."""
        return [each for each in self._policy_cache.intents if self._among.shared or self.has_begun(each)]

    async def _reconcile(self, *, refused: bool = False) -> None:
        """Finish open intents; both turns are held. See `IntentFinisher.finish`."""
        await self._finisher.finish(self._unfinished, refused=refused)
        self._begun.clear()

    async def _recover_open_intents(self) -> None:
        """Until then, grants may be on the wrong name, and other servers write nothing to what it is about."""
        while unfinished := self._unfinished():
            await asyncio.sleep(_PAUSE if any(map(self.has_begun, unfinished)) else _OTHERS)
            if unfinished[0] not in self._unfinished():
                continue
            try:
                async with self.turn(), self._turn:
                    await self._reconcile()
            except (EngineError, StoreError, LeaseOver) as error:
                _log.warning("the outcome of a change is not known yet: %s", error)

    async def _ask(self, row: Operation, resolved: ResolvedRequest, intent: Intent | None) -> bytes:
        self._among.confirm()
        self._finisher.forget_ids(intent)
        try:
            return await self._engine.call(
                row.name, resolved.payload, metadata={"dbname": resolved.database}, timeout=ENGINE_TIMEOUT
            )
        finally:
            self._finisher.forget_ids(intent)
            self._catalog.forget(*objects_of(row, resolved))
            await self._refresh_quietly()

    async def _refresh_quietly(self) -> None:
        try:
            await self._catalog.refresh()
        except EngineError as error:
            # The catalog stays marked as stale; the next request that needs it tries again.
            _log.warning("reading databases and aliases after a change failed: %s", error)
