"""API keys in SQL: the statements that read them, what their rows mean, and their part of a transaction."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Select, and_, delete, func, insert, select, update

from kiteward.store import schema
from kiteward.store.base import FormerSecret, KeyRecord, Subject
from kiteward.store.changes import Changes
from kiteward.store.connections import Rows, WriteTurn

_keys = schema.api_keys.c
_roles = schema.api_key_roles.c
_COLUMNS: Final = tuple(_keys)
_WIDTH: Final = len(_COLUMNS)


def selected(
    *, key_id: str | None = None, owner: str | None = None, after: str = "", limit: int | None = None
) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads keys sorted by id, a row for each role; a key without roles has one row."""
    chosen = select(_keys.key_id).order_by(_keys.key_id).where(_keys.key_id > after)
    if key_id is not None:
        chosen = chosen.where(_keys.key_id == key_id)
    if owner is not None:
        chosen = chosen.where(_keys.owner == owner)
    if limit is not None:
        chosen = chosen.limit(limit)
    return (
        select(*_COLUMNS, _roles.role_name)
        .select_from(schema.api_keys.outerjoin(schema.api_key_roles, _roles.key_id == _keys.key_id))
        .where(_keys.key_id.in_(chosen))
        .order_by(_keys.key_id, _roles.role_name)
    )


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
            former=None if until is None else FormerSecret(held["former_digest"], "", until),
        )


class SqlKeys:
    """Implements `Keys`, where the contract of each method stands."""

    def __init__(self, turn: WriteTurn, changes: Changes, clock: Callable[[], float]) -> None:
        self._turn = turn
        self._changes = changes
        self._clock = clock

    async def get(self, key_id: str) -> KeyRecord | None:
        return next(records(await self._turn.rows(selected(key_id=key_id))), None)

    async def count(self, owner: str) -> int:
        counted = select(func.count()).select_from(schema.api_keys).where(_keys.owner == owner)
        return int((await self._turn.rows(counted))[0][0])

    async def add(self, key: KeyRecord) -> None:
        await self._turn.run(
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
            },
        )
        if key.roles:
            rows = [{"key_id": key.key_id, "role_name": role} for role in key.roles]
            await self._turn.run(insert(schema.api_key_roles), rows)
        self._changes.add(Subject.KEY, key.key_id)

    async def rotate(self, key_id: str, digest: str, *, former_until: float | None = None) -> None:
        former = _keys.digest if former_until is not None else None
        await self._update(key_id, digest=digest, former_digest=former, former_until=former_until)

    async def enable(self, key_id: str, enabled: bool) -> None:
        await self._update(key_id, enabled=enabled)

    async def remove(self, key_id: str) -> None:
        if await self._turn.run(delete(schema.api_keys).where(_keys.key_id == key_id)):
            self._changes.add(Subject.KEY, key_id)

    async def _update(self, key_id: str, **values: Any) -> None:
        if await self._turn.run(update(schema.api_keys).where(and_(_keys.key_id == key_id)).values(**values)):
            self._changes.add(Subject.KEY, key_id)
