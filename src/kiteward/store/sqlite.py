"""Everything that is particular to SQLite: addresses, engines, pragmas and file modes."""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from kiteward.domain.errors import ConfigurationError
from kiteward.store import migrations
from kiteward.store.backend import Engines, silence_driver_logs

READERS: Final = 4
"""Connections that read. Each is a thread of its own, so that no read waits for the writer."""

_BUSY_MILLISECONDS: Final = 5000
_FILE_MODE: Final = 0o600
_SCHEMES: Final = ("sqlite", "sqlite+aiosqlite")

_DURABLE: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
)


class SqliteBackend:
    """A database file; see `kiteward.store.backend.Backend`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return str(self._path)

    async def prepare(self) -> None:
        secure_file(self._path)
        async with self.alone() as connection:
            await connection.commit()
        sync_directory(self._path)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        secure_file(self._path)
        engine = migrating_engine(self._path)
        try:
            async with engine.connect() as connection:
                await connection.run_sync(migrations.upgrade)
                yield connection
        finally:
            await engine.dispose()

    def engines(self) -> Engines:
        reading = reading_engine(self._path)
        return Engines(
            reading=reading,
            snapshot=reading,
            counting=None,
            writing=writing_engine(self._path),
            readers=READERS,
            patience=None,
            usable=_always,
            warnings=_none,
        )


def _always(_connection: object) -> bool:
    return True


def _none(_connection: object) -> int:
    return 0


def database_path(location: str | os.PathLike[str]) -> Path:
    """Return the database file that a path or an address such as `sqlite:////var/lib/kiteward/store.db` names.

    Raises:
        ConfigurationError: another database than SQLite, or SQLite without a file.
    """
    text = os.fspath(location)
    if "://" not in text:
        return Path(text)
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError("the address of the store cannot be read: give the path of a file") from error
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(f"the store does not support `{url.drivername}`: give the path of a file")
    if url.host or url.query or url.database in (None, "", ":memory:"):
        raise ConfigurationError("the address of the store names no file: write three slashes and its path")
    return Path(str(url.database))


def secure_file(path: Path) -> None:
    """Create the database file if it is absent, and make it accessible to its owner only, as its companion files are.

    Raises:
        OSError: it cannot be created, or belongs to somebody else.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != _FILE_MODE:
            os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names of the files beside `path` durable; syncing a file does not do that for its name.

    Raises:
        OSError: the directory cannot be synced.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writing_engine(path: Path) -> AsyncEngine:
    """Return the engine of the one connection that writes; its transactions lock the database at their beginning."""
    return _engine(path, "BEGIN IMMEDIATE", (*_DURABLE, "PRAGMA foreign_keys=ON"), poolclass=NullPool)


def migrating_engine(path: Path) -> AsyncEngine:
    """Return the engine that changes tables, without foreign keys: rebuilding a table would cascade into others."""
    return _engine(path, "BEGIN IMMEDIATE", (*_DURABLE, "PRAGMA foreign_keys=OFF"), poolclass=NullPool)


def reading_engine(path: Path) -> AsyncEngine:
    """Return the engine whose transactions each see one state of the database and cannot change it."""
    pragmas = (f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}", "PRAGMA query_only=ON")
    return _engine(path, "BEGIN", pragmas, pool_size=READERS, max_overflow=0)


def _engine(path: Path, begin: str, pragmas: tuple[str, ...], **pool: Any) -> AsyncEngine:
    silence_driver_logs()
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"isolation_level": None},  # the driver then begins no transaction by itself
        hide_parameters=True,  # parameters hold password hashes, and errors are logged
        **pool,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
