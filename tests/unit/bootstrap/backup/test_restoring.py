"""A restored directory is what was backed up, without what must not come back; or there is none."""

import asyncio
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.bootstrap.backup.directories import BIG, DATA_FILE, backed_up, files_of, quiet, restored

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.verify import verify
from kiteward.bootstrap.backup import contents
from kiteward.bootstrap.backup.archive import BackupInvalid
from kiteward.bootstrap.backup.reading import verify_backup
from kiteward.bootstrap.backup.sealed_file import make_key_file, read_key_file
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, StoreUnavailable
from kiteward.store.data_directory import UNFINISHED, DataDirectory
from kiteward.store.sql import SqlStore

NEW_KEYS = "INSERT INTO api_keys VALUES"


def key(key_id: str, *, enabled: int = 1) -> str:
    """Return the row of an API key of emma."""
    return f"('{key_id}', 'emma', '', '', 0, '', NULL, 0, '', {enabled}, {', '.join(['NULL'] * 7)})"


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_restored_directory_is_what_was_backed_up(settings: Settings, tmp_path: Path) -> None:
    backed_up(settings, tmp_path / "b")
    done = restored(tmp_path / "b", tmp_path / "new")
    found, wanted = files_of(tmp_path / "new"), files_of(settings.data_dir)
    engine = {path: content for path, content in wanted.items() if "drafts" not in path and "LOCK" not in path}
    assert {path: content for path, content in found.items() if not path.startswith("audit/") and path != "LOCK"} == {
        path: content for path, content in engine.items() if not path.startswith("audit/")
    }
    assert found[f"engine/collections/docs/{DATA_FILE}"] == BIG
    assert (tmp_path / "new/engine/databases/empty/collections").is_dir()
    assert (done.enabled_users, done.findings) == (2, ())


def test_restored_directory_can_be_used_by_its_owner_alone(settings: Settings, tmp_path: Path) -> None:
    backed_up(settings, tmp_path / "b")
    restored(tmp_path / "b", tmp_path / "new")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", *(tmp_path / "new").rglob("*"))}
    assert modes == {0o700, 0o600}

    async def users() -> list[str]:
        store = await SqlStore.open(tmp_path / "new/store.db")
        names = [user.name for user in await store.users()]
        await store.close()
        return names

    with DataDirectory.hold(tmp_path / "new"):
        assert asyncio.run(users()) == ["emma", "root"]


def test_sealed_backup_is_restored_with_its_key_alone(settings: Settings, tmp_path: Path) -> None:
    for name in ("key", "other"):
        make_key_file(tmp_path / name)
    key, other = read_key_file(tmp_path / "key"), read_key_file(tmp_path / "other")
    backed_up(settings, tmp_path / "b", key)
    for wrong in (None, other):
        with pytest.raises(BackupInvalid, match="cannot be used"):
            restored(tmp_path / "b", tmp_path / "new", wrong)
    assert not (tmp_path / "new").exists()
    assert restored(tmp_path / "b", tmp_path / "new", key).files > 5


def test_backup_that_is_not_sealed_is_not_taken_for_one_that_is(settings: Settings, tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    backed_up(settings, tmp_path / "b")
    with pytest.raises(BackupInvalid, match="not sealed, though a key was given"):
        restored(tmp_path / "b", tmp_path / "new", read_key_file(tmp_path / "key"))


def test_restore_is_noted_in_the_trail_that_goes_on(settings: Settings, tmp_path: Path) -> None:
    made = backed_up(settings, tmp_path / "b")
    restored(tmp_path / "b", tmp_path / "new", disable_keys=True)
    trail = tmp_path / "new/audit"
    assert verify(trail).findings == ()
    *_, last = AuditReader(trail).every(AuditQuery())
    assert (last["operation"], last["code"], last["details"]["shows"]) == ("RestoreBackup", 9013, made.made)


def test_what_ended_since_does_not_come_back(settings: Settings, tmp_path: Path) -> None:
    store = settings.data_dir / "store.db"
    execute(
        store,
        "INSERT INTO sessions VALUES ('digest', 'id', 'emma', '', '', '', '', 0, 0, '', '', '', '', 0, '')",
        "INSERT INTO secrets_shown VALUES ('ticket', 'id', 'sealed', 9e9)",
        "INSERT INTO sign_in_tickets VALUES ('digest', 'emma', '', '', '', '', 9e9)",
        "INSERT INTO federated_identities VALUES ('emma', 'https://id.example', 'sub', 0, '{}')",
        "INSERT INTO token_cutoffs VALUES ('https://other.example', '', 5), ('https://id.example', 'emma', 7)",
        f"{NEW_KEYS} {key('kept')}, {key('exchanged')}",
        "INSERT INTO exchanged_keys (key_id, actor, kept_tags) VALUES ('exchanged', 'root', '{}')",
    )
    backed_up(settings, tmp_path / "b")
    begun = time.time()
    done = restored(tmp_path / "b", tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new/store.db")) as connection:
        for table in ("sessions", "secrets_shown", "sign_in_tickets", "exchanged_keys"):
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == [], table  # noqa: S608  names of ours
        assert connection.execute("SELECT key_id FROM api_keys").fetchall() == [("kept",)]
        cut = {(row[0], row[1]): row[2] for row in connection.execute("SELECT * FROM token_cutoffs")}
    assert cut[("https://id.example", "")] >= begun
    assert cut[("https://other.example", "")] >= begun
    assert done.enabled_keys == 1


def test_keys_and_users_are_disabled_where_that_is_wanted(settings: Settings, tmp_path: Path) -> None:
    execute(
        settings.data_dir / "store.db",
        f"{NEW_KEYS} {key('one')}, {key('two', enabled=0)}",
    )
    backed_up(settings, tmp_path / "b")
    done = restored(tmp_path / "b", tmp_path / "new", disable_keys=True, disable_users=True)
    assert (done.disabled_keys, done.enabled_keys, done.disabled_users, done.enabled_users) == (1, 0, 1, 1)
    with closing(sqlite3.connect(tmp_path / "new/store.db")) as connection:
        assert connection.execute("SELECT name FROM users WHERE enabled").fetchall() == [("root",)]


@pytest.mark.parametrize("present", ["file", "LOCK"])
def test_directory_that_is_not_empty_is_left_alone(settings: Settings, tmp_path: Path, present: str) -> None:
    backed_up(settings, tmp_path / "b")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / present).write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match="is not empty: restore to a new directory"):
        restored(tmp_path / "b", tmp_path / "new")
    assert files_of(tmp_path / "new") == {present: b"precious"}


def test_empty_file_system_is_a_place_to_restore_to(settings: Settings, tmp_path: Path) -> None:
    backed_up(settings, tmp_path / "b")
    (tmp_path / "new/lost+found").mkdir(parents=True)
    restored(tmp_path / "b", tmp_path / "new")
    assert (tmp_path / "new/store.db").is_file()


def test_live_directory_is_not_restored_over(settings: Settings, tmp_path: Path) -> None:
    backed_up(settings, tmp_path / "b")
    with DataDirectory.hold(settings.data_dir), pytest.raises(ConfigurationError, match="not empty"):
        restored(tmp_path / "b", settings.data_dir)


def test_damaged_backup_leaves_everything_as_it_was(settings: Settings, tmp_path: Path) -> None:
    backed_up(settings, tmp_path / "b")
    data = bytearray((tmp_path / "b").read_bytes())
    data[data.index(BIG) + 7] ^= 1
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(BackupInvalid, match=r"backup .*/b cannot be used: it is damaged: .* has changed"):
        restored(tmp_path / "b", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupInvalid):
        restored(tmp_path / "b", tmp_path / "empty")
    assert [*(tmp_path / "empty").iterdir()] == []
    with pytest.raises(BackupInvalid):
        verify_backup(tmp_path / "b", None, quiet)


def test_restore_that_is_interrupted_leaves_a_directory_that_nothing_uses(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(settings, tmp_path / "b")
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # as if the process were killed before

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(contents, "_write", killed)
        with pytest.raises((KeyboardInterrupt, OSError)):
            restored(tmp_path / "b", tmp_path / "new")
    assert (tmp_path / "new" / UNFINISHED).is_dir()
    with pytest.raises(ConfigurationError, match="is running or was interrupted"):
        DataDirectory.hold(tmp_path / "new")
    with pytest.raises(ConfigurationError, match="not empty"):
        restored(tmp_path / "b", tmp_path / "new")


def test_backup_larger_than_the_room_is_refused_before_anything_is_written(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(settings, tmp_path / "b")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(ConfigurationError, match="has room for 1,000 bytes"):
        restored(tmp_path / "b", tmp_path / "new")


def test_backup_of_a_newer_store_is_refused_as_a_start_refuses_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(settings, tmp_path / "b")
    monkeypatch.setattr("kiteward.store.revisions.known", lambda: ("0001", "0021"))
    with pytest.raises(StoreUnavailable, match=r"at revision 0023, and this program, .* knows revisions up to 0021"):
        restored(tmp_path / "b", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_missing_data_file_of_a_collection_is_found(settings: Settings, tmp_path: Path) -> None:
    (settings.data_dir / "engine/collections/docs" / DATA_FILE).unlink()
    backed_up(settings, tmp_path / "b")
    (finding,) = verify_backup(tmp_path / "b", None, quiet).findings
    assert finding.startswith("`engine/collections/docs` lacks 1 data files")
    with pytest.raises(BackupInvalid, match="lacks 1 data files"):
        restored(tmp_path / "b", tmp_path / "new")


def test_trail_that_was_changed_is_reported_and_restored(settings: Settings, tmp_path: Path) -> None:
    (file,) = (settings.data_dir / "audit").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"outcome":"succeeded"', b'"outcome":"refuseded"', 1))
    backed_up(settings, tmp_path / "b")
    (finding,) = verify_backup(tmp_path / "b", None, quiet).findings
    assert finding.startswith("audit trail: ")
    assert "was changed" in finding
    assert restored(tmp_path / "b", tmp_path / "new").findings == (finding,)
