"""Health and metrics of all workers of a server, whichever of them is asked.

Each worker answers the others on a Unix socket in a directory that only this user may enter. A worker that does not
serve has none, or nobody accepts there: connections do not reach it, so that it does not make the server unready. One
that accepts there and does not answer in time makes it unready, because the system goes on to give it connections.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from kiteward.api.health import OwnReports
from kiteward.telemetry.metrics import WorkerState, merged

_PATIENCE: Final = 1.5
"""Seconds in which another worker must answer."""

_LIVE, _MISSING, _METRICS = b"live", b"missing", b"metrics"
_LONGEST_QUESTION: Final = 64


class Siblings:
    """What all workers of a server report. Implements `kiteward.api.health.Reports`.

    Attributes:
        restarts: how often workers were started again, in the order of their numbers.
    """

    def __init__(self, number: int, workers: int, directory: Path, own: OwnReports) -> None:
        """Set up.

        Args:
            number: the number of this worker.
            workers: how many there are.
            directory: holds the socket of each.
            own: what this worker reports.
        """
        self._number = number
        self._directory = directory
        self._own = own
        self._others = [other for other in range(1, workers + 1) if other != number]
        self.restarts: tuple[int, ...] = (0,) * workers

    async def serve(self, stack: AsyncExitStack) -> None:
        """Answer the others until `stack` closes."""
        path = self._path(self._number)
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, path, limit=_LONGEST_QUESTION)
        stack.callback(path.unlink, missing_ok=True)
        stack.callback(server.close)

    async def missing(self) -> tuple[str, ...]:
        own = await self._own.missing()
        answers = {self._number: "\n".join(own).encode(), **await self._ask_all(_MISSING)}
        return tuple(
            f"worker {number}: {word}"
            for number, answer in sorted(answers.items())
            for word in (["no response"] if answer is None else answer.decode().splitlines())
        )

    async def silent(self) -> tuple[str, ...]:
        answers = await self._ask_all(_LIVE)
        return tuple(f"worker {number}" for number, answer in answers.items() if answer is None)

    async def metrics(self) -> bytes:
        answers = {self._number: await self._own.metrics(), **await self._ask_all(_METRICS)}
        texts = {number: answer for number, answer in sorted(answers.items()) if answer is not None}
        states = {
            number: WorkerState(up=number in texts, restarts=restarts)
            for number, restarts in enumerate(self.restarts, start=1)
        }
        return merged([*texts.values()], states)

    async def _ask_all(self, question: bytes) -> dict[int, bytes | None]:
        """Return what each of the others that serve answers; None if it does not answer in time."""
        answers = await asyncio.gather(*(self._ask(number, question) for number in self._others))
        found: Iterable[tuple[int, bytes | None]] = (
            (number, answer) for number, (serves, answer) in zip(self._others, answers, strict=True) if serves
        )
        return dict(found)

    async def _ask(self, number: int, question: bytes) -> tuple[bool, bytes | None]:
        """Return whether a worker serves, and its answer or None if there is none in time."""
        writer = None
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                writer.write(question + b"\n")
                size = int(await reader.readline())
                return True, await reader.readexactly(size)
        except TimeoutError:
            return True, None
        except (OSError, ValueError, asyncio.IncompleteReadError):
            return False, None  # it has ended
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            question = (await reader.readline()).strip()
            answer = b""
            if question == _MISSING:
                answer = "\n".join(await self._own.missing()).encode()
            elif question == _METRICS:
                answer = await self._own.metrics()
            writer.write(b"%d\n" % len(answer) + answer)
            await writer.drain()
        writer.close()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}"
