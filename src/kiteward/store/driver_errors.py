"""What errors of the databases' drivers mean, in sentences without the values of a statement."""

import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kiteward.domain.error_codes import ErrorCode

_ANSWERED: Final = "ERROR"
"""The severity of an error that ends a statement; the others end the connection."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a database does not do what it is asked.

    Attributes:
        sentence: completes "the store could not be read: "; empty where nothing is known that helps.
        code: its code.
        passing: whether it may be over in a while without anybody changing the configuration.
    """

    sentence: str = ""
    code: ErrorCode = ErrorCode.STORE_UNAVAILABLE
    passing: bool = False


class ConnectionRefused(Exception):
    """There is no usable connection to the database.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


class DriverError(Exception):
    """Stands for an error of a driver in logs: its class and its SQLSTATE, without the values that it may quote."""


UNREACHABLE: Final = Reason("the database cannot be reached", ErrorCode.STORE_UNREACHABLE, passing=True)
SILENT: Final = Reason("the database did not respond in time", ErrorCode.STORE_UNREACHABLE, passing=True)
BROKEN: Final = Reason("the connection to the database broke", ErrorCode.STORE_UNREACHABLE, passing=True)
STANDBY: Final = Reason(
    "the database is read-only, as a standby is: name the primary", ErrorCode.STORE_READ_ONLY, passing=True
)
UNCONFIRMED: Final = Reason("the database did not wait for its standby", ErrorCode.STORE_UNREACHABLE, passing=True)
POOLED: Final = Reason(
    "connections pass a pooler in transaction or statement mode, which takes sessions apart: let PgBouncer pool in "
    "session mode, or connect to the database itself"
)
OLD: Final = Reason("the server is older than PostgreSQL 13: use a newer one")
NOT_UTF8: Final = Reason("the encoding of the database is not UTF8: create one with ENCODING 'UTF8'")
IN_USE: Final = Reason("servers or commands of Kiteward are connected to the database: stop them first")
MOVING: Final = Reason("`kiteward store migrate` has the database to itself", passing=True)
NO_TLS: Final = Reason("the database offers no TLS: turn it on there, or set sslmode=disable where nobody listens")
FILE_DAMAGED: Final = Reason("the file is damaged, restore a backup", ErrorCode.STORE_DAMAGED)
_FILE_HELD: Final = Reason("another change has held it for too long, try again", ErrorCode.STORE_BUSY)

_DAMAGED: Final = Reason("the database reports damaged data, restore a backup", ErrorCode.STORE_DAMAGED)
_REJECTED: Final = Reason("the database rejects the user or the password")
_NOT_ADMITTED: Final = Reason(
    "the database does not admit such a connection: check the user, and what pg_hba.conf says of it and of TLS"
)
_FULL: Final = Reason(
    "the database has no connection left: raise max_connections there, or lower kiteward.store.connections",
    ErrorCode.STORE_BUSY,
    passing=True,
)
_STOPPING: Final = Reason(
    "the database is starting, stopping or in recovery", ErrorCode.STORE_UNREACHABLE, passing=True
)
_LOCKED: Final = Reason("another server holds the lock of writers for too long", ErrorCode.STORE_BUSY, passing=True)
_CHARACTER: Final = Reason("a text holds a character that the database cannot store, such as NUL")
_TABLES: Final = Reason("its tables are not those of this version of Kiteward")

_REASONS: Final[Mapping[str, Reason]] = {
    "08": BROKEN,
    "22021": _CHARACTER,
    "22P05": _CHARACTER,
    "25006": STANDBY,
    "25P03": Reason("the database ended a transaction that paused for too long", passing=True),
    "28000": _NOT_ADMITTED,
    "28P01": _REJECTED,
    "3D000": Reason("there is no such database: create it"),
    "3F000": Reason("there is no schema for the tables: create one, and let the search_path of the user name it"),
    "42501": Reason("the user may not do this in the database: let it own the database"),
    "42703": _TABLES,
    "42P01": _TABLES,
    "42P05": POOLED,
    "42P07": Reason("tables of others are in the way: give Kiteward a database of its own"),
    "53": Reason("the database is short of memory, disk space or other resources", passing=True),
    "53300": _FULL,
    "55P03": _LOCKED,
    "57": _STOPPING,
    "57014": SILENT,
    "57P04": Reason("the database was dropped"),
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
"""SQLSTATE, or its first two characters -> what it means."""


_WITHOUT_VALUES: Final = frozenset({"08", "25", "28", "3D", "3F", "40", "53", "54", "55", "57", "58", "XX"})
"""The classes of SQLSTATE whose messages speak of the server, the connection or the transaction, never of a value."""


def raised_by_drivers() -> tuple[type[BaseException], ...]:
    """Return what drivers and the libraries below them raise. It is asked for when something was raised."""
    import asyncpg  # noqa: PLC0415  loaded where a database has raised something, or is PostgreSQL

    return (
        SQLAlchemyError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        ConnectionRefused,
        sqlite3.Error,
        UnicodeError,
        OSError,
    )


def reason_of(error: BaseException) -> Reason:
    """Return what an error of a driver, or of SQLAlchemy around one, means."""
    import asyncpg  # noqa: PLC0415  as above

    for each in _chain(error):
        if isinstance(each, ConnectionRefused):
            return each.reason
        state = _state(each)
        if state:
            return _REASONS.get(state) or _REASONS.get(state[:2]) or Reason()
        if isinstance(each, TimeoutError):
            return SILENT
        if isinstance(each, ConnectionError | asyncpg.InterfaceError):
            return BROKEN
        if isinstance(each, sqlite3.Error):
            return FILE_DAMAGED if _is_damage(each) else _FILE_HELD if _is_held(each) else Reason()
    return Reason()


def refusal_of(error: Exception) -> Reason:
    """Return what an error means that occurred while a connection was made."""
    import asyncpg  # noqa: PLC0415  as above

    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return STANDBY
    if isinstance(error, TimeoutError):
        return SILENT
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason(f"the certificate of the database is not accepted ({error.verify_message.rstrip('.')})")
    if isinstance(error, ssl.SSLError):
        return Reason("no TLS connection to the database can be made: check its certificate and sslmode")
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return NO_TLS
    return UNREACHABLE if isinstance(error, OSError) else reason_of(error)


def connection_ended(error: BaseException) -> bool:
    """Return whether an error says that a connection is no more, which may have ended long before.

    What was read over it can be read over another one. A timeout is none of these: the database may be slow.
    """
    import asyncpg  # noqa: PLC0415  as above

    for each in _chain(error):
        if isinstance(each, ConnectionRefused | TimeoutError):
            return False
        if isinstance(each, asyncpg.PostgresError):
            severity: str | None = each.severity_en
            return severity != _ANSWERED
        if isinstance(each, ConnectionError | asyncpg.InterfaceError):
            return True
    return False


def outcome_is_known(error: BaseException) -> bool:
    """Return whether an error that a COMMIT ended with says that nothing was committed.

    A database that answers ERROR has rolled back. Where the connection ended, or the time was over, the commit may
    have been carried out, or may still be.
    """
    import asyncpg  # noqa: PLC0415  as above

    for each in _chain(error):
        if isinstance(each, asyncpg.PostgresError):
            severity: str | None = each.severity_en
            return severity == _ANSWERED
        if isinstance(each, sqlite3.Error):
            return True
    return False


def described(error: BaseException) -> DriverError:
    """Return what stands for an error in logs."""
    innermost = list(_chain(error))[-1]
    state = _state(innermost)
    named = f"{type(innermost).__name__}{f' ({state})' if state else ''}"
    speaks = state[:2] in _WITHOUT_VALUES if state else isinstance(innermost, sqlite3.Error | OSError)
    return DriverError(f"{named}: {innermost}" if speaks else named)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of."""
    here: BaseException | None = error
    while here is not None:
        yield here
        here = here.orig if isinstance(here, DBAPIError) and here.orig is not None else here.__cause__


def _state(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _is_held(error: sqlite3.Error) -> bool:
    """Return whether an error means that another transaction has held the file for longer than this one waits."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the file is not a database, or not a complete one."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
