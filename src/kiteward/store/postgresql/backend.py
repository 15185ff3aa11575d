"""The engines of a store in PostgreSQL, and the lock that lets writers run one after another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from kiteward.store import migrations
from kiteward.store.backend import Engines, silence_driver_logs
from kiteward.store.postgresql.session import LOCKS, WRITER, Limits, Session, connect, prove_sessions
from kiteward.store.postgresql.settings import PostgresqlSettings

_TAKE_TURN: Final = f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITER})"
"""The first statement of a writing transaction. Under READ COMMITTED every later one sees what the writer before it
committed, which holds the lock until its commit is visible."""

_WAITS: Final = 2
"""For how many timeouts a caller waits for a connection that is in use."""


class PostgresqlBackend:
    """A PostgreSQL database; see `kiteward.store.backend.Backend`."""

    def __init__(self, settings: PostgresqlSettings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        return str(self._settings)

    async def prepare(self) -> None:
        async with self._migrated(alone=False) as connection:
            await connection.commit()

    def alone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._migrated(alone=True)

    @asynccontextmanager
    async def _migrated(self, *, alone: bool) -> AsyncIterator[AsyncConnection]:
        await prove_sessions(self._settings)
        limits = Limits.patient(self._settings.timeout)
        engine = writing_engine(lambda: connect(self._settings, limits, alone=alone))
        try:
            async with engine.connect() as connection:
                await connection.run_sync(migrations.upgrade)
                yield connection
        finally:
            await engine.dispose()

    def engines(self) -> Engines:
        settings = self._settings
        limits = Limits.of(settings.timeout)
        pool = _engine(
            lambda: connect(settings, limits, read_only=True), pool_size=settings.connections, max_overflow=0
        )
        counting = _engine(lambda: connect(settings, limits, lasting=False), pool_size=1, max_overflow=0)
        return Engines(
            reading=pool.execution_options(isolation_level="AUTOCOMMIT"),
            snapshot=pool.execution_options(isolation_level="REPEATABLE READ"),
            counting=counting.execution_options(isolation_level="AUTOCOMMIT"),
            writing=writing_engine(lambda: connect(settings, limits)),
            readers=settings.connections,
            patience=_WAITS * settings.timeout,
            usable=_is_open,
            warnings=_warnings,
        )


def writing_engine(connecting: Callable[[], Awaitable[Session]]) -> AsyncEngine:
    """Return an engine whose transactions wait at their beginning until it is their turn to write."""
    engine = _engine(connecting, poolclass=NullPool)

    @event.listens_for(engine.sync_engine, "begin")
    def take_turn(connection: Connection) -> None:
        connection.exec_driver_sql(_TAKE_TURN)

    return engine


def _engine(connecting: Callable[[], Awaitable[Session]], **pool: Any) -> AsyncEngine:
    silence_driver_logs()
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connecting,
        hide_parameters=True,  # parameters hold password hashes, and errors are logged
        **pool,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def require_open(connection: Any, _record: object, _proxy: object) -> None:
        if not _is_open(connection.driver_connection):
            raise DisconnectionError  # the pool makes another

    @event.listens_for(engine.sync_engine, "invalidate")
    def terminate(connection: Any, _record: object, _error: object) -> None:
        # A connection whose statement is not answered is not asked to say good-bye.
        connection.driver_connection.terminate()

    return engine


def _is_open(session: Session) -> bool:
    return not session.is_closed()


def _warnings(session: Session) -> int:
    return session.warnings
