"""Tags of users and API keys in SQL: how they are read with their holder, and their part of a transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, ScalarSelect, Select, Table, delete, insert, select

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.records import Subject
from kiteward.store.statements import json_object

_users = schema.user_tags.c

_NONE: Final = "{}"


def of_user(name: ColumnElement[str]) -> ScalarSelect[Any]:
    """Return the column with the tags of a user, for `read`."""
    return _selected(schema.user_tags, schema.user_tags.c.user_name == name)


def of_key(key_id: ColumnElement[str]) -> ScalarSelect[Any]:
    """Return the column with an API key's own tags, for `read`."""
    return _selected(schema.api_key_tags, schema.api_key_tags.c.key_id == key_id)


def _selected(table: Table, where: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(json_object(table.c.tag_key, table.c.tag_value)).where(where).scalar_subquery()


def read(column: str) -> Mapping[str, str]:
    """Return the tags that such a column holds, sorted by key."""
    if column == _NONE:
        return {}
    found: dict[str, str] = json.loads(column)
    return dict(sorted(found.items()))


def users_with(key: str, value: str) -> Select[tuple[str]]:
    """Return the statement that reads the names of the users with a tag, sorted."""
    return select(_users.user_name).where(_users.tag_key == key, _users.tag_value == value).order_by(_users.user_name)


class Tags:
    """Tags of users, or of API keys, inside a transaction. They go with their holder."""

    def __init__(
        self, write_transaction: WriteTransaction, changes: Changes, subject: Subject, holder: Column[Any]
    ) -> None:
        """Take part in a transaction.

        Args:
            write_transaction: the transaction.
            changes: what it changes.
            subject: USER or KEY, which a change of tags is announced as.
            holder: the column of the table of tags that names the user or the key.
        """
        self._write_transaction = write_transaction
        self._changes = changes
        self._subject = subject
        self._holder = holder
        self._table = holder.table

    async def of(self, holder: str) -> Mapping[str, str]:
        """Return the tags, sorted by key; of an API key only its own."""
        tags = self._table.c
        found = select(tags.tag_key, tags.tag_value).where(self._holder == holder).order_by(tags.tag_key)
        rows = await self._write_transaction.rows(found)
        return {str(key): str(value) for key, value in rows}

    async def put(self, holder: str, tags: Mapping[str, str]) -> None:
        """Set tags of an existing user or key; its other ones stay."""
        held = await self.of(holder)
        changed = {key: value for key, value in tags.items() if held.get(key) != value}
        if not changed:
            return
        await self._delete(holder, changed)
        rows = [{self._holder.name: holder, "tag_key": key, "tag_value": value} for key, value in changed.items()]
        await self._write_transaction.run(insert(self._table), rows)
        self._changes.add(self._subject, holder)

    async def remove(self, holder: str, keys: Iterable[str]) -> Sequence[str]:
        """Remove tags; absent ones do nothing. Return the keys of those that there were, sorted."""
        there = sorted((await self.of(holder)).keys() & set(keys))
        if there:
            await self._delete(holder, there)
            self._changes.add(self._subject, holder)
        return there

    async def _delete(self, holder: str, keys: Iterable[str]) -> None:
        named = self._table.c.tag_key.in_(list(keys))
        await self._write_transaction.run(delete(self._table).where(self._holder == holder, named))
