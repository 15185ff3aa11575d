"""Event loops of many machines in one process, on a time that passes only when there is nothing left to do.

    time = VirtualTime()
    machine = MachineLoop(time, offset=5.0, speed=1.01)
    machine.create_task(work())
    time.run(until=60.0)

Each machine has a clock of its own. What a stopped machine has to do waits until it goes on, while its clock does not.
The order is the same in each run.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

_RESOLUTION = 1e-6
"""Seconds that a timer is late. Without them rounding makes one early, and who waits for the rest then never ends."""


class VirtualTime:
    """The time of the world, and what happens at which.

    Attributes:
        now: seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, MachineLoop | None, asyncio.Handle | Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, work: Callable[[], None]) -> None:
        """Do some work of the world at a time."""
        self._add(when, None, work)

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Do some work of the world after some seconds."""
        self._add(self.now + seconds, None, work)

    def add(self, when: float, machine: "MachineLoop", handle: asyncio.Handle) -> None:
        """Have a machine do something at a time."""
        self._add(when, machine, handle)

    def run(self, until: float) -> None:
        """Do everything that is due until a time, in its order."""
        while self._agenda and self._agenda[0][0] <= until:
            when, _, machine, work = heapq.heappop(self._agenda)
            self.now = max(self.now, when)
            if isinstance(work, asyncio.Handle):
                assert machine is not None
                machine.run(work)
            else:
                work()
        self.now = max(self.now, until)

    def _add(self, when: float, machine: "MachineLoop | None", work: asyncio.Handle | Callable[[], None]) -> None:
        self._number += 1  # what is due at the same time keeps its order
        heapq.heappush(self._agenda, (when, self._number, machine, work))


class MachineLoop(asyncio.AbstractEventLoop):
    """The event loop of one machine. It has no network: what it waits for is set by others.

    Attributes:
        ran: called after each thing that it has done.
        errors: what was raised where nobody could catch it.
    """

    def __init__(
        self, time: VirtualTime, *, offset: float = 0.0, speed: float = 1.0, ran: Callable[[], None] = lambda: None
    ) -> None:
        self._time = time
        self._offset = offset
        self._speed = speed
        self._kept: list[asyncio.Handle] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ran = ran
        self.errors: list[Any] = []

    def stop(self) -> None:
        """Do nothing any more, as after SIGSTOP."""
        if self._kept is None:
            self._kept = []

    def go_on(self) -> None:
        """Do what was left since `stop`, and everything from now on."""
        kept, self._kept = self._kept or [], None
        for handle in kept:
            self._time.add(self._time.now, self, handle)

    def run(self, handle: asyncio.Handle) -> None:
        """Do something, or keep it while stopped."""
        if handle.cancelled():
            return
        if self._kept is not None:
            self._kept.append(handle)
            return
        asyncio._set_running_loop(self)
        try:
            handle._run()
        finally:
            asyncio._set_running_loop(None)
        self.ran()

    def finish(self) -> None:
        """Forget everything, as after SIGKILL."""
        self.stop()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it was killed
            task.get_coro().close()
        self._kept = []

    # What asyncio asks of an event loop.

    def time(self) -> float:
        return self._offset + self._time.now * self._speed

    def call_soon(  # type: ignore[override]  # the types of arguments are those of the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._time.add(self._time.now, self, handle)
        return handle

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, **more: Any
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, **more)

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        due = (when - self._offset) / self._speed + _RESOLUTION
        self._time.add(max(self._time.now, due), self, handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is left out when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # what is created here are coroutines
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)
