"""Finishes changes of the catalog of which the store knows that they were begun: by what the engine has now."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.base import Engine
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl_following import follow, followed_details, undo
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.milvus import messages
from kiteward.store.intent_records import Intent, IntentKind

ENGINE_TIMEOUT: Final = 300.0
"""Seconds that the engine may take for such a change.

The caller's own deadline does not apply, so that a change is not abandoned halfway.
"""

_NO_SUCH_NAME: Final = frozenset({100, 1100})
"""Codes of a name that no collection has: there is none, or the name is illegal (contract appendix A)."""

_KEEPING_IDS: Final = frozenset({IntentKind.CREATE_COLLECTION, IntentKind.CHANGE_COLLECTION})
"""What gives no name to another object, so that ids stay what they are."""


class IntentFinisher:
    """Compares open intents with the engine's objects, and lets the store follow those that were carried out."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        policy_cache: PolicyCache,
        recorder: SystemEventRecorder,
    ) -> None:
        self._engine = engine
        self._catalog = catalog
        self._policy_cache = policy_cache
        self._recorder = recorder

    async def finish(self, unfinished: Callable[[], Sequence[Intent]], *, refused: bool = False) -> None:
        """Finish intents, the oldest first, until there are none.

        Args:
            unfinished: returns those that are left. No change of them is in progress.
            refused: whether the engine has just refused the change: what it did not create, others did.

        Raises:
            EngineError, StoreError: it failed, and can be repeated.
        """
        while intents := unfinished():
            intent = intents[0]
            created_by_others = refused and intent.kind is IntentKind.CREATE_COLLECTION
            happened = not created_by_others and await self._happened(intent)
            told: dict[str, Any] = {}
            async with self._policy_cache.change() as transaction:
                # Another server may have finished it, if it took this one for dead.
                if await transaction.intents.remove(intent):
                    if not happened:
                        await undo(transaction, intent)
                    elif intent.kind is not IntentKind.CHANGE_COLLECTION:
                        followed = await follow(transaction, intent)
                        told = {**followed_details(intent), **followed.details(intent)}
                        await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "FollowObject", **told)
            if happened:
                self.forget_ids(intent)
            if told:
                self._recorder.note_followed("FollowObject", **told)

    def forget_ids(self, intent: Intent | None) -> None:
        """Forget the ids of a dropped or renamed object, so that they are not resolved to a name that is reused."""
        if intent is not None and intent.kind not in _KEEPING_IDS:
            self._catalog.forget_ids(intent.db_name, intent.object_name or None)

    async def _happened(self, intent: Intent) -> bool:
        """Return whether the engine executed the change.

        An intent to drop or rename is only stored for an object that exists, so its absence is the proof. An intent to
        create is only stored for an object that does not exist. Where others change objects too, one with another id is
        another object, and a collection has been renamed if it is found under its new name.
        """
        if intent.kind is IntentKind.CHANGE_COLLECTION:
            return True
        if intent.kind is IntentKind.DROP_DATABASE:
            await self._catalog.ensure(intent.db_name)
            return not self._catalog.has_database(intent.db_name)
        if intent.object_id:
            if intent.kind is IntentKind.DROP_COLLECTION:
                return await self._identity(intent.db_name, intent.object_name) != intent.object_id
            return await self._identity(intent.new_db_name, intent.new_object_name) == intent.object_id
        there = await self.has_collection(intent.db_name, intent.object_name)
        return there is (intent.kind is IntentKind.CREATE_COLLECTION)

    async def _identity(self, database: str, name: str) -> int | None:
        await self._catalog.ensure(database)
        return await self._catalog.identity(database, name) if self._catalog.has_database(database) else None

    async def has_collection(self, database: str, name: str) -> bool:
        """Return whether the engine has a collection or alias of a name; a missing database has none.

        Raises:
            EngineError: it does not respond, or refuses.
        """
        await self._catalog.ensure(database)
        if not self._catalog.has_database(database):
            return False
        request = messages.HasCollectionRequest(db_name=database, collection_name=name).SerializeToString()
        metadata = {"dbname": database}
        answer = await self._engine.call("HasCollection", request, metadata=metadata, timeout=ENGINE_TIMEOUT)
        code = messages.status_code("HasCollection", answer)
        if code in _NO_SUCH_NAME:
            return False
        if code:
            raise EngineUnavailable("the engine cannot report whether a collection exists")
        return bool(messages.read_response(messages.BoolResponse, answer).value)
