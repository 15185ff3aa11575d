"""Sending a trail: each line at least once and in order, over outages and restarts; losses are counted."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.exports import exporter as exporting
from kiteward.audit.exports.exporter import DeliveryFailed, Exporter
from kiteward.audit.files import HEAD, ChainedFiles, files_of

NOW = 1_795_780_800.0
DAY = 86_400.0


class Receiver:
    """A receiver that tests switch off and on."""

    name: str = "test"
    most: int = 3
    size: int = 10**6

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.down = False
        self.refuses: set[str] = set()
        self.asks = 0.0
        self.closed = threading.Event()

    def send(self, lines: Sequence[bytes]) -> int:
        if self.down:
            raise DeliveryFailed("down", wait=self.asks)
        names = [json.loads(line).get("request_id", "system") for line in lines]
        self.taken += [name for name in names if name not in self.refuses]
        return sum(name in self.refuses for name in names)

    def close(self) -> None:
        self.closed.set()


class Trail:
    """A trail whose clock the test sets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.day = 0
        self._number = 0

    def write(self, number: int, *, keep_days: int = 0) -> list[str]:
        files = ChainedFiles(
            self.directory,
            keep_days=keep_days,
            clock=lambda: NOW + self.day * DAY,
            uptime=lambda: 1.0 + self.day * DAY,
        )
        written = [f"r{self._number + each}" for each in range(number)]
        self._number += number
        files.append([AuditEvent(Event.SESSION, NOW, Outcome.SUCCEEDED, name) for name in written])
        files.close()
        return written


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_PAUSE", 0.01)
    monkeypatch.setattr(exporting, "_SHORTEST_WAIT", 0.01)


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Receiver], Exporter]]:
    started: list[Exporter] = []

    def begin(receiver: Receiver) -> Exporter:
        started.append(Exporter(tmp_path, receiver))
        started[-1].start(lambda _name, lines: lost.append(lines))
        return started[-1]

    lost: list[int] = []
    yield begin
    for exporter in started:
        exporter.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_there_and_what_comes_is_sent_in_order(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    receiver = Receiver()
    names = trail.write(7)
    exporter = start(receiver)
    until(lambda: len(receiver.taken) == 7)
    names += trail.write(2)
    until(lambda: len(receiver.taken) == 9)
    assert receiver.taken == names
    until(lambda: exporter.state().sent == 9)
    assert (exporter.state().lost, exporter.state().waiting, exporter.state().failures) == (0, 0, 0)


def test_outage_loses_nothing_and_is_counted(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    receiver = Receiver()
    receiver.down = True
    names = trail.write(5)
    exporter = start(receiver)
    until(lambda: exporter.state().failures > 2)
    assert (exporter.state().working, exporter.state().waiting) == (False, 5)
    names += trail.write(5)
    receiver.down = False
    until(lambda: len(receiver.taken) == 10)
    assert receiver.taken == names
    until(lambda: exporter.state().working)


def test_restart_goes_on_where_the_receiver_was(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    first, second = Receiver(), Receiver()
    names = trail.write(4)
    exporter = start(first)
    until(lambda: len(first.taken) == 4)
    first.down = True
    names += trail.write(2)
    until(lambda: exporter.state().failures > 0)
    exporter.close()
    assert first.closed.is_set()
    start(second)
    until(lambda: len(second.taken) == 2)
    assert first.taken + second.taken == names


def test_end_sends_what_was_written_last(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    receiver = Receiver()
    trail.write(1)
    exporter = start(receiver)
    until(lambda: len(receiver.taken) == 1)
    trail.write(1)
    exporter.close()
    assert len(receiver.taken) == 2


def test_lines_that_expired_and_lines_that_were_refused_are_counted_and_told(trail: Trail) -> None:
    receiver = Receiver()
    receiver.refuses = {"r1"}
    told: list[tuple[str, int]] = []
    exporter = Exporter(trail.directory, receiver)
    trail.write(4)
    exporter.start(lambda name, lines: told.append((name, lines)))
    until(lambda: exporter.state().sent == 3)
    until(lambda: told == [("test", 1)])
    receiver.down = True
    trail.write(2)
    until(lambda: exporter.state().failures > 0)
    for day in range(1, 6):
        trail.day = day
        trail.write(1, keep_days=2)
    receiver.down = False
    until(lambda: exporter.state().waiting == 0 and exporter.state().working)
    exporter.close()
    lost = sum(lines for _, lines in told)
    assert exporter.state().lost == lost > 2
    written = json.loads(files_of(trail.directory)[-1].read_text().splitlines()[-1])["seq"]
    assert exporter.state().sent + lost == written


def test_two_processes_with_one_trail_send_it_once(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    first, second = Receiver(), Receiver()
    one = start(first)
    names = trail.write(3)
    until(lambda: len(first.taken) == 3)
    start(second)
    names += trail.write(3)
    until(lambda: len(first.taken) == 6)
    assert second.taken == []
    one.close()
    names += trail.write(1)
    until(lambda: len(second.taken) == 1)
    assert first.taken + second.taken == names


def test_other_trail_in_the_directory_is_sent_from_its_beginning(
    trail: Trail, start: Callable[[Receiver], Exporter]
) -> None:
    receiver = Receiver()
    trail.write(5)
    start(receiver)
    until(lambda: len(receiver.taken) == 5)
    for path in (*files_of(trail.directory), trail.directory / HEAD):
        path.unlink()
    names = trail.write(2)
    until(lambda: receiver.taken[5:] == names)


def test_damaged_place_is_the_beginning(trail: Trail, start: Callable[[Receiver], Exporter]) -> None:
    names = trail.write(2)
    (trail.directory / "exported-test").write_text("rubbish")
    receiver = Receiver()
    start(receiver)
    until(lambda: receiver.taken == names)


def test_receiver_that_asks_for_time_gets_it_and_waits_double(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    receiver = Receiver()
    receiver.down = True
    trail.write(1)
    exporter = Exporter(trail.directory, receiver)
    waits = [0.0]
    for _ in range(9):
        waits.append(exporter._send_all(waits[-1]))
    assert waits[1] <= 1.0 < waits[3] < waits[9] <= 60.0
    receiver.asks = 123.0
    assert exporter._send_all(0.0) == 123.0
    receiver.down = False
    assert exporter._send_all(60.0) == 0.0
