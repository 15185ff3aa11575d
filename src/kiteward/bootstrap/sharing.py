"""Servers that share a store: their leases, what changes wait for, and the membership of this one."""

import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from time import time
from typing import TYPE_CHECKING, Final

from kiteward import __version__
from kiteward.config.settings import Settings
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.policy_cache import Acknowledge, PolicyCache, alone
from kiteward.gateway.replicas.catalog_turn import OwnTurn, SharedTurn
from kiteward.gateway.replicas.lease import Lease
from kiteward.gateway.replicas.shared_locks import SharedLocks
from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.iam.services import Servers, unknown_servers
from kiteward.store.base import Store
from kiteward.store.records import ListedReplica, ReplicaRecord
from kiteward.store.sharing import ConnectedReplicas
from kiteward.telemetry.counters import ReplicaState
from kiteward.telemetry.telemetry import Telemetry

if TYPE_CHECKING:  # only servers that share a store need them, and load them when they start
    from kiteward.gateway.replicas.acknowledgements import Acknowledgements
    from kiteward.gateway.replicas.membership import Membership

_CALLS: Final = 2
"""Calls to the store within one lease, each of which may take as long as it is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What a process needs whose store others share; as it is here, nobody shares it.

    Attributes:
        me: this server; None if this process is none.
        lease: until when this process may decide.
        acknowledge: what each change waits for.
        replicas: the servers on the store; None if it is a file.
        acknowledgements: the same as `acknowledge`, None if the store is a file.
        locks: locks among the servers; None if the store is a file.
    """

    lease: Lease
    me: ReplicaRecord | None = None
    acknowledge: Acknowledge = alone
    replicas: ConnectedReplicas | None = None
    acknowledgements: "Acknowledgements | None" = None
    locks: SharedLocks | None = None

    def collection_locks(self) -> CollectionLocks:
        """Return the locks of collections, which hold among the servers where there are others."""
        if self.locks is None:
            return CollectionLocks()
        from kiteward.gateway.row_access.shared_locks import SharedCollectionLocks  # noqa: PLC0415  see above

        return SharedCollectionLocks(self.locks)

    def turn(self, policy_cache: PolicyCache) -> OwnTurn:
        """Return the turn to change the catalog."""
        return OwnTurn() if self.locks is None else SharedTurn(self.locks, policy_cache.follow_others)


def open_sharing(stack: AsyncExitStack, settings: Settings, store: Store, telemetry: Telemetry) -> Sharing:
    """Return what the policy of a server needs; `stack` closes it. The server may decide once it has joined."""
    replicas = store.replicas(patience=settings.replicas.lease / _CALLS)
    me = ReplicaRecord(
        "",
        settings.replicas.shown,
        math.inf if replicas is None else settings.replicas.lease,
        embedded=settings.engine is None,
        started_at=time(),
        version=__version__,
    )
    if replicas is None:
        return Sharing(lease=Lease.unlimited(), me=me)
    from kiteward.gateway.replicas.acknowledgements import Acknowledgements  # noqa: PLC0415  see above

    stack.push_async_callback(replicas.close)
    acknowledgements = Acknowledgements(replicas, observe=telemetry.observe_acknowledgement)
    stack.push_async_callback(acknowledgements.close)
    lease = Lease(settings.replicas.lease)
    locks = SharedLocks(replicas.locks, replicas, own_id=lambda: acknowledgements.own_id, lease=lease)
    stack.push_async_callback(locks.close)
    return Sharing(
        lease=lease,
        me=me,
        acknowledge=acknowledgements.wait,
        replicas=replicas,
        acknowledgements=acknowledgements,
        locks=locks,
    )


def open_for_command(stack: AsyncExitStack, settings: Settings, store: Store) -> Sharing:
    """Return what the policy of the command line needs; `stack` closes it. It waits for servers and is none."""
    sharing = open_sharing(stack, settings, store, Telemetry())
    if sharing.replicas is not None and sharing.acknowledgements is not None:
        sharing.replicas.start(sharing.acknowledgements)
    return replace(sharing, lease=Lease.unlimited(), me=None)


async def join(stack: AsyncExitStack, sharing: Sharing, policy_cache: PolicyCache) -> "Membership | None":
    """Join the servers that share the store, and follow their changes, until `stack` closes.

    Returns:
        The membership; None if the store is a file.

    Raises:
        ConfigurationError: another server is there, and one of the two has an embedded engine.
        StoreError: the store cannot be read or written.
    """
    if sharing.me is None or sharing.replicas is None or sharing.acknowledgements is None:
        return None
    from kiteward.gateway.replicas.membership import Membership  # noqa: PLC0415  see above

    membership = Membership(
        sharing.replicas,
        policy_cache,
        me=sharing.me,
        lease=sharing.lease,
        acknowledgements=sharing.acknowledgements,
    )
    sharing.replicas.start(membership)
    stack.push_async_callback(membership.leave)
    await membership.join()
    return membership


def follow_catalog(
    stack: AsyncExitStack,
    policy_cache: PolicyCache,
    membership: "Membership | None",
    *,
    catalog: Catalog,
    ddl: DdlExecutor,
    locks: CollectionLocks,
) -> None:
    """Follow what other servers change in the catalog, until `stack` closes. A server alone follows nothing."""
    if membership is None:
        return
    from kiteward.gateway.catalog_following import CatalogFollower  # noqa: PLC0415  see above

    follower = CatalogFollower(catalog, locks, ours=ddl.has_begun, finish=ddl.finish_later, drained=membership.drained)
    stack.push_async_callback(follower.close)
    policy_cache.observe_catalog(follower)


def servers_of(sharing: Sharing, policy_cache: PolicyCache) -> Callable[[], Awaitable[Servers]]:
    """Return what lists the servers that work with the store: where it is a file, this one alone."""

    async def shared() -> Servers:
        own_id = "" if sharing.acknowledgements is None else sharing.acknowledgements.own_id
        return Servers([] if sharing.replicas is None else await sharing.replicas.listed(), own_id)

    async def alone() -> Servers:
        if sharing.me is None:
            return await unknown_servers()
        revision = policy_cache.revision() or 0
        return Servers([ListedReplica(replace(sharing.me, applied_revision=revision), None, revision)])

    return alone if sharing.replicas is None else shared


def state_of(sharing: Sharing, membership: "Membership | None") -> ReplicaState | None:
    """Return the state of this server among others, for the metrics; None if the store is a file."""
    if membership is None or sharing.replicas is None or sharing.acknowledgements is None:
        return None
    return ReplicaState(
        lease=sharing.lease.remaining(),
        lag=membership.lag,
        listening=sharing.replicas.listening,
        late=sharing.acknowledgements.late,
    )
