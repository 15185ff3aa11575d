"""The database file of a store for backups: one moment of it, while others write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kiteward.domain.errors import StoreUnavailable
from kiteward.store import factor_tables, schema
from kiteward.store.database_file import ENDED_WITH_A_RESTORE, WriterLock, defects_of, revision_of
from kiteward.store.move import LEFT


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A database as a store has it, with a table of numbers."""
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0022')")
        connection.execute("CREATE TABLE numbers (number INTEGER, text TEXT)")
        yield tmp_path / "store.db"


def add(path: Path, numbers: range, *, patience: float = 0.0) -> None:
    with closing(sqlite3.connect(path, timeout=patience)) as connection, connection:
        connection.executemany("INSERT INTO numbers VALUES (?, ?)", [(each, "x" * 100) for each in numbers])


def test_snapshot_is_of_its_moment_whatever_is_written_while_it_is_copied(path: Path, tmp_path: Path) -> None:
    add(path, range(50_000))
    with WriterLock(path) as lock:
        snapshot = lock.snapshot()
    assert snapshot.revision == "0022"
    steps = []

    def write_meanwhile(done: int, total: int) -> None:
        steps.append((done, total))
        add(path, range(100))

    with closing(snapshot):
        snapshot.copy_to(tmp_path / "copy.db", write_meanwhile)
    assert len(steps) > 1
    assert steps[-1][0] == steps[-1][1]
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (50_000,)
    assert defects_of(tmp_path / "copy.db") == []


def test_nobody_writes_while_the_lock_is_held(path: Path) -> None:
    with WriterLock(path), pytest.raises(sqlite3.OperationalError, match="locked"):
        add(path, range(1))
    add(path, range(1))


def test_damage_is_found_wherever_it_is(path: Path) -> None:
    add(path, range(5_000))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[40_960:45_056] = b"\xff" * 4096
    path.write_bytes(data)
    assert defects_of(path)[0].startswith("the store is damaged: ")
    path.write_bytes(b"this is no database " * 500)
    assert defects_of(path) == ["the store is damaged: file is not a database"]
    with pytest.raises(StoreUnavailable, match="is damaged: restore a backup"):
        revision_of(path)


def test_file_that_is_absent_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        revision_of(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()


def test_what_ends_with_a_restore_is_what_does_not_move_to_another_database() -> None:
    assert set(ENDED_WITH_A_RESTORE) == {table.name for table in LEFT}
    assert factor_tables.sign_in_tickets in LEFT
    order = [table.name for table in reversed(schema.metadata.sorted_tables) if table in LEFT]
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_keys:
            child, parent = table.name, key.column.table.name
            if child in order and parent in order:
                assert ENDED_WITH_A_RESTORE.index(child) < ENDED_WITH_A_RESTORE.index(parent), (child, parent)
