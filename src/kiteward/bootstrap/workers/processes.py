"""The parent of workers: a process that serves nobody. It starts them, takes the ports for them, and replaces them.

It has one thread and no event loop, so that a worker can be forked at any time. So every worker has the configuration
that was read at the start, whatever became of its files, and they share the memory of the code.
"""

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from kiteward.bootstrap.ports import ANOTHER_METRICS_PORT
from kiteward.bootstrap.serving import Announcement, ready
from kiteward.bootstrap.workers.messages import Failed, OfParent, Open, Opened, Prepared, decoded, encoded
from kiteward.bootstrap.workers.supervisor import Supervisor
from kiteward.bootstrap.workers.worker import run_worker
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.net.sockets import claim
from kiteward.store.data_directory import DataDirectory

_log = logging.getLogger("kiteward.workers")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_READ: Final = 65536


def supervise(settings: Settings) -> int:
    """Run the workers of a server until SIGTERM or SIGINT, and return the exit status: 0 after a clean stop, else 1.

    Raises:
        ConfigurationError: the data directory cannot be used, or this system has no workers.
        DataDirectoryHeld: another server holds the data directory.
    """
    if sys.platform != "linux":
        raise ConfigurationError("kiteward.workers is more than 1: only Linux divides connections among processes")
    with contextlib.ExitStack() as stack:
        # Workers inherit the lock: another server may use the directory when the last of them has ended.
        stack.enter_context(DataDirectory.hold(settings.data_dir)).keep()
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiteward-")))
        processes = _Processes(settings, sockets)
        supervisor = Supervisor(processes, settings.workers)
        # What is shared with workers stays shared: a collection would write to it.
        gc.collect()
        gc.freeze()
        status = processes.run(supervisor)
    if supervisor.failure:
        print(f"kiteward: {supervisor.failure}", file=sys.stderr)  # noqa: T201  as every command says why it failed
    return status


@dataclass(slots=True)
class _Process:
    """A worker that runs.

    Attributes:
        pid: its process id.
        link: the parent's end of the link.
        unread: what was read of an incomplete line.
        says_more: whether it has not closed the link yet.
    """

    pid: int
    link: socket.socket
    unread: bytes = b""
    says_more: bool = True


@dataclass(slots=True)
class _Processes:
    """The workers as processes. Implements `kiteward.bootstrap.workers.supervisor.Crew`."""

    settings: Settings
    sockets: Path
    _running: dict[int, _Process] = field(default_factory=dict)
    _claimed: list[socket.socket] = field(default_factory=list)
    _ports: Open | None = None
    _own: list[socket.socket] = field(default_factory=list)

    def run(self, supervisor: Supervisor) -> int:
        """Do what the supervisor decides, until it ends, and return the exit status."""
        with _signals() as (wake, send), selectors.DefaultSelector() as selector:
            self._own = [wake, send]
            selector.register(wake, selectors.EVENT_READ)
            supervisor.begin()
            while supervisor.status is None:
                links = {process.link: number for number, process in self._running.items() if process.says_more}
                for link in links:
                    selector.register(link, selectors.EVENT_READ)
                ready_to_read = [key.fileobj for key, _ in selector.select(supervisor.wait())]
                for link in links:
                    selector.unregister(link)
                for number in [
                    links[each] for each in ready_to_read if isinstance(each, socket.socket) and each in links
                ]:
                    self._read(number, supervisor)
                if wake in ready_to_read and {signal.SIGTERM, signal.SIGINT} & {*wake.recv(_READ)}:
                    supervisor.stop()
                self._reap(supervisor)
                supervisor.tick()
            return supervisor.status

    def start(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        for each in (sys.stdout, sys.stderr):
            each.flush()
        # A signal that came in between would reach the worker with the parent's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            raise
        if pid == 0:
            self._be_worker(number, ours, theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        ours.setblocking(False)
        self._running[number] = _Process(pid, ours)

    def tell(self, number: int, message: OfParent) -> None:
        with contextlib.suppress(OSError):  # it has ended, or does not read; it is reaped, or killed when time is over
            self._running[number].link.send(encoded(message))

    def kill(self, number: int) -> None:
        os.kill(self._running[number].pid, signal.SIGKILL)

    def claim(self) -> Open:
        settings, known = self.settings, self._ports
        try:
            main = claim(settings.host, settings.port if known is None else known.port)
            self._claimed = main
            metrics_port = None
            if settings.metrics.enabled:
                wanted = settings.metrics.port_beside(settings.port)
                metrics_port = self._claim_metrics(wanted if known is None else known.metrics_port or wanted)
        except OSError:
            self.release()
            raise
        self._ports = Open(int(main[0].getsockname()[1]), metrics_port)
        return self._ports

    def release(self) -> None:
        for each in self._claimed:
            each.close()
        self._claimed = []

    def ready(self, opened: Opened) -> None:
        settings, ports = self.settings, self._ports
        if ports is not None:
            announced = Announcement(settings.host, ports.port, opened.default_password, opened.engine_fault)
            print(ready(announced, settings), flush=True)  # noqa: T201  what whoever has started it reads

    def _claim_metrics(self, port: int) -> int:
        try:
            claimed = claim(self.settings.metrics.host, port)
        except OSError as error:
            raise OSError(f"{error}{ANOTHER_METRICS_PORT}") from error
        self._claimed = [*self._claimed, *claimed]
        return int(claimed[0].getsockname()[1])

    def _be_worker(self, number: int, ours: socket.socket, link: socket.socket) -> None:
        """Continue as a worker, in the new process, and end it."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the parent decides
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            # With a copy of the parent's end of a link, this process would hide from another that the parent is gone.
            for inherited in (ours, *self._own, *self._claimed, *(each.link for each in self._running.values())):
                inherited.close()
            status = run_worker(self.settings, number, link, sockets=self.sockets)
        except BaseException:  # noqa: BLE001  whatever it was, this process may not continue as the parent
            _log.exception("worker %d fails", number)
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _read(self, number: int, supervisor: Supervisor) -> None:
        """Pass on what a worker says, as far as it is a complete line."""
        process = self._running[number]
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while data := process.link.recv(_READ):
                *lines, process.unread = (process.unread + data).split(b"\n")
                for line in lines:
                    message = decoded(line)
                    if isinstance(message, Prepared | Opened | Failed):
                        supervisor.heard(number, message)
            process.says_more = False

    def _reap(self, supervisor: Supervisor) -> None:
        for number, process in [*self._running.items()]:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                self._read(number, supervisor)
                process.link.close()
                del self._running[number]
                supervisor.ended(number, os.waitstatus_to_exitcode(status))


@contextlib.contextmanager
def _signals() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Have the numbers of signals written to a pair of sockets, which is yielded: to read, and to write."""

    def note(_number: int, _frame: FrameType | None) -> None:
        """Let the number be written."""

    wake, send = socket.socketpair()
    with wake, send:
        wake.setblocking(False)
        send.setblocking(False)
        before = signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, note) for number in _SIGNALS}
        try:
            yield wake, send
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
