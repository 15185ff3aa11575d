"""That the proxy breaks connections where it has to, so that a run makes the faults it counts."""

from collections.abc import AsyncIterator

import pytest
from tests.replicas.faults.servers import CommitProxy
from tests.support import postgresql
from tests.support.postgresql import Cluster

from kiteward.domain.errors import CommitUnknown
from kiteward.domain.identity import Secret
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore

pytestmark = pytest.mark.slow


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[CommitProxy]:
    async with CommitProxy("127.0.0.1", cluster.port).serving() as proxy:
        yield proxy


@pytest.fixture
async def store(cluster: Cluster, migrated: str, proxy: CommitProxy) -> AsyncIterator[SqlStore]:
    with cluster.database(options=migrated) as settings:
        url = f"postgresql://{settings.user}@127.0.0.1:{proxy.port}/{settings.database}"
        store = await SqlStore.open(PostgresqlSettings.parse(url, password=Secret(postgresql.PASSWORD)))
        yield store
        await store.close()


async def add(store: SqlStore, name: str) -> None:
    async with store.transaction() as transaction:
        await transaction.users.add(name, "hash")
        await transaction.commit()


@pytest.mark.parametrize(("when", "made"), [("before", ["alice"]), ("after", ["alice", "bob"])])
async def test_commit_that_is_cut_is_unknown_and_settled_when_the_next_is_made(
    store: SqlStore, proxy: CommitProxy, when: str, made: list[str]
) -> None:
    await add(store, "alice")
    proxy.armed = when
    with pytest.raises(CommitUnknown):
        await add(store, "bob")
    assert proxy.ended.is_set()
    await add(store, "carol")
    assert await store.user_names() == [*made, "carol"]


async def test_connections_that_are_broken_are_replaced(store: SqlStore, proxy: CommitProxy) -> None:
    await add(store, "alice")
    assert await store.user("alice") is not None
    assert proxy.sever() >= 2
    assert await store.user("alice") is not None
    await add(store, "bob")
