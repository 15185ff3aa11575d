"""The moment of a point: nobody writes while it is taken, and everybody may as soon as it is."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.bootstrap.backup.directories import DATA_FILE

from kiteward.bootstrap.backup import point
from kiteward.config.settings import Settings
from kiteward.store.database_file import WriterLock


class Engine:
    """An engine that can be paused."""

    def __init__(self) -> None:
        self.stopped = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop it for the block."""
        self.stopped = True
        yield
        self.stopped = False


def store_is_locked(data: Path) -> bool:
    with closing(sqlite3.connect(data / "store.db", timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
    return False


def trail_is_locked(data: Path) -> bool:
    descriptor = os.open(data / "audit/lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def place_of(data: Path) -> point.Place:
    (data / "audit/lock").touch()
    return point.Place(data / "store.db", data / "audit", data / "engine", data / "factors.key")


@pytest.mark.parametrize("step", ["snapshot", "files"])
def test_nobody_writes_while_a_part_is_taken_and_everybody_may_afterwards(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    data, engine = settings.data_dir, Engine()
    place = place_of(data)
    owner, name = (WriterLock, "snapshot") if step == "snapshot" else (point, "_held_files")
    really, seen = getattr(owner, name), []

    def looked(*arguments: Any) -> Any:
        seen.append((store_is_locked(data), trail_is_locked(data), engine.stopped))
        taken = really(*arguments)
        seen.append((store_is_locked(data), trail_is_locked(data), engine.stopped))
        return taken

    monkeypatch.setattr(owner, name, looked)
    with point.take_point(place, paused=engine.paused()):
        assert seen == [(True, True, True)] * 2
        assert (store_is_locked(data), trail_is_locked(data), engine.stopped) == (False, False, False)


def test_what_is_written_after_the_moment_is_not_in_the_point(settings: Settings, tmp_path: Path) -> None:
    data = settings.data_dir
    log = data / "audit/of-the-test.jsonl"
    log.write_bytes(b"a" * 100_000)
    parquet = data / "engine/collections/docs" / DATA_FILE
    before = parquet.read_bytes()
    with point.take_point(place_of(data), paused=Engine().paused()) as taken:
        with closing(sqlite3.connect(data / "store.db")) as connection, connection:
            connection.execute("INSERT INTO roles (name, description) VALUES ('late', '')")
        with log.open("ab") as file:
            file.write(b"late")
        parquet.unlink()
        held = {each.path: b"".join(each.pieces()) for each in taken.files}
        taken.store.copy_to(tmp_path / "copy.db", lambda _done, _total: None)
    assert held["audit/of-the-test.jsonl"] == b"a" * 100_000
    assert held[f"engine/collections/docs/{DATA_FILE}"] == before
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("SELECT name FROM roles WHERE name = 'late'").fetchall() == []
