"""The command line of the audit trail: verify, tail, search, export; it needs the files alone."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.support.audit_lines import whole_details
from tests.support.command_line import Run, on

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles, files_of
from kiteward.audit.reader import AuditQuery, Scope
from kiteward.cli.audit_lines import ServerLines
from kiteward.cli.main import main
from kiteward.iam.json_api.audit import Wanted

NOTHING = "kiteward: no line matches\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command where alice was made and disabled."""
    command = on(tmp_path / "data", capsys)
    command("users", "disable", "alice")
    return command


def entries(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_changes_by_the_command_line_are_in_the_trail(run: Run) -> None:
    status, printed = run("audit", "search", "--json", "--operation", "DisableUser")
    ended, begun = entries(printed)
    assert (status, begun["outcome"], ended["outcome"]) == (0, "received", "succeeded")
    assert ended["details"] == {"userName": "alice", "result": {"changed": True}}
    assert (ended["transport"], ended["credential"]) == ("local", "local")
    assert str(ended["client"]).startswith("system user ")
    assert f"  {ended['client']}  " in run("audit", "search", "--operation", "DisableUser")[1]


def test_verify_tells_that_all_is_well_and_what_to_note(run: Run, tmp_path: Path) -> None:
    status, printed = run("audit", "verify")
    assert status == 0
    assert re.fullmatch(r"\(\S+\): \d+ lines, all unchanged and in order; the last is \S+\n", printed)
    noted = printed.strip().rpartition(" ")[2]
    run("users", "enable", "alice")
    assert run("audit", "verify", "--noted", noted)[0] == 0
    (path,) = files_of(tmp_path / "data" / "audit")
    path.write_bytes(path.read_bytes().replace(b"DisableUser", b"EnableAUser"))
    status, printed = run("audit", "verify")
    assert status == 1
    assert "wrong: " in printed


def test_verify_says_as_json_what_it_found(run: Run, tmp_path: Path) -> None:
    def verified() -> tuple[int, Any]:
        status, printed = run("audit", "verify", "--json")
        return status, json.loads(printed)

    (path,) = files_of(tmp_path / "data" / "audit")
    last = json.loads(path.read_bytes().splitlines()[-1])
    status, found = verified()
    (chain,) = found["chains"]
    assert (status, found["intact"], found["differing"]) == (0, True, [])
    assert {name: chain[name] for name in ("lines", "last", "chain", "findings")} == {
        "lines": last["seq"],
        "last": last["seq"],
        "chain": last["chain"],
        "findings": [],
    }
    path.write_bytes(path.read_bytes().replace(b"DisableUser", b"EnableAUser"))
    status, found = verified()
    assert (status, found["intact"]) == (1, False)
    assert found["chains"][0]["findings"]


@pytest.mark.parametrize("noted", ["nonsense", "5:abc", f"five:{'a' * 64}", f"5:{'A' * 64}"])
def test_noted_line_that_cannot_be_read_is_wrong_usage_and_no_finding(run: Run, noted: str) -> None:
    status, printed = run("audit", "verify", "--noted", noted)
    assert status == 2
    assert "--noted takes SEQ:CHAIN" in printed


def test_many_findings_are_cut_short(run: Run, tmp_path: Path) -> None:
    for _ in range(15):
        run("users", "disable", "alice")
    (path,) = files_of(tmp_path / "data" / "audit")
    path.write_bytes(path.read_bytes().replace(b'"time":"2', b'"time":"3'))
    status, printed = run("audit", "verify")
    assert status == 1
    assert len(printed.splitlines()) == 21
    assert " more" in printed


def test_tail_prints_the_newest_lines_oldest_first_for_people(run: Run) -> None:
    status, printed = run("audit", "tail", "-n", "2")
    lines = printed.splitlines()
    assert status == 0
    assert len(lines) == 2
    assert "received  DisableUser  root  userName=alice" in lines[0]
    assert "succeeded  DisableUser" in lines[1]


def test_long_change_is_verified_searched_and_exported_part_by_part(run: Run, tmp_path: Path) -> None:
    files = ChainedFiles(tmp_path / "data" / "audit", keep_days=0)
    long = AuditEvent(Event.POLICY_CHANGE, time.time(), Outcome.RECEIVED, "r1", operation="RestoreRBAC")
    names = [f"role{number:05}" for number in range(1500)]
    files.append([long._replace(details={"roles": names})])
    files.close()
    assert run("audit", "verify")[0] == 0
    found = list(reversed(entries(run("audit", "search", "--request-id", "r1", "--json")[1])))
    assert len(found) > 2
    assert whole_details(found) == {"roles": names}
    assert f"RestoreRBAC  part 1 of {len(found)}" in run("audit", "search", "--request-id", "r1")[1]
    exported = [entry["params"] for entry in entries(run("audit", "export", "--request-id", "r1")[1])]
    assert whole_details(exported) == {"roles": names}  # type: ignore[arg-type]  # what JSON holds
    assert [part["part"] for part in exported] == [part["part"] for part in found]  # type: ignore[index]  # likewise


def test_search_filters_by_user_outcome_and_time(run: Run) -> None:
    assert run("audit", "search", "--outcome", "refused") == (0, NOTHING)
    assert run("audit", "search", "--until", "2020-01-01") == (0, NOTHING)
    assert len(run("audit", "search", "--user", "root", "--since", "2020-01-01T00:00:00Z")[1].splitlines()) == 7
    assert len(run("audit", "search", "--user", "root", "--limit", "2")[1].splitlines()) == 2
    status, printed = run("audit", "search", "--since", "yesterday")
    assert status == 2
    assert "--since takes a time such as" in printed


@pytest.mark.parametrize("command", ["search", "tail", "export"])
def test_a_filter_is_given_once(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("audit", command, "--kind", "user", "--kind", "api_key")
    assert ended.value.code == 2
    assert "argument --kind: give it once" in capsys.readouterr().err


def test_export_has_the_field_names_of_zilliz_cloud(run: Run) -> None:
    status, printed = run("audit", "export", "--operation", "CreateUserAccount", "--cluster-id", "in01")
    received, success, *_ = entries(printed)
    assert status == 0
    assert (received["status"], success["status"], success["result"]) == ("Receive", "Success", 0)
    assert (received["cluster_id"], received["user"], received["interface"]) == ("in01", "root", "Local")
    assert "result" not in received


def test_directory_without_a_trail_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--data-dir", str(tmp_path)]) == 1
    assert "there is no audit trail in" in capsys.readouterr().err


def test_tail_follows_what_is_written_from_now_on(run: Run, tmp_path: Path) -> None:
    words = ["audit", "tail", "-n", "1", "--follow", "--json", "--data-dir"]
    with subprocess.Popen(
        [sys.executable, "-m", "kiteward", *words, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        try:
            before = json.loads(following.stdout.readline())
            run("users", "enable", "alice")
            after = json.loads(following.stdout.readline())
        finally:
            following.terminate()
    assert (before["operation"], after["operation"]) == ("DisableUser", "EnableUser")
    assert after["seq"] == before["seq"] + 1


def test_reader_who_has_seen_enough_is_no_failure(run: Run, tmp_path: Path) -> None:
    for _ in range(3):
        run("users", "enable", "alice")
    command = [sys.executable, "-m", "kiteward", "audit", "export", "--data-dir", str(tmp_path / "data")]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=buffered
    ) as exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        exporting.stdout.close()
        assert b"pipe" not in exporting.stderr.read().lower()
    assert exporting.returncode == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "--since", "2026-02-01", "--until", "2026-01-01"), "--until must be later than --since"),
    ],
)
def test_filter_that_nothing_can_fit_is_refused(run: Run, words: tuple[str, ...], told: str) -> None:
    status, printed = run("audit", *words)
    assert (status, told in printed) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scope", "everything"), "'everything' (choose from 'all', 'replica')"),
        (("--outcome", "rubbish"), "'rubbish' (choose from 'received', 'committed', "),
        (("--kind", "users"), "'users'; did you mean user?"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", "tail", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("command", "flag", "given"), [("tail", "-n", "-5"), ("search", "--limit", "0")])
def test_number_of_lines_that_makes_no_sense_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str], command: str, flag: str, given: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("audit", command, flag, given)
    assert ended.value.code == 2
    assert "give a whole number from" in capsys.readouterr().err


def test_lists_and_switches_are_printed_as_people_write_them(run: Run) -> None:
    run("users", "create", "bob", "--role", "admin", "--role", "public", "--one-time")
    _, printed = run("audit", "search", "--operation", "CreateUserAccount", "--outcome", "received", "--user", "bob")
    assert "roles=admin, public" in printed
    assert "oneTime=yes" in printed
    assert "[" not in printed.replace("[`root` is not restricted]", "")


def test_search_by_user_finds_what_was_done_to_it(run: Run) -> None:
    _, made = run("keys", "create", "alice", "--json")
    run("keys", "revoke", json.loads(made)["keyId"])
    _, printed = run("audit", "search", "--user", "alice", "--json", "--outcome", "succeeded")
    assert [line["operation"] for line in entries(printed)] == [
        "RevokeApiKey",
        "CreateApiKey",
        "DisableUser",
        "CreateUserAccount",
    ]


def test_what_was_done_to_a_user_and_what_it_did_are_told_apart(run: Run) -> None:
    wanted = ("--json", "--outcome", "succeeded")
    _, to_alice = run("audit", "search", "--target-user", "alice", *wanted)
    assert [line["operation"] for line in entries(to_alice)] == ["DisableUser", "CreateUserAccount"]
    assert run("audit", "search", "--by", "alice")[1] == NOTHING
    assert run("audit", "search", "--by", "root", "--target-user", "alice", *wanted)[1] == to_alice


class Polled:
    """A server that answers with one line at a time, up to line 12."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, _path: str, request: Mapping[str, Any]) -> Any:
        self.asked.append({**request})
        seq = request["after"] + 1
        newer = seq if seq < 12 else None
        return {"lines": [{"seq": seq}], "before": seq, "after": newer}


def test_a_server_is_asked_for_what_is_new_alone() -> None:
    server = Polled()
    lines = ServerLines(server, Scope.ALL)  # type: ignore[arg-type]  # no real server
    assert [line["seq"] for line in lines.after(9)] == [10, 11, 12]
    assert [request["after"] for request in server.asked] == [9, 10, 11]


class Asked:
    """A server that has no lines, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    async def ask(self, _path: str, request: Mapping[str, Any]) -> Any:
        self.requests.append({**request})
        return {"lines": [], "before": None, "after": None}


def test_every_filter_reaches_a_server_as_a_member_that_it_knows() -> None:
    texts = {each.name: "given" for each in fields(AuditQuery) if each.default == ""}
    question = AuditQuery(**{**texts, "kind": "user", "outcome": "failed"}, since=0, until=1, before=3, after=2)
    server = Asked()
    ServerLines(server, Scope.ALL).search(question, limit=5)  # type: ignore[arg-type]  # no real server
    (request,) = server.requests
    assert request.keys() == {*Wanted.__struct_encode_fields__}
    assert "" not in request.values()
