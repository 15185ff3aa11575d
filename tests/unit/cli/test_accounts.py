"""The command line of users and keys: on the store itself, through the gateway, and telling secrets once."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.cli.main import main
from kiteward.cli.option_rows import OPTIONS
from kiteward.domain.errors import AuthenticationError
from kiteward.domain.identity import KeyCredential, PasswordCredential, PresentedCredential, Secret
from kiteward.store.data_directory import DataDirectory
from kiteward.store.records import NO_PASSWORD
from kiteward.store.sql import SqlStore

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must succeed in a data directory and return what it prints."""

    def command(*words: str) -> str:
        status = main([*words, "--data-dir", str(tmp_path / "data")])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    return command


def opens(directory: Path, credential: PresentedCredential) -> bool:
    async def asked() -> bool:
        store, hasher = await SqlStore.open(directory / "data" / "store.db"), PasswordHasher(TESTING)
        try:
            await Authenticator(store, hasher).authenticate(credential, address="127.0.0.1:1")
        except AuthenticationError:
            return False
        finally:
            await store.close()
            hasher.close()
        return True

    return asyncio.run(asked())


def lines(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines())


def cells(text: str) -> dict[str, str]:
    """Read a table of one row."""
    head, row = (re.split(r"  +", line) for line in text.splitlines())
    return dict(zip(head, row, strict=False))  # what is empty at the end of a line is not printed


def test_init_makes_an_administrator_with_a_password_that_is_printed_once(run: Run, tmp_path: Path) -> None:
    printed = lines(run("init", "--admin", "db_admin"))
    assert opens(tmp_path, PasswordCredential("db_admin", Secret(printed["password"])))
    described = json.loads(run("users", "describe", "db_admin", "--json"))
    assert described["roles"] == ["admin"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert printed["password"].encode() not in stored
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("name", "told"), [("root", "root always exists"), ("9lives", "9lives")])
def test_init_with_a_name_that_cannot_be_leaves_no_directory_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    assert main(["init", "--admin", name, "--data-dir", str(tmp_path / "data")]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_init_makes_no_second_administrator_where_there_is_one(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--admin", "db_admin")
    assert main(["init", "--admin", "other", "--data-dir", str(tmp_path / "data")]) == 1
    told = capsys.readouterr().err
    assert "is already initialized" in told
    assert "kiteward users create NAME --role admin" in told
    assert [user["userName"] for user in json.loads(run("users", "list", "--json"))] == ["db_admin", "root"]


def test_init_leaves_a_directory_alone_that_a_server_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with DataDirectory.hold(tmp_path / "data"):
        assert main(["init", "--admin", "other", "--data-dir", str(tmp_path / "data")]) == 1
    assert "is in use by another server" in capsys.readouterr().err
    assert not (tmp_path / "data" / "store.db").exists()


def test_init_after_a_refused_one_begins_again(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEWARD_ROOT_PASSWORD", "abc")
    assert main(["init", "--admin", "db_admin", "--data-dir", str(tmp_path / "data")]) == 1
    assert (
        "rejects the first password of root (invalid password length: invalid parameter[3 out of range"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "data").exists()
    monkeypatch.delenv("KITEWARD_ROOT_PASSWORD")
    run("init", "--admin", "db_admin")


@pytest.mark.parametrize("password", ["Milvus", NO_PASSWORD, ""])
def test_after_init_no_password_is_that_of_root(run: Run, tmp_path: Path, password: str) -> None:
    run("init", "--admin", "db_admin")
    assert not opens(tmp_path, PasswordCredential("root", Secret(password)))


def test_a_forgotten_password_of_root_is_reset_with_access_to_the_files_alone(run: Run, tmp_path: Path) -> None:
    run("init", "--admin", "db_admin")
    made = lines(run("users", "reset-password", "root"))["password"]
    assert opens(tmp_path, PasswordCredential("root", Secret(made)))


def test_a_password_is_read_from_a_file_or_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "--admin", "db_admin")
    file = tmp_path / "password"
    file.write_text("From-a-file-1\nand more\n")
    assert "From-a-file-1" not in run("users", "create", "alice", "--password-file", str(file), "--role", "admin")
    assert opens(tmp_path, PasswordCredential("alice", Secret("From-a-file-1")))
    monkeypatch.setattr("sys.stdin", io.StringIO("From-a-pipe-1\n"))
    run("users", "reset-password", "alice", "--password-file", "-")
    assert opens(tmp_path, PasswordCredential("alice", Secret("From-a-pipe-1")))


def test_no_password_is_taken_from_the_arguments() -> None:
    assert {row.flag for field, row in OPTIONS.items() if "password" in field.lower()} == {"--password-file"}


def test_a_key_is_made_listed_disabled_and_revoked(run: Run, tmp_path: Path) -> None:
    run("init", "--admin", "db_admin")
    made = lines(run("keys", "create", "db_admin", "--description", "nightly", "--expires-in-days", "1"))
    assert opens(tmp_path, KeyCredential(Secret(made["key"])))
    assert "nightly" in run("keys", "list", "--user", "db_admin")
    assert run("keys", "disable", made["key id"]) == "done\n"
    assert run("keys", "disable", made["key id"]) == "nothing was changed: the API key is disabled already\n"
    assert not opens(tmp_path, KeyCredential(Secret(made["key"])))
    assert run("keys", "enable", made["key id"]) == "done\n"
    assert run("keys", "enable", made["key id"]) == "nothing was changed: the API key is not disabled\n"
    rotated = lines(run("keys", "rotate", made["key id"], "--keep-old-for", "60"))
    assert opens(tmp_path, KeyCredential(Secret(made["key"])))
    assert opens(tmp_path, KeyCredential(Secret(rotated["key"])))
    run("keys", "revoke", made["key id"])
    assert run("keys", "list").strip() == "none"


def test_a_list_says_of_each_key_whether_it_is_accepted(run: Run) -> None:
    run("init", "--admin", "db_admin")
    run("users", "create", "emma")
    made = lines(run("keys", "create", "emma"))
    assert cells(run("keys", "list"))["state"] == "enabled"
    run("users", "disable", "emma")
    assert cells(run("keys", "list"))["state"] == "blocked"
    run("keys", "disable", made["key id"])
    assert cells(run("keys", "list"))["state"] == "disabled"


def test_every_page_of_a_list_is_printed(run: Run, tmp_path: Path) -> None:
    run("init", "--admin", "db_admin")

    async def add_many() -> None:
        store = await SqlStore.open(tmp_path / "data" / "store.db")
        async with store.transaction() as transaction:
            for number in range(250):
                await transaction.users.add(f"user{number:03}", "no hash")
            await transaction.commit()
        await store.close()

    asyncio.run(add_many())
    names = [user["userName"] for user in json.loads(run("users", "list", "--json"))]
    assert names == sorted(["db_admin", "root", *(f"user{number:03}" for number in range(250))])
    assert len(run("users", "list", "--prefix", "user1").splitlines()) == 101


def test_disabling_unlocking_and_deleting(run: Run, tmp_path: Path) -> None:
    run("init", "--admin", "db_admin")
    made = lines(run("users", "create", "alice"))["password"]
    assert run("users", "disable", "alice") == "done\n"
    assert run("users", "disable", "alice") == "nothing was changed: the user is disabled already\n"
    assert not opens(tmp_path, PasswordCredential("alice", Secret(made)))
    assert run("users", "enable", "alice") == "done\n"
    run("users", "unlock", "alice")
    assert opens(tmp_path, PasswordCredential("alice", Secret(made)))
    run("users", "reset-password", "alice", "--keep-old-for", "3600")
    assert opens(tmp_path, PasswordCredential("alice", Secret(made)))
    run("users", "end-old-password", "alice")
    run("users", "reset-factors", "alice")
    assert not opens(tmp_path, PasswordCredential("alice", Secret(made)))
    run("users", "delete", "alice")
    assert "alice" not in run("users", "list")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("users", "delete", "nobody"), "user not found: nobody"),
        (("users", "disable", "root"), None),
        (("users", "create", "no such name"), "user name"),
        (("users", "create", "bob", "--password-file", "/nonexistent"), "cannot be read"),
        (("keys", "create", "nobody"), "user not found: nobody"),
        (("keys", "create", "db_admin", "--role", "x"), "x"),
        (("keys", "revoke", "nothing"), "API key not found: nothing"),
    ],
)
def test_what_is_wrong_is_one_line_and_the_status(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str | None
) -> None:
    run("init", "--admin", "db_admin")
    status = main([*words, "--data-dir", str(tmp_path / "data")])
    captured = capsys.readouterr()
    if told is None:
        assert status == 0
        return
    assert status == 1
    assert captured.err.startswith("kiteward: ")
    assert captured.err.count("\n") == 1
    assert told in captured.err


def test_a_directory_without_a_server_is_not_made_into_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "list", "--data-dir", str(tmp_path / "data")]) == 1
    assert "is not a data directory" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_commands_work_while_a_server_holds_the_directory(run: Run, tmp_path: Path) -> None:
    run("init", "--admin", "db_admin")
    with DataDirectory.hold(tmp_path / "data"):
        assert "db_admin" in run("users", "list")


def test_a_store_in_a_file_lists_no_server_and_says_whom_to_ask(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--admin", "db_admin")
    assert main(["servers", "list", "--data-dir", str(tmp_path / "data")]) == 1
    assert "ask that server by --server URL" in capsys.readouterr().err


def test_tags_are_set_shown_found_and_deleted(run: Run) -> None:
    run("init", "--admin", "db_admin")
    run("users", "create", "alice")
    key = lines(run("keys", "create", "alice"))["key id"]
    run("tags", "set", "team=sales", "region=emea=north", "--user", "alice")
    run("tags", "set", "team=blue", "--key", key)
    shown = json.loads(run("tags", "get", "--key", key, "--json"))
    assert shown["tags"] == {"team": "blue"}
    assert shown["effectiveTags"] == {"team": "blue", "region": "emea=north"}
    assert "tags: region=emea=north, team=sales" in run("tags", "get", "--user", "alice").splitlines()
    assert run("tags", "users", "team", "sales").strip() == "user names: alice"
    run("tags", "delete", "team", "region", "--user", "alice")
    assert json.loads(run("tags", "get", "--user", "alice", "--json"))["tags"] == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["set", "team", "--user", "db_admin"], "KEY=VALUE, not as team"),
        (["set", "team=x"], "--user NAME or --key ID"),
        (["get"], "--user NAME or --key ID"),
        (["delete", "team"], "--user NAME or --key ID"),
    ],
)
def test_a_command_about_tags_says_what_it_lacks(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    run("init", "--admin", "db_admin")
    assert main(["tags", *words, "--data-dir", str(tmp_path / "data")]) == 2
    assert told in capsys.readouterr().err


def test_limits_are_set_shown_listed_and_deleted(run: Run) -> None:
    run("init", "--admin", "db_admin")
    run("users", "create", "alice")
    key = lines(run("keys", "create", "alice"))["key id"]
    run("limits", "set", "--user", "alice", "--requests-per-second", "2.5", "--burst", "7")
    run("limits", "set", "--key", key, "--concurrent-requests", "3")
    run("limits", "set", "--role", "public", "--requests-per-second", "100")
    shown = json.loads(run("limits", "get", "--key", key, "--json"))
    assert [(each["holder"], each["name"]) for each in shown["applying"]] == [
        ("user", "alice"),
        ("role", "public"),
        ("api_key", key),
    ]
    assert (
        "requestsPerSecond=2.5, burst=7, concurrentRequests=3" in lines(run("limits", "get", "--key", key))["effective"]
    )
    assert [line.split()[0] for line in run("limits", "list").splitlines()] == ["holder", "user", "api_key", "role"]
    assert "limit (user alice): 2.5 requests a second, 7 at once" in run("access", "--user", "alice").splitlines()
    assert f"limit (api key {key}): 3 concurrent requests" in run("access", "--key", key).splitlines()
    run("limits", "delete", "--user", "alice")
    assert json.loads(run("limits", "get", "--user", "alice", "--json"))["own"] is None


def test_a_command_about_limits_says_whom_it_lacks(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--admin", "db_admin")
    assert main(["limits", "get", "--data-dir", str(tmp_path / "data")]) == 2
    assert "give --user NAME or --key ID or --role ROLE" in capsys.readouterr().err
