"""The audit trail of a running process: events go into a queue, and one thread writes them in batches.

Changes wait until their event, which is recorded in full, is on disk. Everything else is shortened and written within
a fraction of a second. While the trail cannot be written, events stay in the queue; those that no longer fit are
counted, and the trail reports their number once it can be written again. Both kinds have a limit in bytes of their own,
so that many other events cannot prevent a change from being recorded.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

from kiteward.audit.events import AuditEvent, Event, Outcome, shortened, weight_of
from kiteward.audit.files import ChainedFiles
from kiteward.audit.settings import AuditSettings
from kiteward.domain.errors import AuditUnavailable, ConfigurationError

_log = logging.getLogger("kiteward.audit")

_INTERVAL: Final = 0.1
"""Seconds between two batches; a change does not wait for it."""

_RETRY: Final = 1.0
"""Seconds between two attempts while the trail cannot be written and no change is waiting."""

_CAPACITY: Final = 50_000
"""Most events in the queue."""

_MEBIBYTE: Final = 1024 * 1024
_CAPACITY_BYTES: Final = 64 * _MEBIBYTE
"""Most bytes of queued events that no change waits for."""

_CHANGES_BYTES: Final = 128 * _MEBIBYTE
"""Most bytes of queued events that changes wait for; an event alone in the queue may exceed it."""

_BATCH: Final = 2_000
"""Most events in one batch."""

_BATCH_BYTES: Final = 8 * _MEBIBYTE
"""Bytes after which a batch takes no further event."""


@dataclass(frozen=True, slots=True)
class AuditState:
    """The state of the trail.

    Attributes:
        working: whether the last attempt to write succeeded.
        queued: events that are not written yet.
        written: events written since the start.
        lost: events that could not be kept, since the start.
        queued_bytes: approximate bytes in memory of the events that are not written yet.
    """

    working: bool = True
    queued: int = 0
    written: int = 0
    lost: int = 0
    queued_bytes: int = 0


class AuditSink(Protocol):
    """Records audit events."""

    def record(self, event: AuditEvent, *, whole: bool = False) -> None:
        """Queue an event to be written a little later. Never raises; a lost event is counted.

        Args:
            event: what happened.
            whole: whether it is bounded already, and is not shortened.
        """
        ...

    async def record_durably(self, event: AuditEvent) -> None:
        """Return when an event is on disk, in full.

        Raises:
            AuditUnavailable: it is not.
        """
        ...

    def state(self) -> AuditState:
        """Return the state of the trail."""
        ...

    async def close(self) -> None:
        """Write all queued events, and close the trail."""
        ...


class NullAuditSink:
    """Records nothing: for `kiteward.audit.enabled: false`, which the server warns of at each start."""

    def record(self, event: AuditEvent, *, whole: bool = False) -> None:
        """Drop an event."""

    async def record_durably(self, event: AuditEvent) -> None:
        """Drop an event."""

    def state(self) -> AuditState:
        """Return the state of a working trail with nothing in it."""
        return AuditState()

    async def close(self) -> None:
        """Do nothing."""


def open_sink(settings: AuditSettings, data_dir: Path, *, replica: str = "") -> AuditSink:
    """Return the sink of a process, according to the settings.

    Args:
        settings: whether there is a trail, and where.
        data_dir: the data directory.
        replica: the name of this replica, which every line has.

    Raises:
        ConfigurationError: the trail cannot be written.
    """
    if not settings.enabled:
        return NullAuditSink()
    return AuditWriter.open(settings.place(data_dir), keep_days=settings.keep_days, replica=replica)


class _Queued(NamedTuple):
    """An event in the queue.

    Attributes:
        event: what happened.
        size: approximate bytes in memory.
        done: completed when the event is on disk; None where no change waits for it.
    """

    event: AuditEvent
    size: int
    done: "asyncio.Future[None] | None" = None


class AuditWriter:
    """Writes the trail of a directory."""

    def __init__(
        self,
        files: ChainedFiles,
        *,
        clock: Callable[[], float],
        capacity: int = _CAPACITY,
        capacity_bytes: int = _CAPACITY_BYTES,
        changes_bytes: int = _CHANGES_BYTES,
    ) -> None:
        """Start the thread that writes; use `open` to create a writer."""
        self._files = files
        self._clock = clock
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._changes_bytes = changes_bytes
        self._queue: deque[_Queued] = deque()
        self._sizes = threading.Lock()
        self._waiting = {True: 0, False: 0}  # bytes in the queue of events that changes wait for, and of the others
        self._wake = threading.Event()
        self._closing = False
        self._working = True
        self._written = 0
        self._lost = 0
        self._lost_unreported = 0
        self._losses = threading.Lock()
        self._writer = threading.Thread(target=self._write, name="audit", daemon=True)
        self._writer.start()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        keep_days: int = 90,
        replica: str = "",
        clock: Callable[[], float] = time.time,
        capacity: int = _CAPACITY,
        capacity_bytes: int = _CAPACITY_BYTES,
        changes_bytes: int = _CHANGES_BYTES,
    ) -> Self:
        """Open the trail of a directory.

        Args:
            directory: where its files are.
            keep_days: how many days are kept; 0 keeps all.
            replica: the name of this replica, which every line has.
            clock: seconds since the epoch.
            capacity: most events in the queue.
            capacity_bytes: most bytes of queued events that no change waits for.
            changes_bytes: most bytes of queued events that changes wait for.

        Raises:
            ConfigurationError: it cannot be written.
        """
        try:
            files = ChainedFiles(directory, keep_days=keep_days, replica=replica, clock=clock)
        except OSError as error:
            raise ConfigurationError(
                f"the audit trail in {directory} cannot be written ({error.strerror}): free disk space, or "
                "make the directory writable"
            ) from error
        return cls(files, clock=clock, capacity=capacity, capacity_bytes=capacity_bytes, changes_bytes=changes_bytes)

    def record(self, event: AuditEvent, *, whole: bool = False) -> None:
        """Queue an event, shortened unless `whole`, to be written a little later; a lost event is counted."""
        event, size = (event, weight_of(event)) if whole else shortened(event)
        if len(self._queue) >= self._capacity or self._waiting[False] + size > self._capacity_bytes:
            self._count_lost(1)
        else:
            self._enqueue(_Queued(event, size))

    async def record_durably(self, event: AuditEvent) -> None:
        """Return when an event is on disk, in full.

        Raises:
            AuditUnavailable: it is not.
        """
        size = weight_of(event)
        if self._waiting[True] and self._waiting[True] + size > self._changes_bytes:
            raise AuditUnavailable("too many changes are waiting for the audit trail; the change was not made")
        done = asyncio.get_running_loop().create_future()
        self._enqueue(_Queued(event, size, done))
        self._wake.set()
        await done

    def state(self) -> AuditState:
        """Return the state of the trail."""
        return AuditState(
            self._working, len(self._queue), self._written, self._lost, self._waiting[True] + self._waiting[False]
        )

    async def close(self) -> None:
        """Write all queued events, and close the files."""
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._writer.join)
        if self._queue or self._lost_unreported:
            _log.error("%d audit events were lost", len(self._queue) + self._lost_unreported)
        self._files.close()

    # In the thread

    def _write(self) -> None:
        while not self._closing:
            self._wake.wait(_INTERVAL if self._working else _RETRY)
            self._wake.clear()
            while self._write_batch() and self._is_worth_a_batch():
                pass
        while self._queue and self._write_batch():
            pass

    def _is_worth_a_batch(self) -> bool:
        """Return whether to write at once: a change that waits does not wait for the next interval."""
        return len(self._queue) >= _BATCH or bool(self._waiting[True])

    def _enqueue(self, entry: _Queued) -> None:
        self._count_bytes(entry, 1)
        self._queue.append(entry)

    def _count_bytes(self, entry: _Queued, sign: int) -> None:
        with self._sizes:
            self._waiting[entry.done is not None] += sign * entry.size

    def _take(self) -> list[_Queued]:
        """Remove the entries of one batch from the queue, and return them."""
        taken: list[_Queued] = []
        size = 0
        while self._queue and len(taken) < _BATCH and size < _BATCH_BYTES:
            entry = self._queue.popleft()
            self._count_bytes(entry, -1)
            taken.append(entry)
            size += entry.size
        return taken

    def _write_batch(self) -> bool:
        """Write what is queued, and return whether that worked."""
        taken = self._take()
        awaited = [entry.done for entry in taken if entry.done is not None]
        events = [entry.event for entry in taken]
        lost = self._lost_unreported
        if lost:
            events.insert(0, AuditEvent(Event.EVENTS_LOST, self._clock(), Outcome.FAILED, details={"events": lost}))
        if not self._working:
            # Writing it proves that it can be written.
            events.insert(0, AuditEvent(Event.WRITABLE_AGAIN, self._clock(), Outcome.SUCCEEDED))
        if not events:
            return True
        try:
            self._files.append(events)
        except Exception as error:  # noqa: BLE001  the writer continues; those who wait get the error
            self._failed(error)
            _notify(awaited, failed=True)
            self._put_back([entry for entry in taken if entry.done is None])
            return False
        if not self._working:
            _log.warning("the audit trail is writable again")
        self._working = True
        self._written += len(events)
        self._count_reported(lost)
        _notify(awaited, failed=False)
        return True

    def _failed(self, error: Exception) -> None:
        if self._working:
            _log.error("the audit trail cannot be written; changes are refused", exc_info=error)
        self._working = False

    def _put_back(self, entries: list[_Queued]) -> None:
        room = max(self._capacity - len(self._queue), 0)
        room_bytes = self._capacity_bytes - self._waiting[False]
        kept: list[_Queued] = []
        for entry in entries[:room]:
            room_bytes -= entry.size
            if room_bytes < 0:
                break
            kept.append(entry)
        for entry in reversed(kept):
            self._count_bytes(entry, 1)
            self._queue.appendleft(entry)
        self._count_lost(len(entries) - len(kept))

    def _count_lost(self, number: int) -> None:
        with self._losses:
            self._lost += number
            self._lost_unreported += number

    def _count_reported(self, number: int) -> None:
        with self._losses:
            self._lost_unreported -= number


def _notify(awaited: "list[asyncio.Future[None]]", *, failed: bool) -> None:
    """Complete the futures of those who wait, with one callback for each event loop."""
    loops = [done.get_loop() for done in awaited]
    for loop in {id(loop): loop for loop in loops}.values():
        waiting = [done for done in awaited if done.get_loop() is loop]
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the tasks that waited
            loop.call_soon_threadsafe(_complete, waiting, failed)


def _complete(waiting: "list[asyncio.Future[None]]", failed: bool) -> None:
    for done in waiting:
        if done.done():
            continue
        if failed:
            done.set_exception(
                AuditUnavailable("it cannot be recorded in the audit trail now; the change was not made")
            )
        else:
            done.set_result(None)
