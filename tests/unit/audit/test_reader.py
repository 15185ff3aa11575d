"""Searching a trail: what fits, newest first, however long the lines and files are."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.audit_lines import whole_details

from kiteward.audit import reader as audit_reader
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles, files_of
from kiteward.audit.reader import AuditQuery, AuditReader, shown
from kiteward.audit.zilliz import zilliz
from kiteward.domain.errors import InvalidArgument

NOON = 1_795_780_800.0
DAY = 24 * 3600.0


def event(number: int, **parts: Any) -> AuditEvent:
    given = {"event": Event.DATA_READ, "time": NOON + number, "outcome": Outcome.SUCCEEDED, "request_id": str(number)}
    return AuditEvent(**{**given, **parts})


def trail(directory: Path, *events: AuditEvent, day: int = 0) -> AuditReader:
    files = ChainedFiles(directory, keep_days=0, clock=lambda: NOON + day * DAY)
    files.append(events)
    files.close()
    return AuditReader(directory)


def ids(reader: AuditReader, limit: int = 1000, **parts: Any) -> list[str]:
    return [entry["request_id"] for entry in reader.search(AuditQuery(**parts), limit=limit).entries]


EVENTS = (
    event(1, principal="alice", operation="Query", database="default", resources=("docs",)),
    event(2, presented_user="alice", event=Event.AUTHENTICATION, outcome=Outcome.REFUSED),
    event(3, principal="bob", operation="Insert", database="other", resources=("docs", "more")),
    event(
        4,
        principal="root",
        event=Event.GRANT_CHANGE,
        operation="OperatePrivilegeV2",
        details={"object": "docs", "database": "third", "role": "alice"},
    ),
)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({}, ["4", "3", "2", "1"]),
        ({"user": "alice"}, ["2", "1"]),
        ({"user": "ali"}, []),
        ({"collection": "docs"}, ["4", "3", "1"]),
        ({"collection": "docs", "database": "other"}, ["3"]),
        ({"database": "third"}, ["4"]),
        ({"operation": "Insert"}, ["3"]),
        ({"kind": "grant"}, ["4"]),
        ({"outcome": "refused"}, ["2"]),
        ({"request_id": "3"}, ["3"]),
        ({"since": NOON + 2, "until": NOON + 4}, ["3", "2"]),
        ({"before": 3}, ["2", "1"]),
    ],
)
def test_lines_that_fit_come_newest_first(tmp_path: Path, parts: dict[str, Any], found: list[str]) -> None:
    assert ids(trail(tmp_path, *EVENTS), **parts) == found


def test_names_are_found_wherever_they_are_in_details(tmp_path: Path) -> None:
    rows = {"grant": [{"dbName": "third", "collectionName": "docs"}], "result": {"granted": [{"objectName": "more"}]}}
    reader = trail(tmp_path, event(1, details=rows), event(2, details={"description": "docs third more"}))
    assert ids(reader, collection="docs") == ids(reader, collection="more") == ids(reader, database="third") == ["1"]


@pytest.mark.parametrize(
    "details",
    [
        {"user": "emma", "role": "reader"},
        {"userName": "emma"},
        {"users": [{"user": "emma", "roles": ["reader"]}]},
        {"users": ["root", "emma"]},
        {"keyId": "kw", "result": {"userName": "emma"}},
    ],
)
def test_search_by_user_finds_what_was_done_to_it(tmp_path: Path, details: dict[str, Any]) -> None:
    reader = trail(tmp_path, event(1, principal="root", details=details), event(2, details={"description": "emma"}))
    assert ids(reader, user="emma") == ["1"]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"outcome": "rubbish"},
            "no such outcome: `rubbish`; give one of received, committed, succeeded, failed, ref",
        ),
        ({"kind": "users"}, "no such kind: `users`; give one of authentication, session, refusal, user, "),
        ({"since": NOON, "until": NOON - 1}, r"the end \(until\) must be after the start \(since\)"),
    ],
)
def test_question_that_no_line_can_fit_is_refused(parts: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        AuditQuery(**parts)


def test_search_by_user_finds_what_a_service_did_for_others(tmp_path: Path) -> None:
    reader = trail(tmp_path, event(1, principal="alice", actor="svc"), event(2, principal="alice"))
    assert (ids(reader, user="svc"), ids(reader, user="alice")) == (["1"], ["2", "1"])


ABOUT = (
    {"userName": "emma"},
    {"user": "emma"},
    {"users": [{"user": "emma", "roles": []}]},
    {"result": {"userNames": ["emma", "olga"]}},
    {"userName": "new", "result": {"renamed": "emma"}},
    {"grants": [{"role": "r", "object_type": "User", "object": "emma", "privilege": "UpdateUser"}]},
)


def test_what_a_user_did_and_what_was_done_to_it_are_told_apart(tmp_path: Path) -> None:
    done = event(1, principal="emma", operation="Search")
    others = [event(2 + at, principal="root", details=details) for at, details in enumerate(ABOUT)]
    reader = trail(tmp_path, done, *others, event(9, principal="root", details={"object": "emma"}))
    to_emma = [str(2 + at) for at in reversed(range(len(ABOUT)))]
    assert ids(reader, target="emma") == to_emma
    assert ids(reader, by="emma") == ["1"]
    assert ids(reader, user="emma") == [*to_emma, "1"]
    assert ids(reader, by="root", target="emma") == to_emma
    assert ids(reader, by="emma", target="emma") == []


def test_newer_lines_are_the_next_ones_and_lead_on_in_both_directions(tmp_path: Path) -> None:
    trail(tmp_path, *(event(number) for number in range(1, 6)))
    reader = trail(tmp_path, *(event(number) for number in range(6, 11)), day=1)
    newest = reader.search(AuditQuery(), limit=4)
    assert (newest.before, newest.after) == (7, None)
    older = reader.search(AuditQuery(before=newest.before), limit=4)
    assert ([entry["seq"] for entry in older.entries], older.after) == ([6, 5, 4, 3], 6)
    newer = reader.search(AuditQuery(after=older.after), limit=3)
    assert ([entry["seq"] for entry in newer.entries], newer.before, newer.after) == ([9, 8, 7], 7, 9)
    last = reader.search(AuditQuery(after=newer.after), limit=3)
    assert ([entry["seq"] for entry in last.entries], last.before, last.after) == ([10], 10, None)
    full = reader.search(AuditQuery(after=7), limit=3)
    assert (len(full.entries), full.after) == (3, None)
    assert reader.search(AuditQuery(after=10), limit=3).entries == ()
    assert [entry["seq"] for entry in reader.search(AuditQuery(after=2, request_id="4"), limit=3).entries] == [4]


def test_newer_lines_beyond_what_one_search_looks_at_are_found_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reader, "MOST_LOOKED_AT", 4)
    reader = trail(tmp_path, *(event(number) for number in range(1, 11)))
    first = reader.search(AuditQuery(after=0, request_id="9"), limit=3)
    assert (first.entries, first.after) == ((), 4)
    second = reader.search(AuditQuery(after=8, request_id="9"), limit=3)
    assert [entry["seq"] for entry in second.entries] == [9]


def test_every_part_of_a_long_event_is_found(tmp_path: Path) -> None:
    long = event(1, principal="alice", operation="RestoreRBAC", details={"roles": ["x" * 100] * 2000})
    reader = trail(tmp_path, long, event(2))
    found = reader.search(AuditQuery(user="alice", operation="RestoreRBAC", request_id="1"), limit=1000).entries
    parts = [entry["part"] for entry in found]
    assert len(parts) > 3
    assert parts == list(range(len(parts), 0, -1))
    assert whole_details(reversed([dict(entry) for entry in found])) == long.details


def test_search_goes_on_where_it_ended(tmp_path: Path) -> None:
    reader = trail(tmp_path, *(event(number) for number in range(10)))
    first = reader.search(AuditQuery(), limit=4)
    assert [entry["request_id"] for entry in first.entries] == ["9", "8", "7", "6"]
    rest = reader.search(AuditQuery(before=first.before), limit=100)
    assert [entry["request_id"] for entry in rest.entries] == ["5", "4", "3", "2", "1", "0"]
    assert rest.before is None


def test_search_over_days_goes_through_all_files(tmp_path: Path) -> None:
    trail(tmp_path, event(1))
    reader = trail(tmp_path, event(2, time=NOON + DAY), day=1)
    assert ids(reader) == ["2", "1"]
    assert ids(reader, since=NOON + DAY) == ["2"]
    assert ids(reader, until=NOON + DAY) == ["1"]


@pytest.mark.parametrize("block", [1, 7, 100, 1 << 16])
def test_lines_are_whole_wherever_a_block_of_the_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(audit_reader, "_BLOCK", block)
    reader = trail(tmp_path, *(event(number, principal="x" * number) for number in range(30)))
    assert ids(reader) == [str(number) for number in reversed(range(30))]


def test_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    reader = trail(tmp_path, event(1), event(2))
    (path,) = files_of(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"seq":3,"time":"x","kind":"data"')
    assert ids(reader) == ["2", "1"]


def test_search_looks_at_so_many_lines_at_most_and_says_where_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reader, "MOST_LOOKED_AT", 5)
    reader = trail(tmp_path, *(event(number, principal="p") for number in range(12)))
    found = reader.search(AuditQuery(request_id="0"), limit=10)
    assert (found.entries, found.before) == ((), 8)
    found = reader.search(AuditQuery(request_id="0", before=8), limit=10)
    assert (found.entries, found.before) == ((), 3)
    found = reader.search(AuditQuery(request_id="0", before=3), limit=10)
    assert [entry["request_id"] for entry in found.entries] == ["0"]
    assert found.before is None


@pytest.mark.parametrize(
    ("was", "is_now"), [(b'"time":"', b'"time":5,"x":"'), (b'"kind":"data"', b'"kind":[]'), (b'"seq":2', b'"seq":"2"')]
)
def test_line_with_values_of_another_kind_is_left_out(tmp_path: Path, was: bytes, is_now: bytes) -> None:
    reader = trail(tmp_path, event(1), event(2), event(3))
    (path,) = files_of(tmp_path)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(was, is_now) + third)
    assert ids(reader, since=NOON) == ["3", "1"]
    assert [entry["request_id"] for entry in reader.every(AuditQuery(since=NOON))] == ["1", "3"]


def test_every_line_oldest_first(tmp_path: Path) -> None:
    reader = trail(tmp_path, *EVENTS)
    assert [entry["request_id"] for entry in reader.every(AuditQuery(collection="docs"))] == ["1", "3", "4"]


def test_there_is_nothing_where_there_is_no_trail(tmp_path: Path) -> None:
    assert ids(AuditReader(tmp_path / "none")) == []


def exported(directory: Path, given: AuditEvent) -> dict[str, Any]:
    (entry,) = trail(directory, given).search(AuditQuery(), limit=1).entries
    return zilliz(entry, cluster_id="in01-x")


def test_export_has_the_field_names_of_zilliz_cloud(tmp_path: Path) -> None:
    found = exported(tmp_path, EVENTS[0]._replace(transport="grpc", decision="allowed"))
    assert found == {
        "date": "2026-11-27T12:00:01.000000Z",
        "action": "Query",
        "cluster_id": "in01-x",
        "database": "default",
        "interface": "Grpc",
        "log_type": "AUDIT",
        "params": {
            "kind": "data",
            "code": 5001,
            "principal": "alice",
            "decision": "allowed",
            "collection": "docs",
        },
        "result": 0,
        "status": "Success",
        "time": 1_795_780_801_000,
        "trace_id": "1",
        "user": "alice",
    }


@pytest.mark.parametrize(
    ("outcome", "error", "status", "result"),
    [
        (Outcome.RECEIVED, "", "Receive", None),
        (Outcome.FAILED, "status 100", "Failed", 100),
        (Outcome.FAILED, "NotFound", "Failed", 65535),
        (Outcome.REFUSED, "AccessDenied", "Failed", 65535),
    ],
)
def test_export_says_how_it_ended(
    tmp_path: Path, outcome: Outcome, error: str, status: str, result: int | None
) -> None:
    found = exported(tmp_path, event(1, outcome=outcome, error=error))
    assert (found["status"], found.get("result")) == (status, result)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (7, "7"),
        (True, "yes"),
        (None, "none"),
        ([], "none"),
        (["a", "b"], "a, b"),
        ([{"privilege": "Search", "force": False}], "(privilege=Search, force=no)"),
    ],
)
def test_values_are_shown_as_people_read_them(value: Any, text: str) -> None:
    assert shown(value) == text
