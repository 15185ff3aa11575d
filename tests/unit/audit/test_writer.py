"""The trail of a running process: durable before it is acknowledged, and no loss without a count."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles, files_of
from kiteward.audit.settings import AuditSettings
from kiteward.audit.verify import verify
from kiteward.audit.writer import AuditWriter, NullAuditSink, open_sink
from kiteward.domain.errors import AuditUnavailable, ConfigurationError


def event(number: int) -> AuditEvent:
    return AuditEvent(Event.USER_CHANGE, 1_795_780_800.0, Outcome.RECEIVED, request_id=str(number))


def written(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in files_of(directory) for line in path.read_text().splitlines()]


def numbers(directory: Path) -> list[str]:
    return [line["request_id"] for line in written(directory) if "request_id" in line]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> "Disk":
    return Disk(monkeypatch)


class Disk:
    """A disk that can be full: writes go through to the real one until then, the one that fails in part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        write = os.write

        def writing(descriptor: int, data: Any) -> int:
            if not self.full:
                return write(descriptor, data)
            if len(data) > 20:
                return write(descriptor, bytes(data[:20]))
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("kiteward.audit.files.os.write", writing)


async def test_change_goes_on_when_its_event_is_on_disk(tmp_path: Path) -> None:
    trail = AuditWriter.open(tmp_path)
    await asyncio.gather(*(trail.record_durably(event(number)) for number in range(20)))
    assert sorted(numbers(tmp_path), key=int) == [str(number) for number in range(20)]
    assert trail.state().written == 20
    await trail.close()


async def test_events_nobody_waits_for_are_written_soon_and_in_their_order(tmp_path: Path) -> None:
    trail = AuditWriter.open(tmp_path)
    for number in range(100):
        trail.record(event(number))
    await until(lambda: trail.state().written == 100)
    assert numbers(tmp_path) == [str(number) for number in range(100)]
    await trail.close()


async def test_what_is_queued_is_written_when_the_trail_is_closed(tmp_path: Path) -> None:
    trail = AuditWriter.open(tmp_path)
    for number in range(5000):
        trail.record(event(number))
    await trail.close()
    assert len(numbers(tmp_path)) == 5000
    assert verify(tmp_path).findings == ()


async def test_full_disk_fails_changes_keeps_other_events_and_leaves_no_torn_line(tmp_path: Path, full: Disk) -> None:
    trail = AuditWriter.open(tmp_path)
    await trail.record_durably(event(1))
    full.full = True
    with pytest.raises(AuditUnavailable):
        await trail.record_durably(event(2))
    trail.record(event(3))
    await until(lambda: not trail.state().working)
    assert numbers(tmp_path) == ["1"]
    assert verify(tmp_path).findings == ()
    full.full = False
    await until(lambda: trail.state().working)
    await trail.record_durably(event(4))
    assert numbers(tmp_path) == ["1", "3", "4"]
    assert verify(tmp_path).findings == ()
    assert Event.WRITABLE_AGAIN.code in [line["code"] for line in written(tmp_path)]
    await trail.close()


async def test_what_does_not_fit_into_the_queue_is_counted_and_reported(tmp_path: Path, full: Disk) -> None:
    trail = AuditWriter.open(tmp_path, capacity=10)
    full.full = True
    with pytest.raises(AuditUnavailable):
        await trail.record_durably(event(0))
    for number in range(1, 31):
        trail.record(event(number))
    assert trail.state().lost == 20
    full.full = False
    await until(lambda: trail.state().working)
    await until(lambda: trail.state().queued == 0)
    assert numbers(tmp_path) == [str(number) for number in range(1, 11)]
    (lost,) = [line for line in written(tmp_path) if line["code"] == Event.EVENTS_LOST.code]
    assert lost["details"] == {"events": 20}
    await trail.close()


async def test_queue_is_bounded_in_bytes_too_and_what_does_not_fit_is_counted(tmp_path: Path, full: Disk) -> None:
    trail = AuditWriter.open(tmp_path, capacity_bytes=100_000)
    full.full = True
    with pytest.raises(AuditUnavailable):
        await trail.record_durably(event(0))
    for number in range(1, 101):
        resources = tuple(f"{name:0200}" for name in range(30))
        trail.record(event(number)._replace(resources=resources))
    state = trail.state()
    assert 0 < state.queued < 20
    assert state.queued + state.lost == 100
    assert 50_000 < state.queued_bytes <= 100_000
    full.full = False
    await until(lambda: trail.state().queued == 0)
    assert trail.state().queued_bytes == 0
    await trail.close()


async def test_name_of_ten_megabytes_takes_no_room_in_the_queue(tmp_path: Path, full: Disk) -> None:
    trail = AuditWriter.open(tmp_path)
    full.full = True
    long = "x" * 10_000_000
    trail.record(event(1)._replace(resources=(long,), database=long, reason=long, client=long, details={"a": [long]}))
    assert trail.state().queued_bytes < 5_000
    full.full = False
    await trail.close()
    (line,) = [each for each in written(tmp_path) if "request_id" in each]
    assert line["resources"] == [f"{'x' * 256}… (10000000 characters)"]


async def test_what_is_bounded_already_is_written_whole_and_counts_as_long_as_it_is(tmp_path: Path) -> None:
    trail = AuditWriter.open(tmp_path, capacity_bytes=20_000)
    told = {"expressions": ["x" * 10_000]}
    trail.record(event(1)._replace(details=told), whole=True)
    trail.record(event(2)._replace(details=told), whole=True)
    assert trail.state().lost == 1
    await trail.close()
    assert [line["details"] for line in written(tmp_path)] == [{"events": 1}, told]


async def test_changes_that_wait_are_bounded_in_bytes_and_refused_beyond_but_lines_take_none_of_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditWriter.open(tmp_path, capacity_bytes=10_000, changes_bytes=100_000)
    let_go = threading.Event()
    append = ChainedFiles.append

    def held(self: ChainedFiles, events: Sequence[AuditEvent]) -> None:
        let_go.wait(10)
        append(self, events)

    monkeypatch.setattr(ChainedFiles, "append", held)
    large = event(0)._replace(details={"names": ["x" * 100] * 300})
    first = asyncio.create_task(trail.record_durably(large))
    await until(lambda: trail.state().queued_bytes == 0 and first is not None)
    for number in range(100):
        trail.record(event(number))
    waiting = [asyncio.create_task(trail.record_durably(large)) for _ in range(5)]
    refused, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert refused
    assert all(isinstance(task.exception(), AuditUnavailable) for task in refused)
    let_go.set()
    await asyncio.gather(first, *(task for task in waiting if task not in refused))
    await trail.close()


async def test_batch_that_could_not_be_synced_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = AuditWriter.open(tmp_path)

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("kiteward.audit.files.os.fdatasync", failing)
        with pytest.raises(AuditUnavailable):
            await trail.record_durably(event(1))
    await trail.record_durably(event(2))
    assert numbers(tmp_path) == ["2"]
    assert verify(tmp_path).findings == ()
    await trail.close()


async def test_change_is_not_acknowledged_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    append, sync = ChainedFiles.append, os.fdatasync

    def appending(self: ChainedFiles, events: Sequence[AuditEvent]) -> None:
        append(self, events)
        order.append("appended")

    def syncing(descriptor: int) -> None:
        sync(descriptor)
        order.append("synced")

    monkeypatch.setattr(ChainedFiles, "append", appending)
    monkeypatch.setattr("kiteward.audit.files.os.fdatasync", syncing)
    trail = AuditWriter.open(tmp_path)
    order.clear()
    await trail.record_durably(event(1))
    assert order[:2] == ["synced", "appended"]
    await trail.close()


async def test_events_that_could_not_be_written_until_the_end_are_reported_in_the_log(
    tmp_path: Path, full: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    trail = AuditWriter.open(tmp_path)
    full.full = True
    trail.record(event(1))
    await trail.close()
    assert "1 audit events were lost" in caplog.text


def test_trail_that_cannot_be_written_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="audit trail"):
        AuditWriter.open(tmp_path / "file" / "audit")


async def test_there_is_no_trail_where_that_is_set(tmp_path: Path) -> None:
    sink = open_sink(AuditSettings(enabled=False), tmp_path)
    assert isinstance(sink, NullAuditSink)
    await sink.record_durably(event(1))
    assert sink.state().working
    assert not (tmp_path / "audit").exists()


async def test_trail_is_in_the_data_directory_unless_set(tmp_path: Path) -> None:
    assert AuditSettings().place(tmp_path) == tmp_path / "audit"
    assert AuditSettings(directory=tmp_path / "x").place(tmp_path) == tmp_path / "x"
