"""`kiteward login`, `logout` and `whoami`: what is kept, for how long, and what is left when it ends."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.cli.conftest import Run

from kiteward.cli.kept_login import login_file


def keys(run: Run, served: SimpleNamespace) -> set[str]:
    listed = json.loads(run("keys", "list", "--data-dir", served.data, "--json")[1])
    return {key["keyId"] for key in listed}


def test_a_login_is_kept_as_a_key_that_expires_and_only_its_user_can_read(run: Run, served: SimpleNamespace) -> None:
    status, printed, told = run("login", served.url, "--token-file", served.token, "--json")
    assert status == 0, told
    signed_in = json.loads(printed)
    assert (signed_in["server"], signed_in["userName"]) == (served.url, "root")
    file = login_file()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    kept = json.loads(file.read_text())
    assert "Milvus" not in file.read_text()
    assert kept["key"] not in printed + told
    key = json.loads(run("keys", "describe", kept["keyId"], "--data-dir", served.data, "--json")[1])
    left = datetime.fromisoformat(key["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=11) < left <= timedelta(hours=12)
    assert key["description"].startswith("kiteward login on ")


def test_commands_go_where_the_login_is_until_the_logout(run: Run, served: SimpleNamespace) -> None:
    before = keys(run, served)
    run("login", served.url, "--token-file", served.token, "--expires-in-hours", "1")
    me = json.loads(run("whoami", "--json")[1])
    assert (me["where"], me["userName"], me["credential"].partition(":")[0]) == (served.url, "root", "key")
    assert "where: " + served.url in run("whoami")[1]
    assert run("users", "list")[0] == 0
    assert len(keys(run, served) - before) == 1
    status, printed, _ = run("logout")
    assert (status, printed) == (0, f"signed out of {served.url} as root\n")
    assert not login_file().exists()
    assert keys(run, served) == before
    assert run("logout") == (1, "", "kiteward: there is no login\n")


def test_a_login_that_cannot_create_keys_for_others_says_what_can(run: Run, served: SimpleNamespace) -> None:
    run("users", "create", "keyless", "--data-dir", served.data)
    run("login", served.url, "--token-file", served.token)
    status, printed, told = run("keys", "create", "keyless")
    assert (status, printed) == (1, "")
    assert told.endswith("so give the administrator's own credential by --token-file\n")
    far = ("--server", served.url, "--token-file", served.token)
    assert run("keys", "create", "keyless", *far)[0] == 0


def test_a_second_login_revokes_the_key_of_the_first(run: Run, served: SimpleNamespace) -> None:
    before = keys(run, served)
    for _ in range(2):
        assert run("login", served.url, "--token-file", served.token)[0] == 0
    assert len(keys(run, served) - before) == 1


def test_a_login_counts_for_its_own_server_alone(run: Run, served: SimpleNamespace) -> None:
    run("login", served.url, "--token-file", served.token)
    status, _, told = run("whoami", "--server", "http://localhost:1")
    assert status == 1
    assert "give --token-file FILE" in told


def test_a_wrong_password_keeps_nothing(run: Run, served: SimpleNamespace, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:wrong")
    status, _, told = run("login", served.url, "--token-file", str(token))
    assert status == 1
    assert told == f"kiteward: {served.url} does not accept the credential of --token-file\n"
    assert not login_file().exists()


def test_user_and_password_are_asked_for_on_a_terminal(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return "Milvus"

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "root\n"

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr("sys.stdin", Terminal())
    status, printed, told = run("login", served.url)
    assert (status, printed) == (0, f"signed in to {served.url} as root\n")
    assert told.startswith("user: ")
    assert asked == ["password of root: "]


def test_an_expired_login_says_so_and_can_be_ended(run: Run, served: SimpleNamespace) -> None:
    run("login", served.url, "--token-file", served.token)
    kept = json.loads(login_file().read_text())
    assert run("keys", "revoke", kept["keyId"], "--data-dir", served.data)[0] == 0
    login_file().write_text(json.dumps({**kept, "expiresAt": "2026-01-01T00:00:00+00:00"}))
    status, _, told = run("users", "list")
    assert status == 1
    assert f"expired at 2026-01-01T00:00:00Z: sign in by `kiteward login {served.url}`" in told
    assert run("logout")[0] == 0
    assert not login_file().exists()


def test_a_login_whose_server_is_gone_is_forgotten_on_demand(run: Run, served: SimpleNamespace) -> None:
    run("login", served.url, "--token-file", served.token)
    kept = json.loads(login_file().read_text())
    login_file().write_text(json.dumps({**kept, "server": "http://localhost:1"}))
    status, _, told = run("logout")
    assert status == 1
    assert "--forget deletes it without revoking its key" in told
    assert login_file().exists()
    status, _, told = run("logout", "--forget")
    assert status == 0
    assert f"the key {kept['keyId']} was not revoked" in told
    assert not login_file().exists()


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("{}", 0o600, "cannot be read: delete it, and sign in again"),
        ("nonsense", 0o600, "cannot be read: delete it, and sign in again"),
        ("{}", 0o644, "other users may read the login"),
    ],
)
def test_a_kept_login_that_is_unusable_is_said_to_be(run: Run, content: str, mode: int, told: str) -> None:
    login_file().parent.mkdir(parents=True)
    login_file().write_text(content)
    login_file().chmod(mode)
    status, printed, error = run("users", "list")
    assert (status, printed) == (1, "")
    assert told in error
