"""The contract of a store: reads at a revision, and transactions that advance it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kiteward.authz.model import Policy
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.audit_events import LineRange, StoredHead
from kiteward.store.records import (
    HashSchemes,
    KeyRecord,
    ListedReplica,
    PolicyChanges,
    ReplicaRecord,
    Subject,
    UserRecord,
)
from kiteward.store.transaction import Transaction


class Store(Protocol):
    """Keeps users, roles, role bindings, grants, groups, API keys, tags, row policies, intents and audit events.

    Requirements for every implementation, checked by `tests/conformance/store`:

    - Each read sees one committed state, also where it takes several statements, and never waits for a writer.
    - Transactions that write run one after another, also those of other processes on the same database. `Transaction`
      is the same class for all: an implementation opens it on a connection that keeps this order.
    - `Transaction.commit` returns when the changes are on disk. A transaction that fails, is cancelled or is left
      without a commit changes nothing, and after a statement that failed nothing more can be done in it.
    - A commit that may or may not have been carried out raises `CommitUnknown`. Whatever becomes of it, the next
      transaction begins after it.
    - A commit that changes something advances the revision by one, and the change feed names what it changed.
      `record_last_used`, intents and audit events advance no revision.
    - Names are compared and sorted by code point, case matters, and none is normalised.
    - An error of the database or its driver surfaces as `StoreUnavailable`, without the values of a statement.
    """

    @property
    def shared(self) -> bool:
        """Whether servers on several machines can work with it at the same time."""
        ...

    async def policy(self) -> Policy:
        """Return all roles, grants, groups and protected collections at one revision."""
        ...

    async def user(self, name: str) -> UserRecord | None:
        """Return one user with its role bindings, or None."""
        ...

    async def users(self, *, after: str = "", prefix: str = "", limit: int | None = None) -> Sequence[UserRecord]:
        """Return users with their role bindings, sorted by name.

        Args:
            after: only names that sort after this one.
            prefix: only names that begin so.
            limit: at most so many.
        """
        ...

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        """Return the kinds of password hashes that these users have, or that all have when None."""
        ...

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return an API key, then the keys that it descends from, the nearest first; empty where there is none."""
        ...

    async def keys(
        self, *, owner: str | None = None, root: str | None = None, after: str = "", limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """Return API keys sorted by id.

        Args:
            owner: only keys of this user.
            root: only this key and what descends from it.
            after: only ids that sort after this one.
            limit: at most so many.
        """
        ...

    async def revision(self) -> int:
        """Return the revision of the last change, whoever made it."""
        ...

    async def changes_since(self, revision: int) -> PolicyChanges | None:
        """Return what has changed after a revision, all of it as of one revision.

        Returns:
            None where the feed begins later or the revision is yet to come, or so much has changed that reading the
            whole policy is less.
        """
        ...

    async def record_last_used(self, *, users: Mapping[str, float], keys: Mapping[str, float]) -> None:
        """Store when users and keys were last used, in seconds since the epoch. It advances no revision."""
        ...

    async def user_names(self) -> Sequence[str]:
        """Return every user name, sorted."""
        ...

    async def users_with_tag(self, key: str, value: str) -> Sequence[str]:
        """Return the names of the users who have a tag of this key and value, sorted."""
        ...

    async def limited(self, subject: Subject) -> Sequence[tuple[str, RequestLimits]]:
        """Return the users, API keys or roles whose requests are limited, with their limits, sorted by name or id.

        Args:
            subject: USER, KEY or ROLE.
        """
        ...

    async def bindings(self, role: str | None) -> dict[str, tuple[str, ...]]:
        """Return role name -> names of the users bound to it, sorted; of one role, or of all when None."""
        ...

    async def audit_head(self) -> StoredHead:
        """Return where the chain of stored audit events begins and ends."""
        ...

    async def audit_lines(self, wanted: LineRange) -> Sequence[str]:
        """Return stored audit events as text, the oldest first."""
        ...

    async def audit_position(self, trail: str) -> int:
        """Return the number of the last line of a trail that was read for the store; 0 if none was."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction, the only one until it ends; leaving it without `commit` undoes everything.

        Raises:
            StoreUnavailable: no transaction could be begun.
        """
        ...

    def replicas(self, *, patience: float) -> "ConnectedReplicas | None":
        """Return the servers that share the store with this one; None where none can, because it is a file.

        Args:
            patience: seconds within which every call ends, except a registration, which is like any transaction.
        """
        ...

    async def close(self) -> None:
        """Close the connections. Calls afterwards raise `StoreUnavailable`."""
        ...


class ReplicaListener(Protocol):
    """Takes note of what other servers on the store announce.

    Nothing depends on it but how soon something is noticed: anybody with an account on the database server may be able
    to announce something too.
    """

    def changed(self, revision: int, announcer: str) -> None:
        """Take note of a change that was committed.

        Args:
            revision: the revision that it made.
            announcer: who waits for a report that it is applied, for `Replicas.renew`; empty if nobody does.
        """
        ...

    def applied(self, revision: int) -> None:
        """Take note that a server may have applied a revision."""
        ...


class Replicas(Protocol):
    """The servers that share a store.

    Requirements for every implementation, which the proof of decision 0054 rests on:

    - A renewal reads the revision after it has begun: it returns at least the revision of each commit that had ended
      before the call.
    - A registration runs in the order of the transactions that write, and each of those returns the servers that were
      registered before it.
    - A server whose removal has ended renews no more, also if the renewal had begun before.
    - Every call ends within a bounded time, whatever becomes of the database, and may be cancelled.
    """

    async def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> None:
        """Register a server, which has not renewed its lease yet.

        Args:
            replica: the server, with an id that was never registered.
            admit: called with the servers that are registered; what it raises prevents the registration.

        Raises:
            StoreUnavailable: it could not be written.
        """
        ...

    async def renew(self, replica_id: str, applied: int, *, answering: Collection[str] = ()) -> int | None:
        """Renew the lease of a server, report what it has applied, and return the revision of the store.

        Args:
            replica_id: the server.
            applied: the revision of the policy that it decides by.
            answering: those who announced changes and wait for this report.

        Returns:
            None if the server is not registered (any more).

        Raises:
            StoreUnavailable: it is not known whether the lease was renewed.
        """
        ...

    async def registered(self) -> Sequence[ReplicaRecord]:
        """Return the servers that are registered, sorted by name and id.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        ...

    async def behind(self, revision: int) -> Mapping[str, int]:
        """Return what the servers have applied that have not applied a revision: id -> revision.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        ...

    async def remove(self, replica_id: str, *, renewals: int | None = None) -> None:
        """Remove a server; an unknown one does nothing.

        Args:
            replica_id: the server.
            renewals: only if it has renewed its lease so often and no more; None for however often.

        Raises:
            StoreUnavailable: it is not known whether it was removed.
        """
        ...


class ConnectedReplicas(Replicas, Protocol):
    """The servers that share a store, over connections of their own."""

    @property
    def listening(self) -> bool:
        """Whether what others announce arrives; if not, it is noticed later, by looking."""
        ...

    async def listed(self) -> Sequence[ListedReplica]:
        """Return the servers as `registered`, with what people want to know of them.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        ...

    def start(self, listener: ReplicaListener) -> None:
        """Begin to listen, and go on until `close`, whatever becomes of the database.

        Args:
            listener: takes note of what others announce.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
