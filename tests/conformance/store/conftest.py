"""One suite for every store. A new implementation is added to `IMPLEMENTATIONS` and passes it unchanged."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.store.harness import Clock, OpenStore, Transact, Work

from kiteward.store.base import Store
from kiteward.store.records import Committed
from kiteward.store.sql import SqlStore


async def open_sqlite(directory: Path, clock: Clock) -> Store:
    return await SqlStore.open(directory / "store.db", clock=clock)


IMPLEMENTATIONS = {"sqlite": open_sqlite}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=IMPLEMENTATIONS)
async def open_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[OpenStore]:
    """Opens the same storage each time it is called; everything is closed after the test."""
    opened: list[Store] = []

    async def open_again() -> Store:
        opened.append(await IMPLEMENTATIONS[request.param](tmp_path, clock))
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
