"""Rows of the audit page: one a change, one for what is repeated, and one for what a page read."""

from typing import Any

from kiteward.api.console.audit_lines import Row, drop_ended, folded, line_of, without_ends
from kiteward.api.console.language import catalogues

TEXT = catalogues()["en"]


def entry(seq: int, request: str, **parts: Any) -> dict[str, Any]:
    usual = {"seq": seq, "time": f"2026-11-29T12:00:{seq:02}.000000Z", "kind": "user", "outcome": "succeeded"}
    return {**usual, "request_id": request, "operation": "DisableUser", "principal": "root", **parts}


def rows(*entries: dict[str, Any]) -> list[tuple[int, list[int], list[int]]]:
    return [_numbers(row) for row in folded(TEXT, entries)]


def _numbers(row: Row) -> tuple[int, list[int], list[int]]:
    return row.line.seq, [each.seq for each in row.earlier], [each.seq for each in row.repeats]


def test_beginning_of_a_change_is_folded_into_its_end() -> None:
    assert rows(entry(4, "a"), entry(3, "b"), entry(2, "b", outcome="received"), entry(1, "a", outcome="received")) == [
        (4, [1], []),
        (3, [2], []),
    ]


def test_change_that_did_not_end_is_shown() -> None:
    assert rows(entry(2, "b", outcome="received")) == [(2, [], [])]


def test_two_changes_of_one_request_are_two_rows() -> None:
    lines = [entry(4, "a"), entry(3, "a", outcome="received"), entry(2, "a"), entry(1, "a", outcome="received")]
    assert rows(*lines) == [(4, [3], []), (2, [1], [])]


def test_parts_of_a_long_change_and_its_commit_are_folded_too() -> None:
    parts = [entry(seq, "a", outcome="committed", part=seq, parts=2) for seq in (2, 1)]
    assert rows(entry(3, "a"), *parts) == [(3, [2, 1], [])]


def test_refusals_that_say_the_same_are_one_row_whatever_the_port() -> None:
    refused = {"kind": "authentication", "outcome": "refused", "principal": None, "presented_user": "emma"}
    lines = [entry(seq, f"r{seq}", address=f"10.0.0.1:{seq}", **refused) for seq in (4, 3)]
    other = entry(2, "r2", address="10.0.0.2:1", **refused)
    assert rows(*lines, other) == [(4, [], [3]), (2, [], [])]


def test_changes_are_never_taken_for_repeats() -> None:
    assert rows(entry(2, "a"), entry(1, "b")) == [(2, [], []), (1, [], [])]


def test_a_page_of_the_explorer_is_one_row_which_names_the_reading_of_rows() -> None:
    about_data = {"kind": "data", "code": 5001, "transport": "console"}
    lines = [
        entry(6, "a", operation="PreviewRows", kind="administrative_read"),
        entry(5, "a", operation="Query", **about_data),
        entry(4, "a", operation="Query", **about_data),
        entry(3, "a", operation="ShowPartitions", **about_data),
        entry(2, "a", operation="DescribeUserAccess", kind="administrative_read"),
        entry(1, "a", operation="DescribeCollection", **about_data),
    ]
    assert rows(*lines) == [(5, [6, 4, 3, 2, 1], [])]


def test_writes_failures_and_requests_of_programs_are_no_part_of_a_page() -> None:
    read = {"kind": "data", "code": 5001, "transport": "console", "operation": "Query"}
    for other in ({"code": 5002}, {"outcome": "failed"}, {"outcome": "refused"}, {"transport": "rest"}):
        assert rows(entry(2, "a", **{**read, **other}), entry(1, "a", **{**read, "operation": "GetLoadState"})) == [
            (2, [], []),
            (1, [], []),
        ]


def test_reads_of_one_page_are_one_row() -> None:
    read = {"kind": "administrative_read"}
    lines = [entry(3, "a", operation="DescribeServer", **read), entry(2, "a", operation="ListServers", **read)]
    assert rows(*lines, entry(1, "b", operation="DescribeServer", **read)) == [(3, [2], []), (1, [], [])]


def test_beginning_whose_end_is_on_the_page_before_is_left_out() -> None:
    found = folded(TEXT, [entry(2, "a", outcome="received"), entry(1, "b")])
    assert without_ends(found)
    assert [row.line.seq for row in drop_ended(found, [entry(5, "a")])] == [1]
    assert [row.line.seq for row in drop_ended(found, [entry(5, "c")])] == [2, 1]


def test_collection_and_database_are_not_told_twice() -> None:
    line = line_of(
        TEXT, entry(1, "a", database="d", resources=["docs"], details={"collection": "docs", "new_name": "papers"})
    )
    assert (line.about, [fact.label for fact in line.facts]) == ("d.docs", ["New name"])
    assert line.known["actor"] == ""


def test_browsers_have_short_names_and_other_programs_their_own() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
    told = {chrome: "Chrome, Linux", "Mozilla/4.0": "Mozilla/4.0", "grpc-python/1.76 Linux": "grpc-python/1.76 Linux"}
    for client, program in told.items():
        assert line_of(TEXT, entry(1, "a", client=client)).program == program
    assert line_of(TEXT, entry(1, "a")).program == ""
