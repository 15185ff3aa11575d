"""Moving a store between SQLite and PostgreSQL; every table is covered, and every moment to be killed at."""

import asyncio
import contextlib
import itertools
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import Boolean, Float, Integer, Table, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.support.postgresql import PASSWORD, Cluster

from kiteward.domain.errors import ConfigurationError, StoreUnavailable
from kiteward.store import move as moving
from kiteward.store import schema
from kiteward.store.backend import Backend
from kiteward.store.driver_errors import ConnectionRefused
from kiteward.store.intent_records import Intent, IntentKind
from kiteward.store.migrations import newest
from kiteward.store.move import move
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore, backend_of

SCRIPT = Path(__file__).parent / "scripts/killed_moves.py"

SINGLE = {"revision": "value", "audit_head": "seq"}
"""Tables that have one row from the beginning, each with a column whose value was 0 then."""

YOUNGER = (
    "scim_members",
    "scim_groups",
    "scim_users",
    "group_roles",
    "token_cutoffs",
    "federated_identities",
    "row_policy_roles",
    "row_policies",
    "protected_collections",
    "user_tags",
    "api_key_tags",
    "exchanged_keys",
    "replicas",
    "audit_events",
    "audit_head",
    "audit_trails",
    "provider_logouts",
    "secrets_shown",
    "sessions",
    "sign_in_failures",
    "audit_uses",
    "locks",
    "second_factors",
    "recovery_codes",
    "sign_in_tickets",
    "passkey_challenges",
)
"""Tables that version 0006 did not have."""

LEFT = (
    "replicas",
    "locks",
    "sessions",
    "provider_logouts",
    "secrets_shown",
    "sign_in_failures",
    "sign_in_tickets",
    "passkey_challenges",
)
"""Tables that concern the servers of one database alone."""

LIMITS = ("limit_rate", "limit_burst", "limit_concurrent")
"""Columns that its tables of users, roles and API keys did not have."""

ROWS = 7
"""Rows of each table of a filled store."""

TABLES = "SELECT count(*) FROM pg_tables"

MOMENTS = 8
"""How often a move is killed."""


@pytest.fixture(scope="module")
def filled_store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with seven rows in each table; tests use copies: making its tables takes longer than most of them."""
    path = Path(shutil.copy(empty_store, tmp_path_factory.mktemp("filled") / "store.db"))
    asyncio.run(filled(backend_of(path), ROWS))
    return path


@pytest.fixture
def source_path(filled_store: Path, quick_path: Path) -> Path:
    """A filled file of this test's own."""
    return Path(shutil.copy(filled_store, quick_path / "source.db"))


@pytest.fixture
def new_database(cluster: Cluster) -> Iterator[PostgresqlSettings]:
    """A database without a table."""
    with cluster.database() as settings:
        yield settings


@pytest.fixture
def database(cluster: Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    """A database with all tables and without rows."""
    with cluster.database(options=migrated) as settings:
        yield settings


def row_of(table: Table, number: int) -> dict[str, object]:
    """Return a row with a value in every column; those of one number refer to one another."""
    row: dict[str, object] = {}
    for column in table.c:
        if isinstance(column.type, Boolean):
            row[column.name] = number % 2 == 0
        elif isinstance(column.type, Float):
            row[column.name] = 1_800_000_000.123456 + number / 3
        elif isinstance(column.type, Integer):
            row[column.name] = number
        else:
            row[column.name] = f"Ärger 风筝 \U0001fa81 {number}"
    return row


async def filled(backend: Backend, rows: int) -> None:
    """Fill every table of a database with rows."""
    async with backend.alone() as connection:
        for table in schema.metadata.sorted_tables:
            if table.name in SINGLE:
                await connection.execute(table.update().values({SINGLE[table.name]: rows}))
            else:
                await connection.execute(insert(table), [row_of(table, number) for number in range(1, rows + 1)])
        await connection.commit()


async def content(backend: Backend) -> dict[str, list[tuple[object, ...]]]:
    async with backend.alone() as connection:
        return {
            table.name: sorted(tuple(row) for row in (await connection.execute(select(table))).all())
            for table in schema.metadata.sorted_tables
        }


async def released(backend: Backend) -> dict[str, list[tuple[object, ...]]]:
    """Return what a database holds as soon as it has noticed that a process which was killed is gone."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await content(backend)
            except (StoreUnavailable, ConnectionRefused):
                await asyncio.sleep(0.05)


def ignored(_table: str, _rows: int, _total: int) -> None:
    pass


async def test_every_table_but_those_of_servers_and_sessions_is_moved_there_and_back(
    source_path: Path, tmp_path: Path, new_database: PostgresqlSettings
) -> None:
    source, middle, back = backend_of(source_path), backend_of(new_database), backend_of(tmp_path / "b.db")
    before = await content(source)
    assert all(len(rows) == (1 if name in SINGLE else ROWS) for name, rows in before.items())
    moved = await move(source, middle, ignored)
    assert await content(source) == before
    assert {len(before.pop(name)) for name in LEFT} == {ROWS}
    assert moved == {name: len(rows) for name, rows in before.items()}
    assert await content(middle) == {**before, **{name: [] for name in LEFT}}
    await move(middle, back, ignored)
    assert await content(back) == {**before, **{name: [] for name in LEFT}}


async def test_every_table_that_migrations_make_is_known_to_the_move(empty_path: Path) -> None:
    async with backend_of(empty_path).alone() as connection:
        made = await connection.run_sync(lambda each: set(inspect(each).get_table_names()))
    assert made == {*schema.metadata.tables, "alembic_version"}


async def test_store_of_an_older_version_is_moved_and_left_as_it_was(
    source_path: Path, database: PostgresqlSettings
) -> None:
    with sqlite3.connect(source_path) as connection:  # as before row policies and tags
        for table in YOUNGER:
            connection.execute(f"DROP TABLE {table}")
        for table, column in itertools.product(("users", "roles", "api_keys"), LIMITS):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("ALTER TABLE revision DROP COLUMN timeline")
        connection.execute("ALTER TABLE grants DROP COLUMN granted_at")
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
    connection.close()
    moved = await move(backend_of(source_path), backend_of(database), ignored)
    assert (moved["users"], moved["user_tags"]) == (ROWS, 0)
    with sqlite3.connect(source_path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0006",)]
    connection.close()
    assert newest() != "0006"


@pytest.mark.parametrize("name", schema.metadata.tables)
async def test_target_with_a_row_in_any_table_is_refused_and_unchanged(
    name: str, source_path: Path, empty_path: Path
) -> None:
    """Between two files, which is the same to the move and takes less time."""
    source, target = backend_of(source_path), backend_of(empty_path)
    table = schema.metadata.tables[name]
    async with target.alone() as connection:
        if name in SINGLE:
            await connection.execute(table.update().values({SINGLE[name]: 1}))
        else:
            await connection.execute(insert(table), row_of(table, 1))
        await connection.commit()
    before = await content(target)
    with pytest.raises(ConfigurationError, match="is not empty"):
        await move(source, target, ignored)
    assert await content(target) == before


async def test_intents_get_new_numbers_after_the_move(
    empty_path: Path, tmp_path: Path, database: PostgresqlSettings
) -> None:
    source, back = empty_path, Path(shutil.copy(empty_path, tmp_path / "b.db"))
    async with backend_of(source).alone() as connection:
        row = {**row_of(schema.intents, 41), "kind": "drop_collection", "claimant": None, "claimant_roles": None}
        await connection.execute(insert(schema.intents), row)
        await connection.commit()
    await move(backend_of(source), backend_of(database), ignored)
    await move(backend_of(database), backend_of(back), ignored)
    for location in (database, back):
        store = await SqlStore.open(location)
        async with store.transaction() as transaction:
            added = await transaction.intents.add(Intent(IntentKind.DROP_COLLECTION, "default", "docs"))
            assert added == 42
            await transaction.commit()
        await store.close()


async def test_progress_is_told_on_the_way(
    source_path: Path, empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_CHUNK", 3)
    told: list[tuple[str, int, int]] = []
    await move(backend_of(source_path), backend_of(empty_path), lambda *step: told.append(step))
    assert [step for step in told if step[0] == "users"] == [("users", 3, 7), ("users", 6, 7), ("users", 7, 7)]


async def test_difference_is_found_before_anything_is_committed(
    source_path: Path, empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = backend_of(source_path), backend_of(empty_path)
    proceed = moving._continue_numbers

    async def corrupt(connection: AsyncConnection) -> None:
        await connection.execute(schema.users.update().values(enabled=True))
        await proceed(connection)

    monkeypatch.setattr(moving, "_continue_numbers", corrupt)
    with pytest.raises(StoreUnavailable, match="holds something else than the source in `users`"):
        await move(source, target, ignored)
    assert (await content(target))["users"] == []


async def test_text_that_postgresql_cannot_hold_is_told(empty_path: Path, database: PostgresqlSettings) -> None:
    store = await SqlStore.open(empty_path)
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash", description="a\0b")
        await transaction.commit()
    await store.close()
    with pytest.raises(StoreUnavailable, match="a text holds a character that the database cannot store, such as NUL"):
        await move(backend_of(empty_path), backend_of(database), ignored)
    assert (await content(backend_of(database)))["users"] == []


class Moves:
    """Moves a file in processes of their own, which can be killed before any statement."""

    def __init__(self, process: asyncio.subprocess.Process, cluster: Cluster) -> None:
        self._process = process
        self._cluster = cluster

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, source: Path, cluster: Cluster) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            SCRIPT,
            source,
            PASSWORD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        try:
            yield cls(process, cluster)
        finally:
            process.stdin.close()
            await process.wait()

    async def killed_before(self, statement: int, database: PostgresqlSettings) -> None:
        """Move to a database, and kill the process before a statement, counted from 1."""
        assert await self._told(statement, database) == f"ended {int(signal.SIGKILL)}"

    async def finished(self, database: PostgresqlSettings) -> int:
        """Move to a database, and return how many statements that took, the commit included."""
        told = await self._told(0, database)
        assert told.startswith("moved ")
        assert await self._line() == "ended 0"
        return int(told.removeprefix("moved "))

    async def _told(self, statement: int, database: PostgresqlSettings) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{statement} {self._cluster.url(database.database)}\n".encode())
        return await self._line()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


@pytest.mark.heavy
@pytest.mark.slow
async def test_killed_at_any_moment_it_leaves_everything_or_nothing(
    source_path: Path, database: PostgresqlSettings, new_database: PostgresqlSettings, cluster: Cluster, migrated: str
) -> None:
    """At moments from the first statement to the commit, and while it makes tables."""
    before = await content(backend_of(source_path))
    nothing = await content(backend_of(database))
    async with Moves.of(source_path, cluster) as moves:
        with cluster.database(options=migrated) as other:
            statements = await moves.finished(other)
            assert await content(backend_of(other)) == {**before, **{name: [] for name in LEFT}}
        for statement in (*range(1, statements, statements // MOMENTS), statements):
            await moves.killed_before(statement, database)
            assert await released(backend_of(database)) == nothing, f"killed before {statement} of {statements}"
        await moves.killed_before(statements, new_database)
        assert cluster.sql(f"{TABLES} WHERE schemaname = 'public'", database=new_database.database) == "0"
        await moves.finished(database)
    assert await content(backend_of(database)) == {**before, **{name: [] for name in LEFT}}
    assert await content(backend_of(source_path)) == before
