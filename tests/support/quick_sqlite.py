"""SQLite at half the price, for tests that are not about the database: each of them opens a store of its own.

- Statements run on the thread of the event loop. The driver hands each over to a thread, four times, which takes longer
  than the statement. Only what may wait for another connection is done on a thread.
- Statements that one engine has compiled are compiled for all. What is compiled depends on the statement and the
  dialect, not on the database, so engines whose dialects are alike can share it.

The tests of the store itself, and servers in processes of their own, use the driver as it is.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Self, TypeVar

import aiosqlite
from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi, SQLiteDialect_aiosqlite

T = TypeVar("T")

_NAME: Final = "sqlite.aiosqlite"
_LOCKING: Final = "BEGIN IMMEDIATE"
"""The statement that waits for the transactions of other connections."""

_COMPILED: Final[dict[Any, Any]] = {}


class InlineConnection(aiosqlite.Connection):
    """A connection of the driver without its thread. Each statement lets the event loop make one turn."""

    def __await__(self) -> Generator[Any, None, Self]:
        return self._opened().__await__()

    async def _opened(self) -> Self:
        self._connection = self._connector()
        return self

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        if not args:
            return fn()
        if args[0] == _LOCKING:
            return await self._lock(fn, *args)
        try:
            return fn(*args, **kwargs)
        finally:
            await asyncio.sleep(0)

    async def _lock(self, fn: Callable[..., T], *args: Any) -> T:
        ((patience,),) = self._conn.execute("PRAGMA busy_timeout").fetchall()
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            return fn(*args)
        except sqlite3.OperationalError:
            pass
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={patience}")
            await asyncio.sleep(0)
        return await asyncio.to_thread(fn, *args)

    def stop(self) -> None:
        """Close the connection, if it is open."""
        self._running = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _inline(database: str, **options: Any) -> InlineConnection:
    return InlineConnection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arguments: Any, **options: Any) -> Any:
        return super().connect(*arguments, async_creator_fn=_inline, **options)


class QuickDialect(SQLiteDialect_aiosqlite):
    """The dialect of the product, over such connections. Each is equal to each, as the key of what was compiled."""

    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> _Driver:
        """Return the driver."""
        return _Driver(aiosqlite, sqlite3)

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Let a new engine use what others have compiled."""
        super().engine_created(engine)
        engine.update_execution_options(compiled_cache=_COMPILED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuickDialect)

    def __hash__(self) -> int:
        return hash(QuickDialect)


@contextlib.contextmanager
def used() -> Iterator[None]:
    """Let every engine that this process makes meanwhile be such a one."""
    registry.register(_NAME, __name__, QuickDialect.__name__)
    try:
        yield
    finally:
        registry.deregister(_NAME)
