"""The command line of the import: generated passwords have a file before anything is imported."""

import io
import json
from pathlib import Path

import pytest

from kiteward.cli.main import main
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.gateway.import_policy import ImportReport, Progress

ONE_TIME = "one-time-password"


class Source:
    """Stands for a source; counts how often something was brought from it."""

    def __init__(self) -> None:
        self.passwords: dict[str, Secret] = {}
        self.brought = 0
        self.fails = False

    async def __call__(self, *_arguments: object, dry_run: bool, progress: Progress) -> ImportReport:
        progress("users", 0, len(self.passwords))
        if self.fails:
            raise ConfigurationError("the source cannot be reached")
        self.brought += not dry_run
        return ImportReport(tuple(self.passwords), (), (), (), (), self.passwords)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    source = Source()
    monkeypatch.setattr("kiteward.bootstrap.policy_import.import_from", source)
    return source


def run_import(tmp_path: Path, passwords: Path, *options: str) -> int:
    (tmp_path / "token").write_text("root:Milvus\n")
    token = ("--token-file", str(tmp_path / "token"))
    return main(["import", "--from", "http://source:19530", *token, "--passwords-file", str(passwords), *options])


@pytest.mark.parametrize("place", ["there-already", "no-directory/file"])
def test_nothing_is_brought_when_new_passwords_have_no_place(source: Source, tmp_path: Path, place: str) -> None:
    source.passwords = {"mover": Secret(ONE_TIME)}
    (tmp_path / "there-already").write_text("precious")
    assert run_import(tmp_path, tmp_path / place) == 1
    assert source.brought == 0
    assert (tmp_path / "there-already").read_text() == "precious"


def test_new_passwords_are_in_a_private_file_and_nowhere_else(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.passwords = {"mover": Secret(ONE_TIME)}
    assert run_import(tmp_path, tmp_path / "passwords") == 0
    assert (tmp_path / "passwords").read_text() == f"mover\t{ONE_TIME}\n"
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600
    captured = capsys.readouterr()
    assert ONE_TIME not in captured.out + captured.err


def test_what_was_imported_is_json_where_that_is_wanted(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.passwords = {"mover": Secret(ONE_TIME)}
    expected = {
        "dryRun": False,
        "users": ["mover"],
        "roles": [],
        "grants": [],
        "privilegeGroups": [],
        "leftOut": [],
        "newPasswords": ["mover"],
    }
    assert run_import(tmp_path, tmp_path / "passwords", "--json") == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert run_import(tmp_path, tmp_path / "others", "--json", "--dry-run") == 0
    assert json.loads(capsys.readouterr().out) == {**expected, "dryRun": True}
    without_file = ["import", "--from", "http://source:19530", "--token-file", str(tmp_path / "token"), "--json"]
    assert main(without_file) == 0
    assert json.loads(capsys.readouterr().out) == {**expected, "passwords": {"mover": ONE_TIME}}


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_no_empty_file_is_left_where_no_password_was_made(
    source: Source, tmp_path: Path, option: tuple[str, ...]
) -> None:
    assert run_import(tmp_path, tmp_path / "passwords", *option) == 0
    assert not (tmp_path / "passwords").exists()


def test_no_empty_file_is_left_when_the_source_fails(source: Source, tmp_path: Path) -> None:
    source.fails = True
    assert run_import(tmp_path, tmp_path / "passwords") == 1
    assert not (tmp_path / "passwords").exists()


def test_where_nobody_can_be_asked_for_a_token_the_option_is_named(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["import", "--from", "http://milvus:19530", "--data-dir", str(tmp_path / "data")]) == 1
    assert "--token-file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["import", "--from", "http://milvus:19530"], ["users", "list"], ["login", "http://localhost:1"]]
)
@pytest.mark.parametrize("given", [["--token", "root:Secret-7"], ["--token=root:Secret-7"]])
def test_a_credential_is_no_argument_and_no_error_repeats_it(
    source: Source, capsys: pytest.CaptureFixture[str], words: list[str], given: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, *given])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert "--token-file" in captured.err
    assert "Secret-7" not in captured.out + captured.err
    assert not source.brought


def test_a_credential_file_that_is_missing_is_called_so(source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--from", "http://milvus:19530", "--token-file", "missing"]) == 1
    assert "the credential file missing cannot be read" in capsys.readouterr().err
