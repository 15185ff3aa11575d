"""The servers that share a store in PostgreSQL, and what they announce to each other by NOTIFY."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from typing import Any, Final

from sqlalchemy import Executable, insert, text

from kiteward.store import replicas, schema
from kiteward.store.connections import WriteTransaction
from kiteward.store.postgresql.link import Link
from kiteward.store.postgresql.locks import PostgresqlLocks
from kiteward.store.postgresql.session import Limits, Session, connect
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import ListedReplica, ReplicaRecord
from kiteward.store.sharing import ReplicaListener

CHANGES: Final = "kiteward_changes"
"""The channel on which each transaction says which revision it made, and who waits until that is applied."""

PULSE: Final = "kiteward_pulse"
"""The channel on which a server that has heard nothing for a while sends something for itself to hear. All hear it, so
that one of them does so for all."""

REPORTING: Final = 16
"""Up to how many servers report to who waits by a notification. Each wakes every connection that listens, so that the
reports of one change cost the square of their number; beyond, who waits looks."""

_ANNOUNCER: Final = re.compile(r"[0-9a-f]{32}")
_MOST_ANSWERED: Final = 1000
"""Most channels that one report goes to. Anybody with an account may announce; those beyond look by themselves."""

_RENEW: Final = """
WITH renewed AS (
    UPDATE replicas
    SET renewals = renewals + 1, applied_revision = $2, drained_revision = $3,
        renewed_at = extract(epoch FROM clock_timestamp())
    WHERE replica_id = $1 RETURNING replica_id
)
SELECT revision.value, (SELECT count(pg_notify(channel, $4)) FROM unnest($5::text[]) AS channel)
FROM revision, renewed WHERE revision.id = 1
"""
_REMOVE: Final = "DELETE FROM replicas WHERE replica_id = $1 AND ($2::bigint IS NULL OR renewals = $2)"
_REGISTERED: Final = """
SELECT replica_id, name, lease, embedded, started_at, renewals, applied_revision, drained_revision, version
FROM replicas
ORDER BY name COLLATE "C", replica_id
"""
_BEHIND: Final = "SELECT replica_id, applied_revision FROM replicas WHERE applied_revision < $1"
_LISTED: Final = """
SELECT extract(epoch FROM clock_timestamp())::float8 - renewed_at, revision.value,
       replica_id, name, lease, embedded, started_at, renewals, applied_revision, drained_revision, version
FROM replicas, revision WHERE revision.id = 1 ORDER BY name COLLATE "C", replica_id
"""


def announcement(revision: int, announcer: str, servers: int) -> Executable:
    """Return the statement that announces a revision as part of the transaction that makes it.

    Args:
        revision: what it makes.
        announcer: who waits for reports.
        servers: how many are registered; if they are many, none of them reports.
    """
    content = f"{revision} {announcer}" if servers <= REPORTING else str(revision)
    return text("SELECT pg_notify(:channel, :content)").bindparams(channel=CHANGES, content=content)


def _channel(announcer: str) -> str:
    """Return the channel on which reports for an announcer are sent."""
    return f"kiteward_{announcer}"


class PostgresqlReplicas:
    """Implements `kiteward.store.sharing.Replicas`, which documents the contract of each method.

    It has four sessions, so that nothing of the store's own delays a renewal: one renews, one looks at the others,
    one takes locks, and one listens. If the one that listens has heard nothing for a while, the one that renews sends
    something to be heard. If it is not, the session is replaced: one that only listens does not notice that its server
    is gone.
    """

    def __init__(
        self,
        settings: PostgresqlSettings,
        write: Callable[[], AbstractAsyncContextManager[WriteTransaction]],
        *,
        announcer: str,
        patience: float,
    ) -> None:
        """Set up without a connection.

        Args:
            settings: the database.
            write: begins a transaction in the order of all that write.
            announcer: the name under which this process announces its changes.
            patience: seconds within which the database must answer.
        """
        self._settings = replace(settings, timeout=min(patience, settings.timeout))
        self._write = write
        self._announcer = announcer
        self._renewing = Link(self._settings)
        self._looking = Link(self._settings)
        self._locks = PostgresqlLocks(self._settings)
        self._heard = 0.0
        self._unheard: float | None = None
        self._deaf = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: Session | None = None

    @property
    def listening(self) -> bool:
        return self._session is not None

    @property
    def locks(self) -> PostgresqlLocks:
        return self._locks

    def start(self, listener: ReplicaListener) -> None:
        self._task = asyncio.create_task(self._listen(listener), name="listening to other servers")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._renewing.close()
        self._looking.close()
        self._locks.close()

    async def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> None:
        async with self._write() as transaction:
            admit(replicas.records(await transaction.rows(replicas.REGISTERED)))
            await transaction.run(insert(schema.replicas), asdict(replica))
            await transaction.commit()

    async def renew(
        self, replica_id: str, applied: int, *, drained: int, answering: Collection[str] = ()
    ) -> int | None:
        valid = [each for each in answering if _ANNOUNCER.fullmatch(each)][:_MOST_ANSWERED]
        channels = [_channel(each) for each in dict.fromkeys(valid)]
        silent = time.monotonic() > self._heard + self._settings.timeout
        if silent:
            channels.append(PULSE)
        rows = await self._renewing.fetch(_RENEW, replica_id, applied, drained, str(applied), channels)
        if rows and silent and self._unheard is None:
            self._unheard = time.monotonic()
        elif self._unheard is not None and time.monotonic() > self._unheard + self._settings.timeout:
            self._deaf.set()
        return int(rows[0][0]) if rows else None

    async def registered(self) -> Sequence[ReplicaRecord]:
        return [ReplicaRecord(*row) for row in await self._looking.fetch(_REGISTERED)]

    async def behind(self, revision: int) -> Mapping[str, int]:
        return dict(map(tuple, await self._looking.fetch(_BEHIND, revision)))

    async def listed(self) -> Sequence[ListedReplica]:
        return [
            ListedReplica(ReplicaRecord(*columns), None if renewed is None else max(0.0, renewed), revision)
            for renewed, revision, *columns in map(tuple, await self._looking.fetch(_LISTED))
        ]

    async def remove(self, replica_id: str, *, renewals: int | None = None) -> None:
        await self._looking.fetch(_REMOVE, replica_id, renewals)

    async def _listen(self, listener: ReplicaListener) -> None:
        """Listen on one session after another."""
        while True:
            self._deaf.clear()
            self._hear()
            with contextlib.suppress(Exception):  # what it misses is noticed by renewals and looks
                try:
                    async with asyncio.timeout(self._settings.timeout):
                        self._session = await self._begin(listener)
                    await self._deaf.wait()
                finally:
                    if self._session is not None:
                        self._session.terminate()
                    self._session = None
            await asyncio.sleep(self._settings.timeout / 2)

    def _hear(self, *_: Any) -> None:
        """Take note that the session that listens works."""
        self._heard, self._unheard = time.monotonic(), None

    async def _begin(self, listener: ReplicaListener) -> Session:
        def hear_change(_session: Any, _process: int, _channel: str, content: Any) -> None:
            self._hear()
            revision, space, announcer = str(content).partition(" ")
            known = not space or _ANNOUNCER.fullmatch(announcer)
            if _is_revision(revision) and known and announcer != self._announcer:
                listener.changed(int(revision), announcer)

        def hear_report(_session: Any, _process: int, _channel: str, content: Any) -> None:
            self._hear()
            if _is_revision(str(content)):
                listener.applied(int(content))

        session = await connect(self._settings, Limits.of(self._settings.timeout))
        try:
            session.add_termination_listener(lambda _: self._deaf.set())
            await session.add_listener(CHANGES, hear_change)
            await session.add_listener(_channel(self._announcer), hear_report)
            await session.add_listener(PULSE, self._hear)
        except BaseException:
            session.terminate()
            raise
        return session


def _is_revision(content: str) -> bool:
    return len(content) < len(str(2**63)) and content.isascii() and content.isdecimal()
