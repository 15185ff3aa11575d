"""Grants in SQL: their part of a transaction."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, false, literal, not_, null, select, update

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.privileges import ObjectType
from kiteward.store import queries, schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.intent_records import Claimant, Released
from kiteward.store.records import Subject

_MOVABLE: Final = (ObjectType.COLLECTION.value, ObjectType.GLOBAL.value)

_KEY: Final = tuple(column.name for column in schema.grants.primary_key)
_grants = schema.grants.c


class Grants:
    """Grants inside a transaction."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def of_role(self, role: str) -> Sequence[Grant]:
        """Return the grants of a role, in the order of their keys."""
        return list(queries.grants(await self._write_transaction.rows(queries.grants_of(role))))

    async def on_object(self, db_name: str, object_name: str | None) -> Sequence[Grant]:
        """Return what `drop_object` removes or keeps for a user, in the order of their keys."""
        return list(
            queries.grants(await self._write_transaction.rows(queries.GRANTS.where(_gone(db_name, object_name))))
        )

    async def roles_with(self, privilege: str) -> Sequence[str]:
        """Return the names of the roles that hold a grant of this privilege or group, sorted."""
        return await self._roles_where(_grants.privilege == privilege)

    async def add(self, grants: Sequence[Grant]) -> None:
        """Store the grants; an existing one keeps its grantor and its time, and becomes a plain one if it was kept."""
        now = self._clock()
        for role, group in groupby(sorted(grants, key=lambda grant: grant.role), key=lambda grant: grant.role):
            rows = [{**_columns(role, grant.key), "grantor": grant.grantor, "granted_at": now} for grant in group]
            added = self._write_transaction.insert_missing(schema.grants).returning(_grants.role_name)
            if await self._write_transaction.rows(added, rows):
                self._changes.add(Subject.ROLE, role)
            await self._confirm(role, rows)

    async def _confirm(self, role: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Turn kept grants into plain ones where they are granted again."""
        kept = queries.grants(
            await self._write_transaction.rows(queries.grants_of(role).where(_grants.kept_for.is_not(None)))
        )
        keys = [_columns(role, grant.key) for grant in kept]
        given = [{name: row[name] for name in _KEY} for row in rows] if keys else []
        for key in keys:
            if key in given:
                await self._mark_where(_exactly(key), None)

    async def remove(self, role: str, keys: Sequence[GrantKey]) -> bool:
        """Remove grants; absent ones do nothing. Return whether any was there."""
        removed = False
        for key in keys:
            exactly = _exactly(_columns(role, key))
            removed = bool(await self._write_transaction.run(delete(schema.grants).where(exactly))) or removed
        if removed:
            self._changes.add(Subject.ROLE, role)
        return removed

    async def drop_object(
        self, db_name: str, object_name: str | None, *, kept_for: Claimant | None = None
    ) -> Sequence[str]:
        """Remove the Collection and Global grants on exactly this object of this database.

        Args:
            db_name: the database.
            object_name: the object; None for all grants of the database.
            kept_for: grants of the roles of this user stay, and are kept for the user.

        Returns:
            The roles whose grants are kept, sorted.
        """
        gone = _gone(db_name, object_name)
        if kept_for is None:
            await self._remove_where(gone)
            return []
        of_claimant = _grants.role_name.in_(kept_for.roles)
        await self._remove_where(and_(gone, not_(of_claimant)))
        return await self._mark_where(gone, kept_for.user_name)

    async def remove_plain(self, db_name: str, object_name: str) -> Sequence[str]:
        """Remove the Collection and Global grants on exactly this object that are kept for nobody.

        Returns:
            The roles that held them, sorted.
        """
        return await self._remove_where(and_(_on_object(db_name, object_name), _grants.kept_for.is_(None)))

    async def kept_objects(self) -> Sequence[tuple[str, str]]:
        """Return the database and name of every object on which there are kept grants, sorted."""
        columns = (_grants.db_name, _grants.object_name)
        found = select(*columns).where(_grants.kept_for.is_not(None)).distinct().order_by(*columns)
        return [(db_name, object_name) for db_name, object_name in await self._write_transaction.rows(found)]

    async def kept_on(self, db_name: str, object_name: str) -> Sequence[str]:
        """Return the roles that hold kept grants on exactly this object, sorted."""
        return await self._roles_where(_kept_on(db_name, object_name))

    async def release_object(self, db_name: str, object_name: str, claimant: Claimant | None) -> Released:
        """Remove the kept grants on exactly this object, but for those kept for this user that are of its roles."""
        kept = _kept_on(db_name, object_name)
        theirs: ColumnElement[bool] = false()
        if claimant is not None:
            theirs = and_(_grants.kept_for == claimant.user_name, _grants.role_name.in_(claimant.roles))
        lost = await self._remove_where(and_(kept, not_(theirs)))
        return Released(lost=lost, kept=await self._roles_where(kept))

    async def confirm_object(self, db_name: str, object_name: str) -> Sequence[str]:
        """Make the kept grants on exactly this object plain ones. Return the roles that hold them, sorted."""
        return await self._mark_where(_kept_on(db_name, object_name), None)

    async def forget_kept_for(self, user_name: str) -> None:
        await self._remove_where(_grants.kept_for == user_name)

    async def move_object(self, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Move the Collection and Global grants on exactly one object to another.

        Both are pairs of database and name; grants that become equal merge. What has moved is kept for nobody.
        """
        if source == target:
            return
        moved = _on_object(*source)
        copies = select(
            _grants.role_name,
            _grants.object_type,
            literal(target[0]),
            literal(target[1]),
            _grants.privilege,
            _grants.grantor,
            null(),
            _grants.granted_at,
        ).where(moved)
        await self._write_transaction.run(
            self._write_transaction.insert_missing(schema.grants).from_select(
                [column.name for column in schema.grants.c], copies
            )
        )
        await self._remove_where(moved)

    async def _remove_where(self, where: ColumnElement[bool]) -> list[str]:
        roles = await self._roles_where(where)
        if roles:
            await self._write_transaction.run(delete(schema.grants).where(where))
            self._changes.add(Subject.ROLE, *roles)
        return roles

    async def _mark_where(self, where: ColumnElement[bool], kept_for: str | None) -> list[str]:
        roles = await self._roles_where(where)
        if roles:
            await self._write_transaction.run(update(schema.grants).where(where).values(kept_for=kept_for))
            self._changes.add(Subject.ROLE, *roles)
        return roles

    async def _roles_where(self, where: ColumnElement[bool]) -> list[str]:
        rows = await self._write_transaction.rows(
            select(_grants.role_name).where(where).distinct().order_by(_grants.role_name)
        )
        return [role for (role,) in rows]


def _columns(role: str, key: GrantKey) -> dict[str, str]:
    return {
        "role_name": role,
        "object_type": key.object_type.value,
        "db_name": key.db_name,
        "object_name": key.object_name,
        "privilege": key.privilege,
    }


def _exactly(key: Mapping[str, str]) -> ColumnElement[bool]:
    return and_(*(_grants[column] == value for column, value in key.items()))


def _gone(db_name: str, object_name: str | None) -> ColumnElement[bool]:
    return _grants.db_name == db_name if object_name is None else _on_object(db_name, object_name)


def _on_object(db_name: str, object_name: str) -> ColumnElement[bool]:
    return and_(_grants.db_name == db_name, _grants.object_name == object_name, _grants.object_type.in_(_MOVABLE))


def _kept_on(db_name: str, object_name: str) -> ColumnElement[bool]:
    return and_(_on_object(db_name, object_name), _grants.kept_for.is_not(None))
