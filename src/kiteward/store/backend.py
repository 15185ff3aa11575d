"""What a database has to provide for the SQL store."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The engines of a store.

    Attributes:
        reading: for a statement by itself, on connections that cannot write.
        snapshot: for several statements that all see one state of the database.
        counting: for a statement by itself that writes what may be lost in a crash, without waiting for transactions;
            None where one connection writes everything.
        writing: its transactions run one after another from their first statement on, also those of other processes.
        readers: how many connections read.
        patience: seconds that a caller waits for a connection that is in use; None: as long as it takes.
        usable: whether a driver's connection is still open.
        warnings: how many warnings came on a driver's connection. One that comes with a commit says that the commit was
            not waited for.
    """

    reading: AsyncEngine
    snapshot: AsyncEngine
    counting: AsyncEngine | None
    writing: AsyncEngine
    readers: int
    patience: float | None
    usable: Callable[[Any], bool]
    warnings: Callable[[Any], int]

    def only_counting(self, engine: AsyncEngine) -> "Engines":
        """Return engines of which a reader uses one connection, and runs statements that count."""
        return replace(self, reading=engine, readers=1)


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

    def alone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection in a transaction that has the database to itself, with the tables of the current version.

        What is not committed is rolled back at the end, what was done to bring the tables there included.

        Raises:
            StoreUnavailable: it was written by a newer version.
            Exception: as the driver raises, to be translated.
        """
        ...

    def engines(self) -> Engines:
        """Return engines that connect when they are used."""
        ...


def silence_driver_logs() -> None:
    """Keep password hashes out of logs: at DEBUG drivers log the parameters of statements, and SQLAlchemy every row."""
    for name in ("aiosqlite", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)
