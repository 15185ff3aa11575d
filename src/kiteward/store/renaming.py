"""Renames a user in SQL, with everything that names it."""

from typing import Final

from sqlalchemy import Column, and_, delete, insert, literal, select, update

from kiteward.authz.privileges import ObjectType
from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.records import Subject

_users = schema.users.c
_grants = schema.grants.c

_cutoffs = schema.token_cutoffs.c

_WITHOUT_KEY: Final = (schema.intents.c.claimant, schema.audit_uses.c.user_name)
"""Columns with the name of a user that are no foreign keys, besides those of grants and cut-offs."""


class Renaming:
    """Renames users inside a transaction."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def rename(self, name: str, new: str) -> None:
        """Give an existing user another name, which nobody has; its sessions end.

        Password, roles, API keys, tags, limits and what identity providers know of it stay.
        """
        columns = [literal(new) if column is _users.name else column for column in _users]
        copied = select(*columns).where(_users.name == name)
        await self._write_transaction.run(insert(schema.users).from_select([each.name for each in _users], copied))
        await self._write_transaction.run(delete(schema.sessions).where(schema.sessions.c.user_name == name))
        for column in (*referring_columns(), *_WITHOUT_KEY):
            await self._follow(column, name, new)
        await self._follow_cutoffs(name, new)
        await self._follow_grants(name, new)
        await self._write_transaction.run(delete(schema.users).where(_users.name == name))
        self._changes.add(Subject.USER, name, new)
        self._changes.add(Subject.CREDENTIAL, new)

    async def _follow(self, column: Column[str], name: str, new: str) -> None:
        if column.primary_key:
            # What is left of an earlier user of that name.
            await self._write_transaction.run(delete(column.table).where(column == new))
        await self._write_transaction.run(update(column.table).where(column == name).values({column: new}))

    async def _follow_cutoffs(self, name: str, new: str) -> None:
        """Let cut-offs of the user count under both names: an earlier user may have left a later one under the new."""
        held = select(_cutoffs.issuer, _cutoffs.not_before).where(_cutoffs.user_name == name)
        for issuer, not_before in await self._write_transaction.rows(held):
            values = {"issuer": issuer, "user_name": new, "not_before": not_before}
            await self._write_transaction.run(self._write_transaction.insert_later(_cutoffs.not_before), values)

    async def _follow_grants(self, name: str, new: str) -> None:
        """Let grants on the user, and those that are kept for it, follow."""
        on_user = and_(_grants.object_type == str(ObjectType.USER), _grants.object_name.in_((name, new)))
        concerned = select(_grants.role_name).where(on_user | (_grants.kept_for == name)).distinct()
        roles = await self._write_transaction.rows(concerned.order_by(_grants.role_name))
        stale = and_(_grants.object_type == str(ObjectType.USER), _grants.object_name == new)
        await self._write_transaction.run(delete(schema.grants).where(stale))
        moved = and_(_grants.object_type == str(ObjectType.USER), _grants.object_name == name)
        await self._write_transaction.run(update(schema.grants).where(moved).values(object_name=new))
        await self._write_transaction.run(update(schema.grants).where(_grants.kept_for == name).values(kept_for=new))
        self._changes.add(Subject.ROLE, *(role for (role,) in roles))


def referring_columns() -> tuple[Column[str], ...]:
    """Return the columns that refer to the name of a user, in every table."""
    return tuple(
        column
        for table in schema.metadata.sorted_tables
        for column in table.c
        if any(key.column is _users.name for key in column.foreign_keys)
    )
