"""The users who hold privileges on a collection, and the grants that give them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authn.principals import AccessBlock
from kiteward.authz.explanation import allowing_grants_of, condition_of, held_privileges
from kiteward.authz.model import Grant
from kiteward.authz.policy import PolicySnapshot, decide_administrator
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.identity import FederatedName, Principal
from kiteward.iam.caller import Caller
from kiteward.iam.object_lookup import behind_alias, exists
from kiteward.iam.services import Services
from kiteward.store.records import UserRecord

_EXAMINED: Final = 10_000
"""Most users that are examined for one page."""

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class CollectionHolder:
    """A user who holds privileges on a collection.

    Attributes:
        user_name: the user.
        administrator: whether it is an administrator, who needs no grants.
        privileges: the privileges held.
        grants: the grants that give them.
        key_ids: its API keys that hold some of the privileges.
        block: why the user cannot authenticate, or None.
        identity: who the user is at an identity provider, or None.
    """

    user_name: str
    administrator: bool
    privileges: tuple[str, ...]
    grants: Sequence[Grant]
    key_ids: Sequence[str]
    block: AccessBlock | None
    identity: FederatedName | None = None


@dataclass(frozen=True, slots=True)
class HoldersPage:
    """A page of holders by user name.

    Attributes:
        database, collection: the object of the privileges, aliases resolved.
        exists: whether the collection exists; None where that is not known.
        holders: the holders.
        next: the user name after which the next page begins; empty at the end.
    """

    database: str
    collection: str
    exists: bool | None
    holders: Sequence[CollectionHolder]
    next: str


async def list_holders(
    services: Services, caller: Caller, *, database: str, collection: str, after: str, limit: int
) -> HoldersPage:
    """Return a page of the users who hold privileges on a collection, or for `*` on all of a database.

    Args:
        services: what services work with.
        caller: an administrator.
        database: the database.
        collection: the collection or an alias.
        after: the last user name of the previous page, or empty.
        limit: most holders of the page.
    """
    name = await behind_alias(services.catalog, database, collection)
    search = _Search(services, caller.snapshot, database, name)
    found: list[CollectionHolder] = []
    examined, more = 0, True
    while more and len(found) < limit and examined < _EXAMINED:
        records = await services.store.users(after=after, limit=_BATCH)
        more = len(records) == _BATCH
        for record in records:
            after, examined = record.name, examined + 1
            holder = await search.examine(record)
            if holder is not None:
                found.append(holder)
                if len(found) == limit:
                    more = True
                    break
    there = await exists(services.catalog, database, name)
    return HoldersPage(database, name, there, found, after if more else "")


class _Search:
    """Examines users one after another. The privileges of equal sets of roles are computed once."""

    def __init__(self, services: Services, snapshot: PolicySnapshot, database: str, name: str) -> None:
        self._services = services
        self._principals = services.principals
        self._snapshot = snapshot
        self._database = database
        self._name = name
        self._known: dict[tuple[frozenset[str], bool], tuple[tuple[str, ...], Sequence[Grant]]] = {}

    async def examine(self, record: UserRecord) -> CollectionHolder | None:
        """Return the privileges of a user on the object, or None if there are none."""
        state = await self._principals.of_user(record)
        privileges, grants = await self._held(state.principal)
        if not privileges:
            return None
        keys = await self._services.store.keys(owner=record.name)
        holding = [key.key_id for key in keys if (await self._held(await self._principals.of_key([key], record)))[0]]
        administrator = decide_administrator(state.principal).allowed
        identity = state.principal.identity
        return CollectionHolder(record.name, administrator, privileges, grants, holding, state.closed, identity)

    async def _held(self, principal: Principal) -> tuple[tuple[str, ...], Sequence[Grant]]:
        known = self._known.get((principal.roles, principal.unrestricted))
        if known is None:
            privileges = held_privileges(principal, self._database, self._name, self._snapshot)
            known = privileges, await asyncio.to_thread(self._grants, principal, privileges)
            self._known[principal.roles, principal.unrestricted] = known
        return known

    def _grants(self, principal: Principal, privileges: tuple[str, ...]) -> Sequence[Grant]:
        if decide_administrator(principal).allowed:
            return ()
        conditions = [condition_of(PRIVILEGES[name], self._database, self._name) for name in privileges]
        held = self._snapshot.held_by(principal)
        found = (grant for each in conditions for grant in allowing_grants_of(held, each, self._snapshot))
        return tuple(dict.fromkeys(found))
