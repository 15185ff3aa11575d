"""The connections of the store: one writer, several readers, translated errors, orderly cancellation."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import StoreError, StoreUnavailable

T = TypeVar("T")
Rows = Sequence[Row[*tuple[Any, ...]]]
Parameters = dict[str, Any] | list[dict[str, Any]]
Observer = Callable[[str, float], None]
"""Called after every `read` and `commit` that succeeded, with the seconds it took, waiting included."""


Following = Callable[[list[Rows]], Sequence[Executable]]
"""Returns the statements that depend on what others have read."""


def nothing(_rows: list[Rows]) -> Sequence[Executable]:
    """Return no further statement."""
    return ()


def unobserved(_what: str, _seconds: float) -> None:
    """Ignore the observation."""


@contextmanager
def translated(done: str) -> Iterator[None]:
    """Translate every driver error into StoreUnavailable; `done` completes the sentence "the store could not be ...".

    Raises:
        StoreUnavailable: instead of what the driver or the operating system raised, which stays chained for the log.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, UnicodeError, OSError) as error:
        if _is_damage(error):
            detail = ErrorDetail(ErrorCode.STORE_DAMAGED)
            raise StoreUnavailable(
                f"the store could not be {done}: the file is damaged, restore a backup", detail
            ) from error
        raise StoreUnavailable(f"the store could not be {done}") from error


def _is_damage(error: BaseException) -> bool:
    """Return whether an error of the driver means that the file is not a database, or not a complete one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancellation lets it finish first, so that no connection is left in the middle of a statement.

    Raises:
        asyncio.CancelledError: the caller was cancelled meanwhile; what `work` returned or raised is dropped.
    """
    task, cancellation = await _to_the_end(work)
    if cancellation is None:
        return task.result()
    if not task.cancelled():
        task.exception()
    raise cancellation


async def completed(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` and return its result even if the caller was cancelled meanwhile.

    The cancellation is not lost: it takes effect where the caller awaits next.
    """
    task, cancellation = await _to_the_end(work)
    caller = asyncio.current_task()
    if cancellation is not None and caller is not None:
        # One request was received and one is left pending: the balance that `asyncio.timeout` counts on.
        caller.uncancel()
        caller.cancel()
    return task.result()


async def _to_the_end(work: Coroutine[Any, Any, T]) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    task = asyncio.ensure_future(work)
    cancellation = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancellation = error
    return task, cancellation


class Reader:
    """Reads committed state, on a few connections of its own."""

    def __init__(self, engine: AsyncEngine, connections: int, observer: Observer = unobserved) -> None:
        self._engine = engine
        self._observer = observer
        self._connections = connections
        self._free = asyncio.Semaphore(connections)
        self._closed = False

    async def rows(self, *statements: Executable, following: Following = nothing) -> list[Rows]:
        """Return the rows of each statement, all of one state of the database.

        Args:
            statements: what is read first.
            following: returns what is read next, from the rows of those statements.

        Raises:
            StoreUnavailable: the database could not be read.
        """
        begun = time.perf_counter()
        async with self._free:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            with translated("read"):
                rows = await shielded(self._read(statements, following))
        self._observer("read", time.perf_counter() - begun)
        return rows

    async def close(self) -> None:
        """Wait for the running reads and close the connections; nothing is read afterwards."""
        self._closed = True
        await shielded(self._close())

    async def _close(self) -> None:
        for _ in range(self._connections):
            await self._free.acquire()
        await self._engine.dispose()
        for _ in range(self._connections):
            self._free.release()

    async def _read(self, statements: tuple[Executable, ...], following: Following) -> list[Rows]:
        async with self._engine.connect() as connection:
            rows = [(await connection.execute(statement)).all() for statement in statements]
            return rows + [(await connection.execute(statement)).all() for statement in following(rows)]


class WriteTransaction:
    """An open write transaction.

    INVARIANT: one task uses it, and it refuses to run once it has ended: the connection is somebody else's then.
    """

    def __init__(self, connection: AsyncConnection, observer: Observer = unobserved) -> None:
        self._connection = connection
        self._observer = observer
        self._open = True
        self._commit_failed = False

    @property
    def open(self) -> bool:
        """Whether it can still read and write."""
        return self._open

    @property
    def commit_failed(self) -> bool:
        """Whether the connection is unusable for another one: SQLAlchemy rolls nothing back after a failed commit."""
        return self._commit_failed

    def end(self) -> None:
        """Refuse every further use."""
        self._open = False

    async def rows(self, statement: Executable) -> Rows:
        """Return the rows of a statement, what this transaction wrote included.

        Raises:
            StoreUnavailable: the database could not be read.
            StoreError: the transaction has ended.
        """
        self._require_open()
        with translated("read"):
            return (await shielded(self._connection.execute(statement))).all()

    async def run(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Run a statement and return how many rows it touched; with a list of parameters, once for each.

        Raises:
            StoreUnavailable: the database could not be written.
            StoreError: the transaction has ended.
        """
        self._require_open()
        with translated("written"):
            result = await shielded(self._connection.execute(statement, parameters))
        return result.rowcount

    async def commit(self) -> None:
        """Make everything durable and end. A cancellation that comes while this is being done takes effect afterwards.

        Raises:
            StoreUnavailable: it could not be written; nothing has changed.
            StoreError: the transaction has ended.
        """
        self._require_open()
        self._commit_failed = True
        begun = time.perf_counter()
        with translated("written"):
            await completed(self._connection.commit())
        self._commit_failed = False
        self.end()
        self._observer("commit", time.perf_counter() - begun)

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError("the transaction has ended")


class Writer:
    """The one connection that writes, given to one transaction after another in the order they asked."""

    def __init__(self, engine: AsyncEngine, observer: Observer = unobserved) -> None:
        self._engine = engine
        self._observer = observer
        self._connection: AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[WriteTransaction]:
        """Wait for the connection and begin a transaction; what is not committed at the end is rolled back.

        Raises:
            StoreUnavailable: no transaction could be begun.
        """
        async with self._lock:
            write_transaction = None
            try:
                with translated("written"):
                    write_transaction = WriteTransaction(await shielded(self._begin()), self._observer)
                yield write_transaction
            finally:
                if write_transaction is None or write_transaction.open:
                    await shielded(self._undo(write_transaction))

    async def close(self) -> None:
        """Wait for the running transaction and close the connection; no transaction begins afterwards."""
        async with self._lock:
            self._closed = True
            await shielded(self._discard())

    async def _begin(self) -> AsyncConnection:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._connection is None:
            self._connection = await self._engine.connect()
        _ = await self._connection.begin()
        return self._connection

    async def _undo(self, write_transaction: WriteTransaction | None) -> None:
        if write_transaction is not None:
            write_transaction.end()
        if self._connection is None:
            return
        if write_transaction is not None and write_transaction.commit_failed:
            await self._discard()
            return
        try:
            await self._connection.rollback()
        except BaseException as error:
            await self._discard()
            if not isinstance(error, Exception):
                raise

    async def _discard(self) -> None:
        """Close the connection, which rolls its transaction back; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.invalidate()
        finally:
            await connection.close()
