"""Finds out that another server is dead, without comparing clocks."""

from collections.abc import Callable, Iterable
from typing import Final

from kiteward.gateway.replicas.lease import elapsed
from kiteward.store.records import ReplicaRecord

LOOK: Final = 0.02
"""Seconds between two looks at what another server has to do first."""


class Watch:
    """Watches how often servers renew their leases.

    One that has not renewed its lease for the length of it may not decide any more: its lease began before its last
    renewal was first seen. It is dead to the others once it was removed on the condition that it is still so.
    """

    def __init__(self, clock: Callable[[], float] = elapsed) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def over(self, replicas: Iterable[ReplicaRecord]) -> list[ReplicaRecord]:
        """Return the servers whose leases are over, of those that were just read from the store."""
        now = self._clock()
        found = []
        for replica in replicas:
            renewals, since = self._seen.get(replica.replica_id, (-1, now))
            if renewals != replica.renewals:
                self._seen[replica.replica_id] = (replica.renewals, now)
            elif now >= since + replica.lease:
                found.append(replica)
        return found
