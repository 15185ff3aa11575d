"""The connections of the store: one writer, several readers, translated errors, orderly cancellation."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Column, CursorResult, Executable, Row, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CommitUnknown, StoreError, StoreUnavailable, StoreUnreachable
from kiteward.store import statements
from kiteward.store.backend import Engines
from kiteward.store.driver_errors import (
    Reason,
    connection_ended,
    described,
    outcome_is_known,
    raised_by_drivers,
    reason_of,
)

T = TypeVar("T")
UNKNOWN: Final = "it is not known whether the change was made: look before you repeat it"

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
        StoreUnreachable: what is wrong may be over in a while.
        StoreUnavailable: instead of what the driver or the operating system raised. What it was is chained for the log,
            without the values that a driver quotes.
    """
    try:
        yield
    except raised_by_drivers() as error:
        raise unavailable(done, reason_of(error)) from described(error)


def unavailable(done: str, reason: Reason) -> StoreUnavailable:
    """Return the error of a store that could not be read, written or whatever `done` says."""
    kind = StoreUnreachable if reason.passing else StoreUnavailable
    sentence = f": {reason.sentence}" if reason.sentence else ""
    return kind(f"the store could not be {done}{sentence}", ErrorDetail(reason.code))


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


@asynccontextmanager
async def waited_for(free: asyncio.Lock | asyncio.Semaphore, patience: float | None) -> AsyncIterator[None]:
    """Hold a lock, or a place of a semaphore, while the block runs.

    Args:
        free: what is waited for.
        patience: for how many seconds; None: as long as it takes.

    Raises:
        StoreUnreachable: it was not free in time.
    """
    try:
        async with asyncio.timeout(patience):
            await free.acquire()
    except TimeoutError:
        detail = ErrorDetail(ErrorCode.STORE_BUSY)
        raise StoreUnreachable("the store is busy: no connection to the database was free in time", detail) from None
    try:
        yield
    finally:
        free.release()


class Reader:
    """Reads committed state, on a few connections of its own."""

    def __init__(self, engines: Engines, observer: Observer = unobserved) -> None:
        self._engines = engines
        self._observer = observer
        self._free = asyncio.Semaphore(engines.readers)
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
        async with waited_for(self._free, self._engines.patience):
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
        for _ in range(self._engines.readers):
            await self._free.acquire()
        await self._engines.reading.dispose()
        for _ in range(self._engines.readers):
            self._free.release()

    async def _read(self, statements: tuple[Executable, ...], following: Following) -> list[Rows]:
        """Read, once more if the connection turns out to have ended: after a restart of the database all have."""
        try:
            return await self._attempt(statements, following)
        except raised_by_drivers() as error:
            if not connection_ended(error):
                raise
        return await self._attempt(statements, following)

    async def _attempt(self, statements: tuple[Executable, ...], following: Following) -> list[Rows]:
        engine = self._engines.snapshot if len(statements) > 1 else self._engines.reading
        async with engine.connect() as connection:
            try:
                rows = [(await connection.execute(statement)).all() for statement in statements]
                return rows + [(await connection.execute(statement)).all() for statement in following(rows)]
            except BaseException:
                # It may be in the middle of a statement: its answer would come to the next one.
                await connection.invalidate()
                raise


class WriteTransaction:
    """An open write transaction.

    INVARIANT: one task uses it, and it refuses to run once it has ended: the connection is somebody else's then. After
    a statement that failed nothing is committed: what the database has done of it is not known.
    """

    def __init__(
        self, connection: AsyncConnection, warnings: Callable[[Any], int], observer: Observer = unobserved
    ) -> None:
        self._connection = connection
        self._warnings = warnings
        self._observer = observer
        self._open = True
        self._failed = False

    @property
    def open(self) -> bool:
        """Whether it can still read and write."""
        return self._open

    @property
    def failed(self) -> bool:
        """Whether a statement or the commit failed, after which the connection is of no use for another one."""
        return self._failed

    def end(self) -> None:
        """Refuse every further use."""
        self._open = False

    def insert_missing(self, table: Table) -> "statements.Upsert":
        """Return an insert that skips rows whose key exists already; its row count is the number of new ones."""
        return statements.insert_missing(table, self._connection.dialect.name)

    def insert_later(self, column: Column[float]) -> "statements.Upsert":
        """Return an insert that, where a key exists already, replaces the value of a column by a higher one only."""
        return statements.insert_later(column, self._connection.dialect.name)

    async def rows(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Return the rows of a statement, what this transaction wrote included.

        With a list of parameters these are the rows that an insert returns of all of them, in no order.

        Raises:
            StoreUnavailable: the database could not be read.
            StoreError: the transaction has ended.
        """
        self._require_open()
        with translated("read"):
            return (await shielded(self._execute(statement, parameters))).all()

    async def run(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Run a statement and return how many rows it touched.

        With a list of parameters it runs once for each, and the number means nothing.

        Raises:
            StoreUnavailable: the database could not be written.
            StoreError: the transaction has ended.
        """
        self._require_open()
        with translated("written"):
            return (await shielded(self._execute(statement, parameters))).rowcount

    async def commit(self) -> None:
        """Make everything durable and end. A cancellation that comes while this is being done takes effect afterwards.

        Raises:
            CommitUnknown: it is not known whether it was written.
            StoreUnavailable: it could not be written; nothing has changed.
            StoreError: the transaction has ended.
        """
        self._require_open()
        begun = time.perf_counter()
        await completed(self._commit())
        self.end()
        self._observer("commit", time.perf_counter() - begun)

    async def _execute(self, statement: Executable, parameters: Parameters | None) -> CursorResult[*tuple[Any, ...]]:
        try:
            return await self._connection.execute(statement, parameters)
        except BaseException:
            # Noted here: where the caller was cancelled meanwhile, the error gets no further.
            self._failed = True
            raise

    async def _commit(self) -> None:
        driver = (await self._connection.get_raw_connection()).driver_connection
        warnings = self._warnings(driver)
        self._failed = True  # until it has succeeded
        try:
            await self._connection.commit()
        except raised_by_drivers() as error:
            if outcome_is_known(error):
                raise unavailable("written", reason_of(error)) from described(error)
            raise CommitUnknown(UNKNOWN) from described(error)
        if self._warnings(driver) > warnings:
            raise CommitUnknown(UNKNOWN)
        self._failed = False

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError("the transaction has ended")
        if self._failed:
            raise StoreUnavailable("the store could not be written: a statement of the transaction failed")


class Writer:
    """The one connection that writes, given to one transaction after another in the order they asked."""

    def __init__(self, engines: Engines, observer: Observer = unobserved) -> None:
        self._engines = engines
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
        async with waited_for(self._lock, self._engines.patience):
            write_transaction = None
            try:
                with translated("written"):
                    connection = await shielded(self._begin())
                write_transaction = WriteTransaction(connection, self._engines.warnings, self._observer)
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
        """Begin a transaction, over a new connection if the one that was kept turns out to have ended."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._connection is not None and await self._is_usable(self._connection):
            try:
                return await self._begun(self._connection)
            except raised_by_drivers() as error:
                if not connection_ended(error):
                    raise
        await self._discard()
        self._connection = await self._engines.writing.connect()
        return await self._begun(self._connection)

    async def _begun(self, connection: AsyncConnection) -> AsyncConnection:
        try:
            _ = await connection.begin()
        except BaseException:
            await self._discard()
            raise
        return connection

    async def _is_usable(self, connection: AsyncConnection) -> bool:
        return self._engines.usable((await connection.get_raw_connection()).driver_connection)

    async def _undo(self, write_transaction: WriteTransaction | None) -> None:
        if write_transaction is not None:
            write_transaction.end()
        if self._connection is None:
            return
        if write_transaction is not None and write_transaction.failed:
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
