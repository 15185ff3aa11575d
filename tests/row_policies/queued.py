"""A write that waits for another one while the rules change: it is decided by what is in force when it is its turn."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.row_policies.changes import ROOT, Change
from tests.row_policies.operations import Ask, Operation
from tests.row_policies.target import Client, Target

from kiteward.milvus import messages

_ROUND_TRIPS: Final = 3
"""Requests that are answered before the change is made, so that the write has come to its place in the queue."""


_VERSION: Final = messages.method_of("GetVersion").request()


class Queued:
    """A write of an administrator that takes its time, a write behind it, and a change of the rules meanwhile."""

    alone = True

    def __init__(
        self,
        first: Operation,
        write: Operation,
        change: Change,
        *,
        collection: str,
        target: Callable[[], tuple[Target, Client]],
    ) -> None:
        self._first = first
        self._write = write
        self._change = change
        self._collection = collection
        self._target = target

    async def run(self, ask: Ask) -> str:
        async with contextlib.AsyncExitStack() as stack:
            target, known = self._target()
            # A client sends nothing more until it has its answers.
            clients = [await stack.enter_async_context(target.client()) for _ in range(2)]
            for client in clients:
                client.adopt(known)
            async with target.engine.insert_held(self._collection) as reached:
                first = asyncio.create_task(self._first.run(clients[0].ask))
                await _either(first, reached.wait())
                write = asyncio.create_task(self._write.run(clients[1].ask))
                for _ in range(_ROUND_TRIPS):
                    await ask(ROOT, "GetVersion", _VERSION)
                wrong = await self._change.run(ask)
            return wrong or await first or await write

    def __str__(self) -> str:
        return f"[{self._first}] meanwhile [{self._write}] meanwhile [{self._change}]"


async def _either(task: "asyncio.Task[Any]", event: Awaitable[Any]) -> None:
    """Wait until a task has ended or something has happened."""
    waiting = asyncio.ensure_future(event)
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
