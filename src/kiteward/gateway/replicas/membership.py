"""Keeps this server among those that share a store: it applies what others change, and renews its lease."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CommitUnknown, ConfigurationError, StoreError, StoreUnreachable
from kiteward.gateway.replicas.acknowledgements import Acknowledgements
from kiteward.gateway.replicas.lease import Lease, elapsed
from kiteward.store.records import ReplicaRecord
from kiteward.store.sharing import Replicas

_log = logging.getLogger("kiteward.gateway")

_RENEWALS: Final = 6
"""Renewals within one lease, so that a few may fail."""

_RETRIES: Final = 30
"""Attempts within one lease while the store does not answer."""


JOIN_PATIENCE: Final = 60.0
"""Seconds for which a server that starts tries to join the others while the store fails."""


class Policy(Protocol):
    """The policy that this server decides by."""

    def revision(self) -> int | None:
        """Return its revision, or None while there is none."""
        ...

    def drained(self) -> int:
        """Return the revision as of which this server has ended its writes; see `ReplicaRecord`."""
        ...

    async def follow_others(self) -> None:
        """Apply what others have changed. Raises StoreError if it cannot be read."""
        ...


class Membership:
    """This server among those that share the store. Implements `kiteward.store.sharing.ReplicaListener`.

    Attributes:
        lag: how many revisions the policy was behind the store at the last renewal.
    """

    def __init__(
        self,
        replicas: Replicas,
        policy: Policy,
        *,
        me: ReplicaRecord,
        lease: Lease,
        acknowledgements: Acknowledgements,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        """Set up without registering.

        Args:
            replicas: the servers on the store.
            policy: what this server decides by.
            me: this server; its id is replaced at each registration.
            lease: its lease.
            acknowledgements: what changes of this server wait for.
            clock: the clock of the lease.
        """
        self._replicas = replicas
        self._policy = policy
        self._me = me
        self._lease = lease
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._registered = False
        self._announced = 0
        self._answering: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.lag = 0

    async def join(self) -> None:
        """Register this server, and hold its lease when this returns; it is renewed until `leave`.

        A store that fails for a moment is tried again: it may be starting, or failing over.

        Raises:
            ConfigurationError: another server is registered, and one of the two has an embedded engine.
            StoreError: the store cannot be read or written, for a minute where that may be over in a while.
        """
        deadline = self._clock() + JOIN_PATIENCE
        while not self._lease.held():
            try:
                if not self._registered:
                    await self._register_beside_others()
                await self._turn()
            except (StoreUnreachable, CommitUnknown) as error:
                if self._clock() >= deadline:
                    raise
                self._note_failure(error)
                await asyncio.sleep(self._me.lease / _RETRIES)
        self._task = asyncio.create_task(self._keep(), name="renewing the lease")

    async def leave(self) -> None:
        """End the lease and remove this server, so that no change waits for it. The caller serves nobody any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._lease.end()
        if self._registered:
            self._registered = False
            with contextlib.suppress(StoreError, TimeoutError):
                await self._replicas.remove(self._me.replica_id)

    def changed(self, revision: int, announcer: str) -> None:
        """Apply a change soon, and report it to those who wait for that."""
        self._announced = max(self._announced, revision)
        if announcer:
            self._answering.add(announcer)
        self._wake.set()

    def drained(self) -> None:
        """Report soon that writes have ended that others wait for."""
        self._wake.set()

    def applied(self, revision: int) -> None:
        """Pass on that another server says that it has applied a revision."""
        self._acknowledgements.applied(revision)

    async def _keep(self) -> None:
        pause = self._me.lease / _RENEWALS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._turn()
                pause, self._failing = self._me.lease / _RENEWALS, False
            except Exception as error:  # noqa: BLE001  whatever it was, the lease has to be renewed again
                self._note_failure(error)
                pause = self._me.lease / _RETRIES

    async def _turn(self) -> None:
        if not self._registered:
            await self._register(self._me)
        announced, self._announced = self._announced, 0
        if announced > (self._policy.revision() or 0):
            await self._policy.follow_others()
        await self._renew()

    async def _renew(self) -> None:
        applied, drained = self._policy.revision() or 0, self._policy.drained()
        answering, self._answering = self._answering, set()
        sent = self._clock()
        try:
            revision = await self._replicas.renew(self._me.replica_id, applied, drained=drained, answering=answering)
        except BaseException:
            self._answering |= answering
            raise
        if revision is None:
            # Others have waited for the end of this lease.
            self._lease.end()
            self._registered = False
            self._wake.set()
            return
        self.lag = max(0, revision - applied)
        if applied != revision:  # lower where a backup of the store was restored
            self._wake.set()  # so that what is applied now is reported
            await self._policy.follow_others()
        if (self._policy.revision() or 0) >= revision:
            self._lease.extend(sent)

    async def _register_beside_others(self) -> None:
        """Register. Beside an embedded engine, wait for a lease first: the other server may be dead."""
        seen = await self._replicas.registered()
        if any(self._me.embedded or each.embedded for each in seen):
            await asyncio.sleep(max(each.lease for each in seen))
            for each in seen:
                await self._replicas.remove(each.replica_id, renewals=each.renewals)
        await self._register(self._me)

    async def _register(self, me: ReplicaRecord) -> None:
        me = replace(me, replica_id=secrets.token_hex(8), applied_revision=self._policy.revision() or 0)
        self._me = me
        # Before it is registered: a change of this process must not wait for itself.
        self._acknowledgements.own_id = me.replica_id
        await self._replicas.register(me, self._admit)
        self._registered = True

    def _admit(self, others: Sequence[ReplicaRecord]) -> None:
        """Require that this server has the same data as the others.

        Raises:
            ConfigurationError: it has not.
        """
        for other in others:
            if self._me.embedded or other.embedded:
                raise ConfigurationError(
                    f"the server {other.name} uses this store already, and "
                    f"{'this one' if self._me.embedded else 'that one'} has an embedded engine, whose data no other "
                    "server has: set kiteward.engine.address to the same cluster on all of them",
                    ErrorDetail(ErrorCode.REPLICA_NEEDS_CLUSTER, {"name": other.name}),
                )

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            _log.warning("the lease of this server cannot be renewed now; retrying: %s", error)
        self._failing = True
