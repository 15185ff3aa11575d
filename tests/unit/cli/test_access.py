"""`kiteward explain` and `kiteward access`, on the store itself."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import Run, on
from tests.support.one_answer import answering

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.cli.access import COMMANDS, listed
from kiteward.cli.main import main
from kiteward.iam.json_api.access import Explained


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return on(tmp_path / "data", capsys)


def test_refusal_is_explained_and_has_a_status_of_its_own(run: Run) -> None:
    status, printed = run("explain", "--user", "alice", "--privilege", "Insert", "--collection", "docs")
    assert status == 3
    assert printed.splitlines() == [
        "refused: no role of `alice` holds Insert on `default.docs`",
        "  the collection default.docs does not exist; the following would apply if it did",
        "  no role allows it yet: create one, grant it there, and bind it",
    ]


def test_who_is_not_told_what_would_allow_it_does_not_read_that_nothing_does() -> None:
    refused = {"allowed": False, "held": False, "reason": "no role of `bob` holds Insert on `default.docs`"}
    rest: dict[str, Any] = {
        "actor": None,
        "rows": None,
        "exists": None,
        "closed": "",
        "ways": [],
        "remedies": [],
        "advised": False,
    }
    (command,) = [each for each in COMMANDS if each.word == "explain"]
    assert command.text is not None
    assert command.text({**refused, **rest, "privilege": "Insert"}).splitlines() == [
        "refused: no role of `bob` holds Insert on `default.docs`",
        "  ask an administrator what would allow it",
    ]


def test_permission_of_an_administrator_is_explained_by_the_rule(run: Run) -> None:
    status, printed = run("explain", "--user", "db_admin", "--privilege", "Insert", "--collection", "docs")
    assert (status, printed.splitlines()[0]) == (0, "allowed: the role `admin` may do everything")


def test_disabled_user_is_to_be_enabled_and_not_granted_anything(run: Run) -> None:
    run("users", "create", "bob", "--role", "admin")
    run("users", "disable", "bob")
    status, printed = run("explain", "--user", "bob", "--privilege", "CreateOwnership")
    assert (status, printed.splitlines()) == (
        3,
        [
            "refused: the user is disabled",
            "  enabling the user bob would allow it to sign in: kiteward users enable bob",
            "  its roles allow it, once it may sign in",
        ],
    )


def test_collection_is_said_to_be_missing_only_where_it_is(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "data" / "engine" / "databases" / "research" / "collections" / "papers"
    place.mkdir(parents=True)
    (place / "schema.json").write_text("{}")
    (tmp_path / "data" / "engine" / "databases" / "research" / "aliases.json").write_text('{"current": "papers"}')
    asked = ("access", "--database", "research", "--collection")
    for name, missing in (("papers", False), ("current", False), ("other", True), ("..", True)):
        assert (f"the collection research.{name} does not exist" in run(*asked, name)[1]) is missing


def test_no_collection_is_said_to_be_missing_from_a_remote_engine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITEWARD_ENGINE_ADDRESS", "grpc://milvus.invalid")
    status, printed = run("explain", "--user", "alice", "--privilege", "Insert", "--collection", "docs")
    assert (status, printed.splitlines()[0]) == (3, "refused: no role of `alice` holds Insert on `default.docs`")
    assert "does not exist" not in printed


def test_role_that_would_do_is_named(run: Run) -> None:
    run("users", "create", "bob", "--role", "public")
    _, printed = run("explain", "--user", "bob", "--privilege", "Insert", "--collection", "docs", "--json")
    remedies = json.loads(printed)["remedies"]
    assert remedies == [{"role": "public", "dbName": "default", "objectName": "docs", "privilege": "Insert"}]
    _, printed = run("explain", "--user", "bob", "--privilege", "Insert", "--collection", "docs")
    assert "  granting Insert on default.docs to the role public would allow it" in printed


def test_nobody_named_is_reported(run: Run) -> None:
    status, printed = run("explain", "--privilege", "Insert")
    assert status == 2
    assert "give --user NAME or --key ID" in printed


def test_who_can_touch_a_collection(run: Run) -> None:
    status, printed = run("access", "--collection", "docs")
    assert status == 0
    assert printed.splitlines() == [
        "the collection default.docs does not exist; the following would apply if it did",
        "db_admin: everything, as an administrator",
        "root: everything, as an administrator",
    ]


ROWS: dict[str, Any] = {
    "bypassed": False,
    "everyRow": False,
    "noRow": False,
    "using": [{"policyName": "own", "policyType": "PERMISSIVE", "rows": "owner == 'alice'"}],
    "check": [{"policyName": "open", "policyType": "RESTRICTIVE", "rows": ""}],
}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({**ROWS, "bypassed": True, "using": [], "check": []}, ["row policies do not apply to it"]),
        ({**ROWS, "noRow": True, "using": [], "check": []}, ["row policies allow it no row"]),
        ({**ROWS, "everyRow": True, "using": [], "check": []}, ["row policies allow it every row"]),
        (
            ROWS,
            [
                "row policies allow it only some rows",
                "  stored rows: the permissive policy own: owner == 'alice'",
                "  written rows: the restrictive policy open",
            ],
        ),
    ],
)
def test_row_policies_are_part_of_an_explanation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: dict[str, Any], said: list[str]
) -> None:
    answer = dict.fromkeys(Explained.__struct_encode_fields__) | {
        "allowed": True,
        "reason": "why",
        "ways": [],
        "remedies": [],
    }
    token = tmp_path / "token"
    token.write_text("root:Milvus\n")
    with answering(200, {"code": 0, "data": answer | {"rows": rows}}) as (server, _):
        asked = ["--user", "alice", "--operation", "Search", "--collection", "docs"]
        assert main(["explain", *asked, "--server", server, "--token-file", str(token)]) == 0
    assert capsys.readouterr().out.splitlines() == ["allowed: why", *(f"  {line}" for line in said)]


def test_what_somebody_can_touch(run: Run) -> None:
    assert run("access", "--user", "alice") == (0, "alice has no privileges beyond those of every user\n")
    assert run("access", "--user", "root") == (0, "root is an administrator and may do everything\n")


def test_what_was_not_used(run: Run) -> None:
    _, made = run("keys", "create", "alice", "--json")
    key_id = json.loads(made)["keyId"]
    status, printed = run("access", "--unused-since", "2026-01-01")
    assert (status, key_id in printed) == (0, False)
    assert printed.splitlines()[1:] == ["none", "left out, because they were made since then: 0 grants, 1 API key"]
    status, printed = run("access", "--unused-since", datetime.now(UTC).isoformat())
    assert status == 0
    assert f"API key {key_id} of alice" in printed.splitlines()


def test_no_grant_on_what_does_not_exist_is_said_too(run: Run) -> None:
    assert run("access", "--missing") == (0, "no grant is on a collection that does not exist\n")


def test_grants_on_what_does_not_exist_are_listed_by_line() -> None:
    grant = {"role": "reading", "privilege": "Query", "dbName": "default", "objectName": "docs"}
    assert listed({"grants": [grant], "complete": True}) == ["grant Query on default.docs to reading"]
    assert listed({"grants": [], "complete": False}) == [
        "of some collections it is not known: ask the server (access/missing)"
    ]


@pytest.mark.parametrize("words", [[], ["--user", "a", "--collection", "b"], ["--user", "a", "--missing"]])
def test_one_question_at_a_time(run: Run, words: list[str]) -> None:
    status, printed = run("access", *words)
    assert status == 2
    assert "give one of" in printed


def test_line_of_the_trail_is_explained_then_and_today(run: Run, tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path / "data" / "audit", keep_days=0)
    search = {"operation": "Search", "privilege": "Search", "database": "default", "resources": ("docs",)}
    then = {"principal": "alice", "decision": "allowed", "reason": "it was so", "roles": ("reader", "writer")}
    files.append([AuditEvent(Event.DATA_READ, time.time(), Outcome.SUCCEEDED, "r1", **search, **then)])  # type: ignore[arg-type]  # by name
    files.close()
    _, printed = run("audit", "search", "--request-id", "r1", "--json")
    status, printed = run("explain", "--line", str(json.loads(printed)["seq"]))
    lines = printed.splitlines()
    assert (status, lines[0].endswith(": allowed: it was so")) == (0, True)
    assert lines[1] == "  roles of alice at that time: reader, writer"
    assert lines[2] == "today (differs): refused: no role of `alice` holds Search on `default.docs`"


def test_operation_of_our_own_is_explained_by_what_decides_it(run: Run) -> None:
    run("users", "create", "bob")
    for words, status, told in (
        (
            ("EnableRowPolicies", "--collection", "docs"),
            3,
            "refused: no role of `bob` holds ManageRLS on `default.docs`",
        ),
        (("CreateApiKey",), 0, "allowed: users may do this for themselves, with what is theirs"),
        (("CreateApiKey", "--collection", "alice"), 3, "refused: `bob` does not hold the role `admin`"),
        (("SearchAudit",), 3, "refused: `bob` does not hold the role `admin`\n  binding the role admin would allow it"),
    ):
        ended, printed = run("explain", "--user", "bob", "--operation", *words)
        assert (ended, printed.startswith(told)) == (status, True), printed
        assert ("no role allows it yet" in printed) is (words[0] == "EnableRowPolicies")
    _, printed = run("explain", "--user", "bob", "--operation", "EnableRowPolicy")
    assert "no such operation: EnableRowPolicy; did you mean EnableRowPolicies?" in printed


def test_line_that_has_no_decision_says_where_it_is(run: Run, tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path / "data" / "audit", keep_days=0)
    about: dict[str, Any] = {
        "operation": "EnableRowPolicies",
        "principal": "alice",
        "details": {"collectionName": "docs"},
    }
    files.append([AuditEvent(Event.ROW_POLICY_CHANGE, time.time(), Outcome.RECEIVED, "r1", **about)])
    files.close()
    _, printed = run("audit", "search", "--request-id", "r1", "--json")
    status, printed = run("explain", "--line", str(json.loads(printed)["seq"]))
    then, today = printed.splitlines()[:2]
    assert (status, then.partition(": ")[2]) == (
        0,
        "received: it was decided afterwards: the last line of this request has the decision",
    )
    assert today == "today: refused: no role of `alice` holds ManageRLS on `default.docs`"


def test_line_that_is_not_there_is_reported(run: Run) -> None:
    assert run("explain", "--line", "4711") == (1, "kiteward: the audit trail has no line 4711\n")
