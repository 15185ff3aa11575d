"""`kiteward backup`: what each command prints, and its exit status; what it does is tested with its modules."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.bootstrap.backup.directories import make_directory

from kiteward.cli.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory, of which backups are made."""
    directory = tmp_path_factory.mktemp("backups") / "data"
    make_directory(directory)
    return directory


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["backup", *map(str, words)])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_backup_is_made_listed_verified_and_restored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backups/b"
    file.parent.mkdir()
    status, out, err = run(capsys, "create", "--data-dir", data, "--to", file)
    assert (status, out.startswith(f"{file}: "), "sha256: " in out) == (0, True, True)
    assert "Writes waited for" in err
    assert "is not sealed" in err
    status, out, _ = run(capsys, "list", file.parent)
    assert (status, out.startswith("b  20"), "Kiteward 0" in out) == (0, True, True)
    status, out, _ = run(capsys, "verify", file)
    assert (status, out.startswith(f"{file} is whole: ")) == (0, True)
    status, out, err = run(capsys, "restore", file, "--data-dir", tmp_path / "new")
    assert (status, out.startswith(f"restored to {tmp_path / 'new'}: ")) == (0, True)
    assert "what was revoked, changed or deleted later is undone" in err


def test_results_are_json_where_that_is_wanted(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(*words: object) -> Any:
        status, out, _ = run(capsys, *words, "--json")
        assert status == 0
        return json.loads(out)

    made = answer("create", "--data-dir", data, "--to", tmp_path / "b")
    assert (made["rows"], made["sealed"], made["file"]) == (True, False, str(tmp_path / "b"))
    (listed,) = answer("list", tmp_path)
    assert (listed["made"], listed["revision"]) == (made["made"], made["revision"])
    assert answer("verify", tmp_path / "b")["findings"] == []
    done = answer("restore", tmp_path / "b", "--data-dir", tmp_path / "new", "--disable-keys", "--disable-users")
    assert (done["made"], done["enabled_users"]) == (made["made"], 1)


def test_sealed_backup_needs_its_key_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, file = tmp_path / "key", tmp_path / "b"
    status, out, err = run(capsys, "key", key)
    assert (status, out, "keep a copy of this key apart" in err) == (0, "", True)
    assert run(capsys, "key", key)[0] == 1
    status, _, err = run(capsys, "create", "--data-dir", data, "--to", file, "--key-file", key)
    assert (status, "not sealed" in err) == (0, False)
    assert "  sealed\n" in run(capsys, "list", tmp_path)[1]
    assert run(capsys, "verify", file) == (
        1,
        "",
        f"kiteward: the backup {file} cannot be used: it is sealed; --key-file names the file with its key\n",
    )
    assert run(capsys, "verify", file, "--key-file", key)[0] == 0


def test_what_cannot_be_used_is_refused_with_what_to_do(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backups, key, other = tmp_path / "backups", tmp_path / "key", tmp_path / "other"
    backups.mkdir()
    run(capsys, "key", key)
    run(capsys, "key", other)
    run(capsys, "create", "--data-dir", data, "--to", backups / "b")
    run(capsys, "create", "--data-dir", data, "--to", backups / "sealed", "--key-file", key)
    content = (backups / "b").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    (tmp_path / "flipped").write_bytes(content.replace(b"v" * 1000, b"v" * 999 + b"w", 1))
    (tmp_path / "short").write_bytes(b"a note")
    for words, why in (
        ((tmp_path / "cut",), "it ends too early; use another backup"),
        ((tmp_path / "flipped",), "has changed since the backup was made; use another backup"),
        ((tmp_path / "short",), "it is not a backup of Kiteward: it is too short"),
        ((backups,), f"name a backup in it (kiteward backup list {backups})"),
        ((backups / "sealed", "--key-file", other), "give the key file that it was sealed with"),
        ((backups / "sealed", "--key-file", tmp_path / "absent"), "cannot be read: No such file or directory"),
    ):
        status, out, err = run(capsys, "restore", *words, "--data-dir", tmp_path / "new")
        assert (status, out, err.count("\n"), why in err) == (1, "", 1, True), err
        assert not (tmp_path / "new").exists()


def test_a_directory_that_there_is_not_is_no_name_for_a_backup(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(capsys, "create", "--data-dir", data, "--to", f"{tmp_path}/backups/")
    assert ended.value.code == 2
    assert f"there is no directory {tmp_path}/backups/" in capsys.readouterr().err
    assert not (tmp_path / "backups").exists()


def test_findings_end_with_status_1(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    (copy / "audit/head").write_bytes((copy / "audit/head").read_bytes().replace(b'"seq":', b'"seq":1', 1))
    run(capsys, "create", "--data-dir", copy, "--to", tmp_path / "b")
    status, out, _ = run(capsys, "verify", tmp_path / "b")
    assert (status, "audit trail: " in out) == (1, True)
    status, _, err = run(capsys, "restore", tmp_path / "b", "--data-dir", tmp_path / "new")
    assert (status, "warning: audit trail: " in err) == (0, True)


def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("create", "--data-dir", tmp_path / "absent", "--to", tmp_path / "b"),
        ("list", tmp_path / "absent"),
        ("verify", tmp_path / "absent"),
        ("restore", tmp_path / "absent", "--data-dir", tmp_path / "new"),
    ):
        status, out, err = run(capsys, *words)
        assert (status, out, err.count("\n"), err.startswith("kiteward: ")) == (1, "", 1, True), words


def test_directory_without_backups_lists_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list", tmp_path)[:2] == (0, "none\n")


def test_only_what_a_command_needs_is_imported() -> None:
    """To read a backup takes neither a server nor the libraries of databases."""
    code = (
        "import sys, kiteward.bootstrap.backup.reading, kiteward.bootstrap.backup.restoring\n"
        "heavy = {'sqlalchemy', 'alembic', 'asyncpg', 'starlette', 'pymilvus', 'numpy', 'grpc', 'httpx'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
