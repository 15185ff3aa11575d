"""Executes changes: they are recorded before and after, and completed when the caller is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.recording import Recording
from kiteward.iam.json_api.base import Outcome

_DRAIN: Final = 30.0
"""Seconds that a stopping server waits for changes in progress."""

_R = TypeVar("_R", bound=bytes | Outcome)


class Changes:
    """The changes in progress."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def in_progress(self) -> int:
        """The number of changes that have begun and not ended."""
        return len(self._running)

    async def run(self, recording: Recording, work: Callable[[], Awaitable[_R]]) -> _R:
        """Execute a change and return its response. If the call is cancelled, the change continues to its end.

        Raises:
            AuditUnavailable, LimitReached: it could not be recorded, so it was not begun.
        """
        recording.apart = True
        task = asyncio.ensure_future(self._recorded(recording, work))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for the changes in progress, for a limited time."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN)

    async def _recorded(self, recording: Recording, work: Callable[[], Awaitable[_R]]) -> _R:
        await self._recorder.begin(recording)
        try:
            answer = await work()
        except BaseException as error:
            self._recorder.give_up(recording, error)
            raise
        await self._recorder.end(recording)
        return answer

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()
