"""When privileges were last used, over all replicas: the statements, and a transaction's part."""

from collections.abc import Collection, Sequence
from dataclasses import astuple
from typing import Any, Final

from sqlalchemy import Executable, Select, delete, select, update

from kiteward.store import schema
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import Use

_uses = schema.audit_uses.c
_KEY: Final = (_uses.user_name, _uses.privilege, _uses.operation, _uses.db_name, _uses.collection_name)

SINCE: Final[Executable] = select(schema.audit_head.c.uses_since)
"""Reads since when uses are stored; NULL before they are."""


def used_after(moment: float) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads what was used after a moment, in seconds since the epoch."""
    return select(*_KEY).where(_uses.used_until > moment)


def uses(rows: Rows) -> Sequence[Use]:
    """Return what the rows of `used_after` mean."""
    return [Use(*row) for row in rows]


class AuditUses:
    """Uses inside a transaction. They advance no revision."""

    def __init__(self, write_transaction: WriteTransaction) -> None:
        self._write_transaction = write_transaction

    async def begin(self, now: float) -> None:
        """Store that uses are stored from now on, unless they are already."""
        head = schema.audit_head
        await self._write_transaction.run(update(head).where(head.c.uses_since.is_(None)).values(uses_since=now))

    async def add(self, used: Collection[Use], until: float) -> None:
        """Store that privileges were used.

        Args:
            used: the uses.
            until: a moment after them, in seconds since the epoch; a later one that is stored stays.
        """
        names = [column.name for column in _KEY]
        rows = [dict(zip(names, astuple(use), strict=True), used_until=until) for use in used]
        await self._write_transaction.run(self._write_transaction.insert_later(_uses.used_until), rows)

    async def remove_before(self, moment: float) -> None:
        """Remove what was not used since a moment, in seconds since the epoch: uses are known from then on."""
        await self._write_transaction.run(delete(schema.audit_uses).where(_uses.used_until < moment))
        head = schema.audit_head
        await self._write_transaction.run(update(head).where(head.c.uses_since < moment).values(uses_since=moment))
