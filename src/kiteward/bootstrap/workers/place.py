"""What a server that is one of several workers needs of its parent and of the others."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from kiteward.api.health import OwnReports, Reports
from kiteward.bootstrap.workers.messages import Alone, OfWorker, Open, Prepared, Restarts, Stop, decoded, encoded
from kiteward.bootstrap.workers.share import FORWARDING
from kiteward.bootstrap.workers.siblings import Siblings
from kiteward.config.settings import Settings


class Place:
    """The place of one worker among the others.

    Attributes:
        number: its number, from 1 on.
    """

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, sockets: Path
    ) -> None:
        """Set up.

        Args:
            number: the number of this worker.
            reader: reads what the parent says.
            writer: writes to the parent.
            sockets: the directory in which workers answer each other.
        """
        self.number = number
        self._reader = reader
        self._writer = writer
        self._sockets = sockets
        self._ports: asyncio.Future[Open] = asyncio.get_running_loop().create_future()
        self._alone = asyncio.Event()
        self._all_stop = False
        self._siblings: Siblings | None = None
        self._restarts: tuple[int, ...] | None = None

    @property
    def forwards(self) -> bool:
        """Whether this worker passes the lines of the audit trail on."""
        return self.number == FORWARDING

    async def follow(self, end: Callable[[], None]) -> None:
        """Do what the parent says until it ends.

        Args:
            end: called when this worker is to end: the parent says so, or is gone.
        """
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                match decoded(line):
                    case Open() as ports if not self._ports.done():
                        self._ports.set_result(ports)
                    case Restarts(counts):
                        self._restarts = counts
                        if self._siblings is not None:
                            self._siblings.restarts = counts
                    case Stop():
                        self._all_stop = True
                        end()
                    case Alone():
                        self._alone.set()
        self._alone.set()
        end()

    def tell(self, message: OfWorker) -> None:
        """Send a message to the parent."""
        self._writer.write(encoded(message))

    async def told(self) -> None:
        """Wait until what was sent has left this process."""
        with contextlib.suppress(OSError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()

    async def ports(self, settings: Settings) -> Settings:
        """Say that all but the ports has started, and return the settings with the ports that the parent takes."""
        self.tell(Prepared())
        ports = await self._ports
        return replace(settings, port=ports.port, metrics=replace(settings.metrics, port=ports.metrics_port))

    async def reports(self, stack: AsyncExitStack, settings: Settings, own: OwnReports) -> Reports:
        """Return what all workers report, and answer the others until `stack` closes.

        Args:
            stack: ends it.
            settings: the settings of this worker.
            own: what it reports itself.
        """
        siblings = Siblings(self.number, settings.workers, self._sockets, own)
        await siblings.serve(stack)
        self._siblings = siblings
        if self._restarts is not None:
            siblings.restarts = self._restarts
        return siblings

    async def others_ended(self) -> None:
        """When the whole server stops, wait until the others have ended: their last lines are passed on here too."""
        if self._all_stop:
            await self._alone.wait()
