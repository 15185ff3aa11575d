"""The policy in force: makes changes of the store, and updates the snapshot before each is acknowledged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from kiteward.audit.events import Event
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import CommitUnknown, LeaseOver, NotReady, RequestRefused, StoreUnavailable
from kiteward.gateway.catalog_news import CatalogNews, CatalogObserver, Unobserved
from kiteward.gateway.replicas.lease import Lease
from kiteward.store.base import Store
from kiteward.store.connections import UNKNOWN
from kiteward.store.intent_records import Intent
from kiteward.store.records import Committed, PolicyChanges, Subject, subject_collection
from kiteward.store.transaction import Transaction

Acknowledge = Callable[[Committed], Awaitable[None]]
"""Waits until no other server can decide by the state before a change that was committed."""


async def alone(_committed: Committed) -> None:
    """Wait for nobody: no other server shares the store."""


class ChangeRecord(Protocol):
    """The record of a change for the store that replicas share."""

    async def write(self, transaction: Transaction) -> None:
        """Write it in the transaction of the change.

        Raises:
            StoreUnavailable: it could not be written.
        """
        ...

    def committed(self) -> None:
        """Take note that the transaction was committed."""
        ...


class PolicyCache:
    """Holds the current snapshot, and makes every change of the store visible to decisions before it is acknowledged.

    INVARIANT: a change is not acknowledged between its commit and the end of `change()`; after that, every decision
    and every authentication applies it, on this server and on the others.

    INVARIANT: revisions are applied in their order. What is read of a change is read after it was committed, and what
    was authenticated before is forgotten after that, so that nothing older is left when it is applied.
    """

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        recorder: SystemEventRecorder,
        *,
        lease: Lease | None = None,
        acknowledge: Acknowledge = alone,
    ) -> None:
        """Set up without a policy.

        Args:
            store: holds the policy.
            authenticator: forgets the users and keys that have changed.
            recorder: records when a user is locked.
            lease: until when this server may decide; None if no other server shares the store.
            acknowledge: called with each change of this process after it was applied here, without any lock.
        """
        self._store = store
        self._recorder = recorder
        self._authenticator = authenticator
        self._lease = lease or Lease.unlimited()
        self._acknowledge = acknowledge
        self._applying = asyncio.Lock()
        self._current: PolicySnapshot | None = None
        self._intents: tuple[Intent, ...] = ()
        self._catalog: CatalogObserver = Unobserved()
        authenticator.change_by(self.change, lock=self._lock, events=recorder)

    def require_lease(self) -> None:
        """Require that this server may decide and authenticate now.

        Raises:
            LeaseOver: the store has not responded for too long, so that this server may not know the latest changes.
        """
        if not self._lease.held():
            raise LeaseOver("this server has lost contact with its store and accepts no request until it is back")

    def current(self) -> PolicySnapshot:
        """Return the policy in force.

        Raises:
            NotReady: it could not be loaded, or not be updated with a change; no request can be decided.
            LeaseOver: as `require_lease`.
        """
        self.require_lease()
        if self._current is None:
            raise NotReady("the policy is not loaded")
        return self._current

    def revision(self) -> int | None:
        """Return the revision of the policy in force, or None while there is none."""
        return None if self._current is None else self._current.revision

    @property
    def intents(self) -> Sequence[Intent]:
        """The changes of the engine that are not finished, as of the revision, oldest first; whoever began them."""
        return self._intents

    def drained(self) -> int:
        """Return the revision as of which this server has ended its writes; see `ReplicaRecord`."""
        revision, awaited = self.revision() or 0, self._catalog.awaited()
        return revision if awaited is None else min(revision, awaited - 1)

    def observe_catalog(self, observer: CatalogObserver) -> None:
        """From now on tell an observer of each applied revision that concerns the catalog, first of the present one."""
        self._catalog = observer
        observer.note(CatalogNews(self.revision() or 0, None, self._intents))

    async def load(self) -> None:
        """Load the whole policy from the store, unless it was loaded while this call waited for others that apply it.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        async with self._applying:
            if self._current is None:
                await self._reload()

    @contextlib.asynccontextmanager
    async def change(
        self, still_allowed: Callable[[], Awaitable[None]] | None = None, *, record: ChangeRecord | None = None
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that is committed and applied to the snapshot at the end of the block.

        An exception in the block rolls it back. Where others share the store, the next transaction begins while this
        one waits for them. A request that is refused with `RequestRefused` waits for them too: what it was refused for
        may be what an earlier attempt has made, whose outcome is not known.

        Args:
            still_allowed: called when the transaction has begun; raises if the caller is no longer allowed to do this.
            record: is written in the transaction.

        Raises:
            CommitUnknown: it is not known whether it was committed; or it was and could not be applied here, so that no
                request is decided until the policy is loaded again, and is not acknowledged.
            StoreUnavailable: it could not be committed; nothing has changed.
        """
        try:
            async with self._store.transaction() as transaction:
                await self.follow_others()
                if still_allowed is not None:
                    await still_allowed()
                yield transaction
                if record is not None:
                    await record.write(transaction)
                committed = await transaction.commit()
                if record is not None:
                    record.committed()
                if committed.changes:
                    await self._follow(committed)
        except RequestRefused:
            # What it was refused for, such as that something exists, is confirmed as what was left unchanged is.
            await self._acknowledge(await self._confirmed())
            raise
        # Also where nothing was left to change: another attempt may have made it, and not every server has applied it.
        await self._acknowledge(committed)

    async def _confirmed(self) -> Committed:
        """Return what is committed by now, when a failover cannot undo it."""
        async with self._store.transaction() as transaction:
            return await transaction.commit()

    async def follow_others(self) -> None:
        """Apply what other processes, such as the command line, have changed in the store.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        async with self._applying:
            if self._current is None or await self._store.revision() != self._current.revision:
                await self._catch_up()

    async def _follow(self, committed: Committed) -> None:
        """Apply a change of this process to decisions and authentication. Until then the old policy is in force."""
        async with self._applying:
            try:
                # Others may have committed after it, and both may have been applied already.
                if self._current is None or self._current.revision < committed.revision:
                    await self._catch_up()
            except BaseException as error:
                # A change that could not be applied leaves no snapshot: nothing is decided until the policy is loaded.
                self._authenticator.forget_all()
                self._current = None
                if isinstance(error, StoreUnavailable):
                    # Any other such error says to callers that nothing was changed, and SDKs repeat the request.
                    raise CommitUnknown(UNKNOWN) from error
                raise

    async def _catch_up(self) -> None:
        """Apply what has been committed. It is called with `_applying` held."""
        following = None if self._current is None else await self._store.changes_since(self._current.revision)
        if following is None or self._current is None:
            await self._reload()
            return
        snapshot = _next(self._current, following)
        self._authenticator.forget(*map(following.names, (Subject.USER, Subject.KEY, Subject.ISSUER)))
        self._authenticator.clear_failures(following.names(Subject.CREDENTIAL))
        self._authenticator.factors.clear_failures(following.names(Subject.FACTOR))
        before, self._current = self._current, snapshot
        if following.intents is not None:
            self._intents = following.intents
        names = frozenset(map(subject_collection, following.names(Subject.CATALOG)))
        protected = _newly_protected(before, snapshot) if following.collections else frozenset()
        if names or protected:
            self._catalog.note(CatalogNews(snapshot.revision, names, self._intents, protected))

    async def _reload(self) -> None:
        """Load the whole policy, and clear cached users and keys, which may have changed too."""
        while True:
            policy = await self._store.policy()
            revision, intents = await self._store.open_intents()
            if revision == policy.revision:
                break
        snapshot = PolicySnapshot.compile(policy)
        self._authenticator.forget_all()
        before, self._current, self._intents = self._current, snapshot, intents
        self._catalog.note(CatalogNews(revision, None, intents, _newly_protected(before, snapshot)))

    async def _lock(self, user_name: str) -> None:
        async with self.change() as transaction:
            user = await transaction.users.get(user_name)
            # A disabled user cannot sign in anyway; a lock would have to be removed as well when the user is enabled.
            # Where there is no password that could be guessed, others could lock the user at will.
            locked = user is not None and user.enabled and user.locked_at is None and user.has_password
            if locked:
                await transaction.users.lock(user_name)
                await self._recorder.store_system_event(transaction, Event.USER_CHANGE, "LockUser", userName=user_name)
        if locked:
            self._recorder.note_system_event(Event.USER_CHANGE, "LockUser", userName=user_name)


def _newly_protected(before: PolicySnapshot | None, now: PolicySnapshot) -> frozenset[tuple[str, str]]:
    """Return the collections whose row policies are enforced now and were not before."""
    held = {} if before is None else before.row_rules
    return frozenset(
        key for key, rules in now.row_rules.items() if rules.enabled and not (key in held and held[key].enabled)
    )


def _next(snapshot: PolicySnapshot, following: PolicyChanges) -> PolicySnapshot:
    if following.groups:
        snapshot = snapshot.with_groups(following.groups)
    if following.collections:
        snapshot = snapshot.with_collections(following.collections)
    return snapshot.with_roles(following.roles, revision=following.revision)
