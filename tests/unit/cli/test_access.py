"""`kiteward explain` and `kiteward access`, on the store itself."""

import json
from pathlib import Path

import pytest
from tests.support.commands import Run, on


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return on(tmp_path / "data", capsys)


def test_refusal_is_explained_and_has_a_status_of_its_own(run: Run) -> None:
    status, printed = run("explain", "--user", "alice", "--privilege", "Insert", "--collection", "docs")
    assert status == 3
    assert printed.splitlines() == [
        "refused: no role of `alice` holds Insert on `default.docs`",
        "  no role allows it yet: create one, grant it there, and bind it",
    ]


def test_permission_of_an_administrator_is_explained_by_the_rule(run: Run) -> None:
    status, printed = run("explain", "--user", "db_admin", "--privilege", "Insert", "--collection", "docs")
    assert (status, printed) == (0, "allowed: the role `admin` may do everything\n")


def test_role_that_would_do_is_named(run: Run) -> None:
    run("users", "create", "bob", "--role", "public")
    _, printed = run("explain", "--user", "bob", "--privilege", "Insert", "--collection", "docs", "--json")
    remedies = json.loads(printed)["remedies"]
    assert remedies == [{"role": "public", "dbName": "default", "objectName": "docs", "privilege": "Insert"}]
    _, printed = run("explain", "--user", "bob", "--privilege", "Insert", "--collection", "docs")
    assert "  granting Insert on default.docs to the role public would allow it" in printed


def test_nobody_named_is_told(run: Run) -> None:
    status, printed = run("explain", "--privilege", "Insert")
    assert status == 1
    assert "name somebody: --user NAME or --key ID" in printed


def test_who_can_touch_a_collection(run: Run) -> None:
    status, printed = run("access", "--collection", "docs")
    assert status == 0
    assert printed.splitlines() == [
        "db_admin: everything, as an administrator",
        "root: everything, as an administrator",
    ]


def test_what_somebody_can_touch(run: Run) -> None:
    assert run("access", "--user", "alice") == (0, "alice may do nothing but what everybody may\n")
    assert run("access", "--user", "root") == (0, "root is an administrator and may do everything\n")


def test_what_was_not_used(run: Run) -> None:
    _, made = run("keys", "create", "alice", "--json")
    key_id = json.loads(made)["keyId"]
    status, printed = run("access", "--unused-since", "2026-01-01")
    assert status == 0
    assert f"API key {key_id} of alice" in printed.splitlines()


@pytest.mark.parametrize("words", [[], ["--user", "a", "--collection", "b"]])
def test_one_question_at_a_time(run: Run, words: list[str]) -> None:
    status, printed = run("access", *words)
    assert status == 1
    assert "give one of" in printed
