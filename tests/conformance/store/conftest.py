"""One suite for every store. A new implementation is added to `IMPLEMENTATIONS` and passes it unchanged."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.conformance.store.harness import Clock, OpenStore, Transact, Work
from tests.support import gateway, postgresql

from kiteward.store.base import Store
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import Committed
from kiteward.store.sql import SqlStore

IMPLEMENTATIONS = ("sqlite", "postgresql")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and without rows: making them takes longer than most tests."""
    return gateway.empty(tmp_path_factory.mktemp("empty") / "store.db")


@pytest.fixture(params=IMPLEMENTATIONS)
def location(request: pytest.FixtureRequest) -> Iterator[Path | PostgresqlSettings]:
    """Where the storage of a test is."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            directory = stack.enter_context(gateway.quick_directory())
            yield Path(shutil.copy(request.getfixturevalue("empty_store"), directory / "store.db"))
        else:
            cluster: postgresql.Cluster = request.getfixturevalue("cluster")
            options: str = request.getfixturevalue("migrated")
            yield stack.enter_context(cluster.database(options=options))


@pytest.fixture
async def open_store(location: Path | PostgresqlSettings, clock: Clock) -> AsyncIterator[OpenStore]:
    """Opens the same storage each time it is called; everything is closed after the test."""
    opened: list[Store] = []

    async def open_again() -> Store:
        opened.append(await SqlStore.open(location, clock=clock))
        return opened[-1]

    yield open_again
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
def change(store: Store) -> Transact:
    """Runs some work in a transaction of its own and commits it."""

    async def in_a_transaction(work: Work) -> Committed:
        async with store.transaction() as transaction:
            await work(transaction)
            return await transaction.commit()

    return in_a_transaction
