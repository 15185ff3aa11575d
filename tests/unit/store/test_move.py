"""Moving a store between SQLite and PostgreSQL; every table is covered, and every moment to be killed at."""

import asyncio
import itertools
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

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

MOVING = """
import asyncio, sys
from kiteward.domain.identity import Secret
from kiteward.store.move import move
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of

target = backend_of(PostgresqlSettings.parse(sys.argv[2], password=Secret(sys.argv[3])))
progress = lambda *step: print(*step, flush=True)
asyncio.run(move(backend_of(sys.argv[1]), target, progress))
print("moved", flush=True)
"""


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


@pytest.fixture
def database(cluster: Cluster) -> Iterator[PostgresqlSettings]:
    with cluster.database() as settings:
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
    tmp_path: Path, database: PostgresqlSettings
) -> None:
    source, middle, back = backend_of(tmp_path / "a.db"), backend_of(database), backend_of(tmp_path / "b.db")
    await filled(source, 7)
    before = await content(source)
    assert all(len(rows) == (1 if name in SINGLE else 7) for name, rows in before.items())
    moved = await move(source, middle, ignored)
    assert await content(source) == before
    assert {len(before.pop(name)) for name in LEFT} == {7}
    assert moved == {name: len(rows) for name, rows in before.items()}
    assert await content(middle) == {**before, **{name: [] for name in LEFT}}
    await move(middle, back, ignored)
    assert await content(back) == {**before, **{name: [] for name in LEFT}}


async def test_every_table_that_migrations_make_is_known_to_the_move(tmp_path: Path) -> None:
    async with backend_of(tmp_path / "store.db").alone() as connection:
        made = await connection.run_sync(lambda each: set(inspect(each).get_table_names()))
    assert made == {*schema.metadata.tables, "alembic_version"}


async def test_store_of_an_older_version_is_moved_and_left_as_it_was(
    tmp_path: Path, database: PostgresqlSettings
) -> None:
    path = tmp_path / "store.db"
    await filled(backend_of(path), 2)
    with sqlite3.connect(path) as connection:  # as before row policies and tags
        for table in YOUNGER:
            connection.execute(f"DROP TABLE {table}")
        for table, column in itertools.product(("users", "roles", "api_keys"), LIMITS):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("ALTER TABLE revision DROP COLUMN timeline")
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
    connection.close()
    moved = await move(backend_of(path), backend_of(database), ignored)
    assert (moved["users"], moved["user_tags"]) == (2, 0)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0006",)]
    connection.close()
    assert newest() != "0006"


@pytest.mark.parametrize("name", schema.metadata.tables)
async def test_target_with_a_row_in_any_table_is_refused_and_unchanged(name: str, tmp_path: Path) -> None:
    """Between two files, which is the same to the move and takes less time."""
    source, target = backend_of(tmp_path / "a.db"), backend_of(tmp_path / "b.db")
    await filled(source, 2)
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


async def test_intents_get_new_numbers_after_the_move(tmp_path: Path, database: PostgresqlSettings) -> None:
    source, back = tmp_path / "a.db", tmp_path / "b.db"
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


async def test_progress_is_told_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_CHUNK", 3)
    await filled(backend_of(tmp_path / "a.db"), 7)
    told: list[tuple[str, int, int]] = []
    await move(backend_of(tmp_path / "a.db"), backend_of(tmp_path / "b.db"), lambda *step: told.append(step))
    assert [step for step in told if step[0] == "users"] == [("users", 3, 7), ("users", 6, 7), ("users", 7, 7)]


async def test_difference_is_found_before_anything_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = backend_of(tmp_path / "a.db"), backend_of(tmp_path / "b.db")
    await filled(source, 3)
    proceed = moving._continue_numbers

    async def corrupt(connection: AsyncConnection) -> None:
        await connection.execute(schema.users.update().values(enabled=True))
        await proceed(connection)

    monkeypatch.setattr(moving, "_continue_numbers", corrupt)
    with pytest.raises(StoreUnavailable, match="holds something else than the source in `users`"):
        await move(source, target, ignored)
    assert (await content(target))["users"] == []


async def test_text_that_postgresql_cannot_hold_is_told(tmp_path: Path, database: PostgresqlSettings) -> None:
    store = await SqlStore.open(tmp_path / "store.db")
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash", description="a\0b")
        await transaction.commit()
    await store.close()
    with pytest.raises(StoreUnavailable, match="a text holds a character that the database cannot store, such as NUL"):
        await move(backend_of(tmp_path / "store.db"), backend_of(database), ignored)
    assert (await content(backend_of(database)))["users"] == []


@pytest.mark.slow
async def test_killed_at_any_moment_it_leaves_everything_or_nothing(
    tmp_path: Path, database: PostgresqlSettings, cluster: Cluster
) -> None:
    path = tmp_path / "store.db"
    await filled(backend_of(path), 1200)
    before = await content(backend_of(path))
    everything = {**before, **{name: [] for name in LEFT}}
    steps, finished = 0, False
    while not finished:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MOVING, path, cluster.url(database.database), PASSWORD, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(steps):
            if not await process.stdout.readline():
                break
        finished = process.stdout.at_eof()
        if not finished:
            process.kill()
        await process.wait()
        held = await released(backend_of(database))
        assert held == everything or not any(rows for name, rows in held.items() if name not in SINGLE)
        finished = finished or held == everything
        steps += 4
    assert held == everything
    assert await content(backend_of(path)) == before
