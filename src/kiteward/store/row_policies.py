"""Row policies in SQL: the statements that read them, what their rows mean, and their part of a transaction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, delete, insert, select, update

from kiteward.authz.row_policies import PolicyType, ProtectedCollection, RowAction, RowPolicy
from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import Subject, collection_subject

_collections = schema.protected_collections.c
_policies = schema.row_policies.c
_roles = schema.row_policy_roles.c
_OWN: Final = (
    _policies.policy_name,
    _policies.policy_type,
    _policies.actions,
    _policies.using_expr,
    _policies.check_expr,
    _policies.description,
    _policies.created_at,
)
_COLLECTION: Final = tuple(_collections)
_WIDTH: Final = len(_COLLECTION)

SELECTED: Final[Select[*tuple[Any, ...]]] = (
    select(*_COLLECTION, *_OWN, _roles.role_name)
    .select_from(
        schema.protected_collections.outerjoin(
            schema.row_policies,
            and_(_policies.db_name == _collections.db_name, _policies.collection_name == _collections.collection_name),
        ).outerjoin(
            schema.row_policy_roles,
            and_(
                _roles.db_name == _policies.db_name,
                _roles.collection_name == _policies.collection_name,
                _roles.policy_name == _policies.policy_name,
            ),
        )
    )
    .order_by(_collections.db_name, _collections.collection_name, _policies.policy_name, _roles.role_name)
)
"""One row for each collection, policy and role; a collection without policies, or a policy without roles, has one."""


def selected_on(db_name: str, collection_name: str) -> Select[*tuple[Any, ...]]:
    """Return `SELECTED` for one collection."""
    return SELECTED.where(_collections.db_name == db_name, _collections.collection_name == collection_name)


def collections(rows: Rows) -> Iterator[ProtectedCollection]:
    """Yield what the rows of `SELECTED` mean."""
    for (db_name, name, enabled, force), group in groupby(rows, key=lambda row: tuple(row[:_WIDTH])):
        yield ProtectedCollection(
            database=db_name,
            collection=name,
            enabled=enabled,
            force=force,
            policies=tuple(_policies_in(group)),
        )


def _policies_in(rows: Iterator[Sequence[Any]]) -> Iterator[RowPolicy]:
    for columns, group in groupby(rows, key=lambda row: tuple(row[_WIDTH:-1])):
        name, policy_type, actions, using_expr, check_expr, description, created_at = columns
        if name is None:
            continue
        yield RowPolicy(
            name,
            PolicyType(policy_type),
            actions=frozenset(map(RowAction, actions.split())),
            roles=tuple(row[-1] for row in group if row[-1] is not None),
            using_expr=using_expr,
            check_expr=check_expr,
            description=description,
            created_at=created_at,
        )


class RowPolicies:
    """Protected collections and their row policies inside a transaction."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def get(self, db_name: str, collection_name: str) -> ProtectedCollection | None:
        """Return a collection with its policies; None where it has none, and no property of theirs was ever set."""
        return next(collections(await self._write_transaction.rows(selected_on(db_name, collection_name))), None)

    async def protect(self, db_name: str, collection_name: str, *, enabled: bool, force: bool) -> None:
        """Set whether the policies of a collection are enforced, and on whom."""
        held = await self.get(db_name, collection_name)
        if held is None:
            values = {"db_name": db_name, "collection_name": collection_name, "enabled": enabled, "force": force}
            await self._write_transaction.run(insert(schema.protected_collections), values)
        elif (held.enabled, held.force) != (enabled, force):
            await self._write_transaction.run(
                update(schema.protected_collections)
                .where(_on(schema.protected_collections, db_name, collection_name))
                .values(enabled=enabled, force=force)
            )
        elif not enabled:
            return  # but to enable them again is a change: it waits for writes that were decided before them
        self._note(db_name, collection_name)

    async def put(self, db_name: str, collection_name: str, policy: RowPolicy) -> None:
        """Create a policy, or replace the one of its name, which keeps its time of creation. Its roles exist."""
        held = await self.get(db_name, collection_name)
        if held is None:
            await self.protect(db_name, collection_name, enabled=False, force=False)
        before = None if held is None else held.policy(policy.name)
        created_at = self._clock() if before is None else before.created_at
        if before is not None:
            await self._remove_where(_named(schema.row_policies, db_name, collection_name, policy.name))
        await self._insert(db_name, collection_name, replace(policy, created_at=created_at))
        self._note(db_name, collection_name)

    async def remove(self, db_name: str, collection_name: str, policy_name: str) -> bool:
        """Remove a policy. Return whether there was one of this name."""
        there = bool(await self._remove_where(_named(schema.row_policies, db_name, collection_name, policy_name)))
        if there:
            self._note(db_name, collection_name)
        return there

    async def drop(self, db_name: str, collection_name: str | None) -> bool:
        """Remove the policies and the protection of a collection; None: of all collections of the database.

        Returns:
            Whether there was anything to remove.
        """
        there = _collections.db_name == db_name
        if collection_name is not None:
            there = and_(there, _collections.collection_name == collection_name)
        names = await self._write_transaction.rows(select(_collections.collection_name).where(there))
        if names:
            await self._write_transaction.run(delete(schema.protected_collections).where(there))
            self._note(db_name, *(name for (name,) in names))
        return bool(names)

    async def copy(self, source: tuple[str, str], target: tuple[str, str]) -> bool:
        """Give a collection the protection and the policies of another, in place of any it had.

        Both are pairs of database and name.

        Returns:
            Whether the source has any.
        """
        held = await self.get(*source)
        if held is None or source == target:
            return held is not None
        await self.drop(*target)
        await self.protect(*target, enabled=held.enabled, force=held.force)
        for policy in held.policies:
            await self._insert(*target, policy)
        return True

    async def of_database(self, db_name: str) -> Sequence[ProtectedCollection]:
        """Return the collections of a database that have policies or properties of theirs, sorted."""
        return list(collections(await self._write_transaction.rows(SELECTED.where(_collections.db_name == db_name))))

    async def that_name(self, role: str) -> Sequence[ProtectedCollection]:
        """Return the collections of which a policy names a role, sorted."""
        names = schema.row_policy_roles.alias("names").c
        on_it = (names.db_name == _collections.db_name, names.collection_name == _collections.collection_name)
        named = select(names.role_name).where(names.role_name == role, *on_it).correlate(schema.protected_collections)
        return list(collections(await self._write_transaction.rows(SELECTED.where(named.exists()))))

    async def naming_role(self, role: str) -> Sequence[tuple[str, str, str]]:
        """Return the database, collection and name of every policy that names a role, sorted."""
        columns = (_roles.db_name, _roles.collection_name, _roles.policy_name)
        found = select(*columns).where(_roles.role_name == role).order_by(*columns)
        return [(db_name, name, policy) for db_name, name, policy in await self._write_transaction.rows(found)]

    async def forget_role(self, role: str) -> None:
        """Take a role out of every policy. A policy that names no other role is removed: it would be for everybody."""
        for db_name, name, policy_name in await self.naming_role(role):
            held = await self.get(db_name, name)
            policy = None if held is None else held.policy(policy_name)
            if policy is not None and policy.roles == (role,):
                await self.remove(db_name, name, policy_name)
                continue
            named = _named(schema.row_policy_roles, db_name, name, policy_name)
            await self._write_transaction.run(delete(schema.row_policy_roles).where(named, _roles.role_name == role))
            self._note(db_name, name)

    async def _insert(self, db_name: str, collection_name: str, policy: RowPolicy) -> None:
        key = {"db_name": db_name, "collection_name": collection_name, "policy_name": policy.name}
        values = {
            **key,
            "policy_type": policy.policy_type.value,
            "actions": " ".join(action.value for action in RowAction if action in policy.actions),
            "using_expr": policy.using_expr,
            "check_expr": policy.check_expr,
            "description": policy.description,
            "created_at": policy.created_at,
        }
        await self._write_transaction.run(insert(schema.row_policies), values)
        if policy.roles:
            rows = [{**key, "role_name": role} for role in policy.roles]
            await self._write_transaction.run(insert(schema.row_policy_roles), rows)

    async def _remove_where(self, where: ColumnElement[bool]) -> int:
        return await self._write_transaction.run(delete(schema.row_policies).where(where))

    def _note(self, db_name: str, *names: str) -> None:
        self._changes.add(Subject.COLLECTION, *(collection_subject(db_name, name) for name in names))


def _on(table: Table, db_name: str, collection_name: str) -> ColumnElement[bool]:
    return and_(table.c.db_name == db_name, table.c.collection_name == collection_name)


def _named(table: Table, db_name: str, collection_name: str, policy_name: str) -> ColumnElement[bool]:
    return and_(_on(table, db_name, collection_name), table.c.policy_name == policy_name)
