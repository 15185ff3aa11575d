"""Locks in PostgreSQL that outlive connections: rows that belong to the registration of a server."""

from collections.abc import Sequence
from typing import Final

from kiteward.store.postgresql.link import Link
from kiteward.store.postgresql.session import LOCKS
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import ReplicaRecord

_ABOVE: Final = 1 << 30
"""Set in the second number of the advisory lock of a name, so that it is none of those that `session.py` has."""

_REQUEST: Final = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($5, hashtext($2) | $6))
INSERT INTO locks (ticket, name, replica_id, alone) SELECT $1, $2, $3, $4 FROM turn
"""
"""The number of the ticket is drawn after the lock of the name was taken, and that is released when the commit is
visible. So whoever has a number sees all lower ones of the same name."""

_BEFORE: Final = """
SELECT DISTINCT replicas.replica_id, replicas.name, replicas.lease, embedded, started_at, renewals, applied_revision,
    drained_revision
FROM locks AS mine
LEFT JOIN locks AS earlier
    ON earlier.name = mine.name AND earlier.number < mine.number AND (earlier.alone OR mine.alone)
LEFT JOIN replicas ON replicas.replica_id = earlier.replica_id
WHERE mine.ticket = $1
"""
_RELEASE: Final = """
WITH released AS (DELETE FROM locks WHERE ticket = $1)
SELECT pg_logical_emit_message(true, 'kiteward', '')
"""
"""The message is read by nobody. It lets the commit wait for the standby also where an earlier attempt has deleted the
row: if the standby does not have that and takes over, the ticket is back, and nobody would release it again."""

_WITHDRAW: Final = """
INSERT INTO locks (ticket, name, replica_id, alone) VALUES ($1, $1, $2, false)
ON CONFLICT (ticket) DO UPDATE SET name = excluded.name
"""
"""The row waits for a request that is about to commit, and lets one that comes later fail, because it has the same
ticket. It names a lock that nobody takes, and goes with the registration of the server."""


class PostgresqlLocks:
    """Implements `kiteward.store.sharing.Locks`, which documents the contract of each method."""

    def __init__(self, settings: PostgresqlSettings) -> None:
        """Set up without a connection.

        Args:
            settings: the database; each statement ends within its timeout.
        """
        self._link = Link(settings)

    async def request(self, ticket: str, name: str, *, replica_id: str, alone: bool) -> None:
        await self._link.fetch(_REQUEST, ticket, name, replica_id, alone, LOCKS, _ABOVE)

    async def before(self, ticket: str) -> Sequence[ReplicaRecord] | None:
        rows = await self._link.fetch(_BEFORE, ticket)
        return [ReplicaRecord(*row) for row in rows if row[0] is not None] if rows else None

    async def release(self, ticket: str) -> None:
        await self._link.fetch(_RELEASE, ticket)

    async def withdraw(self, ticket: str, *, replica_id: str) -> None:
        await self._link.fetch(_WITHDRAW, ticket, replica_id)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()
