"""Sends the lines of a trail to one receiver, from a thread of its own.

The files are the queue: lines are read when the receiver takes them, so that memory is bounded and nothing waits for a
receiver. The place after the last line that it has is stored next to the trail. After a restart, or an outage, lines
after that place are sent, some of them again. Lines are lost only if their files expire before.
"""

import contextlib
import fcntl
import json
import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from kiteward.audit.following import Cursor, beginning, read_on

_log = logging.getLogger("kiteward.audit")

_PAUSE: Final = 0.5
"""Seconds between two looks for new lines."""

_SHORTEST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts after failures; they double from one to the other."""

_MODE: Final = 0o600


class DeliveryFailed(Exception):
    """The receiver did not take the lines; they are sent again later.

    Attributes:
        wait: seconds that it asked to be left alone.
    """

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Destination(Protocol):
    """A receiver of lines.

    Attributes:
        name: a word for metrics and file names.
        most: lines that are sent at once, at most.
        size: bytes after which no further line is added to them.
    """

    name: str
    most: int
    size: int

    def send(self, lines: Sequence[bytes]) -> int:
        """Return when the receiver has the lines, with how many of them it refused permanently.

        Raises:
            DeliveryFailed: it does not have all of them.
        """
        ...

    def close(self) -> None:
        """Close the connection, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class ExportState:
    """How far an exporter is.

    Attributes:
        destination: the name of the receiver.
        sent: lines that it has taken, since the start.
        lost: lines that expired before they were sent, or that it refused permanently, since the start.
        failures: attempts that failed, since the start.
        waiting: lines in the trail that it does not have.
        working: whether the last attempt succeeded.
    """

    destination: str
    sent: int = 0
    lost: int = 0
    failures: int = 0
    waiting: int = 0
    working: bool = True


class Exporter:
    """Sends the lines of a trail to a receiver until it is closed."""

    def __init__(self, directory: Path, destination: Destination) -> None:
        """Take what is sent and where to; `start` starts the thread.

        Args:
            directory: the directory of the trail.
            destination: the receiver; used by the thread alone.
        """
        self._directory = directory
        self._destination = destination
        self._place_file = directory / f"exported-{destination.name}"
        self._place: Cursor | None = None
        self._closing = threading.Event()
        self._note_lost: Callable[[str, int], None] = lambda _name, _lines: None
        self._sent = self._lost = self._failures = self._waiting = 0
        self._working = True
        self._thread = threading.Thread(target=self._run, name=f"audit-{destination.name}", daemon=True)

    def start(self, note_lost: Callable[[str, int], None]) -> None:
        """Start to send.

        Args:
            note_lost: called in the thread with the name of the receiver and how many lines were lost.
        """
        self._note_lost = note_lost
        self._thread.start()

    def state(self) -> ExportState:
        """Return how far it is."""
        return ExportState(self._destination.name, self._sent, self._lost, self._failures, self._waiting, self._working)

    def close(self) -> None:
        """Send what is left, if the last attempt succeeded, and end. Blocks."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    # In the thread

    def _run(self) -> None:
        wait = 0.0
        with contextlib.ExitStack() as stack:
            stack.callback(self._destination.close)
            if not self._alone(stack):
                return
            while True:
                last = self._closing.is_set()
                if not (last and wait):
                    wait = self._send_all(wait)
                if last:
                    return
                self._closing.wait(wait or _PAUSE)

    def _alone(self, stack: contextlib.ExitStack) -> bool:
        """Return whether no other process sends this trail there, once that is so, or False at the end."""
        while not self._closing.is_set():
            try:
                lock = os.open(f"{self._place_file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            except OSError:
                self._closing.wait(_PAUSE)
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                self._closing.wait(_PAUSE)
            else:
                stack.callback(os.close, lock)
                return True
        return False

    def _send_all(self, waited: float) -> float:
        """Send what there is, and return how long to wait after a failure; 0 if there was none.

        Args:
            waited: what was returned before.
        """
        try:
            while self._send_batch():
                pass
        except Exception as error:  # noqa: BLE001  whatever it was, the lines are sent later
            self._failures += 1
            if self._working:
                _log.warning(
                    "the audit trail cannot be sent to %s; retrying: %s",
                    self._destination.name,
                    error,
                    exc_info=None if isinstance(error, DeliveryFailed) else error,
                )
            self._working = False
            asked = error.wait if isinstance(error, DeliveryFailed) else 0.0
            wait = min(max(2 * waited, _SHORTEST_WAIT), _LONGEST_WAIT)
            return max(asked, wait * random.uniform(0.8, 1.0))  # noqa: S311  spreads attempts, protects nothing
        return 0.0

    def _send_batch(self) -> bool:
        """Send the next lines, and return whether there may be more."""
        place = self._place or self._begin()
        if place is None:
            return False
        batch = read_on(self._directory, place, most=self._destination.most, size=self._destination.size)
        if batch is None:
            self._place = None
            return False
        self._waiting = batch.waiting + len(batch.lines)
        if not batch.lines:
            return False
        refused = self._destination.send(batch.lines)
        self._store(batch.after)
        self._waiting = batch.waiting
        self._sent += len(batch.lines) - refused
        if not self._working:
            _log.warning("the audit trail is sent to %s again", self._destination.name)
        self._working = True
        self._count_lost(refused + batch.missing)
        return bool(batch.waiting)

    def _count_lost(self, lines: int) -> None:
        if lines:
            self._lost += lines
            _log.error("%d lines of the audit trail did not reach %s", lines, self._destination.name)
            self._note_lost(self._destination.name, lines)

    def _begin(self) -> Cursor | None:
        """Return the stored place, or the beginning of the trail if it is another one."""
        start = beginning(self._directory)
        if start is None:
            return None
        try:
            stored = json.loads(self._place_file.read_bytes())
            if stored["trail"] == start.trail:
                self._place = Cursor(start.trail, int(stored["seq"]))
                return self._place
        except (OSError, ValueError, TypeError, KeyError):
            pass
        self._store(start)
        return start

    def _store(self, place: Cursor) -> None:
        """Store a place, so that a crash leaves the old one or the new one."""
        temporary = self._place_file.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, _MODE), "w", encoding="ascii") as file:
            json.dump({"trail": place.trail, "seq": place.seq}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._place_file)
        self._place = place
