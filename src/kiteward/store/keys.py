"""API keys in SQL: the statements that read them, what their rows mean, and their part of a transaction."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, insert, literal, or_, select, update

from kiteward.store import exchanges, request_limits, schema, tags
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import KeyRecord, PreviousSecret, Subject

_keys = schema.api_keys.c
_roles = schema.api_key_roles.c
_COLUMNS: Final = (*_keys, tags.of_key(_keys.key_id).label("tags"), *exchanges.COLUMNS)
_WIDTH: Final = len(_COLUMNS)


_WITH_ROLES: Final = schema.api_keys.outerjoin(schema.api_key_roles, _roles.key_id == _keys.key_id).outerjoin(
    schema.exchanged_keys, schema.exchanged_keys.c.key_id == _keys.key_id
)


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
    return with_roles().where(_keys.key_id.in_(chosen)).order_by(_keys.key_id, _roles.role_name)


def with_roles(*further: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads keys in no order, a row for each role; `further` columns follow."""
    return select(*_COLUMNS, _roles.role_name, *further).select_from(_WITH_ROLES)


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


def with_descendants(where: ColumnElement[bool], *, name: str = "descendants") -> Select[tuple[str]]:
    """Return the statement that reads the ids of some keys and of every key that descends from one of them.

    Args:
        where: selects the keys.
        name: what the statement calls them; each part of a larger statement needs a name of its own.
    """
    found = select(_keys.key_id).where(where).cte(name, recursive=True)
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
            exchange=exchanges.read(held),
        )


class Keys:
    """API keys inside a transaction. They go with their owner, and a removed role leaves the lists of all keys.

    A key descends from the key that it was made with, and from whatever that one descends from. The key of an exchange
    also ends with the service, and with the credentials that both parties presented. Nothing is made with such a key.
    """

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return the key, then the keys that it descends from, the nearest first; empty where there is no such key."""
        return list(records(await self._write_transaction.rows(lineage_of(key_id))))

    async def count(self, owner: str) -> int:
        """Return how many keys a user has, without those of exchanges."""
        counted = select(func.count()).select_from(schema.api_keys).where(_keys.owner == owner, exchanges.CREATED)
        return int((await self._write_transaction.rows(counted))[0][0])

    async def ids_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the keys of a user, those of exchanges included, sorted."""
        owned = select(_keys.key_id).where(_keys.owner == owner).order_by(_keys.key_id)
        return [key_id for (key_id,) in await self._write_transaction.rows(owned)]

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
        if key.exchange is not None:
            row = exchanges.written(key.key_id, key.exchange)
            await self._write_transaction.run(insert(schema.exchanged_keys), row)
        self._changes.add(Subject.KEY, key.key_id)

    async def rotate(self, key_id: str, digest: str, *, former_until: float | None = None) -> Sequence[str]:
        """Replace the digest of an existing key; the present one stays accepted until then, or no longer.

        What descends from the key, or came of exchanges with it, ends with the present digest.

        Returns:
            The ids of what ends so, and would not have ended earlier.
        """
        previous = _keys.digest if former_until is not None else None
        await self._update(key_id, digest=digest, former_digest=previous, former_until=former_until)
        made = _keys.made_by_key == key_id
        if former_until is None:
            return await self._remove(_with_what_came_of(with_descendants(made), key_id))
        later = or_(_keys.expires_at.is_(None), _keys.expires_at > former_until)
        ending = update(schema.api_keys).where(_with_what_came_of(with_descendants(made), key_id), later)
        rows = await self._write_transaction.rows(ending.values(expires_at=former_until).returning(_keys.key_id))
        ended = [each for (each,) in rows]
        self._changes.add(Subject.KEY, *ended)
        return ended

    async def enable(self, key_id: str, enabled: bool) -> None:
        """Enable or disable an existing key. What came of exchanges with a disabled key is removed."""
        await self._update(key_id, enabled=enabled)
        if not enabled:
            made = with_descendants(_keys.made_by_key == key_id)
            await self._remove(or_(exchanges.among(made), _came_of(made, key_id)))

    async def describe(self, key_id: str, description: str) -> None:
        """Replace the description of an existing key."""
        await self._update(key_id, description=description)

    async def remove(self, key_id: str) -> Sequence[str]:
        """Remove a key and what descends from it or came of exchanges with it; an unknown id does nothing.

        Returns:
            The ids of all that are removed.
        """
        return await self.remove_where(_keys.key_id == key_id)

    async def remove_of(self, user_name: str) -> Sequence[str]:
        """Remove the keys of a user, those that it got in exchanges, and what descends from them or came of them.

        Returns:
            The ids of all that are removed.
        """
        return await self.remove_where(or_(_keys.owner == user_name, exchanges.by(user_name)))

    async def remove_where(self, where: ColumnElement[bool]) -> Sequence[str]:
        """Remove some keys and what descends from them or came of exchanges with them. Return the ids of all."""
        found = with_descendants(where)
        return await self._remove(or_(_keys.key_id.in_(found), exchanges.with_keys(found)))

    async def count_exchanged(self, actor: str) -> int:
        """Return how many keys a service has got in exchanges that have not expired."""
        counted = exchanges.count_live(actor, self._clock())
        return int((await self._write_transaction.rows(counted))[0][0])

    async def remove_expired_exchanges(self) -> None:
        """Remove the keys of exchanges that have expired, of every service."""
        await self._remove(exchanges.expired(self._clock()))

    async def end_exchanges_of(self, user_name: str) -> None:
        """Remove the keys that came of exchanges in which this user took part, as their owner or as the service.

        Those that came of a key that descends from one of the user's are removed too.
        """
        theirs = with_descendants(_keys.owner == user_name)
        await self._remove(or_(exchanges.by(user_name), exchanges.among(theirs), exchanges.with_keys(theirs)))

    async def end_exchanges_by_tokens(
        self, issuer: str, *, user_name: str | None = None, issued_before: float | None = None
    ) -> None:
        """Remove the keys of exchanges in which either party presented certain tokens.

        Args:
            issuer: who issued the tokens.
            user_name: whose tokens; None for everybody.
            issued_before: only tokens that were issued before this moment, in seconds since the epoch; None for all.
        """
        await self._remove(exchanges.of_tokens(issuer, user_name, issued_before))

    async def _remove(self, where: ColumnElement[bool]) -> Sequence[str]:
        removed = [key_id for (key_id,) in await self._write_transaction.rows(select(_keys.key_id).where(where))]
        if removed:
            await self._write_transaction.run(delete(schema.api_keys).where(where))
            self._changes.add(Subject.KEY, *removed)
        return removed

    async def _update(self, key_id: str, **values: Any) -> None:
        if await self._write_transaction.run(update(schema.api_keys).where(_keys.key_id == key_id).values(**values)):
            self._changes.add(Subject.KEY, key_id)


def _came_of(made: Select[tuple[str]], key_id: str) -> ColumnElement[bool]:
    """Return the condition that selects what came of exchanges with a key, or with what descends from it (`made`)."""
    return or_(exchanges.with_keys(made), exchanges.with_key(key_id))


def _with_what_came_of(made: Select[tuple[str]], key_id: str) -> ColumnElement[bool]:
    """Return the condition that selects what descends from a key (`made`), and what came of exchanges with any."""
    return or_(_keys.key_id.in_(made), _came_of(made, key_id))
