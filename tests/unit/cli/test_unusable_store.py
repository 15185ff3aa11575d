"""A store that is newer than the program, or damaged: every command says so, in the same words, and changes nothing."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.server import command, refused_start
from tests.unit.bootstrap.backup.directories import make_directory

from kiteward.cli.main import main

NEWER = (
    "the store was written by a newer version of Kiteward: its tables are at revision 9999, and this program, Kiteward "
)
WHAT_TO_DO = "run the version that wrote it or a newer one, or restore a backup that was made before the upgrade"

COMMANDS = (
    ("users", "list"),
    ("users", "create", "emma"),
    ("keys", "list"),
    ("tags", "get", "--user", "root"),
    ("limits", "list"),
    ("identities", "list"),
    ("group-roles", "list"),
    ("explain", "--user", "root", "--operation", "Search", "--collection", "docs"),
    ("access", "--collection", "docs"),
    ("backup", "create", "--to", "backup"),
    ("doctor",),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that stays as it is."""
    directory = tmp_path_factory.mktemp("unusable") / "data"
    make_directory(directory)
    return directory


@pytest.fixture
def data(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that the test may spoil, in the directory where the commands run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(template, tmp_path / "data")
    return tmp_path / "data"


def make_newer(data: Path) -> bytes:
    with closing(sqlite3.connect(data / "store.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with closing(sqlite3.connect(data / "store.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (data / "store.db").read_bytes()


def make_damaged(data: Path) -> bytes:
    (data / "store.db").write_bytes(b"this is no database " * 500)
    return (data / "store.db").read_bytes()


def test_every_command_refuses_a_newer_store_in_the_same_words(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = make_newer(data)
    for words in COMMANDS:
        assert main([*words, "--data-dir", str(data)]) == 1, words
        shown = capsys.readouterr()
        assert NEWER in shown.out + shown.err, words
        assert WHAT_TO_DO in shown.out + shown.err, words
    assert (data / "store.db").read_bytes() == before


def test_every_command_says_that_a_store_is_damaged(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = make_damaged(data)
    for words in COMMANDS:
        assert main([*words, "--data-dir", str(data)]) == 1, words
        shown = capsys.readouterr()
        assert "damaged" in shown.out + shown.err, words
        assert "restore a backup" in shown.out + shown.err, words
    assert (data / "store.db").read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "why"), [(make_newer, NEWER), (make_damaged, "the file is damaged, restore a backup")]
)
def test_server_does_not_start_on_it(data: Path, spoil: object, why: str) -> None:
    assert callable(spoil)
    before = spoil(data)
    done = refused_start(command(data), cwd=data.parent)
    assert (done.returncode, done.stdout, why in done.stderr) == (1, "", True)
    assert done.stderr.count("\n") == 1
    assert (data / "store.db").read_bytes() == before


def test_doctor_finds_damage_that_opening_a_store_does_not_meet(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = data / "store.db"
    with closing(sqlite3.connect(store)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'locks_by_name'").fetchone()
    content = bytearray(store.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    store.write_bytes(content)
    assert main(["doctor", "--data-dir", str(data)]) == 1
    assert "fault: the store is damaged: " in capsys.readouterr().out
