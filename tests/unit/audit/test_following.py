"""Following a trail: every line once, in order, on disk and acknowledged; what expired before is counted."""

import json
from pathlib import Path

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import HEAD, ChainedFiles, files_of
from kiteward.audit.following import Batch, Cursor, beginning, read_on

NOON = 1_795_780_800.0
DAY = 86_400.0


def write(directory: Path, *names: str, day: int = 0, keep_days: int = 0) -> None:
    files = ChainedFiles(directory, keep_days=keep_days, clock=lambda: NOON + day * DAY, uptime=lambda: 1.0 + day * DAY)
    for name in names:
        files.append([AuditEvent(Event.USER_CHANGE, NOON + day * DAY, Outcome.SUCCEEDED, name)])
    files.close()


def start(directory: Path) -> Cursor:
    place = beginning(directory)
    assert place is not None
    return place


def following(directory: Path, place: Cursor, *, most: int = 100, size: int = 10**6) -> Batch:
    batch = read_on(directory, place, most=most, size=size)
    assert batch is not None
    return batch


def names(batch: Batch) -> list[str]:
    return [json.loads(line).get("request_id", "system") for line in batch.lines]


def test_lines_of_all_files_come_in_batches_in_order(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    write(tmp_path, "d", "e", day=1)
    first = following(tmp_path, start(tmp_path), most=2)
    assert (names(first), first.waiting) == (["a", "b"], 3)
    second = following(tmp_path, first.after)
    assert (names(second), second.waiting, second.missing) == (["c", "d", "e"], 0, 0)
    assert following(tmp_path, second.after).lines == ()
    write(tmp_path, "f", day=1)
    assert names(following(tmp_path, second.after)) == ["f"]


def test_batch_ends_after_so_many_bytes(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    assert names(following(tmp_path, start(tmp_path), size=1)) == ["a"]


def test_place_is_found_again_by_its_number_alone(tmp_path: Path) -> None:
    for day in range(3):
        write(tmp_path, f"{day}a", f"{day}b", day=day)
    trail = start(tmp_path).trail
    for number, rest in ((0, 6), (2, 4), (3, 3), (5, 1), (6, 0)):
        assert len(following(tmp_path, Cursor(trail, number)).lines) == rest


def test_lines_that_expired_before_they_were_read_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    place = following(tmp_path, start(tmp_path), most=1).after
    for day in range(1, 5):
        write(tmp_path, f"day{day}", day=day, keep_days=2)
    batch = following(tmp_path, place)
    assert "b" not in names(batch)
    kept = json.loads(batch.lines[0])["seq"]
    assert batch.missing == kept - place.seq - 1 > 0
    assert following(tmp_path, start(tmp_path)).missing == 0


def test_line_that_is_not_acknowledged_yet_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (path,) = files_of(tmp_path)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole)
    assert len(following(tmp_path, start(tmp_path)).lines) == 1


def test_other_trail_in_the_directory_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "a")
    place = start(tmp_path)
    for path in (*files_of(tmp_path), tmp_path / HEAD):
        path.unlink()
    write(tmp_path, "b")
    assert read_on(tmp_path, place, most=10, size=1000) is None
    assert start(tmp_path).trail != place.trail


def test_directory_without_a_trail_has_no_beginning(tmp_path: Path) -> None:
    assert beginning(tmp_path / "none") is None
