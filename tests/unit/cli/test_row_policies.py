"""The command line of row policies: what it sends to a server, what it prints, and what it says of failures."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.one_answer import answering

from kiteward.cli.main import main
from kiteward.cli.row_policies import POLICIES
from kiteward.iam.json_api import ADMIN_OPERATIONS

PROTECTION: dict[str, Any] = {
    "dbName": "default",
    "collectionName": "docs",
    "enabled": True,
    "force": False,
    "policies": [
        {
            "policyName": "own",
            "policyType": "PERMISSIVE",
            "actions": ["Query", "Search"],
            "roles": [],
            "usingExpr": "owner == $current_principal",
            "checkExpr": "",
            "description": "",
            "createdAt": None,
            "fault": "",
        }
    ],
    "warnings": [
        {"code": "row_policies_not_enforced", "parameters": {"database": "default", "collection": "docs"}, "quoted": ""}
    ],
}
TEAM_SHOWS: dict[str, Any] = {"policyName": "team", "policyType": "PERMISSIVE", "rows": 1}

PREVIEW: dict[str, Any] = {
    "dbName": "default",
    "collectionName": "docs",
    "userName": "alice",
    "keyId": None,
    "action": "Query",
    "enabled": True,
    "bypassed": False,
    "totalRows": 18_000,
    "visibleRows": 1_204,
    "policies": [{"policyName": "own", "policyType": "PERMISSIVE", "rows": 1_204}, TEAM_SHOWS],
    "keys": [],
    "refusal": [],
}


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("root:Milvus\n")
    return str(path)


def test_a_policy_is_created_by_the_operation_on_the_server(token: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, {"code": 0, "data": PROTECTION}) as (server, asked):
        words = ["create", "docs", "own", "--action", "Query", "--action", "Search", "--using", "owner == 'a'"]
        more = ["--restrictive", "--role", "staff", "--server", server, "--token-file", token]
        assert main(["row-policies", *words, *more]) == 0
    (call,) = asked
    assert call == (
        "/v2/kiteward/row_policies/create",
        "Bearer root:Milvus",
        {
            "collectionName": "docs",
            "policyName": "own",
            "actions": ["Query", "Search"],
            "policyType": "RESTRICTIVE",
            "roles": ["staff"],
            "usingExpr": "owner == 'a'",
        },
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "default.docs: enforced"
    assert printed[2].split("  ")[0] == "own"
    assert printed[3] == (
        "warning: The row policies of `default.docs` are not enforced: its property `rls.enabled` is not true."
    )


def test_a_preview_is_one_sentence_and_a_line_for_each_policy(token: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, {"code": 0, "data": PREVIEW}) as (server, asked):
        words = ["preview", "docs", "--user", "alice", "--primary-key", "7", "--server", server, "--token-file", token]
        assert main(["row-policies", *words]) == 0
    assert asked[0][2] == {"collectionName": "docs", "userName": "alice", "primaryKeys": ["7"]}
    assert capsys.readouterr().out.splitlines() == [
        "by Query, alice reaches 1,204 of 18,000 rows, through own, team",
        "  own shows 1,204 rows",
        "  team shows 1 row",
    ]


def test_json_is_the_data_of_the_response(token: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, {"code": 0, "data": PROTECTION}) as (server, _asked):
        assert main(["row-policies", "list", "docs", "--json", "--server", server, "--token-file", token]) == 0
    assert json.loads(capsys.readouterr().out) == PROTECTION


@pytest.mark.parametrize(
    ("status", "answer", "headers", "told"),
    [
        (200, {"code": 100, "message": "collection not found"}, {}, "kiteward: collection not found"),
        (403, {"code": 65535, "message": "ManageRLS is missing"}, {}, "kiteward: ManageRLS is missing"),
        (200, b"<html>", {}, "no response from http://127.0.0.1"),
        (307, b"", {"Location": "http://127.0.0.1:9/elsewhere"}, "no response from http://127.0.0.1"),
    ],
)
def test_a_refusal_is_one_line_and_the_status(
    token: str, capsys: pytest.CaptureFixture[str], status: int, answer: Any, headers: dict[str, str], told: str
) -> None:
    with answering(status, answer, **headers) as (server, asked):
        assert main(["row-policies", "list", "docs", "--server", server, "--token-file", token]) == 1
    assert len(asked) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(told if told.startswith("kiteward") else f"kiteward: {told}")
    assert printed.count("\n") == 1
    assert "Milvus" not in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--server", "http://127.0.0.1:1"], "no response from http://127.0.0.1:1"),
        (["--ca-file", "/nowhere/ca.pem"], "cannot be read"),
    ],
)
def test_a_server_that_cannot_be_asked_is_said_to_be(
    token: str, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["row-policies", "list", "docs", "--token-file", token, *words]) == 1
    assert told in capsys.readouterr().err


def test_every_operation_about_row_policies_has_a_command() -> None:
    about = {row.path for row in ADMIN_OPERATIONS.values() if row.path.startswith("row_policies/")}
    assert {command.path for command in POLICIES} == {f"kiteward/{path}" for path in about}
