"""A store on a primary with a synchronous standby, when the standby takes over."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support import postgresql, postgresql_pair
from tests.support.postgresql_pair import Pair

from kiteward.domain.errors import CommitUnknown, StoreUnavailable
from kiteward.domain.identity import Secret
from kiteward.store.postgresql.locks import PostgresqlLocks
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import ReplicaRecord
from kiteward.store.sql import SqlStore
from kiteward.store.transaction import FEED_LENGTH

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both servers; a test starts again what it kills, and has a database of its own."""
    with postgresql_pair.running() as pair:
        yield pair


@pytest.fixture
def settings(pair: Pair) -> PostgresqlSettings:
    name = pair.primary.make_database()
    url = postgresql_pair.url(postgresql.USER, [each.port for each in pair.nodes], name)
    return PostgresqlSettings.parse(url, password=Secret(postgresql.PASSWORD))


async def add(store: SqlStore, name: str) -> int:
    async with store.transaction() as transaction:
        await transaction.users.add(name, "hash")
        return (await transaction.commit()).revision


async def test_revision_of_a_change_that_was_lost_is_never_given_again(
    pair: Pair, settings: PostgresqlSettings
) -> None:
    """Whoever has applied the lost change would take the next one for the same, and would not apply it."""
    store = await SqlStore.open(settings)
    assert await add(store, "alice") == 1
    await asyncio.to_thread(pair.standby.kill)
    adding = asyncio.create_task(add(store, "bob"))
    while "SyncRep" not in pair.primary.sql("SELECT wait_event FROM pg_stat_activity WHERE wait_event IS NOT NULL"):
        await asyncio.sleep(0.05)
    await asyncio.to_thread(pair.kill)
    with pytest.raises(CommitUnknown):
        await adding
    await asyncio.to_thread(pair.primary.start_again)
    assert (await store.user_names(), await store.revision()) == (["alice", "bob"], 2)
    await asyncio.to_thread(pair.kill)
    await asyncio.to_thread(pair.standby.start_again)
    await asyncio.to_thread(pair.promote)
    await asyncio.to_thread(pair.join_again, rewind=True)
    assert (await store.user_names(), await store.revision()) == (["alice"], 1)
    assert await add(store, "carol") > 2 + FEED_LENGTH
    assert await store.changes_since(2) is None
    revision = await store.revision()
    assert await add(store, "dave") == revision + 1
    assert await store.changes_since(revision) is not None
    await store.close()


async def test_request_that_waited_for_the_standby_holds_no_lock_once_it_is_withdrawn(
    pair: Pair, settings: PostgresqlSettings
) -> None:
    """It is carried out when the standby is back, however long after the server has given it up."""
    settings = replace(settings, timeout=1.0)
    store = await SqlStore.open(settings)
    locks = PostgresqlLocks(settings)
    replicas = store.replicas(patience=1.0)
    assert replicas is not None
    await replicas.register(ReplicaRecord("a", "a", 3.0), lambda _: None)
    await asyncio.to_thread(pair.standby.kill)
    with pytest.raises(StoreUnavailable):
        await locks.request("1", "default/docs", replica_id="a", alone=True)
    with pytest.raises(StoreUnavailable):
        await locks.withdraw("1", replica_id="a")
    await asyncio.to_thread(pair.standby.start_again)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(StoreUnavailable):
                await locks.withdraw("1", replica_id="a")
                break
    await locks.request("2", "default/docs", replica_id="a", alone=True)
    assert await locks.before("2") == []
    locks.close()
    await store.close()


async def test_lock_is_released_when_the_standby_has_that_too(pair: Pair, settings: PostgresqlSettings) -> None:
    """Else a failover would bring the ticket of a server back that has given it up."""
    settings = replace(settings, timeout=2.0)
    store = await SqlStore.open(settings)
    locks = PostgresqlLocks(settings)
    replicas = store.replicas(patience=2.0)
    assert replicas is not None
    await replicas.register(ReplicaRecord("a", "a", 3.0), lambda _: None)
    await locks.request("1", "default/docs", replica_id="a", alone=True)
    await asyncio.to_thread(pair.standby.kill)
    with pytest.raises(StoreUnavailable):
        await locks.release("1")
    await asyncio.to_thread(pair.kill)
    await asyncio.to_thread(pair.primary.start_again)
    assert await locks.before("1") is None  # it was deleted here
    with pytest.raises(StoreUnavailable):
        await locks.release("1")
    await asyncio.to_thread(pair.standby.start_again)
    await asyncio.to_thread(pair.await_standby)
    await locks.release("1")
    locks.close()
    await replicas.close()
    await store.close()


async def test_nothing_is_told_from_a_change_that_the_standby_does_not_have(
    pair: Pair, settings: PostgresqlSettings
) -> None:
    """Who repeats a change whose outcome is not known finds it made, and a failover would undo it."""
    settings = replace(settings, timeout=2.0)
    store = await SqlStore.open(settings)

    async def repeated() -> int:
        async with store.transaction() as transaction:
            assert await transaction.users.get("bob") is not None
            return (await transaction.commit()).revision

    await asyncio.to_thread(pair.standby.kill)
    with pytest.raises(CommitUnknown):
        await add(store, "bob")
    await asyncio.to_thread(pair.kill)
    await asyncio.to_thread(pair.primary.start_again)
    assert await store.user_names() == ["bob"]
    with pytest.raises(StoreUnavailable):
        await repeated()
    await asyncio.to_thread(pair.standby.start_again)
    await asyncio.to_thread(pair.await_standby)
    assert await repeated() == 1
    await store.close()
