"""What a database has to provide for the SQL store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The engines of a store.

    Attributes:
        reading: for a statement by itself, on connections that cannot write.
        snapshot: for several statements that all see one state of the database.
        writing: its transactions run one after another from their first statement on, also those of other processes.
        readers: how many connections read.
        patience: seconds that a caller waits for a connection that is in use; None: as long as it takes.
        usable: tells of a driver's connection whether it is still open.
        durable: tells of a driver's connection on which a commit returned whether it is where it has to be.
    """

    reading: AsyncEngine
    snapshot: AsyncEngine
    writing: AsyncEngine
    readers: int
    patience: float | None
    usable: Callable[[Any], bool]
    durable: Callable[[Any], bool]


class Backend(Protocol):
    """A database of the store: SQLite or PostgreSQL."""

    @property
    def place(self) -> str:
        """Where it is, for messages; without a secret."""
        ...

    async def prepare(self) -> None:
        """Create what is missing and bring the tables to the current version, in one transaction.

        Raises:
            StoreUnavailable: it was written by a newer version.
            Exception: as the driver raises, to be translated.
        """
        ...

    def engines(self) -> Engines:
        """Return engines that connect when they are used."""
        ...
