"""Moves a store to another database: all tables, in one transaction of the target, compared before it is committed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kiteward.domain.errors import CommitUnknown, ConfigurationError, StoreUnavailable
from kiteward.store import factor_tables, schema
from kiteward.store.backend import Backend
from kiteward.store.connections import translated, unavailable
from kiteward.store.driver_errors import described, outcome_is_known, raised_by_drivers, reason_of
from kiteward.store.statements import broken_references

Progress = Callable[[str, int, int], None]
"""Called after every step with the name of a table, how many of its rows were moved, and how many it has."""

_CHUNK: Final = 1000
"""Rows read and written at a time."""

_LARGEST: Final = 2**256

LEFT: Final = frozenset(
    {
        schema.replicas,
        schema.locks,
        schema.sessions,
        schema.provider_logouts,
        schema.secrets_shown,
        schema.sign_in_failures,
        factor_tables.sign_in_tickets,
        factor_tables.passkey_challenges,
    }
)
"""Tables that are not moved: which servers work with a database, and who was signed in there, ends with it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds, whatever the order of its rows.

    Attributes:
        rows: how many there are.
        digest: the sum of the SHA-256 of every row, modulo 2**256.
    """

    rows: int = 0
    digest: int = 0

    def with_rows(self, rows: Sequence[Sequence[Any]]) -> "Content":
        """Return the content with more rows."""
        # Numbers and texts have one form here, whichever database they come from.
        each = (json.dumps(list(row)).encode() for row in rows)
        sums = sum(int.from_bytes(hashlib.sha256(row).digest(), "big") for row in each)
        return Content(self.rows + len(rows), (self.digest + sums) % _LARGEST)


async def move(source: Backend, target: Backend, progress: Progress) -> dict[str, int]:
    """Copy everything that is stored to another database, and return how many rows of each table that were.

    The source is not changed. In the target everything becomes visible at once, after counts and digests of all tables
    were found equal; whatever ends the move before that leaves the target empty.

    Args:
        source: a store of this version or an older one; nobody else uses it.
        target: an empty database; nobody else uses it.
        progress: called after every step.

    Raises:
        ConfigurationError: the target is not empty.
        CommitUnknown: it is not known whether the target has everything or nothing.
        StoreUnavailable: it failed; the target is empty.
    """
    with translated("moved"):
        async with source.alone() as reading, target.alone() as writing:
            await _require_empty(writing, target.place)
            tables = [table for table in schema.metadata.sorted_tables if table not in LEFT]
            moved = {table: await _copy(table, reading, writing, progress) for table in tables}
            await _continue_numbers(writing)
            await _compare(moved, writing)
            await _commit(writing)
    return {table.name: content.rows for table, content in moved.items()}


async def _require_empty(connection: AsyncConnection, place: str) -> None:
    """Check that a database has no row but those that every new one has, and remove them.

    Raises:
        ConfigurationError: it has others.
    """
    for table in schema.metadata.sorted_tables:
        found = select(literal(1)).select_from(table).limit(1)
        if table is schema.revision:
            found = found.where(schema.revision.c.value > 0)
        if table is schema.audit_head:
            found = found.where(schema.audit_head.c.seq > 0)
        if (await connection.execute(found)).first() is not None:
            raise ConfigurationError(f"the target `{place}` is not empty: name a new database, or a new data directory")
    await connection.execute(delete(schema.revision))
    await connection.execute(delete(schema.audit_head))


async def _copy(table: Table, reading: AsyncConnection, writing: AsyncConnection, progress: Progress) -> Content:
    total = int((await reading.execute(select(func.count()).select_from(table))).scalar_one())
    names = [column.name for column in table.c]
    content = Content()
    async with reading.stream(select(table)) as result:
        async for rows in result.partitions(_CHUNK):
            await writing.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
            content = content.with_rows(rows)
            progress(table.name, content.rows, total)
    return content


async def _continue_numbers(connection: AsyncConnection) -> None:
    """Let numbers that the database gives continue after those that were copied; SQLite does that by itself."""
    if connection.dialect.name == "sqlite":
        return
    for table in schema.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            highest = func.coalesce(select(func.max(column)).scalar_subquery(), 0)
            await connection.execute(select(func.setval(sequence, highest + 1, False)))


async def _compare(moved: dict[Table, Content], connection: AsyncConnection) -> None:
    """Check that the target holds what was read from the source.

    Raises:
        StoreUnavailable: it does not.
    """
    for table, content in moved.items():
        found = Content()
        async with connection.stream(select(table)) as result:
            async for rows in result.partitions(_CHUNK):
                found = found.with_rows(rows)
        if found != content:
            raise StoreUnavailable(
                f"the target holds something else than the source in `{table.name}`; it is left empty"
            )
    if await connection.run_sync(broken_references):
        raise StoreUnavailable("the source has rows that refer to rows which are not there; the target is left empty")


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    except raised_by_drivers() as error:
        if outcome_is_known(error):
            raise unavailable("moved", reason_of(error)) from described(error)
        raise CommitUnknown(
            "it is not known whether the store was moved: repeat it, and it is refused where the target has everything"
        ) from described(error)
