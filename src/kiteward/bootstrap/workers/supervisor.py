"""What the parent decides: when workers are started, started again and stopped. Processes and time are given to it."""

import enum
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from kiteward.bootstrap.workers.messages import (
    Alone,
    Failed,
    OfParent,
    OfWorker,
    Open,
    Opened,
    Prepared,
    Restarts,
    Stop,
)
from kiteward.bootstrap.workers.share import FORWARDING

_log = logging.getLogger("kiteward.workers")

FIRST: Final = 1
"""The worker that is started alone at first: it brings the store up to date and makes what a first start makes."""

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before a worker is started again, after the first time that it ended, the second and so on."""

STEADY: Final = 60.0
"""Seconds for which a worker has to serve until the next time that it ends counts as the first."""

STOP_WITHIN: Final = 75.0
"""Seconds after which workers that have not ended are killed. A server takes at most 35 for its requests."""


class Crew(Protocol):
    """Carries out what the supervisor decides."""

    def start(self, number: int) -> None:
        """Start a worker. Raises OSError if the system does not allow it."""
        ...

    def tell(self, number: int, message: OfParent) -> None:
        """Send a message to a worker that runs."""
        ...

    def kill(self, number: int) -> None:
        """Kill a worker that runs."""
        ...

    def claim(self) -> Open:
        """Take the ports, until `release`, and return them. Raises OSError if another process has one of them."""
        ...

    def release(self) -> None:
        """Leave the ports to the workers that listen there by now; does nothing if they were not taken."""
        ...

    def ready(self, opened: Opened) -> None:
        """Say that the server is ready, once."""
        ...


class _Phase(enum.Enum):
    STARTING = enum.auto()
    PREPARED = enum.auto()
    OPENING = enum.auto()
    OPEN = enum.auto()


@dataclass(slots=True)
class _Worker:
    """A worker that runs: how far it is, since when, and what it has said of itself."""

    phase: _Phase
    since: float
    opened: Opened | None = None
    failure: str = ""


class Supervisor:
    """Starts the workers of a server, replaces those that end, and stops them.

    Attributes:
        status: the exit status of the server; None while it runs.
        failure: why the server could not start or go on, as a sentence; empty if it was stopped.
    """

    def __init__(self, crew: Crew, workers: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up.

        Args:
            crew: carries out decisions.
            workers: how many there are.
            clock: seconds that never go back.
        """
        self._crew = crew
        self._numbers = range(1, workers + 1)
        self._clock = clock
        self._running: dict[int, _Worker] = {}
        self._due: dict[int, float] = {}
        self._ends = dict.fromkeys(self._numbers, 0)
        self._restarts = dict.fromkeys(self._numbers, 0)
        self._ready = False
        self._ports: Open | None = None
        self._kill_at: float | None = None
        self._unclean = False
        self.status: int | None = None
        self.failure = ""

    def begin(self) -> None:
        """Start the first worker; the others follow."""
        self._start(FIRST)

    def heard(self, number: int, message: OfWorker) -> None:
        """Take note of what a worker says."""
        worker = self._running[number]
        match message:
            case Prepared():
                worker.phase = _Phase.PREPARED
                if not self._ready and number == FIRST:
                    for other in self._numbers[1:]:
                        self._start(other)
            case Opened():
                worker.phase, worker.since, worker.opened = _Phase.OPEN, self._clock(), message
                self._crew.tell(number, self._restarted())
            case Failed():
                worker.failure = message.reason
        self._go_on()

    def ended(self, number: int, status: int) -> None:
        """Take note that a worker has ended, with an exit status or, as a negative number, by a signal."""
        worker = self._running.pop(number)
        how = worker.failure or _how(status)
        if self._kill_at is not None:
            self._unclean |= status != 0
            if status:
                _log.warning("worker %d: %s", number, how)
        elif not self._ready:
            self._give_up(f"worker {number} cannot start: {how}")
        elif worker.phase is _Phase.OPEN:
            steady = self._clock() - worker.since >= STEADY
            self._start_later(number, how, ends=1 if steady else self._ends[number] + 1)
        elif self._running:
            self._start_later(number, f"it could not start: {how}", ends=self._ends[number] + 1)
        else:
            self._give_up(f"no worker is left, and worker {number} cannot start: {how}")
        self._go_on()

    def stop(self) -> None:
        """Stop all workers: each refuses new requests and finishes those in flight. Calling again does nothing."""
        if self._kill_at is not None:
            return
        self._kill_at = self._clock() + STOP_WITHIN
        self._due.clear()
        for number in self._running:
            self._crew.tell(number, Stop())
        self._go_on()

    def tick(self) -> None:
        """Do what is due by now."""
        now = self._clock()
        if self._kill_at is not None and now >= self._kill_at:
            for number in self._running:
                _log.error("worker %d has not stopped within %d seconds, and is killed", number, STOP_WITHIN)
                self._crew.kill(number)
            self._kill_at = float("inf")
        for number in [number for number, at in self._due.items() if at <= now]:
            del self._due[number]
            self._restarts[number] += 1
            for other, worker in self._running.items():
                if worker.phase is _Phase.OPEN:
                    self._crew.tell(other, self._restarted())
            self._start(number)

    def wait(self) -> float | None:
        """Return for how many seconds nothing is due; None if nothing will be."""
        moments = [*self._due.values(), *([] if self._kill_at is None else [self._kill_at])]
        return max(0.0, min(moments) - self._clock()) if moments and min(moments) < float("inf") else None

    def _start(self, number: int) -> None:
        if self._kill_at is not None:
            return
        self._running[number] = _Worker(_Phase.STARTING, self._clock())
        try:
            self._crew.start(number)
        except OSError as error:
            self._running[number].failure = error.strerror or str(error)
            self.ended(number, 1)

    def _start_later(self, number: int, how: str, *, ends: int) -> None:
        self._ends[number] = ends
        pause = PAUSES[min(ends, len(PAUSES)) - 1]
        _log.warning("worker %d has ended: %s; it is started again in %d s", number, how, pause)
        self._due[number] = self._clock() + pause

    def _give_up(self, failure: str) -> None:
        self.failure = failure
        self.stop()

    def _go_on(self) -> None:
        """Open ports, and end, where it is time for that."""
        if self._kill_at is None:
            self._open_ports()
        if not self._in(_Phase.OPENING):
            self._crew.release()
        if self._kill_at is None:
            return
        if not self._running:
            self.status = 1 if self.failure or self._unclean else 0
        elif [*self._running] == [FORWARDING]:
            self._crew.tell(FORWARDING, Alone())

    def _open_ports(self) -> None:
        prepared, serving = self._in(_Phase.PREPARED), self._in(_Phase.OPENING) + self._in(_Phase.OPEN)
        if prepared and (self._ready or len(prepared) == len(self._numbers)):
            try:
                # While a worker of ours listens, nobody else can take the ports.
                ports = self._ports if serving and self._ports is not None else self._crew.claim()
            except OSError as error:
                self._give_up(str(error))
                return
            self._ports = ports
            for number in prepared:
                self._running[number].phase = _Phase.OPENING
                self._crew.tell(number, ports)
        if not self._ready and len(self._in(_Phase.OPEN)) == len(self._numbers):
            self._ready = True
            said = [worker.opened for worker in self._running.values() if worker.opened is not None]
            default_password = any(each.default_password for each in said)
            engine_fault = next((each.engine_fault for each in said if each.engine_fault), "")
            self._crew.ready(Opened(default_password, engine_fault))

    def _in(self, phase: _Phase) -> list[int]:
        return [number for number, worker in self._running.items() if worker.phase is phase]

    def _restarted(self) -> Restarts:
        return Restarts(tuple(self._restarts.values()))


def _how(status: int) -> str:
    """Return how a process has ended, for people."""
    if status < 0:
        return f"by {signal.Signals(-status).name}"
    return f"with status {status}" if status else "in order"
