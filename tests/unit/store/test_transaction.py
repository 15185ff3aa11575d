import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiteward.authz.model import Role
from kiteward.domain.errors import StoreUnavailable
from kiteward.store import transaction as module
from kiteward.store.sql import SqlStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(tmp_path / "store.db")
    yield store
    await store.close()


def feed(directory: Path) -> list[tuple[int, str, str]]:
    connection = sqlite3.connect(directory / "store.db")
    rows = connection.execute("SELECT revision, subject, name FROM change_feed ORDER BY revision, subject").fetchall()
    connection.close()
    return rows


async def put_role(store: SqlStore, name: str) -> None:
    async with store.transaction() as transaction:
        await transaction.roles.put(Role(name))
        await transaction.commit()


async def test_change_feed_says_what_changed_at_each_revision(store: SqlStore, tmp_path: Path) -> None:
    await put_role(store, "reader")
    await put_role(store, "reader")
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        await transaction.roles.put(Role("writer"))
        await transaction.roles.bind("alice", "writer")
        await transaction.commit()
    assert feed(tmp_path) == [
        (1, "role", "reader"),
        (2, "credential", "alice"),
        (2, "role", "writer"),
        (2, "user", "alice"),
    ]


async def test_change_feed_of_an_undone_transaction_is_empty(store: SqlStore, tmp_path: Path) -> None:
    async with store.transaction() as transaction:
        await transaction.roles.put(Role("reader"))
    assert feed(tmp_path) == []


async def test_change_feed_goes_back_a_bounded_number_of_revisions(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.FEED_LENGTH == 10_000
    monkeypatch.setattr(module, "FEED_LENGTH", 3)
    for number in range(1, 8):
        await put_role(store, f"role{number}")
    assert [revision for revision, _, _ in feed(tmp_path)] == [5, 6, 7]


async def test_commit_that_fails_changes_nothing_and_leaves_the_store_writable(store: SqlStore) -> None:
    async with store.transaction() as transaction:
        # References are then checked by the commit, which is what fails.
        assert store._writer._connection is not None
        await store._writer._connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        await transaction.users.add("alice", "hash")
        await transaction.roles.bind("alice", "nothing")
        with pytest.raises(StoreUnavailable):
            await transaction.commit()
    assert await store.user_names() == []
    await put_role(store, "reader")
    policy = await store.policy()
    assert (policy.revision, policy.roles) == (1, (Role("reader"),))
