"""A draft: changes of many things, made in a copy of the policy in memory, so that no other change waits for them.

Services work on the copy with an ordinary `Transaction`. What differs afterwards are rows, which the turn of a writer
then only has to write (`Transaction.carry_out`).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    Executable,
    Insert,
    Row,
    Select,
    Table,
    UpdateBase,
    and_,
    bindparam,
    create_engine,
    delete,
    insert,
    select,
    update,
)

from kiteward.authz.model import Policy
from kiteward.store import identities, queries, row_policies, schema, statements
from kiteward.store.changes import gathered
from kiteward.store.connections import Parameters, Reader, Rows, WriteTransaction, translated
from kiteward.store.drafted import Drafted, Written, chunks
from kiteward.store.identity_records import GroupRole
from kiteward.store.records import UserRecord
from kiteward.store.transaction import Transaction

COPIED: Final = (
    schema.users,
    schema.roles,
    schema.role_bindings,
    schema.grants,
    schema.privilege_groups,
    schema.privilege_group_members,
    schema.api_keys,
    schema.api_key_roles,
    schema.user_tags,
    schema.api_key_tags,
    schema.federated_identities,
    schema.token_cutoffs,
    schema.group_roles,
    schema.scim_users,
    schema.scim_groups,
    schema.scim_members,
    schema.exchanged_keys,
    schema.protected_collections,
    schema.row_policies,
    schema.row_policy_roles,
)
"""What a draft is about, in the order in which rows refer to others. Of the rest it only removes what is a user's."""

_DIALECT: Final = "sqlite"

_Key = tuple[Any, ...]
_Row = Row[*tuple[Any, ...]]
_Rows = Mapping[_Key, _Row]


class Draft:
    """A copy of the policy at one revision, and a transaction that changes it.

    Attributes:
        policy: the policy before any change, with its revision.
        users: the users before any change, sorted by name.
        group_roles: the roles that groups give, before any change.
        transaction: changes the copy, and is never committed.
    """

    def __init__(
        self,
        copy: "_Copy",
        clock: Callable[[], float],
        *,
        policy: Policy,
        users: Sequence[UserRecord],
        group_roles: Sequence[GroupRole],
    ) -> None:
        """Take the copy, and what was read of it."""
        self._copy = copy
        self.policy = policy
        self.users = users
        self.group_roles = group_roles
        self.transaction = Transaction(copy.transaction, clock, lambda _revision, _servers: None)

    async def result(self) -> Drafted:
        """Return what differs now from what was copied."""
        elsewhere = [Written(each, rows) for each, rows in self._copy.transaction.elsewhere.items()]
        removed, changed, added = [], [], []
        for table in COPIED:
            if not self._copy.transaction.wrote:
                break
            before, after = self._copy.before[table], await self._copy.rows_of(table)
            removed += list(_removed(table, [key for key in before if key not in after]))
            changed += list(_changed(table, before, after))
            added += list(_added(table, [row for key, row in after.items() if key not in before]))
            await asyncio.sleep(0)
        ended = any(each.statement.table in (schema.users, schema.roles) for each in removed)
        return Drafted(
            self.policy.revision,
            self.transaction.changes,
            [*elsewhere, *reversed(removed), *changed, *added],
            ends_keys=ended or schema.sessions in {each.statement.table for each in elsewhere},
        )


@asynccontextmanager
async def drafted_from(reader: Reader, clock: Callable[[], float]) -> AsyncIterator[Draft]:
    """Copy the policy, as it is at one revision, for the length of the block.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    revision, *rows = await reader.rows(queries.REVISION, *map(select, COPIED))
    engine = create_engine(f"{_DIALECT}://", hide_parameters=True)
    try:
        with translated("copied"), engine.connect() as connection:
            schema.metadata.create_all(connection)
            connection.commit()
            copy = _Copy(connection)
            for table, held in zip(COPIED, rows, strict=True):
                await copy.take(table, held)
            yield await copy.draft(revision[0][0], clock)
    finally:
        engine.dispose()


class _Copy:
    """The tables in memory, with what they held at first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.before: dict[Table, _Rows] = {}
        self.transaction = _CopyTransaction(connection, self.before)

    async def take(self, table: Table, rows: Rows) -> None:
        names = [column.name for column in table.c]
        for chunk in chunks(rows):
            self._connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in chunk])
            await asyncio.sleep(0)
        self.before[table] = await self.rows_of(table)

    async def rows_of(self, table: Table) -> _Rows:
        return _by_key(table, await self.transaction.rows(select(table)))

    async def draft(self, revision: int, clock: Callable[[], float]) -> Draft:
        self._connection.commit()
        self._connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        roles, grants, groups, protected, users, group_roles = [
            await self.transaction.rows(each)
            for each in (
                queries.ROLES,
                queries.GRANTS,
                queries.GROUPS,
                row_policies.SELECTED,
                queries.USERS,
                identities.GROUP_ROLES,
            )
        ]
        policy = Policy(
            revision,
            queries.roles(roles),
            tuple(await gathered(queries.grants(grants))),
            queries.groups(groups),
            tuple(await gathered(row_policies.collections(protected))),
        )
        records = await gathered(queries.user_records(users))
        return Draft(self, clock, policy=policy, users=records, group_roles=identities.group_roles(group_roles))


class _CopyTransaction(WriteTransaction):
    """Runs the statements of a transaction on the copy. The event loop gets control before each of them.

    Attributes:
        wrote: whether any row of the copy may have changed.
        elsewhere: statements about other tables, which are not in the copy, each with the parameters of its runs.
    """

    def __init__(self, connection: Connection, before: Mapping[Table, _Rows]) -> None:
        self._copy = connection
        self._before = before
        self.wrote = False
        self.elsewhere: defaultdict[Delete, list[dict[str, Any]]] = defaultdict(list)

    def insert_missing(self, table: Table) -> "statements.Upsert":
        return statements.insert_missing(table, _DIALECT)

    def insert_later(self, column: Column[float]) -> "statements.Upsert":
        return statements.insert_later(column, _DIALECT)

    async def rows(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        return (await self._run(statement, parameters)).all()

    async def run(self, statement: Executable, parameters: Parameters | None = None) -> int:
        if isinstance(statement, Delete) and statement.table not in COPIED and isinstance(parameters, dict):
            self.elsewhere[statement].append(parameters)
            return 0
        return (await self._run(statement, parameters)).rowcount

    async def _run(self, statement: Executable, parameters: Parameters | None) -> CursorResult[*tuple[Any, ...]]:
        await asyncio.sleep(0)
        if isinstance(statement, UpdateBase) and not self._can_be_repeated(statement, parameters):
            raise TypeError(f"a draft cannot repeat this in the turn of a writer: {statement}")
        self.wrote = self.wrote or not isinstance(statement, Select)
        with translated("changed in memory"):
            return self._copy.execute(statement, parameters)

    def _can_be_repeated(self, statement: UpdateBase, parameters: Parameters | None) -> bool:
        if isinstance(statement, Insert) and statement.table is schema.users and isinstance(parameters, dict):
            # What is not copied, such as second factors, would stay for another user of the name.
            return (parameters["name"],) not in self._before[schema.users]
        return statement.table in COPIED


def _by_key(table: Table, rows: Rows) -> _Rows:
    key = [position for position, column in enumerate(table.c) if column.primary_key]
    return {tuple(row[each] for each in key): row for row in rows}


def _removed(table: Table, keys: Sequence[_Key]) -> Iterator[Written]:
    if keys:
        yield Written(delete(table).where(_is_row(table)), [_named(table, key) for key in keys])


def _changed(table: Table, before: _Rows, after: _Rows) -> Iterator[Written]:
    """Yield updates of the columns that differ, and of no others: the rest may have changed since."""
    rows = defaultdict(list)
    for key, row in after.items():
        held = before.get(key)
        if held is not None and held != row:
            columns = tuple(column for column, old, new in zip(table.c, held, row, strict=True) if old != new)
            values = {f"new_{column.name}": row[table.c.keys().index(column.name)] for column in columns}
            rows[columns].append({**_named(table, key), **values})
    for columns, parameters in rows.items():
        new = {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in columns}
        yield Written(update(table).where(_is_row(table)).values(new), parameters)


def _added(table: Table, rows: Sequence[_Row]) -> Iterator[Written]:
    names = [column.name for column in table.c]
    if rows:
        yield Written(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _is_row(table: Table) -> ColumnElement[bool]:
    """Return the condition of one row, whose key `_named` gives."""
    return and_(*(column == bindparam(f"key_{column.name}") for column in table.primary_key))


def _named(table: Table, key: _Key) -> dict[str, Any]:
    names = [column.name for column in table.c if column.primary_key]
    return {f"key_{name}": value for name, value in zip(names, key, strict=True)}
