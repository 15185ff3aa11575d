"""Limits of requests in SQL: how they are read with their holder, and their part of a transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Select, or_, select, update

from kiteward.domain.request_limits import RequestLimits
from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.records import Subject

_HOLDERS: Final[Mapping[Subject, Column[Any]]] = {
    Subject.USER: schema.users.c.name,
    Subject.KEY: schema.api_keys.c.key_id,
    Subject.ROLE: schema.roles.c.name,
}


def read(rate: float | None, burst: int | None, concurrent: int | None) -> RequestLimits:
    """Return what the three columns of a row mean."""
    return RequestLimits(rate, burst, concurrent)


def holders(subject: Subject) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the names of the users, API keys or roles with limits, and these; sorted."""
    name = _HOLDERS[subject]
    columns = name.table.c
    limited = or_(columns.limit_rate.is_not(None), columns.limit_concurrent.is_not(None))
    chosen = select(name, columns.limit_rate, columns.limit_burst, columns.limit_concurrent)
    return chosen.where(limited).order_by(name)


class HeldLimits:
    """Limits inside a transaction. They go with their holder."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def of(self, subject: Subject, name: str) -> RequestLimits | None:
        """Return the limits of a user, an API key or a role; None if it does not exist."""
        rows: Sequence[Any] = await self._write_transaction.rows(_one(subject, name))
        return read(*rows[0]) if rows else None

    async def put(self, subject: Subject, name: str, limits: RequestLimits) -> None:
        """Replace the limits of an existing user, API key or role."""
        if await self.of(subject, name) == limits:
            return
        column = _HOLDERS[subject]
        values = {"limit_rate": limits.rate, "limit_burst": limits.burst, "limit_concurrent": limits.concurrent}
        if await self._write_transaction.run(update(column.table).where(column == name).values(values)):
            self._changes.add(subject, name)


def _one(subject: Subject, name: str) -> Select[*tuple[Any, ...]]:
    column = _HOLDERS[subject]
    columns = column.table.c
    return select(columns.limit_rate, columns.limit_burst, columns.limit_concurrent).where(column == name)
