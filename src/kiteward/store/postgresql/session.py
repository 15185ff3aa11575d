"""Connections to PostgreSQL: how they are made, what is demanded of a server, and what each session is set to."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from kiteward.store.driver_errors import (
    IN_USE,
    MOVING,
    NOT_UTF8,
    OLD,
    POOLED,
    STANDBY,
    ConnectionRefused,
    refusal_of,
)
from kiteward.store.postgresql.settings import PostgresqlSettings

OLDEST: Final = 13
"""The oldest major version of PostgreSQL that is accepted."""

APPLICATION: Final = "kiteward"
"""How sessions name themselves, in `pg_stat_activity`."""

LOCKS: Final = 0x4B495445
"""The first number of all advisory locks of Kiteward."""

WRITER: Final = 1
"""The second number of the lock that a writing transaction holds."""

PRESENCE: Final = 2
"""The second number of the lock that every session shares: whoever holds it alone has the database to itself."""

_SETUP: Final = f"""
SELECT set_config('application_name', '{APPLICATION}', false),
       set_config('client_min_messages', 'warning', false),
       set_config('statement_timeout', $1, false),
       set_config('lock_timeout', $2, false),
       set_config('idle_in_transaction_session_timeout', $3, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('default_transaction_read_only', $4, false),
       set_config('synchronous_commit', CASE WHEN NOT $5 THEN 'off' WHEN current_setting('synchronous_commit') = 'off'
           THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       pg_try_advisory_lock_shared({LOCKS}, {PRESENCE}) AS present
"""

_PATIENT_SECONDS: Final = 3600.0
"""How long a statement may take that changes tables or moves a store."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the server lets a session do something, in seconds.

    Attributes:
        statement: run one statement.
        lock: wait for one lock; shorter than a statement, so that the error says which it was.
        idle: do nothing inside a transaction; shorter than the wait for a lock, so that a process which is stopped
            while it writes does not fail those that wait for it.
    """

    statement: float
    lock: float
    idle: float

    @classmethod
    def of(cls, timeout: float) -> "Limits":
        """Return the limits of a session whose statements may take so many seconds."""
        return cls(timeout, 0.8 * timeout, 0.6 * timeout)

    @classmethod
    def patient(cls, timeout: float) -> "Limits":
        """Return the limits of a session that changes tables or moves a store."""
        return cls(_PATIENT_SECONDS, timeout, _PATIENT_SECONDS)

    @property
    def answer(self) -> float:
        """How long we wait for the answer to a statement; longer than the server's own limit, whose answer is known."""
        return self.statement + 1.0


class Session(asyncpg.Connection):
    """A connection that counts warnings of the server.

    Attributes:
        warnings: how many came. One that comes with a commit says that the commit is not on the standby that it has to
            be on, because somebody has ended the wait for it.
    """

    __slots__ = ("warnings",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.warnings = 0


async def connect(
    settings: PostgresqlSettings,
    limits: Limits,
    *,
    read_only: bool = False,
    lasting: bool = True,
    alone: bool = False,
) -> Session:
    """Return a session that is set up; its caller closes it.

    Args:
        settings: where, and as whom.
        limits: what the server enforces.
        read_only: whether it must not be able to write.
        lasting: whether a commit waits until it is on disk.
        alone: whether it takes the database for itself, instead of sharing it.

    Raises:
        ConnectionRefused: there is no such connection; the reason says why.
        ConfigurationError: a file of the settings cannot be used.
    """
    session = await open_connection(settings, limits.answer)
    try:
        _require_suitable(session)
        await _set_up(session, limits, read_only=read_only, lasting=lasting)
        if alone:
            await _take_for_itself(session)
    except ConnectionRefused:
        session.terminate()
        raise
    except Exception as error:
        session.terminate()
        raise ConnectionRefused(refusal_of(error)) from error
    except BaseException:
        session.terminate()
        raise
    return session


async def open_connection(settings: PostgresqlSettings, answer: float) -> Session:
    """Return a connection to the primary, without anything set on it; its caller closes it.

    Hosts are tried in their order, and each has its share of the timeout. Of several refusals, one that waiting does
    not help against is raised.

    Everything is given, so that no variable of the environment and no file in the home directory has a say.

    Args:
        settings: where, and as whom.
        answer: seconds within which every statement must be answered.

    Raises:
        ConnectionRefused: there is none; the reason says why.
        ConfigurationError: a file of the settings cannot be used.
    """
    context = settings.tls.context()
    refusals = []
    for host, port in settings.hosts:
        try:
            return await asyncpg.connect(
                host=host,
                port=port,
                user=settings.user,
                password=settings.password.reveal(),
                database=settings.database,
                ssl=context or False,
                direct_tls=False,
                # One that does not answer, as a machine that is off, leaves time for the others.
                timeout=settings.timeout / len(settings.hosts),
                command_timeout=answer,
                statement_cache_size=0,
                target_session_attrs=SessionAttribute.primary,
                connection_class=Session,
            )
        except Exception as error:  # noqa: BLE001  another host may be the primary
            refusals.append((refusal_of(error), error))
    reason, cause = min(refusals, key=lambda each: (each[0].passing, each[0] is STANDBY))
    raise ConnectionRefused(reason) from cause


async def prove_sessions(settings: PostgresqlSettings) -> None:
    """Check that a connection keeps a session of its own for as long as it lives.

    A pooler in transaction mode gives one session to several connections in turn. Settings, prepared statements and
    LISTEN then end up at others: LISTEN succeeds, and what a second connection notifies is never heard.

    Raises:
        ConnectionRefused: it does not, or there is no connection.
        ConfigurationError: a file of the settings cannot be used.
    """
    limits = Limits.of(settings.timeout)
    try:
        async with AsyncExitStack() as stack:
            one, other = [await open_connection(settings, limits.answer) for _ in range(2)]
            for each in (one, other):
                stack.callback(each.terminate)
            await _prove(one, other, settings.timeout)
    except ConnectionRefused:
        raise
    except Exception as error:
        raise ConnectionRefused(refusal_of(error)) from error


async def _prove(one: Session, other: Session, timeout: float) -> None:
    nonce = f"kiteward_{secrets.token_hex(16)}"
    heard = asyncio.get_running_loop().create_future()

    def hear(*_: object) -> None:
        if not heard.done():
            heard.set_result(None)

    await one.add_listener(nonce, hear)
    if await one.fetchval("SELECT pg_backend_pid()") == await other.fetchval("SELECT pg_backend_pid()"):
        raise ConnectionRefused(POOLED)
    await other.execute(f"NOTIFY {nonce}")
    try:
        async with asyncio.timeout(timeout):
            await heard
    except TimeoutError:
        raise ConnectionRefused(POOLED) from None


async def _set_up(session: Session, limits: Limits, *, read_only: bool, lasting: bool) -> None:
    session.add_log_listener(_note_warning)
    milliseconds = [f"{1000 * each:.0f}" for each in (limits.statement, limits.lock, limits.idle)]
    row = await session.fetchrow(_SETUP, *milliseconds, "on" if read_only else "off", lasting)
    if row is None or not row["present"]:
        raise ConnectionRefused(MOVING)


async def _take_for_itself(session: Session) -> None:
    await session.execute(f"SELECT pg_advisory_unlock_shared({LOCKS}, {PRESENCE})")
    if not await session.fetchval(f"SELECT pg_try_advisory_lock({LOCKS}, {PRESENCE})"):
        raise ConnectionRefused(IN_USE)


def _note_warning(session: Any, message: Any) -> None:
    if message.severity_en == "WARNING":
        session.warnings += 1


def _require_suitable(session: Session) -> None:
    if session.get_server_version().major < OLDEST:
        raise ConnectionRefused(OLD)
    if session.get_settings().server_encoding != "UTF8":
        raise ConnectionRefused(NOT_UTF8)
