"""The locks of collections where several servers share a store.

For a collection with row policies they hold among all servers; for any other one, on this server alone.
"""

from kiteward.gateway.replicas.shared_locks import SharedLocks, Ticket
from kiteward.gateway.row_access.locks import CollectionLocks, Key
from kiteward.store.records import collection_subject


class SharedCollectionLocks(CollectionLocks):
    """Locks by collection. Within a server, and for each lock among the servers: first come, first served."""

    def __init__(self, shared: SharedLocks) -> None:
        """Set up without any lock.

        Args:
            shared: takes locks among the servers.
        """
        super().__init__()
        self._shared = shared
        self._tickets: dict[Key, list[Ticket]] = {}

    async def acquire(self, key: Key, *, alone: bool, protected: bool = False) -> bool:
        """Take the lock of a collection. See `CollectionLocks.acquire`.

        That of a protected one counts as waited for: others may have changed something while the store was asked.

        Raises:
            LeaseOver, StoreUnavailable: the lock cannot be taken among the servers.
        """
        waited = await super().acquire(key, alone=alone)
        if not protected:
            return waited
        try:
            ticket = await self._shared.acquire(collection_subject(*key), alone=alone)
        except BaseException:
            super().release(key, alone=alone)
            raise
        self._tickets.setdefault(key, []).append(ticket)
        return True

    def confirm(self, key: Key) -> None:
        """Require that a lock is still held among the servers. See `CollectionLocks.confirm`."""
        for ticket in self._tickets[key]:
            self._shared.confirm(ticket)

    def release(self, key: Key, *, alone: bool, protected: bool = False) -> None:
        """Give a lock back. See `CollectionLocks.release`."""
        if protected:
            # Those who share a lock have tickets of the same kind.
            self._shared.release(self._tickets[key].pop())
            if not self._tickets[key]:
                del self._tickets[key]
        super().release(key, alone=alone)
