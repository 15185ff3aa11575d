"""The database file of a store for backups: its state at one moment, its defects, and what must not come back.

Only `sqlite3` is used, so that a backup of any version can be read, and is not migrated.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from kiteward.domain.errors import StoreUnavailable

_PAGES: Final = 1024
"""Pages that are copied between two reports of progress: 4 MiB with pages of the usual size."""

_SHOWN: Final = 5
"""Defects of one kind that are named."""

ENDED_WITH_A_RESTORE: Final = (
    "locks",
    "replicas",
    "secrets_shown",
    "sessions",
    "provider_logouts",
    "sign_in_failures",
    "sign_in_tickets",
    "passkey_challenges",
)
"""Tables that are emptied in a restored store: servers, sessions and sign-ins that ended with what it was restored for.

In an order in which no foreign key is in the way.
"""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Translate errors of SQLite.

    Raises:
        StoreUnavailable: the file cannot be read; the message says whether it is damaged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"the store `{path}` cannot be read: {error}") from None
    except sqlite3.DatabaseError:
        raise StoreUnavailable(f"the store `{path}` is damaged: restore a backup") from None


def _connected(path: Path, *, mode: str = "rw", patience: float = 30.0) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=patience)


class Snapshot:
    """The state of a database file at one moment, which stays readable while others write; made by `WriterLock`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, revision: str) -> None:
        self._path = path
        self._connection = connection
        self.revision = revision

    def copy_to(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Write the state to a new file, by SQLite's online backup.

        Args:
            target: the file; absent.
            progress: called with the pages that were copied, and how many there are.

        Raises:
            StoreUnavailable: it cannot be read or written, or is damaged.
        """

        def report(_status: int, remaining: int, total: int) -> None:
            progress(total - remaining, total)

        with _translated(self._path), closing(_connected(target, mode="rwc")) as copy:
            self._connection.backup(copy, pages=_PAGES, progress=report)

    def close(self) -> None:
        """Let the database forget the state."""
        self._connection.close()


class WriterLock:
    """Keeps every process from writing to a database file, until it is left."""

    def __init__(self, path: Path) -> None:
        """Take the file; nothing is locked yet."""
        self._path = path

    def __enter__(self) -> Self:
        """Wait until no transaction writes, and keep others from writing.

        Raises:
            StoreUnavailable: the file cannot be locked.
        """
        with _translated(self._path):
            self._connection = _connected(self._path)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except BaseException:
                self._connection.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):  # closing rolls back as well
            self._connection.execute("ROLLBACK")
        self._connection.close()

    def snapshot(self) -> Snapshot:
        """Return the state of this moment.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        with _translated(self._path):
            reading = _connected(self._path)
            try:
                reading.execute("BEGIN")
                # The first statement that reads decides which state the transaction sees.
                revision = _revision(reading)
            except BaseException:
                reading.close()
                raise
            return Snapshot(self._path, reading, revision)


def _revision(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return "" if row is None else str(row[0])


def revision_of(path: Path) -> str:
    """Return the revision of the tables of a database file.

    Raises:
        StoreUnavailable: it cannot be read, is damaged or has no tables of Kiteward.
    """
    with _translated(path), closing(_connected(path)) as connection:
        return _revision(connection)


def defects_of(path: Path) -> list[str]:
    """Return what is wrong with a database file, in sentences; empty when nothing is.

    All pages, indexes and references between rows are checked.
    """
    try:
        with closing(_connected(path)) as connection:
            broken = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            orphans = [str(row[0]) for row in connection.execute("PRAGMA foreign_key_check")]
    except sqlite3.DatabaseError as error:
        return [f"the store is damaged: {error}"]
    found = [f"the store is damaged: {each.splitlines()[0]}" for each in broken[:_SHOWN] if each != "ok"]
    return found + [f"a row of `{table}` in the store refers to a row that is not there" for table in orphans[:_SHOWN]]


def end_sign_ins(path: Path, *, now: float, disable_keys: bool, disable_users: bool) -> dict[str, int]:
    """Remove from a restored store what must not come back with it, in one transaction, and return what was done.

    Sessions, sign-ins in progress, keys that token exchange gave for minutes, and tokens of identity providers that
    were issued before now end in any case.

    Args:
        path: the database file, of this version or an older one.
        now: seconds since the epoch.
        disable_keys: whether every API key is disabled, until somebody enables it.
        disable_users: whether every user except `root` is disabled, until somebody enables it.

    Returns:
        How many API keys and users are enabled, and how many were disabled.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    with _translated(path), closing(_connected(path)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in ENDED_WITH_A_RESTORE:
            if table in tables:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  a name of our own
        if "exchanged_keys" in tables:
            connection.execute("DELETE FROM api_keys WHERE key_id IN (SELECT key_id FROM exchanged_keys)")
        if "token_cutoffs" in tables:
            _cut_off(connection, now)
        done = {
            "disabledKeys": _disabled(connection, "api_keys", "true") if disable_keys else 0,
            "disabledUsers": _disabled(connection, "users", "name != 'root'") if disable_users else 0,
            "enabledKeys": _enabled(connection, "api_keys"),
            "enabledUsers": _enabled(connection, "users"),
        }
        connection.execute("COMMIT")
    return done


def _disabled(connection: sqlite3.Connection, table: str, which: str) -> int:
    return connection.execute(f"UPDATE {table} SET enabled = 0 WHERE enabled AND {which}").rowcount  # noqa: S608  constants


def _enabled(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table} WHERE enabled").fetchone()[0])  # noqa: S608  constants


def _cut_off(connection: sqlite3.Connection, now: float) -> None:
    """Let no token count that was issued before now, of any issuer that somebody was signed in by."""
    connection.execute(
        "INSERT INTO token_cutoffs (issuer, user_name, not_before) "
        "SELECT DISTINCT issuer, '', ? FROM (SELECT issuer FROM federated_identities UNION SELECT issuer FROM "
        "token_cutoffs) WHERE true ON CONFLICT (issuer, user_name) DO UPDATE SET not_before = excluded.not_before "
        "WHERE excluded.not_before > not_before",
        (now,),
    )
