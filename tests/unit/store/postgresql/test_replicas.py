"""Servers that share a store in PostgreSQL: leases, reports, and announcements."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from tests.support import postgresql

from kiteward.domain.errors import ConfigurationError, StoreUnavailable
from kiteward.store.postgresql.replicas import CHANGES, REPORTING, PostgresqlReplicas
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import ReplicaRecord
from kiteward.store.sql import SqlStore

PATIENCE = 1.0


@pytest.fixture
def settings(cluster: postgresql.Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    with cluster.database(options=migrated) as settings:
        yield settings


class Heard:
    """A listener that remembers what arrives."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, str]] = []
        self.reports: list[int] = []

    def changed(self, revision: int, announcer: str) -> None:
        self.changes.append((revision, announcer))

    def applied(self, revision: int) -> None:
        self.reports.append(revision)


class Peer:
    """A server on the database: its store, and the others as it sees them."""

    def __init__(self, store: SqlStore, *, patience: float = PATIENCE) -> None:
        self.store = store
        replicas = store.replicas(patience=patience)
        assert replicas is not None
        self.replicas: PostgresqlReplicas = replicas
        self.heard = Heard()

    async def listen(self) -> None:
        self.replicas.start(self.heard)
        await until(lambda: self.replicas.listening)

    async def change(self) -> int:
        async with self.store.transaction() as transaction:
            await transaction.users.add(f"user{await transaction.users.count()}", "hash")
            return (await transaction.commit()).revision

    async def close(self) -> None:
        await self.replicas.close()
        await self.store.close()


@pytest.fixture
async def peers(settings: PostgresqlSettings) -> AsyncIterator[tuple[Peer, Peer]]:
    one, other = Peer(await SqlStore.open(settings)), Peer(await SqlStore.open(settings))
    yield one, other
    await one.close()
    await other.close()


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def record(replica_id: str, **more: Any) -> ReplicaRecord:
    return ReplicaRecord(replica_id, f"name of {replica_id}", 3.0, **more)


def admit(_others: Sequence[ReplicaRecord]) -> None:
    """Admit every server."""


async def test_renewal_counts_and_reports_and_returns_the_revision_of_the_store(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.replicas.register(record("a", embedded=True, started_at=5.0), admit)
    assert await one.replicas.renew("a", 0, drained=0) == 0
    revision = await other.change()
    assert await one.replicas.renew("a", revision, drained=revision) == revision
    expected = record(
        "a", embedded=True, started_at=5.0, renewals=2, applied_revision=revision, drained_revision=revision
    )
    assert list(await other.replicas.registered()) == [expected]


async def test_renewal_that_did_not_wait_for_the_standby_is_none(
    settings: PostgresqlSettings, cluster: postgresql.Cluster
) -> None:
    """The standby may take over without it: a lease that only the former primary knows of would not be waited for."""
    peer = Peer(await SqlStore.open(replace(settings, timeout=60.0)), patience=60.0)
    await peer.replicas.register(record("one"), admit)
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    cluster.sql("SELECT pg_reload_conf()")
    try:
        renewing = asyncio.create_task(peer.replicas.renew("one", 0, drained=0))
        waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        while "t" not in cluster.sql(waiting):
            await asyncio.sleep(0.02)
        with pytest.raises(StoreUnavailable, match="did not wait for its standby"):
            await renewing
    finally:
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.sql("SELECT pg_reload_conf()")
    assert await peer.replicas.renew("one", 0, drained=0) is not None
    await peer.close()


async def test_servers_are_listed_with_the_time_since_their_last_renewal(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.replicas.register(record("a", version="1.2"), admit)
    await one.replicas.register(record("b", started_at=9.0), admit)
    assert [each.renewed for each in await other.replicas.listed()] == [None, None]
    revision = await other.change()
    await one.replicas.renew("b", 0, drained=0)
    first, second = await other.replicas.listed()
    assert (first.replica, first.renewed, first.revision) == (record("a", version="1.2"), None, revision)
    assert second.replica == record("b", started_at=9.0, renewals=1)
    assert second.renewed is not None
    assert 0 <= second.renewed < 60


async def test_server_that_is_not_registered_renews_nothing(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    assert await one.replicas.renew("a", 0, drained=0) is None
    await one.replicas.register(record("a"), admit)
    await other.replicas.remove("a")
    assert await one.replicas.renew("a", 0, drained=0) is None


async def test_server_is_removed_only_at_the_given_number_of_renewals(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.replicas.register(record("a"), admit)
    await one.replicas.renew("a", 0, drained=0)
    await other.replicas.remove("a", renewals=0)
    assert await one.replicas.renew("a", 0, drained=0) == 0
    await other.replicas.remove("a", renewals=2)
    assert await one.replicas.renew("a", 0, drained=0) is None


async def test_registration_is_refused_by_what_it_is_admitted_with(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    seen: list[ReplicaRecord] = []

    def refuse(others: Sequence[ReplicaRecord]) -> None:
        seen.extend(others)
        raise ConfigurationError("not beside that one")

    await one.replicas.register(record("a"), admit)
    with pytest.raises(ConfigurationError, match="not beside that one"):
        await other.replicas.register(record("b"), refuse)
    assert [each.replica_id for each in seen] == ["a"]
    assert [each.replica_id for each in await one.replicas.registered()] == ["a"]


async def test_transaction_returns_the_servers_that_were_registered_before_it(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.replicas.register(record("b"), admit)
    await other.replicas.register(record("a"), admit)
    async with one.store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        committed = await transaction.commit()
    assert sorted(each.replica_id for each in committed.replicas) == ["a", "b"]


async def test_change_is_heard_by_others_and_its_report_by_who_made_it(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.listen()
    await other.listen()
    await other.replicas.register(record("b"), admit)
    revision = await one.change()
    await until(lambda: other.heard.changes)
    ((heard, announcer),) = other.heard.changes
    assert heard == revision
    assert one.heard.changes == []
    await other.replicas.renew("b", revision, drained=revision, answering=[announcer])
    await until(lambda: revision in one.heard.reports)


async def test_servers_that_have_not_applied_a_revision_are_found(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    for name, applied in (("a", 3), ("b", 4), ("c", 5)):
        await one.replicas.register(record(name), admit)
        await one.replicas.renew(name, applied, drained=0)
    assert await other.replicas.behind(5) == {"a": 3, "b": 4}


async def test_where_servers_are_many_a_change_is_heard_and_none_reports(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await other.listen()
    for number in range(REPORTING + 1):
        await one.replicas.register(record(f"{number:02}"), admit)
    revision = await one.change()
    await until(lambda: other.heard.changes)
    assert other.heard.changes == [(revision, "")]
    await one.replicas.remove("00")
    revision = await one.change()
    await until(lambda: len(other.heard.changes) == 2)
    assert other.heard.changes[1][1]


async def test_servers_send_something_to_be_heard_only_when_nothing_was_for_a_while(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await one.replicas.register(record("a"), admit)
    await one.listen()
    await other.listen()
    sent_after, first = one.replicas._heard + PATIENCE, other.replicas._heard
    await one.replicas.renew("a", 0, drained=0)
    async with asyncio.timeout(30):
        while other.replicas._heard == first:  # the other one sends nothing, and hears what this one sends
            await one.replicas.renew("a", 0, drained=0)
            await asyncio.sleep(0.05)
    assert other.replicas._heard >= sent_after
    assert other.heard.reports == one.heard.reports == []


async def test_change_that_is_rolled_back_is_not_heard(peers: tuple[Peer, Peer]) -> None:
    one, other = peers
    await other.listen()
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with one.store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            raise RuntimeError
    revision = await one.change()
    await until(lambda: other.heard.changes)
    assert [heard for heard, _ in other.heard.changes] == [revision]


async def test_notifications_that_no_server_has_sent_do_no_harm(
    peers: tuple[Peer, Peer], settings: PostgresqlSettings
) -> None:
    one, other = peers
    await one.listen()
    await one.replicas.register(record("a"), admit)
    connection = await asyncpg.connect(
        host=settings.hosts[0][0],
        port=settings.hosts[0][1],
        user=settings.user,
        password=settings.password.reveal(),
        database=settings.database,
    )
    for content in ("", "x", "5", "5 x", f"-1 {'a' * 32}", f"{'9' * 30} {'a' * 32}", f"² {'a' * 32}", f"7 {'b' * 32}"):
        await connection.execute("SELECT pg_notify($1, $2)", CHANGES, content)
    await connection.close()
    await until(lambda: one.heard.changes)
    assert one.heard.changes == [(5, ""), (7, "b" * 32)]
    assert await one.replicas.renew("a", 0, drained=0, answering=["x" * 100, "", "b" * 32]) == 0
    assert await other.change() == 1


async def test_connection_that_ended_is_replaced(peers: tuple[Peer, Peer], cluster: postgresql.Cluster) -> None:
    one, other = peers
    await one.listen()
    await one.replicas.register(record("a"), admit)
    await one.replicas.renew("a", 0, drained=0)
    cluster.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'kiteward'")
    await until(lambda: not one.replicas.listening)
    await until(lambda: one.replicas.listening)
    assert await one.replicas.renew("a", 0, drained=0) == 0
    await other.change()
    await until(lambda: one.heard.changes)


async def test_listener_that_hears_its_own_reports_no_more_is_replaced(
    peers: tuple[Peer, Peer], cluster: postgresql.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that only listens does not notice that its server is gone, or that a pooler took its session."""
    one, other = peers
    await one.listen()
    await one.replicas.register(record("a"), admit)
    listening = one.replicas._session
    assert listening is not None
    await listening.execute("UNLISTEN *")

    async def renewed() -> bool:
        await one.replicas.renew("a", 0, drained=0)
        return one.replicas._session not in (None, listening)

    async with asyncio.timeout(30):
        while not await renewed():
            await asyncio.sleep(0.05)
    await other.change()
    await until(lambda: one.heard.changes)


async def test_calls_end_in_time_while_the_database_stands_still(
    peers: tuple[Peer, Peer], cluster: postgresql.Cluster
) -> None:
    one, _ = peers
    await one.replicas.register(record("a"), admit)
    await one.replicas.renew("a", 0, drained=0)
    with cluster.halted():
        calls = (
            one.replicas.renew("a", 0, drained=0),
            one.replicas.registered(),
            one.replicas.behind(9),
            one.replicas.listed(),
        )
        for call in (*calls, one.replicas.remove("b")):
            async with asyncio.timeout(10 * PATIENCE):
                with pytest.raises(StoreUnavailable, match="did not respond in time"):
                    await call
    assert await one.replicas.renew("a", 0, drained=0) == 0


async def test_store_in_a_file_is_shared_with_nobody(tmp_path: Any) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    assert store.replicas(patience=1.0) is None
    await store.close()
