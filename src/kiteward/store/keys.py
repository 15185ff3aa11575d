"""API keys in SQL: the statements that read them, what their rows mean, and their part of a transaction."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, insert, literal, or_, select, update

from kiteward.store import request_limits, schema, tags
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import KeyRecord, PreviousSecret, Subject

_keys = schema.api_keys.c
_roles = schema.api_key_roles.c
_COLUMNS: Final = (*_keys, tags.of_key(_keys.key_id).label("tags"))
_WIDTH: Final = len(_COLUMNS)


_WITH_ROLES: Final = schema.api_keys.outerjoin(schema.api_key_roles, _roles.key_id == _keys.key_id)


def selected(
    *, owner: str | None = None, root: str | None = None, after: str = "", limit: int | None = None
) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads keys sorted by id, a row for each role; a key without roles has one row."""
    chosen = select(_keys.key_id).order_by(_keys.key_id).where(_keys.key_id > after)
    if root is not None:
        chosen = chosen.where(_keys.key_id.in_(with_descendants(_keys.key_id == root)))
    if owner is not None:
        chosen = chosen.where(_keys.owner == owner)
    if limit is not None:
        chosen = chosen.limit(limit)
    return (
        select(*_COLUMNS, _roles.role_name)
        .select_from(_WITH_ROLES)
        .where(_keys.key_id.in_(chosen))
        .order_by(_keys.key_id, _roles.role_name)
    )


def lineage_of(key_id: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads a key and those it descends from, in rows as of `selected`, the nearest first."""
    first = select(_keys.key_id, _keys.made_by_key, literal(0).label("distance")).where(_keys.key_id == key_id)
    found = first.cte("lineage", recursive=True)
    makers = schema.api_keys.alias("makers").c
    found = found.union_all(
        select(makers.key_id, makers.made_by_key, found.c.distance + 1).where(makers.key_id == found.c.made_by_key)
    )
    return (
        select(*_COLUMNS, _roles.role_name)
        .select_from(_WITH_ROLES.join(found, found.c.key_id == _keys.key_id))
        .order_by(found.c.distance, _roles.role_name)
    )


def with_descendants(where: ColumnElement[bool]) -> Select[tuple[str]]:
    """Return the statement that reads the ids of some keys and of every key that descends from one of them."""
    found = select(_keys.key_id).where(where).cte("descendants", recursive=True)
    made = schema.api_keys.alias("made").c
    # Each once: of two keys that are asked for, one may descend from the other.
    found = found.union(select(made.key_id).where(made.made_by_key == found.c.key_id))
    return select(found.c.key_id)


def records(rows: Rows) -> Iterator[KeyRecord]:
    """Yield what the rows of `selected` mean."""
    for columns, group in groupby(rows, key=lambda row: tuple(row[:_WIDTH])):
        held = dict(zip((column.name for column in _COLUMNS), columns, strict=True))
        until = held["former_until"]
        yield KeyRecord(
            key_id=held["key_id"],
            owner=held["owner"],
            digest=held["digest"],
            description=held["description"],
            created_at=held["created_at"],
            created_by=held["created_by"],
            expires_at=held["expires_at"],
            roles=tuple(row[_WIDTH] for row in group if row[_WIDTH] is not None) if held["narrowed"] else None,
            networks=tuple(held["networks"].split()),
            enabled=held["enabled"],
            used_at=held["used_at"],
            previous=None if until is None else PreviousSecret(held["former_digest"], "", until),
            made_by_key=held["made_by_key"],
            tags=tags.read(held["tags"]),
            limits=request_limits.read(held["limit_rate"], held["limit_burst"], held["limit_concurrent"]),
        )


class Keys:
    """API keys inside a transaction. They go with their owner, and a removed role leaves the lists of all keys.

    A key descends from the key that it was made with, and from whatever that one descends from.
    """

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return the key, then the keys that it descends from, the nearest first; empty where there is no such key."""
        return list(records(await self._write_transaction.rows(lineage_of(key_id))))

    async def count(self, owner: str) -> int:
        """Return how many keys a user has."""
        counted = select(func.count()).select_from(schema.api_keys).where(_keys.owner == owner)
        return int((await self._write_transaction.rows(counted))[0][0])

    async def add(self, key: KeyRecord) -> None:
        """Store a new key. The caller has checked that its owner exists; its time of creation is set here."""
        await self._write_transaction.run(
            insert(schema.api_keys),
            {
                "key_id": key.key_id,
                "owner": key.owner,
                "digest": key.digest,
                "description": key.description,
                "created_at": self._clock(),
                "created_by": key.created_by,
                "expires_at": key.expires_at,
                "narrowed": key.roles is not None,
                "networks": " ".join(key.networks),
                "enabled": key.enabled,
                "made_by_key": key.made_by_key,
            },
        )
        if key.roles:
            rows = [{"key_id": key.key_id, "role_name": role} for role in key.roles]
            await self._write_transaction.run(insert(schema.api_key_roles), rows)
        self._changes.add(Subject.KEY, key.key_id)

    async def rotate(self, key_id: str, digest: str, *, former_until: float | None = None) -> None:
        """Replace the digest of an existing key; the present one stays accepted until then, or no longer.

        What descends from the key ends with the present digest.
        """
        previous = _keys.digest if former_until is not None else None
        await self._update(key_id, digest=digest, former_digest=previous, former_until=former_until)
        made = _keys.made_by_key == key_id
        if former_until is None:
            await self.remove_where(made)
            return
        later = or_(_keys.expires_at.is_(None), _keys.expires_at > former_until)
        ending = update(schema.api_keys).where(_keys.key_id.in_(with_descendants(made)), later)
        ended = ending.values(expires_at=former_until).returning(_keys.key_id)
        self._changes.add(Subject.KEY, *(each for (each,) in await self._write_transaction.rows(ended)))

    async def enable(self, key_id: str, enabled: bool) -> None:
        """Enable or disable an existing key."""
        await self._update(key_id, enabled=enabled)

    async def remove(self, key_id: str) -> None:
        """Remove a key and what descends from it; an unknown id does nothing."""
        await self.remove_where(_keys.key_id == key_id)

    async def remove_where(self, where: ColumnElement[bool]) -> None:
        """Remove some keys and what descends from them."""
        found = with_descendants(where)
        removed = [key_id for (key_id,) in await self._write_transaction.rows(found)]
        if removed:
            await self._write_transaction.run(delete(schema.api_keys).where(_keys.key_id.in_(found)))
            self._changes.add(Subject.KEY, *removed)

    async def _update(self, key_id: str, **values: Any) -> None:
        if await self._write_transaction.run(update(schema.api_keys).where(_keys.key_id == key_id).values(**values)):
            self._changes.add(Subject.KEY, key_id)
