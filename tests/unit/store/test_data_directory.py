import os
import pwd
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld
from kiteward.store.data_directory import DataDirectory

HOLDING = """
import sys, time
from kiteward.store.data_directory import DataDirectory
held = DataDirectory.hold(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_directory_is_created_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with DataDirectory.hold(tmp_path / "data") as held:
            pass
    finally:
        os.umask(before)
    assert [mode_of(path) for path in (held.path, held.engine_path)] == [0o700] * 2
    assert mode_of(held.path / "LOCK") == 0o600


def test_missing_parents_are_created(tmp_path: Path) -> None:
    with DataDirectory.hold(tmp_path / "var" / "lib" / "kiteward") as held:
        assert held.engine_path.is_dir()


def test_paths_lie_inside_and_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DataDirectory.hold("data") as held:
        assert held.path == tmp_path / "data"
        assert {held.store_path.parent, held.engine_path.parent} == {held.path}
        assert len({held.store_path, held.engine_path, held.path / "LOCK"}) == 3


def test_rights_of_others_are_taken_away_and_contents_kept(tmp_path: Path) -> None:
    for folder in (tmp_path / "data", tmp_path / "data" / "run"):
        folder.mkdir()
        folder.chmod(0o777)
    (tmp_path / "data" / "store.db").write_text("kept")
    with DataDirectory.hold(tmp_path / "data") as held:
        assert mode_of(held.path) == mode_of(held.engine_path) == 0o700
        assert held.store_path.read_text() == "kept"


@pytest.mark.parametrize(
    ("users", "how"),
    [
        (["kiteward"], "belongs to the user kiteward: run as that user (root: `runuser -u kiteward -- kiteward …`)"),
        ([], f"belongs to user id {os.geteuid()}: run as that user"),
    ],
)
def test_directory_of_another_user_is_refused_with_how_to_be_that_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: list[str], how: str
) -> None:
    def named(number: int) -> SimpleNamespace:
        if number != owner or not users:
            raise KeyError
        return SimpleNamespace(pw_name=users[0])

    owner = os.geteuid()
    (tmp_path / "data").mkdir(0o755)
    (tmp_path / "data").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(pwd, "getpwuid", named)
    with pytest.raises(ConfigurationError, match=re.escape(how)):
        DataDirectory.hold(tmp_path / "data")
    assert mode_of(tmp_path / "data") == 0o755


def test_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        DataDirectory.hold(tmp_path / "data")


def test_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "data" / "LOCK").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        DataDirectory.hold(tmp_path / "data")
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_held_directory_is_refused_by_name_and_holder(tmp_path: Path) -> None:
    with DataDirectory.hold(tmp_path / "data"), pytest.raises(DataDirectoryHeld) as refusal:
        DataDirectory.hold(tmp_path / "data")
    assert str(tmp_path / "data") in str(refusal.value)
    assert str(os.getpid()) in str(refusal.value)


def test_directory_is_free_again_after_close(tmp_path: Path) -> None:
    held = DataDirectory.hold(tmp_path / "data")
    held.close()
    held.close()
    assert (tmp_path / "data" / "LOCK").read_text() == ""
    DataDirectory.hold(tmp_path / "data").close()


def test_refused_holder_does_not_free_the_directory(tmp_path: Path) -> None:
    with DataDirectory.hold(tmp_path / "data"):
        for _ in range(2):
            with pytest.raises(DataDirectoryHeld):
                DataDirectory.hold(tmp_path / "data")


def test_failed_hold_leaves_the_directory_free(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "engine").write_text("in the way")
    with pytest.raises(ConfigurationError):
        DataDirectory.hold(tmp_path / "data")
    (tmp_path / "data" / "engine").unlink()
    DataDirectory.hold(tmp_path / "data").close()


@pytest.fixture
def other(tmp_path: Path) -> SimpleNamespace:
    """Another process that holds `tmp_path / "data"`."""
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "data")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return SimpleNamespace(process=process, pid=process.pid)


def test_directory_held_by_another_process_is_free_once_that_is_killed(tmp_path: Path, other: SimpleNamespace) -> None:
    try:
        with pytest.raises(DataDirectoryHeld, match=rf"\(process {other.pid}\)"):
            DataDirectory.hold(tmp_path / "data")
    finally:
        other.process.send_signal(signal.SIGKILL)
        other.process.communicate(timeout=10)
    with DataDirectory.hold(tmp_path / "data"):
        assert (tmp_path / "data" / "LOCK").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("before", ["absent", "empty"])
def test_a_new_directory_is_removed_where_the_start_fails(tmp_path: Path, before: str) -> None:
    place = tmp_path / "data"
    if before == "empty":
        place.mkdir()
    with pytest.raises(FileNotFoundError), DataDirectory.hold(place) as held:
        (held.store_path.write_text("half made"), (place / "missing").read_text())
    assert not place.exists()


def test_what_was_there_before_a_start_that_fails_stays(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    (place / "store.db").write_text("precious")
    with pytest.raises(RuntimeError), DataDirectory.hold(place):
        raise RuntimeError
    assert (place / "store.db").read_text() == "precious"


def test_a_new_directory_stays_after_a_start_that_succeeded_whatever_happens_later(tmp_path: Path) -> None:
    held = DataDirectory.hold(tmp_path / "data")
    held.keep()
    with pytest.raises(RuntimeError), held:
        raise RuntimeError
    assert held.engine_path.is_dir()
    with DataDirectory.hold(tmp_path / "other"):
        pass
    assert (tmp_path / "other" / "engine").is_dir()
