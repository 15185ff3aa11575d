"""The policy in force: makes changes of the store, and updates the snapshot before each is acknowledged."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol

from kiteward.audit.events import Event
from kiteward.authn.authenticator import Authenticator
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import NotReady
from kiteward.store.base import Store
from kiteward.store.records import Change, Committed, Subject, subject_collection
from kiteward.store.transaction import Transaction


class SystemEventRecorder(Protocol):
    """Records what the server does on its own."""

    def note_system_event(self, event: Event, operation: str, **details: Any) -> None:
        """Record it."""
        ...

    async def store_system_event(self, transaction: Transaction, event: Event, operation: str, **details: Any) -> None:
        """Store it in the transaction of the change, where replicas share the store.

        Raises:
            StoreUnavailable: it could not be written.
        """
        ...


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
    and every authentication applies it. The snapshot is updated while the writer is held, so that changes are applied
    in their order.
    """

    def __init__(self, store: Store, authenticator: Authenticator, recorder: SystemEventRecorder) -> None:
        self._store = store
        self._recorder = recorder
        self._authenticator = authenticator
        self._current: PolicySnapshot | None = None
        authenticator.on_lockout(self._lock)

    def current(self) -> PolicySnapshot:
        """Return the policy in force.

        Raises:
            NotReady: it could not be loaded, or not be updated with a change; no request can be decided.
        """
        if self._current is None:
            raise NotReady("the policy is not loaded")
        return self._current

    def revision(self) -> int | None:
        """Return the revision of the policy in force, or None while there is none."""
        return None if self._current is None else self._current.revision

    async def load(self) -> None:
        """Load the whole policy from the store, unless it was loaded while this call waited for the writer.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        async with self._store.transaction():
            # While the writer is held, no change can happen between reading and installing.
            if self._current is None:
                await self._reload()

    @contextlib.asynccontextmanager
    async def change(
        self, still_allowed: Callable[[], Awaitable[None]] | None = None, *, record: ChangeRecord | None = None
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that is committed and applied to the snapshot at the end of the block.

        An exception in the block rolls it back.

        Args:
            still_allowed: called when the transaction has begun; raises if the caller is no longer allowed to do this.
            record: is written in the transaction.

        Raises:
            StoreUnavailable: it could not be committed; nothing has changed.
            NotReady: it was committed but not applied; no request is decided until the policy is loaded again.
        """
        async with self._store.transaction() as transaction:
            await self._catch_up()
            if still_allowed is not None:
                await still_allowed()
            yield transaction
            if record is not None:
                await record.write(transaction)
            committed = await transaction.commit()
            if record is not None:
                record.committed()
            await self._follow(committed)

    async def _follow(self, committed: Committed) -> None:
        """Apply a committed change to decisions and authentication. Until then the old policy is in force."""
        if not committed.changes:
            return
        following: PolicySnapshot | None = None
        try:
            following = await self._next(committed)
        finally:
            # A change that could not be applied leaves no snapshot: nothing is decided until the policy loads again.
            self._authenticator.forget(_names(committed.changes, Subject.USER), _names(committed.changes, Subject.KEY))
            self._authenticator.clear_failures(_names(committed.changes, Subject.CREDENTIAL))
            self._current = following

    async def follow_others(self) -> None:
        """Apply what another process, such as the command line, has changed in the store.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        if self._current is None or await self._store.revision() == self._current.revision:
            return
        async with self._store.transaction():
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Apply changes of other processes. It is called with the writer held, so that no other change can happen."""
        if self._current is None:
            return
        revision = await self._store.revision()
        if revision == self._current.revision:
            return
        changes = await self._store.changes_since(self._current.revision)
        if changes is not None:
            await self._follow(Committed(revision, tuple(changes)))
            return
        self._current = None
        await self._reload()

    async def _reload(self) -> None:
        """Load the whole policy with the writer held, and clear cached users and keys, which may have changed too."""
        self._authenticator.forget_all()
        self._current = PolicySnapshot.compile(await self._store.policy())

    async def _lock(self, user_name: str) -> None:
        async with self.change() as transaction:
            user = await transaction.users.get(user_name)
            # A disabled user cannot sign in anyway; a lock would have to be removed as well when the user is enabled.
            locked = user is not None and user.enabled and user.locked_at is None
            if locked:
                await transaction.users.lock(user_name)
                await self._recorder.store_system_event(transaction, Event.USER_CHANGE, "LockUser", userName=user_name)
        if locked:
            self._recorder.note_system_event(Event.USER_CHANGE, "LockUser", userName=user_name)

    async def _next(self, committed: Committed) -> PolicySnapshot:
        groups = {name: await self._store.group(name) for name in _names(committed.changes, Subject.GROUP)}
        roles = {name: await self._store.role(name) for name in _names(committed.changes, Subject.ROLE)}
        collections = [subject_collection(name) for name in _names(committed.changes, Subject.COLLECTION)]
        protected = {(database, name): await self._store.protected(database, name) for database, name in collections}
        snapshot = self.current()
        if groups:
            snapshot = snapshot.with_groups(groups)
        if protected:
            snapshot = snapshot.with_collections(protected)
        return snapshot.with_roles(roles, revision=committed.revision)


def _names(changes: Iterable[Change], subject: Subject) -> list[str]:
    return [change.name for change in changes if change.subject is subject]
