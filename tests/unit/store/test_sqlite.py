import logging
import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from kiteward.domain.errors import ConfigurationError, StoreUnavailable
from kiteward.store import schema, sqlite
from kiteward.store.sql import SqlStore


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def open_to_all(path: Path) -> None:
    path.chmod(0o644)


async def pragma(engine: AsyncEngine, name: str) -> object:
    async with engine.connect() as connection:
        value = (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
    await engine.dispose()
    return value


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A migrated database file."""
    path = tmp_path / "store.db"
    await (await SqlStore.open(path)).close()
    return path


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("store.db", "store.db"),
        ("/var/lib/kiteward/store.db", "/var/lib/kiteward/store.db"),
        (Path("/var/lib/store.db"), "/var/lib/store.db"),
        ("sqlite:///store.db", "store.db"),
        ("sqlite:////var/lib/store.db", "/var/lib/store.db"),
        ("sqlite+aiosqlite:////var/lib/store.db", "/var/lib/store.db"),
    ],
)
def test_path_and_address_name_a_file(location: str | Path, path: str) -> None:
    assert sqlite.database_path(location) == Path(path)


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://user:hunter2@host/db",
        "sqlite+pysqlcipher:///store.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://host/store.db",
        "sqlite:///store.db?mode=ro",
        "://",
    ],
)
def test_other_addresses_are_refused_without_repeating_them(location: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        sqlite.database_path(location)
    assert "hunter2" not in str(refusal.value)


async def test_writer_syncs_every_commit_to_a_write_ahead_log(path: Path) -> None:
    assert await pragma(sqlite.writing_engine(path), "journal_mode") == "wal"
    assert await pragma(sqlite.writing_engine(path), "synchronous") == 2
    assert await pragma(sqlite.migrating_engine(path), "synchronous") == 2


async def test_foreign_keys_are_enforced_except_while_tables_change(path: Path) -> None:
    assert await pragma(sqlite.writing_engine(path), "foreign_keys") == 1
    assert await pragma(sqlite.migrating_engine(path), "foreign_keys") == 0


@pytest.mark.parametrize("engine", [sqlite.writing_engine, sqlite.migrating_engine, sqlite.reading_engine])
async def test_every_connection_waits_for_a_lock_before_it_gives_up(path: Path, engine: object) -> None:
    assert callable(engine)
    assert await pragma(engine(path), "busy_timeout") == 5000


async def test_reading_connection_cannot_write(path: Path) -> None:
    engine = sqlite.reading_engine(path)
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(schema.privilege_groups.insert(), {"name": "mine"})
    await engine.dispose()


@pytest.mark.parametrize("umask", [0o000, 0o077])
async def test_database_and_its_companions_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = await SqlStore.open(tmp_path / "store.db")
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            await transaction.commit()
            files = modes_in(tmp_path)
        await store.close()
    finally:
        os.umask(before)
    assert files == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


async def test_database_that_others_could_read_is_closed_to_them(path: Path) -> None:
    open_to_all(path)
    await (await SqlStore.open(path)).close()
    assert modes_in(path.parent) == {"store.db": 0o600}


async def test_password_hash_is_in_no_error_and_no_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = await SqlStore.open(path)
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "$argon2id$topsecret")
        await transaction.commit()
    async with store.transaction() as transaction:
        with pytest.raises(StoreUnavailable) as failure:
            await transaction.users.add("alice", "$argon2id$topsecret")
    await store.user("alice")
    await store.users()
    await store.close()
    causes: list[str] = []
    error: BaseException | None = failure.value
    while error is not None:
        causes.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    assert len(causes) > 1
    assert "topsecret" not in " ".join(causes)
    assert "topsecret" not in caplog.text
