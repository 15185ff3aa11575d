"""The command line of users that SCIM manages, on the store itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiteward.cli.main import main

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a data directory where SCIM is enabled, and return what it prints."""
    file = tmp_path / "milvus.yaml"
    file.write_text(json.dumps({"kiteward": {"scim": {"enabled": True, "userPrefix": "scim_"}}}))

    def command(*words: str, status: int = 0) -> str:
        found = main([*words, "--data-dir", str(tmp_path / "data"), "--config", str(file)])
        captured = capsys.readouterr()
        assert found == status, captured.err
        return captured.out or captured.err

    command("init", "--admin", "db_admin")
    return command


def test_a_user_is_handed_over_shown_and_taken_back(run: Run) -> None:
    run("users", "create", "alice")
    assert json.loads(run("users", "describe", "alice", "--json"))["scimUserName"] is None
    run("scim", "hand-over", "alice", "--scim-user-name", "alice@corp")
    assert "alice@corp" in run("users", "list", "--wide")
    assert json.loads(run("users", "describe", "alice", "--json"))["scimUserName"] == "alice@corp"
    assert "already" in run("scim", "hand-over", "alice", status=1)
    run("scim", "take-back", "alice")
    assert json.loads(run("users", "describe", "alice", "--json"))["scimUserName"] is None
    run("scim", "hand-over", "alice")
    assert json.loads(run("users", "describe", "alice", "--json"))["scimUserName"] == "alice"


def test_root_is_not_handed_over(run: Run) -> None:
    assert "never managed by SCIM" in run("scim", "hand-over", "root", status=1)
