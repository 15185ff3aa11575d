"""Backups without a server: what is in them, how they get their name, and when none is made."""

import json
import os
import sqlite3
import stat
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.bootstrap.backup.directories import DATA_FILE, backed_up, quiet, restored

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.settings import AuditSettings
from kiteward.bootstrap.backup import point
from kiteward.bootstrap.backup.drafts import draft_of
from kiteward.bootstrap.backup.making import SUFFIX, Order, make_backup
from kiteward.bootstrap.backup.reading import list_backups, open_backup, verify_backup
from kiteward.config.settings import Settings
from kiteward.domain.errors import AuditUnavailable, ConfigurationError, DataDirectoryHeld, StoreUnavailable
from kiteward.engine.upstream import Address, RemoteEngineSettings
from kiteward.store.data_directory import DataDirectory
from kiteward.store.postgresql.settings import PostgresqlSettings


def paths_in(backup: Path) -> set[str]:
    with open_backup(backup, None) as reader:
        return {each.path for each in reader.head.files}


def entries_of(settings: Settings) -> list[dict[str, Any]]:
    trail = AuditReader(settings.audit.place(settings.data_dir))
    return [dict(each) for each in trail.every(AuditQuery(operation="CreateBackup"))]


def test_backup_has_everything_but_locks_and_what_is_not_finished(settings: Settings, tmp_path: Path) -> None:
    made = backed_up(settings, tmp_path / "b")
    paths = paths_in(tmp_path / "b")
    assert {"store.db", "factors.key", "audit/head", "engine/collections/docs/manifest.json"} <= paths
    assert not [path for path in paths if "LOCK" in path or ".drafts" in path or path == "audit/lock"]
    with open_backup(tmp_path / "b", None) as reader:
        assert reader.head.empty == ("engine/databases/empty/collections",)
    assert (made.files, made.rows, made.sealed) == (len(paths), True, False)
    assert verify_backup(tmp_path / "b", None, quiet).findings == ()


def test_backup_is_for_its_owner_alone_and_nothing_else_is_left(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    made = backed_up(settings, tmp_path / "backups")
    (path,) = (tmp_path / "backups").iterdir()
    assert (str(path), path.suffix) == (made.file, SUFFIX)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == made.bytes


def test_backup_of_a_directory_whose_server_was_killed_holds_what_is_in_its_log(
    settings: Settings, tmp_path: Path
) -> None:
    store = settings.data_dir / "store.db"
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO roles (name, description) VALUES ('late', '')")
        assert (settings.data_dir / "store.db-wal").stat().st_size > 0
        backed_up(settings, tmp_path / "b")
    with open_backup(tmp_path / "b", None) as reader:
        entry, pieces = next(reader.files())
        (tmp_path / "copy.db").write_bytes(b"".join(pieces))
    assert entry.path == "store.db"
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("SELECT name FROM roles").fetchall() == [("late",)]


def test_backup_is_recorded_before_and_after(settings: Settings, tmp_path: Path) -> None:
    made = backed_up(settings, tmp_path / "b")
    received, succeeded = entries_of(settings)
    assert (received["outcome"], succeeded["outcome"]) == ("received", "succeeded")
    assert succeeded["details"]["sha256"] == made.sha256
    assert succeeded["client"].startswith("system user ")


def test_backup_that_fails_is_recorded_and_leaves_no_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    with closing(sqlite3.connect(settings.data_dir / "store.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="newer version of Kiteward"):
        backed_up(settings, tmp_path / "backups")
    assert [*(tmp_path / "backups").iterdir()] == []
    assert [each["outcome"] for each in entries_of(settings)] == ["received", "failed"]


def test_without_a_record_no_backup_is_made(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kiteward.audit.files.ChainedFiles.append", full)
    with pytest.raises(AuditUnavailable, match="no backup was made"):
        backed_up(settings, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_without_a_trail_the_rest_is_backed_up(settings: Settings, tmp_path: Path) -> None:
    backed_up(replace(settings, audit=AuditSettings(enabled=False)), tmp_path / "b")
    assert not [path for path in paths_in(tmp_path / "b") if path.startswith("audit/")]


def test_trail_is_taken_from_where_the_configuration_has_it(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (settings.data_dir / "audit").rename(elsewhere)
    backed_up(replace(settings, audit=AuditSettings(directory=elsewhere)), tmp_path / "b")
    assert "audit/head" in paths_in(tmp_path / "b")


def test_damaged_store_is_not_backed_up(settings: Settings, tmp_path: Path) -> None:
    store = settings.data_dir / "store.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("INSERT INTO role_bindings VALUES ('nobody', 'nothing')")
    with pytest.raises(ConfigurationError, match="no backup is made of a damaged store: a row of `role_bindings`"):
        backed_up(settings, tmp_path / "b")
    store.write_bytes(b"this is no database " * 500)
    with pytest.raises(StoreUnavailable, match="is damaged: restore a backup"):
        backed_up(settings, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_file_that_exists_is_not_replaced(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match="exists: choose another name"):
        backed_up(settings, tmp_path / "b")
    with draft_of(tmp_path / "b") as draft:
        draft.file.write_bytes(b"new")
        with pytest.raises(ConfigurationError, match="exists: choose another name"):
            draft.publish()
    assert (tmp_path / "b").read_bytes() == b"precious"


def test_target_must_have_a_directory(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no directory"):
        backed_up(settings, tmp_path / "absent/b")


def test_what_a_killed_command_left_is_removed_and_what_another_one_writes_is_not(tmp_path: Path) -> None:
    (tmp_path / ".kiteward-backup-old").mkdir()
    (tmp_path / ".kiteward-backup-old/backup").write_bytes(b"half")
    with draft_of(tmp_path / "a") as first, draft_of(tmp_path / "b") as second:
        assert first.folder.is_dir()
        assert {*tmp_path.iterdir()} == {first.folder, second.folder}
    assert [*tmp_path.iterdir()] == []


def test_directory_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no store: give --data-dir"):
        backed_up(Settings(data_dir=tmp_path / "absent"), tmp_path / "b")
    assert not (tmp_path / "absent").exists()


def test_half_a_backup_is_refused_with_what_to_use(settings: Settings, tmp_path: Path) -> None:
    database = PostgresqlSettings.parse("postgresql://k@localhost/k", password=None)
    with pytest.raises(ConfigurationError, match="pg_dump"):
        backed_up(replace(settings, store=database), tmp_path / "b")
    remote = replace(settings, engine=RemoteEngineSettings(Address.parse("grpc://localhost:1")))
    with pytest.raises(ConfigurationError, match="milvus-backup"):
        backed_up(remote, tmp_path / "b")
    with pytest.raises(ConfigurationError, match="leave --without-rows out"):
        backed_up(settings, tmp_path / "b", rows=False)
    assert not backed_up(remote, tmp_path / "b", rows=False).rows
    assert not [path for path in paths_in(tmp_path / "b") if path.startswith("engine/")]


def test_directory_that_something_else_holds_is_refused(settings: Settings, tmp_path: Path) -> None:
    with DataDirectory.hold(settings.data_dir), pytest.raises(DataDirectoryHeld, match="takes no part in backups"):
        backed_up(settings, tmp_path / "b")


def test_backups_of_a_directory_are_listed_by_their_time_and_nothing_else_is(
    settings: Settings, tmp_path: Path
) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    backed_up(settings, place / "z")
    backed_up(settings, place / "a")
    (place / "notes.txt").write_text("not a backup")
    (place / "broken").write_bytes((place / "a").read_bytes()[:600])
    broken, first, second = list_backups(place)
    assert (first.file, second.file, first.revision) == ("z", "a", "0023")
    assert (broken.file, "ends too early" in broken.fault) == ("broken", True)
    assert json.dumps(first.made) < json.dumps(second.made)


def test_file_that_is_replaced_before_the_moment_is_taken_as_it_is_then(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = settings.data_dir / "engine/collections/docs" / DATA_FILE, b"n" * 150_000
    opened_before = point._opened_before

    def then_replaced(place: point.Place, stack: ExitStack) -> Any:
        found = opened_before(place, stack)
        assert str(path) in found
        path.with_name("draft").write_bytes(new)
        path.with_name("draft").replace(path)
        return found

    monkeypatch.setattr(point, "_opened_before", then_replaced)
    backed_up(settings, tmp_path / "b")
    restored(tmp_path / "b", tmp_path / "new")
    assert (tmp_path / "new/engine/collections/docs" / DATA_FILE).read_bytes() == new


def test_a_file_of_the_engine_that_becomes_shorter_fails_the_backup(settings: Settings, tmp_path: Path) -> None:
    """It never does. Where it did, the backup would hold something that never was."""
    path = settings.data_dir / "engine/collections/docs/partitions/_default/data/data_000001_000040.parquet"

    def shorten(what: str, _done: int, _total: int) -> None:
        if what == "pages of the store copied":
            os.truncate(path, 10)

    with pytest.raises(OSError, match="became shorter"):
        make_backup(Order(settings, tmp_path / "b", None, rows=True), shorten)
    assert not (tmp_path / "b").exists()
