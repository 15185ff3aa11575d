"""Finds the grants of collections that others drop, rename or replace in a remote engine, and removes them by setting.

Row policies are never removed: without them, a collection that others create under the name would be open. Those of a
collection that others rename are given to its new name, where they are found under the id of the collection.

A collection has vanished if a read of the catalog showed it, and all reads during some time after it did not, and the
engine then says that there is none. An engine that does not respond, or refuses, says nothing.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from kiteward.audit.events import Event
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.domain.errors import EngineError
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.upstream_catalog import Collections, UpstreamCatalog

_log = logging.getLogger("kiteward.gateway")


class VanishedGrants:
    """Watches the collections of a remote engine, and resolves what becomes of the grants on those that vanish."""

    def __init__(
        self,
        catalog: UpstreamCatalog,
        policy_cache: PolicyCache,
        *,
        ddl: DdlExecutor,
        recorder: SystemEventRecorder,
        after: float,
        removes: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a catalog from now on.

        Args:
            catalog: the catalog; it must not have been started.
            policy_cache: the policy whose grants are decided about.
            ddl: makes the changes that are ours.
            recorder: records what vanished, and which grants were removed.
            after: seconds that a collection must be absent.
            removes: whether its grants are then removed; otherwise they are only reported.
            clock: returns the time in seconds.
        """
        self._catalog = catalog
        self._policy_cache = policy_cache
        self._ddl = ddl
        self._recorder = recorder
        self._after = after
        self._removes = removes
        self._clock = clock
        self._gone: dict[tuple[str, str], float] = {}
        self._replaced: set[tuple[str, str]] = set()
        self._renamed: dict[tuple[str, str], tuple[str, str]] = {}
        self._collections: Collections = {}
        self._appeared = False
        self._read_at = float("-inf")
        catalog.observe(self._note)

    async def act(self) -> None:
        """Report what has changed since the last time, and remove grants by setting. It is called periodically.

        Raises:
            EngineError, StoreError: it failed, and is repeated by the next call.
        """
        if self._appeared:
            await self._ddl.release_kept(lambda database, name: name in self._collections.get(database, {}))
            self._appeared = False
        while self._renamed:
            await self._protect(*self._renamed.popitem())
        while self._replaced:
            self._report("ReplaceCollection", *self._replaced.pop())
        for key, since in list(self._gone.items()):
            if self._read_at - since >= self._after:
                await self._end(*key)
                self._gone.pop(key, None)

    def _note(self, before: Collections, now: Collections) -> None:
        """Compare two reads of the catalog. What has vanished between them is absent since then."""
        self._read_at, self._collections = self._clock(), now
        places = {number: (database, name) for database, there in now.items() for name, number in there.items()}
        for database, held in before.items():
            there = now.get(database, {})
            for name, number in held.items() - there.items():
                if number in places:
                    self._renamed[database, name] = places[number]
                if name in there:
                    self._replaced.add((database, name))
                else:
                    self._gone.setdefault((database, name), self._read_at)
        for database, there in now.items():
            self._appeared = self._appeared or bool(there.keys() - before.get(database, {}).keys())
        self._gone = {
            (database, name): since
            for (database, name), since in self._gone.items()
            if name not in now.get(database, {})
        }

    async def _protect(self, old: tuple[str, str], new: tuple[str, str]) -> None:
        """Protect a collection under the new name that others have given it, unless that is protected already."""
        rules = self._policy_cache.current().row_rules
        if old not in rules or new in rules:
            return
        told = {
            "because": "renamed_around_us",
            "database": old[0],
            "object": old[1],
            "to_database": new[0],
            "to_object": new[1],
        }
        async with self._policy_cache.change() as transaction:
            await transaction.row_policies.copy(old, new)
            await self._recorder.store_system_event(transaction, Event.ROW_POLICY_CHANGE, "FollowRename", **told)
        _log.warning("renamed around us: the row policies of %s.%s are those of %s.%s too", *old, *new)
        self._recorder.note_system_event(Event.ROW_POLICY_CHANGE, "FollowRename", **told)

    async def _end(self, database: str, name: str) -> None:
        known = self._roles_on(database, name) or (database, name) in self._policy_cache.current().row_rules
        if not known or await self._is_there(database, name):
            return
        self._report("VanishCollection", database, name)
        if not self._removes:
            return
        async with self._policy_cache.change() as transaction:
            lost = await transaction.grants.remove_plain(database, name)
            told: dict[str, Any] = {"because": "vanished_around_us", "database": database, "object": name}
            told["roles"] = list(lost)
            if lost:
                await self._recorder.store_system_event(transaction, Event.GRANT_CHANGE, "RemoveVanishedGrants", **told)
        if lost:
            self._recorder.note_system_event(Event.GRANT_CHANGE, "RemoveVanishedGrants", **told)

    async def _is_there(self, database: str, name: str) -> bool:
        """Return whether the engine has the collection, or an alias of this name."""
        if database not in await self._catalog.database_names():
            return False
        try:
            return await self._catalog.has_collection(database, name)
        except EngineError:
            if database in await self._catalog.database_names():
                raise
            return False

    def _report(self, what: str, database: str, name: str) -> None:
        roles = self._roles_on(database, name)
        rules = self._policy_cache.current().row_rules.get((database, name))
        policies = [] if rules is None else [policy.name for policy in rules.stored.policies]
        if not roles and rules is None:
            return
        _log.warning(
            "%s around us: %s.%s, on which %d roles have grants, with %d row policies",
            what,
            database,
            name,
            len(roles),
            len(policies),
        )
        self._recorder.note_system_event(
            Event.OBJECT_CHANGE,
            what,
            because="changed_around_us",
            database=database,
            object=name,
            roles=roles,
            **({} if rules is None else {"row_policies": policies}),
        )

    def _roles_on(self, database: str, name: str) -> list[str]:
        """Return the roles with grants on exactly this object, sorted."""
        return sorted(
            role for role, compiled in self._policy_cache.current().roles.items() if (database, name) in compiled.rows
        )
