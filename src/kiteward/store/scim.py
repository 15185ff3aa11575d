"""Users and groups of SCIM in SQL: statements, reads, and their part of a transaction."""

import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, Select, Table, and_, delete, func, insert, not_, or_, select, update

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import Subject
from kiteward.store.scim_records import (
    SCIM_ISSUER,
    ScimGroupName,
    ScimGroupRecord,
    ScimMember,
    ScimSelection,
    ScimUserRecord,
)
from kiteward.store.statements import json_list, pattern_matches

_users = schema.scim_users.c
_groups = schema.scim_groups.c
_members = schema.scim_members.c

_USER: Final = (*_users, schema.users.c.enabled)
_GROUP: Final = (
    _groups.group_id,
    _groups.display_name,
    _groups.external_id,
    _groups.created_at,
    _groups.changed_at,
)
_given = schema.group_roles.c
_BY_NAME: Final = or_(
    and_(_given.is_pattern, pattern_matches(_groups.display_name, _given.group_name)),
    and_(not_(_given.is_pattern), _given.group_name == _groups.display_name),
)

OF_USER: Final = (
    select(_users.login).where(_users.user_name == schema.users.c.name).scalar_subquery(),
    select(json_list(_given.role_name))
    .select_from(
        schema.scim_users.join(schema.scim_members, _members.scim_id == _users.scim_id)
        .join(schema.scim_groups, _groups.group_id == _members.group_id)
        .join(schema.group_roles, and_(_given.issuer == SCIM_ISSUER, _BY_NAME))
    )
    .where(_users.user_name == schema.users.c.name)
    .correlate(schema.users)
    .scalar_subquery(),
)
"""The columns with the `userName` of a user, NULL for one whom SCIM does not manage, and the roles of its groups."""

_AT_ONCE: Final = 500
"""Ids in one statement at most."""

_NO_ROLES: Final = "[]"

ReadRows = Callable[[Executable], Awaitable[Rows]]
"""Returns the rows of a statement."""


def read_roles(column: str) -> tuple[str, ...]:
    """Return the roles that the second of `OF_USER` holds, sorted."""
    return () if column == _NO_ROLES else tuple(sorted(set(json.loads(column))))


def key_of(text: str) -> str:
    """Return a name in the form in which names are compared without regard to case."""
    return text.casefold()


class ScimReads:
    """Reads of users and groups."""

    def __init__(self, rows: ReadRows) -> None:
        self._rows = rows

    async def user(self, scim_id: str) -> ScimUserRecord | None:
        """Return a user, or None."""
        return await self._one_user(_users.scim_id == scim_id)

    async def user_named(self, user_name: str) -> ScimUserRecord | None:
        """Return the user of a name in Kiteward; None if SCIM does not manage it."""
        return await self._one_user(_users.user_name == user_name)

    async def user_with_login(self, login: str) -> ScimUserRecord | None:
        """Return the user with a `userName`, in any case, or None."""
        return await self._one_user(_users.login_key == key_of(login))

    async def users(self, selection: ScimSelection) -> Sequence[ScimUserRecord]:
        """Return users, sorted by id."""
        wanted = [_users.scim_id > selection.after]
        if selection.key is not None:
            wanted.append(_users.login_key == key_of(selection.key))
        if selection.external_id is not None:
            wanted.append(_users.external_id == selection.external_id)
        if selection.resource_id is not None:
            wanted.append(_users.scim_id == selection.resource_id)
        page = select(_users.scim_id).where(*wanted).order_by(_users.scim_id)
        page = page.offset(selection.offset).limit(selection.limit)
        return list(_user_records(await self._rows(_user_rows(_users.scim_id.in_(page)))))

    async def user_count(self) -> int:
        """Return how many users there are."""
        return await self._count(schema.scim_users)

    async def group(self, group_id: str) -> ScimGroupRecord | None:
        """Return a group, or None."""
        rows = await self._rows(select(*_GROUP).where(_groups.group_id == group_id))
        return next((ScimGroupRecord(*row) for row in rows), None)

    async def groups(self, selection: ScimSelection) -> Sequence[ScimGroupRecord]:
        """Return groups, sorted by id."""
        wanted = [_groups.group_id > selection.after]
        if selection.key is not None:
            wanted.append(_groups.display_key == key_of(selection.key))
        if selection.external_id is not None:
            wanted.append(_groups.external_id == selection.external_id)
        if selection.resource_id is not None:
            wanted.append(_groups.group_id == selection.resource_id)
        if selection.member is not None:
            of_member = select(_members.group_id).where(_members.scim_id == selection.member)
            wanted.append(_groups.group_id.in_(of_member))
        page = select(*_GROUP).where(*wanted).order_by(_groups.group_id)
        rows = await self._rows(page.offset(selection.offset).limit(selection.limit))
        return [ScimGroupRecord(*row) for row in rows]

    async def group_count(self) -> int:
        """Return how many groups there are."""
        return await self._count(schema.scim_groups)

    async def members(self, group_ids: Collection[str]) -> Mapping[str, Sequence[ScimMember]]:
        """Return group id -> its members, sorted by id; a group without members is not in it."""
        columns = (_members.group_id, _users.scim_id, _users.user_name)
        joined = schema.scim_members.join(schema.scim_users, _users.scim_id == _members.scim_id)
        named = select(*columns).select_from(joined).where(_members.group_id.in_(list(group_ids)))
        rows = await self._rows(named.order_by(_members.group_id, _users.scim_id))
        return {
            group_id: [ScimMember(*row[1:]) for row in group]
            for group_id, group in groupby(rows, key=lambda row: row[0])
        }

    async def _one_user(self, where: ColumnElement[bool]) -> ScimUserRecord | None:
        return next(_user_records(await self._rows(_user_rows(where))), None)

    async def _count(self, table: Table) -> int:
        return int((await self._rows(select(func.count()).select_from(table)))[0][0])


class ScimDirectory(ScimReads):
    """Users and groups inside a transaction. What changes for a user is announced as a change of the user."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        super().__init__(write_transaction.rows)
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def add_user(self, record: ScimUserRecord) -> None:
        """Let SCIM manage an existing user. The caller has checked that it does not yet, and that the login is free."""
        now = self._clock()
        values = {"scim_id": record.scim_id, "created_at": now, "changed_at": now, **_columns_of(record)}
        await self._write_transaction.run(insert(schema.scim_users), values)
        self._changes.add(Subject.USER, record.user_name)

    async def put_user(self, record: ScimUserRecord) -> None:
        """Replace what SCIM knows of a user that it manages."""
        values = {**_columns_of(record), "changed_at": self._clock()}
        await self._write_transaction.run(
            update(schema.scim_users).where(_users.scim_id == record.scim_id).values(values)
        )
        self._changes.add(Subject.USER, record.user_name)

    async def release_user(self, record: ScimUserRecord) -> None:
        """Let SCIM no longer manage a user, who is then in none of its groups."""
        await self._write_transaction.run(delete(schema.scim_users).where(_users.scim_id == record.scim_id))
        self._changes.add(Subject.USER, record.user_name)

    async def user_names(self, scim_ids: Collection[str]) -> Mapping[str, str]:
        """Return id -> name in Kiteward, of those ids that there are."""
        found: dict[str, str] = {}
        for chunk in _chunks(sorted(scim_ids)):
            rows = await self._rows(select(_users.scim_id, _users.user_name).where(_users.scim_id.in_(chunk)))
            found.update({str(scim_id): str(user_name) for scim_id, user_name in rows})
        return found

    async def add_group(self, record: ScimGroupRecord) -> None:
        """Add a group without members."""
        now = self._clock()
        values = {"group_id": record.group_id, "created_at": now, "changed_at": now, **_group_columns_of(record)}
        await self._write_transaction.run(insert(schema.scim_groups), values)

    async def put_group(self, record: ScimGroupRecord) -> None:
        """Replace the names of a group. Its members are announced: roles are mapped to its name."""
        values = {**_group_columns_of(record), "changed_at": self._clock()}
        await self._write_transaction.run(
            update(schema.scim_groups).where(_groups.group_id == record.group_id).values(values)
        )
        await self._announce_members(record.group_id)

    async def remove_group(self, group_id: str) -> None:
        """Remove a group; its members stay."""
        await self._announce_members(group_id)
        await self._write_transaction.run(delete(schema.scim_groups).where(_groups.group_id == group_id))

    async def add_members(self, group_id: str, members: Mapping[str, str]) -> None:
        """Add users to a group of which they are no members.

        Args:
            group_id: the group.
            members: their ids, each with the name in Kiteward.
        """
        rows = [{"group_id": group_id, "scim_id": scim_id} for scim_id in members]
        if rows:
            await self._write_transaction.run(insert(schema.scim_members), rows)
            self._changes.add(Subject.USER, *members.values())

    async def remove_members(self, group_id: str, members: Mapping[str, str]) -> None:
        """Remove users from a group; as `add_members`."""
        for chunk in _chunks(sorted(members)):
            named = and_(_members.group_id == group_id, _members.scim_id.in_(chunk))
            await self._write_transaction.run(delete(schema.scim_members).where(named))
        self._changes.add(Subject.USER, *members.values())

    async def _announce_members(self, group_id: str) -> None:
        names = select(_users.user_name).join(schema.scim_members, _members.scim_id == _users.scim_id)
        rows = await self._rows(names.where(_members.group_id == group_id).order_by(_users.user_name))
        self._changes.add(Subject.USER, *(name for (name,) in rows))


def _user_rows(where: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads users, a row for each group; a user without groups has one row."""
    joined = (
        schema.scim_users.join(schema.users, schema.users.c.name == _users.user_name)
        .outerjoin(schema.scim_members, _members.scim_id == _users.scim_id)
        .outerjoin(schema.scim_groups, _groups.group_id == _members.group_id)
    )
    columns = (*_USER, _groups.group_id, _groups.display_name)
    return select(*columns).select_from(joined).where(where).order_by(_users.scim_id, _groups.group_id)


def _user_records(rows: Rows) -> Iterator[ScimUserRecord]:
    width = len(_USER)
    for columns, group in groupby(rows, key=lambda row: tuple(row[:width])):
        held = dict(zip((column.name for column in _USER), columns, strict=True))
        yield ScimUserRecord(
            held["scim_id"],
            held["user_name"],
            held["login"],
            held["external_id"],
            held["active"],
            json.loads(held["attributes"]),
            held["created_at"],
            held["changed_at"],
            held["enabled"],
            tuple(ScimGroupName(*row[width:]) for row in group if row[width] is not None),
            held["deactivated"],
        )


def _columns_of(record: ScimUserRecord) -> dict[str, Any]:
    return {
        "user_name": record.user_name,
        "login": record.login,
        "login_key": key_of(record.login),
        "external_id": record.external_id,
        "active": record.active,
        "deactivated": record.deactivated,
        "attributes": json.dumps(dict(record.attributes)),
    }


def _group_columns_of(record: ScimGroupRecord) -> dict[str, Any]:
    return {
        "display_name": record.display_name,
        "display_key": key_of(record.display_name),
        "external_id": record.external_id,
    }


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + _AT_ONCE] for begin in range(0, len(ids), _AT_ONCE))
