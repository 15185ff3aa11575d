"""What replicas share of their trails: changes and refusals, in one chain of lines in the store.

That a change of the policy was committed is stored in its own transaction, in full, so that both are kept or neither.
How it ended, and everything else, is read from the trail of the replica and stored a little later, each line once. Data
operations and reads stay where they happened; which privileges they used is stored, to the hour.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from kiteward.audit.events import NOT_SHARED, AuditEvent, Event, Outcome
from kiteward.audit.exports.exporter import ExportState
from kiteward.audit.following import Batch, Cursor, beginning, read_on
from kiteward.audit.hash_chain import decode, encode, moved, parts_of
from kiteward.audit.reader import AuditPage, AuditQuery, AuditReader, Entry, read
from kiteward.audit.retention import DAY
from kiteward.audit.stored_lines import matching, search_stored
from kiteward.audit.uses import UnstoredUses, Used
from kiteward.audit.verify import Anchor, ChainVerification, Verified
from kiteward.store.audit_events import LineRange, StoredHead, StoredLine
from kiteward.store.base import Store
from kiteward.store.records import Use
from kiteward.store.transaction import Transaction

_log = logging.getLogger("kiteward.audit")

_WINDOW: Final = 1000
"""Stored lines that one statement reads."""

_BATCH: Final = 1000
_BATCH_BYTES: Final = 1024 * 1024
"""Lines, and bytes after which no further one is added, that one transaction stores."""

_UNMOVED: Final = 50_000
"""Lines without anything to store after which the place is stored nevertheless."""

_EXPIRY: Final = 3600.0
"""Seconds between two removals of what is old."""

_SAME: Final = ("replica", "request_id", "operation", "principal")
"""The fields that the end of a change in a trail and its event in the store have in common."""

_REMOVED: Final = 10_000
"""Most lines that one transaction removes."""


class _Passed(Used, kw_only=True):
    """What decides whether a line is stored, and which uses it describes."""

    kind: str
    outcome: str

    @property
    def is_shared(self) -> bool:
        """Whether it is stored: that a change was received concerns this replica alone."""
        return self.kind not in NOT_SHARED and self.outcome != Outcome.RECEIVED


class SharedEvents:
    """Stores events of this replica.

    Attributes:
        replica: the name of this replica.
        uptime: returns seconds that never go back.
    """

    def __init__(self, replica: str, *, uptime: Callable[[], float] = time.monotonic) -> None:
        """Take what every event is stored with.

        Args:
            replica: the name of this replica.
            uptime: seconds that never go back.
        """
        self.replica = replica
        self.uptime = uptime
        self._since: tuple[float, float] | None = None  # elapsed seconds of the store, at this uptime

    async def append(self, transaction: Transaction, event: AuditEvent) -> int:
        """Store an event in a transaction, in full, and return the number of its last line.

        Raises:
            StoreUnavailable: it could not be written.
        """
        head = await transaction.audit_events.head()
        seq, chain = head.seq, head.chain
        lines = []
        for part in parts_of(event):
            seq += 1
            line, chain = encode(part, seq, chain, replica=self.replica)
            lines.append(_stored(seq, event.time, line))
        await transaction.audit_events.append(lines, chain=chain, elapsed=self.elapsed(head))
        return seq

    async def take_over(self, transaction: Transaction, raw: Sequence[bytes]) -> None:
        """Store lines of this replica's trail in a transaction."""
        head = await transaction.audit_events.head()
        seq, chain = head.seq, head.chain
        lines = []
        for each in raw:
            seq += 1
            line, chain = moved(each, seq, chain)
            lines.append(_stored(seq, _time_of(each), line))
        await transaction.audit_events.append(lines, chain=chain, elapsed=self.elapsed(head))

    def elapsed(self, head: StoredHead) -> float:
        """Return the elapsed seconds of the store now. They never exceed the time that has passed."""
        now = self.uptime()
        if self._since is None or head.elapsed > self._since[0] + now - self._since[1]:
            self._since = head.elapsed, now
        return self._since[0] + now - self._since[1]


class StoreExport:
    """Reads the trail of this replica, and stores what replicas share of it."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        events: SharedEvents,
        *,
        keep_days: int,
        note: Callable[[Event, int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take where to read and where to write.

        Args:
            store: the store that replicas share.
            directory: the directory of this replica's trail.
            events: stores them.
            keep_days: how many days they are kept; 0 keeps all.
            note: called with EXPORT_LOST and how many lines had expired before they were stored, and with
                STORED_EXPIRED and how many were removed from the store.
            clock: seconds since the epoch.
        """
        self._store = store
        self._directory = directory
        self._events = events
        self._keep_days = keep_days
        self._note = note
        self._clock = clock
        self._uses = UnstoredUses()
        self._uses_begun = False
        self._place: Cursor | None = None
        self._stored = 0  # the place that the store has
        self._look_at = 0.0  # seconds of uptime
        self._counted = ExportState("store")

    def state(self) -> ExportState:
        """Return how far it is."""
        return self._counted

    async def run(self) -> None:
        """Store what the trail has, and remove what is old. What fails is done by the next call.

        Raises:
            StoreUnavailable, OSError: the store or the trail cannot be used.
        """
        try:
            await self._begin_uses()
            while await self._store_batch():
                pass
        except BaseException:
            self._place = None  # the store says how far it is
            self._count(failures=1)
            self._counted = replace(self._counted, working=False)
            raise
        self._counted = replace(self._counted, working=True)
        await self._expire()

    async def _store_batch(self) -> bool:
        """Store the next lines, and return whether there may be more."""
        place = self._place or await self._begin()
        if place is None:
            return False
        batch = await asyncio.to_thread(read_on, self._directory, place, most=_BATCH, size=_BATCH_BYTES)
        if batch is None:
            self._place = None
            return True
        passed = [msgspec.json.decode(raw, type=_Passed) for raw in batch.lines]
        shared = [raw for raw, line in zip(batch.lines, passed, strict=True) if line.is_shared]
        used = self._uses.among(passed)
        if shared or used or batch.after.seq - self._stored > _UNMOVED:
            await self._write(batch, shared, used)
        else:
            self._place = batch.after
        self._counted = replace(self._counted, waiting=batch.waiting)
        if batch.missing:
            self._count(lost=batch.missing)
            self._note(Event.EXPORT_LOST, batch.missing)
        return bool(batch.waiting)

    async def _begin(self) -> Cursor | None:
        start = await asyncio.to_thread(beginning, self._directory)
        if start is None:
            return None
        self._stored = await self._store.audit_position(start.trail)
        self._place = start._replace(seq=self._stored) if self._stored else start
        return self._place

    async def _begin_uses(self) -> None:
        """Store once that uses are stored from now on."""
        if not self._uses_begun and await self._store.uses_since() is None:
            async with self._store.transaction() as transaction:
                await transaction.audit_uses.begin(self._clock())
                await transaction.commit()
        self._uses_begun = True

    async def _write(self, batch: Batch, shared: Sequence[bytes], used: Mapping[float, set[Use]]) -> None:
        async with self._store.transaction() as transaction:
            trail = batch.after.trail
            if await transaction.audit_events.position(trail) != self._stored:
                self._place = None  # another process with the same trail has been here
                return
            if shared:
                await self._events.take_over(transaction, shared)
            for until, uses in used.items():
                await transaction.audit_uses.add(uses, until)
            await transaction.audit_events.move(trail, batch.after.seq, replica=self._events.replica)
            await transaction.commit()
        self._uses.note_stored(used)
        self._place, self._stored = batch.after, batch.after.seq
        self._count(sent=len(shared))

    def _count(self, *, sent: int = 0, lost: int = 0, failures: int = 0) -> None:
        counted = self._counted
        self._counted = replace(
            counted, sent=counted.sent + sent, lost=counted.lost + lost, failures=counted.failures + failures
        )

    async def _expire(self) -> None:
        now = self._events.uptime()
        if not self._keep_days or now < self._look_at:
            return
        elapsed = self._events.elapsed(await self._store.audit_head())
        while removed := await self._remove(elapsed - self._keep_days * DAY):
            self._note(Event.STORED_EXPIRED, removed)
        self._look_at = now + _EXPIRY

    async def _remove(self, before: float) -> int:
        """Remove the oldest lines that were stored before a moment, and return how many."""
        if before <= 0:
            return 0
        async with self._store.transaction() as transaction:
            last = await transaction.audit_events.last_before(before, within=_REMOVED)
            line = decode(last[1].encode()) if last is not None else None
            if last is None or line is None:
                return 0
            removed = last[0] - (await transaction.audit_events.head()).first + 1
            await transaction.audit_events.remove_to(last[0], chain=line.chain)
            # As old as these lines are, and by this clock too: if it was ahead at either time, nothing goes too early.
            await transaction.audit_uses.remove_before(min(_time_of(last[1]), self._clock() - self._keep_days * DAY))
            await transaction.commit()
            return removed


class SharedTrail:
    """Reads what replicas share."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        """Return the newest matching lines, or the oldest after `AuditQuery.after`.

        Args:
            question: which lines.
            limit: most entries of the page.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        return await search_stored(self._store, question, limit=limit)

    async def every(self, question: AuditQuery, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield every matching line whose number is greater than `after`, oldest first.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        head = await self._store.audit_head()
        for first in range(max(head.first, after + 1), head.seq + 1, _WINDOW):
            for entry in await matching(self._store, question, LineRange(first, min(first + _WINDOW - 1, head.seq))):
                yield entry

    async def verify(self, anchors: Sequence[Anchor] = ()) -> Verified:
        """Verify the chain of the stored lines.

        Args:
            anchors: lines to compare.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        head = await self._store.audit_head()
        verification = ChainVerification(head.first, head.before, anchors)
        for first in range(head.first, head.seq + 1, _WINDOW):
            wanted = LineRange(first, min(first + _WINDOW - 1, head.seq))
            for line in await self._store.audit_lines(wanted):
                verification.take("store", line.encode())
        return verification.ended(head.seq)

    async def uses(self, since: datetime) -> tuple[set[Use], datetime | None]:
        """Return what was used since a time, to the hour, and the time from which on that is known; None if it is not.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        begun = await self._store.uses_since()
        found = set(await self._store.uses_after(since.timestamp()))
        return found, None if begun is None else max(since, datetime.fromtimestamp(begun, UTC))

    async def differences(self, directory: Path) -> list[str]:
        """Return a sentence for each line of a replica's trail whose event in the store is missing or another.

        Args:
            directory: the directory of that trail.

        Raises:
            StoreUnavailable, OSError: the store or the trail cannot be read.
        """
        head = await self._store.audit_head()
        told = AuditReader(directory).stored()
        found: list[str] = []
        while some := await asyncio.to_thread(lambda: list(itertools.islice(told, _WINDOW))):
            there = await self._numbered({entry["stored"] for entry in some if entry["stored"] >= head.first})
            for entry in some:
                stored = there.get(entry["stored"])
                if entry["stored"] >= head.first and (
                    stored is None or any(stored.get(name) != entry.get(name) for name in _SAME)
                ):
                    found.append(f"the store has no event {entry['stored']} like line {entry['seq']}")
        return found

    async def _numbered(self, numbers: Collection[int]) -> dict[int, Entry]:
        """Return the stored lines with these numbers that there are."""
        found = {}
        left = sorted(numbers)
        while left:
            first = left[0]
            for line in await self._store.audit_lines(LineRange(first, first + _WINDOW - 1)):
                entry = read(line.encode())
                if entry is not None:
                    found[int(entry["seq"])] = entry
            left = [number for number in left if number >= first + _WINDOW]
        return {number: entry for number, entry in found.items() if number in numbers}


def _time_of(line: bytes | str) -> float:
    """Return when the event of a line happened, in seconds since the epoch."""
    return datetime.fromisoformat(msgspec.json.decode(line, type=Used).time).timestamp()


def _stored(seq: int, at: float, line: bytes) -> StoredLine:
    return StoredLine(seq, at, line.removesuffix(b"\n").decode())
