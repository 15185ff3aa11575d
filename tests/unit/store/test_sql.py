import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from kiteward.authz.model import Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import StoreUnavailable
from kiteward.store.sql import SqlStore

COMMITTING = """
import asyncio, sys
from kiteward.store.sql import SqlStore

async def commit_for_ever(path, start):
    store = await SqlStore.open(path)
    number = start
    while True:
        async with store.transaction() as transaction:
            await transaction.users.add(f"user{number:06}", "hash")
            committed = await transaction.commit()
        print(number, committed.revision, flush=True)
        number += 1

asyncio.run(commit_for_ever(sys.argv[1], int(sys.argv[2])))
"""


async def killed_while_committing(path: Path, start: int, *, acknowledgements: int) -> list[tuple[int, int]]:
    """Run the program above, kill it after some acknowledgements, and return each number and revision it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMITTING, str(path), str(start), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = b""
    try:
        async with asyncio.timeout(20):
            while told.count(b"\n") < acknowledgements and not process.stdout.at_eof():
                told += await process.stdout.readline()
    finally:
        process.kill()
        told += await process.stdout.read()
        await process.wait()
    complete = told.decode().rpartition("\n")[0]
    return [(int(number), int(revision)) for number, revision in map(str.split, complete.splitlines())]


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [3, pytest.param(10, marks=pytest.mark.heavy)])
async def test_killed_process_loses_no_acknowledged_revision(tmp_path: Path, rounds: int) -> None:
    """Each round kills at another moment: the short form at three, the heavy one at ten."""
    path = tmp_path / "store.db"
    start, acknowledged = 0, []
    for round_number in range(rounds):
        acknowledged += await killed_while_committing(path, start, acknowledgements=1 + 3 * round_number)
        store = await SqlStore.open(path)
        names, policy = list(await store.user_names()), await store.policy()
        await store.close()
        assert {f"user{number:06}" for number, _ in acknowledged} <= set(names)
        assert policy.revision >= acknowledged[-1][1]
        assert policy.revision == len(names), "a transaction is there in half"
        start = len(names)
    assert len(acknowledged) >= sum(1 + 3 * round_number for round_number in range(rounds))


async def test_damaged_file_is_refused_without_driver_text(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database " * 500)
    with pytest.raises(StoreUnavailable) as refusal:
        await SqlStore.open(tmp_path / "store.db")
    assert str(refusal.value) == (
        f"the store could not be opened at `{tmp_path / 'store.db'}`: the file is damaged, restore a backup"
    )
    assert refusal.value.__cause__ is not None


async def test_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqlStore.open(tmp_path / "absent" / "store.db")


async def test_database_damaged_while_open_makes_reads_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE privilege_group_members")
        connection.execute("DROP TABLE role_bindings")
    connection.close()
    for read in (store.policy, store.users, lambda: store.user("alice"), lambda: store.bindings(None)):
        with pytest.raises(StoreUnavailable) as failure:
            await read()
        assert str(failure.value) == "the store could not be read"
    await store.close()


async def test_full_disk_makes_writes_unavailable_and_changes_nothing(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    async with store.transaction() as transaction:
        await transaction.commit()
    assert store._writer._connection is not None
    await store._writer._connection.exec_driver_sql("PRAGMA max_page_count=1")  # SQLite clips it to the present size
    await store._writer._connection.rollback()

    async def fill() -> None:
        async with store.transaction() as transaction:
            for number in range(1000):
                await transaction.users.add(f"user{number}", "x" * 1000)
            await transaction.commit()

    with pytest.raises(StoreUnavailable, match="could not be written"):
        await fill()
    assert await store.user_names() == []
    assert (await store.policy()).revision == 0
    await store.close()


async def test_other_process_that_holds_the_database_does_not_block_the_event_loop(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def add() -> None:
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            await transaction.commit()

    adding = asyncio.create_task(add())
    async with asyncio.timeout(4):
        for _ in range(5):
            assert await store.user_names() == []
    assert not adding.done()
    other.execute("ROLLBACK")
    other.close()
    await adding
    assert await store.user_names() == ["alice"]
    await store.close()


async def test_what_a_transaction_has_read_holds_against_other_processes(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, timeout=0)
    async with store.transaction():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    await store.close()


async def test_cancellation_costs_no_connection(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    opened = []
    for engine in (store._writer._engines.writing, store._reader._engines.reading):
        event.listen(engine.sync_engine, "connect", lambda connection, _: opened.append(connection))

    async def work() -> None:
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            await store.policy()

    for steps in range(150):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
    await store.close()
    assert len(opened) == 2


@pytest.mark.slow
async def test_large_policy_loads_whole(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    async with store.transaction() as transaction:
        for number in range(1000):
            role = f"role{number:04}"
            await transaction.roles.put(Role(role))
            keys = (GrantKey(ObjectType.COLLECTION, "default", f"docs{each:03}", "Query") for each in range(100))
            await transaction.grants.add([Grant(role, key, "root") for key in keys])
        await transaction.commit()
    policy = await store.policy()
    await store.close()
    assert (len(policy.roles), len(policy.grants)) == (1000, 100_000)
