"""The contract of what the servers that share a store know of each other: leases, revisions and locks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from kiteward.store.records import ListedReplica, ReplicaRecord


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

    async def renew(
        self, replica_id: str, applied: int, *, drained: int, answering: Collection[str] = ()
    ) -> int | None:
        """Renew the lease of a server, report what it has applied, and return the revision of the store.

        Args:
            replica_id: the server.
            applied: the revision of the policy that it decides by.
            drained: the revision as of which it has ended its writes; see `ReplicaRecord`.
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


class Locks(Protocol):
    """Locks by name that one server holds alone, or several together, in the order in which they ask.

    Requirements for every implementation:

    - A ticket is in the store from the end of `request` until it is released, or its server is no longer registered,
      whatever becomes of connections and of the database.
    - `before` finds every ticket of the name that was requested before, as long as it is there.
    - Every call ends in a time. After one that failed, what it does may still be done, at any time: a commit that
      waits for a standby waits for as long as that is away.
    """

    async def request(self, ticket: str, name: str, *, replica_id: str, alone: bool) -> None:
        """Ask for a lock.

        Args:
            ticket: names this request; it was never used before.
            name: the lock.
            replica_id: the server.
            alone: whether nobody else may hold it meanwhile; else nobody else who wants it alone.

        Raises:
            StoreUnavailable: it is not known whether the ticket is in the store, or the server is not registered.
        """
        ...

    async def before(self, ticket: str) -> Sequence[ReplicaRecord] | None:
        """Return the servers that a ticket waits for; it holds its lock when there are none.

        Returns:
            None if there is no such ticket (any more).

        Raises:
            StoreUnavailable: it cannot be read.
        """
        ...

    async def release(self, ticket: str) -> None:
        """Remove a ticket; an unknown one does nothing.

        Raises:
            StoreUnavailable: it is not known whether it was removed.
        """
        ...

    async def withdraw(self, ticket: str, *, replica_id: str) -> None:
        """Make that a ticket holds no lock and waits for none, also if its request is carried out only now or later.

        Args:
            ticket: the name of a request that has failed.
            replica_id: the server that made it.

        Raises:
            StoreUnavailable: it is not known whether that is so, or the server is not registered.
        """
        ...


class ConnectedReplicas(Replicas, Protocol):
    """The servers that share a store, over connections of their own."""

    @property
    def locks(self) -> Locks:
        """The locks that these servers take."""
        ...

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
