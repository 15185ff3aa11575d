"""Intents in SQL: changes of the engine that have begun and are not finished."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, delete, insert, select

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.intent_records import Claimant, Intent, IntentKind
from kiteward.store.records import Subject, collection_subject

_intents = schema.intents.c

OPEN: Final[Select[*tuple[Any, ...]]] = select(schema.intents).order_by(_intents.id)
"""One row for each open intent, the oldest first."""


def records(rows: Iterable[Row[*tuple[Any, ...]]]) -> tuple[Intent, ...]:
    """Return what the rows of `OPEN` mean."""
    return tuple(
        Intent(
            IntentKind(kind),
            db_name,
            object_name,
            new_db_name,
            new_object_name,
            intent_id,
            None if user_name is None else Claimant(user_name, tuple(json.loads(roles))),
            object_id or 0,
        )
        for intent_id, kind, db_name, object_name, new_db_name, new_object_name, user_name, roles, object_id in rows
    )


class Intents:
    """Intents inside a transaction. The change feed names what they are about when they are added and removed."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def all(self) -> Sequence[Intent]:
        """Return every open intent, oldest first."""
        return list(records(await self._write_transaction.rows(OPEN)))

    async def add(self, intent: Intent) -> int:
        """Store an intent and return its id."""
        values = {
            "kind": intent.kind.value,
            "db_name": intent.db_name,
            "object_name": intent.object_name,
            "new_db_name": intent.new_db_name,
            "new_object_name": intent.new_object_name,
            "claimant": intent.claimant.user_name if intent.claimant else None,
            "claimant_roles": json.dumps(intent.claimant.roles) if intent.claimant else None,
            "object_id": intent.object_id,
        }
        rows = await self._write_transaction.rows(insert(schema.intents).values(values).returning(_intents.id))
        self._note(intent)
        return int(rows[0][0])

    async def remove(self, intent: Intent) -> bool:
        """Remove an intent, and return whether it was open; an unknown one does nothing."""
        if not await self._write_transaction.run(delete(schema.intents).where(_intents.id == intent.intent_id)):
            return False
        self._note(intent)
        return True

    def _note(self, intent: Intent) -> None:
        self._changes.add(Subject.CATALOG, *(collection_subject(*name) for name in sorted(intent.names)))
