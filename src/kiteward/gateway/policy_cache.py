"""The policy in force: changes to the store, and the snapshot that follows each of them before it is acknowledged."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol

from kiteward.audit.events import Event
from kiteward.authn.authenticator import Authenticator
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import NotReady
from kiteward.store.base import Store
from kiteward.store.records import Change, Committed, Subject
from kiteward.store.transaction import Transaction


class SystemEventRecorder(Protocol):
    """Records what the server does of its own accord."""

    def note_system_event(self, event: Event, operation: str, **details: Any) -> None:
        """Record it."""
        ...


class PolicyCache:
    """Holds the current snapshot, and makes every change of the store visible to decisions before it is acknowledged.

    INVARIANT: between the commit of a change and the end of `change()` nobody has been told of it; after that, every
        decision and
    every authentication sees it. The snapshot follows inside the writer's place, so that changes are followed in their
    order.
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
            NotReady: it could not be loaded, or could not follow a change; nothing can be decided.
        """
        if self._current is None:
            raise NotReady("the policy is not loaded")
        return self._current

    def revision(self) -> int | None:
        """Return the revision of the policy in force, None while there is none."""
        return None if self._current is None else self._current.revision

    async def load(self) -> None:
        """Load the whole policy from the store, unless that has happened by the time the writer's turn comes.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        async with self._store.transaction():
            # Inside the writer's place: no change can slip in between reading and installing.
            if self._current is None:
                await self._load_anew()

    @contextlib.asynccontextmanager
    async def change(self, still_allowed: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[Transaction]:
        """Open a transaction that is committed, and followed, at the end of the block.

        An exception in the block undoes it.

        Args:
            still_allowed: called when the writer's turn has come; raises if the caller may no longer do this.

        Raises:
            StoreUnavailable: it could not be committed; nothing has changed.
            NotReady: it was committed but could not be followed; nothing is decided until the policy loads again.
        """
        async with self._store.transaction() as transaction:
            await self._catch_up()
            if still_allowed is not None:
                await still_allowed()
            yield transaction
            committed = await transaction.commit()
            await self._follow(committed)

    async def _follow(self, committed: Committed) -> None:
        """Let decisions and authentication see a committed change. Until then the old policy holds: nobody was told."""
        if not committed.changes:
            return
        following: PolicySnapshot | None = None
        try:
            following = await self._next(committed)
        finally:
            # A change that could not be followed leaves no snapshot: nothing is decided until the policy loads again.
            self._authenticator.forget(_names(committed.changes, Subject.USER), _names(committed.changes, Subject.KEY))
            self._authenticator.clear_failures(_names(committed.changes, Subject.CREDENTIAL))
            self._current = following

    async def follow_others(self) -> None:
        """Follow what another process has changed in the store, such as the command line.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        if self._current is None or await self._store.revision() == self._current.revision:
            return
        async with self._store.transaction():
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Follow changes that are not ours; called in the writer's place, where no other can come in between."""
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
        await self._load_anew()

    async def _load_anew(self) -> None:
        """Load the whole policy, in the writer's place; whom it does not name may have changed with it."""
        self._authenticator.forget_all()
        self._current = PolicySnapshot.compile(await self._store.policy())

    async def _lock(self, user_name: str) -> None:
        async with self.change() as transaction:
            user = await transaction.users.get(user_name)
            # Who is disabled is kept out already, and comes in again by being enabled alone.
            locked = user is not None and user.enabled and user.locked_at is None
            if locked:
                await transaction.users.lock(user_name)
        if locked:
            self._recorder.note_system_event(Event.USER_CHANGE, "LockUser", userName=user_name)

    async def _next(self, committed: Committed) -> PolicySnapshot:
        groups = {name: await self._store.group(name) for name in _names(committed.changes, Subject.GROUP)}
        roles = {name: await self._store.role(name) for name in _names(committed.changes, Subject.ROLE)}
        before = self.current()
        snapshot = before.with_groups(groups) if groups else before
        return snapshot.with_roles(roles, revision=committed.revision)


def _names(changes: Iterable[Change], subject: Subject) -> list[str]:
    return [change.name for change in changes if change.subject is subject]
