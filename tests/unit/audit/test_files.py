"""The files of the trail: chained, one a day, whole after a crash, and telling of what is missing."""

import json
import multiprocessing
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiteward.audit import hash_chain
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import HEAD, ChainedFiles, Head, files_of, replace_head
from kiteward.audit.retention import BEGUN, Seen
from kiteward.audit.verify import verify

DAY = 24 * 3600.0
NOON = 1_795_780_800.0  # 2026-11-27T12:00:00Z


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def event(**parts: Any) -> AuditEvent:
    return AuditEvent(Event.ADMINISTRATIVE_READ, NOON, Outcome.SUCCEEDED, **parts)


def trail(
    directory: Path,
    *numbers: int,
    clock: Callable[[], float] | None = None,
    uptime: Callable[[], float] | None = None,
    keep_days: int = 0,
) -> None:
    """Write some events, in one batch each."""
    clock = clock or Clock()
    files = ChainedFiles(directory, keep_days=keep_days, clock=clock, uptime=uptime or clock)
    for number in numbers:
        files.append([event(request_id=str(number))])
    files.close()


def written(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in files_of(directory) for line in path.read_text().splitlines()]


def only(directory: Path) -> Path:
    (path,) = files_of(directory)
    return path


def findings(directory: Path) -> tuple[str, ...]:
    return verify(directory).findings


def test_events_are_numbered_and_chained_in_their_order(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2, 3)
    found = written(tmp_path)
    assert [(line["seq"], line["request_id"]) for line in found] == [(1, "1"), (2, "2"), (3, "3")]
    verified = verify(tmp_path)
    assert (verified.lines, verified.first, verified.last, verified.findings) == (3, 1, 3, ())
    assert verified.chain == found[-1]["chain"]


def test_files_and_directory_are_closed_to_others(tmp_path: Path) -> None:
    trail(tmp_path / "audit", 1)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "audit").iterdir()} == {0o600}


def test_line_that_was_changed_is_found(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2, 3)
    path = only(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"request_id":"2"', b'"request_id":"9"'))
    assert findings(tmp_path) == (f"{path.name}:2: line 2 was changed, or one before it",)


@pytest.mark.parametrize(
    ("was", "is_now"), [(b'"code":4001', b'"code":"x"'), (b'"seq":2', b'"seq":"2"'), (b'"seq":2', b'"seq":-2')]
)
def test_line_with_values_of_another_kind_is_found_too(tmp_path: Path, was: bytes, is_now: bytes) -> None:
    trail(tmp_path, 1, 2, 3)
    path = only(tmp_path)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(was, is_now) + third)
    assert findings(tmp_path) != ()


def test_chain_that_was_computed_again_for_one_line_breaks_at_the_next(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2, 3)
    path = only(tmp_path)
    raw = path.read_bytes().splitlines()
    before, changed = (
        hash_chain.decode(raw[0]),
        hash_chain.decode(raw[1].replace(b'"request_id":"2"', b'"request_id":"9"')),
    )
    assert before is not None
    assert changed is not None
    raw[1] = changed.body + b',"chain":"' + hash_chain.chain_of(changed.body, before.chain).encode() + b'"}'
    path.write_bytes(b"\n".join(raw) + b"\n")
    assert findings(tmp_path) == (f"{path.name}:3: line 3 was changed, or one before it",)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ([0, 2], "2: lines 2 to 2 are missing before line 3"),
        ([1, 2], "1: lines 1 to 1 are missing before line 2"),
        ([0, 2, 1], "2: lines 2 to 2 are missing before line 3"),
        ([0, 1, 1, 2], "3: found line 2 where line 3 was expected; lines were moved or repeated"),
    ],
)
def test_line_that_is_missing_or_moved_is_found(tmp_path: Path, kept: list[int], told: str) -> None:
    trail(tmp_path, 1, 2, 3)
    path = only(tmp_path)
    raw = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(raw[number] for number in kept))
    assert findings(tmp_path)[0] == f"{path.name}:{told}"


def test_lines_missing_at_the_end_are_found_before_and_after_somebody_writes_again(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2, 3)
    path = only(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    assert findings(tmp_path) == ("lines 2 to 3 are missing at the end",)
    trail(tmp_path, 4)
    assert findings(tmp_path)[0] == f"{path.name}:2: lines 2 to 3 are missing before line 4"
    assert "the writer found lines missing" in findings(tmp_path)[1]


def test_line_that_was_cut_at_the_end_is_found_before_and_after_somebody_writes_again(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2)
    path = only(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    assert "this is not a line of an audit trail" in findings(tmp_path)[0]
    trail(tmp_path, 3)
    assert "this is not a line of an audit trail" in findings(tmp_path)[0]
    assert json.loads(path.read_bytes().splitlines()[-1])["request_id"] == "3"


def test_file_that_is_gone_is_found(tmp_path: Path, clock: Clock) -> None:
    for day in range(3):
        clock.now = NOON + day * DAY
        trail(tmp_path, day, clock=clock)
    first, second, third = files_of(tmp_path)
    kept = second.read_bytes()
    second.unlink()
    assert findings(tmp_path) == (f"{third.name}:1: lines 2 to 2 are missing before line 3",)
    second.write_bytes(kept)
    first.unlink()
    assert findings(tmp_path) == (f"{second.name}:1: lines 1 to 1 are missing before line 2",)


def test_everything_gone_is_found(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2)
    only(tmp_path).unlink()
    assert findings(tmp_path) == ("lines 1 to 2 are missing at the end",)


def test_head_that_is_gone_is_found_for_ever(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2)
    (tmp_path / HEAD).unlink()
    assert findings(tmp_path) == ("there is no head: lines may be missing at the end",)
    trail(tmp_path, 3)
    assert "the writer found no head" in findings(tmp_path)[0]
    assert [line["seq"] for line in written(tmp_path)] == [1, 2, 3, 4]


def test_line_that_is_compared_with_what_was_noted_elsewhere_proves_all_before_it(tmp_path: Path) -> None:
    trail(tmp_path, 1, 2)
    noted = verify(tmp_path)
    trail(tmp_path, 3)
    anchors = [(noted.last, noted.chain), (noted.last, "0" * 64), (99, noted.chain)]
    assert verify(tmp_path, anchors=anchors).noted == (
        "",
        f"line {noted.last} was changed: its hash differs from the given one",
        "line 99, given for comparison, is missing",
    )


# After a crash


def test_lines_that_were_written_before_the_head_could_name_them_count(tmp_path: Path) -> None:
    trail(tmp_path, 1)
    head = (tmp_path / HEAD).read_bytes()
    trail(tmp_path, 2)
    (tmp_path / HEAD).write_bytes(head)
    assert findings(tmp_path) == ()
    trail(tmp_path, 3)
    assert findings(tmp_path) == ()
    assert [line["seq"] for line in written(tmp_path)] == [1, 2, 3]


def test_torn_line_behind_the_head_is_cut_and_reported(tmp_path: Path) -> None:
    trail(tmp_path, 1)
    path = only(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    trail(tmp_path, 2)
    cut = written(tmp_path)[1]
    assert (cut["code"], cut["details"]["bytes"]) == (Event.TAIL_CUT.code, 40)
    assert findings(tmp_path) == ()


def test_new_file_whose_head_was_not_written_any_more_counts(tmp_path: Path, clock: Clock) -> None:
    trail(tmp_path, 1, clock=clock)
    head = (tmp_path / HEAD).read_bytes()
    clock.now += DAY
    trail(tmp_path, 2, clock=clock)
    (tmp_path / HEAD).write_bytes(head)
    trail(tmp_path, 3, clock=clock)
    assert findings(tmp_path) == ()
    assert [line["seq"] for line in written(tmp_path)] == [1, 2, 3]


def test_first_start_that_was_cut_short_leaves_nothing_to_find(tmp_path: Path) -> None:
    trail(tmp_path)
    empty = (tmp_path / HEAD).read_bytes()
    trail(tmp_path, 1)
    (tmp_path / HEAD).write_bytes(empty)
    trail(tmp_path, 2)
    assert findings(tmp_path) == ()


# Days


def test_each_day_has_a_file_and_the_chain_goes_on_over_them(tmp_path: Path, clock: Clock) -> None:
    trail(tmp_path, 1, clock=clock)
    clock.now += DAY
    trail(tmp_path, 2, clock=clock)
    assert [path.name for path in files_of(tmp_path)] == ["audit-2026-11-27.jsonl", "audit-2026-11-28.jsonl"]
    assert findings(tmp_path) == ()


def test_clock_that_goes_back_does_not_write_into_yesterday(tmp_path: Path, clock: Clock) -> None:
    clock.now += DAY
    trail(tmp_path, 1, clock=clock)
    clock.now -= DAY
    trail(tmp_path, 2, clock=clock)
    assert only(tmp_path).name == "audit-2026-11-28.jsonl"


def test_files_that_are_too_old_are_removed_which_is_reported_and_no_finding(tmp_path: Path, clock: Clock) -> None:
    for day in range(6):
        clock.now = NOON + day * DAY
        trail(tmp_path, day, clock=clock, keep_days=2)
    assert [path.name[6:16] for path in files_of(tmp_path)] == ["2026-11-30", "2026-12-01", "2026-12-02"]
    expired = [line for line in written(tmp_path) if line["code"] == Event.FILES_EXPIRED.code]
    assert expired[-1]["details"]["files"] == ["audit-2026-11-29.jsonl"]
    assert findings(tmp_path) == ()
    oldest = files_of(tmp_path)[0]
    oldest.write_bytes(b"".join(oldest.read_bytes().splitlines(keepends=True)[1:]))
    assert findings(tmp_path) != ()


def test_server_that_was_off_for_longer_than_is_kept_goes_on_and_files_expire_later(
    tmp_path: Path, clock: Clock
) -> None:
    trail(tmp_path, 1, clock=clock, keep_days=2)
    clock.now += 30 * DAY
    trail(tmp_path, 2, clock=clock, keep_days=2)
    assert [line["seq"] for line in written(tmp_path)] == [1, 2]
    clock.now += 2 * DAY
    trail(tmp_path, 3, clock=clock, keep_days=2)
    assert [line["request_id"] for line in written(tmp_path) if "request_id" in line] == ["2", "3"]
    assert findings(tmp_path) == ()


def kept(directory: Path) -> list[str]:
    return [line["request_id"] for line in written(directory) if "request_id" in line]


def test_clock_that_jumps_ahead_ten_years_and_back_expires_nothing_that_is_not_that_old(tmp_path: Path) -> None:
    clock, uptime = Clock(), Clock()
    for day in range(4):
        trail(tmp_path, day, clock=clock, uptime=uptime, keep_days=10)
        clock.now += DAY
        uptime.now += DAY
    clock.now += 3650 * DAY
    trail(tmp_path, 4, clock=clock, uptime=uptime, keep_days=10)
    clock.now -= 3650 * DAY
    trail(tmp_path, 5, clock=clock, uptime=uptime, keep_days=10)
    assert kept(tmp_path) == ["0", "1", "2", "3", "4", "5"]
    assert findings(tmp_path) == ()


def test_files_expire_while_the_clock_is_before_the_newest_file(tmp_path: Path) -> None:
    clock, uptime = Clock(), Clock()
    clock.now += 3650 * DAY
    trail(tmp_path, 0, clock=clock, uptime=uptime, keep_days=3)
    clock.now -= 3650 * DAY
    for day in range(1, 8):
        clock.now += DAY
        uptime.now += DAY
        trail(tmp_path, day, clock=clock, uptime=uptime, keep_days=3)
    assert {path.name[6:16] for path in files_of(tmp_path)} == {"2036-11-24"}
    assert kept(tmp_path) == ["4", "5", "6", "7"]
    assert findings(tmp_path) == ()


def test_clock_that_stays_ahead_expires_files_when_they_are_that_old(tmp_path: Path) -> None:
    clock, uptime = Clock(), Clock()
    trail(tmp_path, 0, clock=clock, uptime=uptime, keep_days=3)
    clock.now += 3650 * DAY
    for day in range(1, 5):
        trail(tmp_path, day, clock=clock, uptime=uptime, keep_days=3)
        clock.now += DAY
        uptime.now += DAY
    assert kept(tmp_path) == ["1", "2", "3", "4"]


def test_uptime_of_another_machine_is_no_time_that_passed(tmp_path: Path) -> None:
    clock, uptime = Clock(), Clock()
    for day in range(3):
        uptime.now += 400 * DAY
        clock.now += 60.0
        trail(tmp_path, day, clock=clock, uptime=uptime, keep_days=3)
    assert kept(tmp_path) == ["0", "1", "2"]


def test_machine_that_starts_again_goes_on_counting(tmp_path: Path) -> None:
    clock, uptime = Clock(), Clock()
    for day in range(6):
        trail(tmp_path, day, clock=clock, uptime=uptime, keep_days=2)
        clock.now += 2 * DAY
        uptime.now = DAY * (1 - day / 100)  # less than before: the machine was started a day ago
    assert kept(tmp_path) == ["2", "3", "4", "5"]


def test_trail_of_which_nothing_was_noted_is_kept_in_full_and_longer(tmp_path: Path, clock: Clock) -> None:
    for day in range(4):
        trail(tmp_path, day, clock=clock)
        clock.now += DAY
    (tmp_path / BEGUN).unlink()
    trail(tmp_path, 4, clock=clock, keep_days=3)
    assert kept(tmp_path) == ["0", "1", "2", "3", "4"]
    clock.now += 3 * DAY
    trail(tmp_path, 5, clock=clock, keep_days=3)
    assert kept(tmp_path) == ["4", "5"]


def test_head_of_an_earlier_version_is_gone_on_with(tmp_path: Path, clock: Clock) -> None:
    trail(tmp_path, 1, clock=clock)
    head = json.loads((tmp_path / HEAD).read_bytes())
    del head["seen"]
    (tmp_path / HEAD).write_text(json.dumps(head))
    trail(tmp_path, 2, clock=clock)
    assert findings(tmp_path) == ()
    assert kept(tmp_path) == ["1", "2"]


def test_head_has_room_for_the_largest_numbers() -> None:
    seen = Seen(seconds=1.234567890123456e300, clock=1.234567890123456e300, uptime=1.234567890123456e300)
    head = Head(first=2**63, before="f" * 64, seq=2**63, chain="f" * 64, file="audit-2036-11-24_0001.jsonl", size=2**63)
    assert len(msgspec.json.encode(replace_head(head, seen=seen))) < 500


# Several writers


def _many(directory: Path, who: str) -> None:
    files = ChainedFiles(directory, keep_days=0)
    for number in range(50):
        files.append([event(request_id=f"{who}{number}")])
    files.close()


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_many, args=(tmp_path, who)) for who in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    verified = verify(tmp_path)
    assert (verified.lines, verified.findings) == (100, ())
    for who in "ab":
        mine = [line["request_id"] for line in written(tmp_path) if line["request_id"].startswith(who)]
        assert mine == [f"{who}{number}" for number in range(50)]
