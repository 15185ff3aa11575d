"""The store in an SQL database, today SQLite: durable, one writer at a time, readers that never wait for it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncEngine

from kiteward.authz.model import Grant, Policy, PrivilegeGroup, Role
from kiteward.authz.row_policies import ProtectedCollection
from kiteward.domain.request_limits import RequestLimits
from kiteward.store import keys, migrations, queries, request_limits, row_policies, schema, sqlite, tags
from kiteward.store.connections import Observer, Reader, Writer, shielded, translated, unobserved
from kiteward.store.records import Change, HashSchemes, KeyRecord, Subject, UserRecord
from kiteward.store.transaction import FEED_LENGTH, Transaction

T = TypeVar("T")

_CHUNK: Final = 2000
"""Records built before the event loop gets control again; they take a few milliseconds."""


class SqlStore:
    """Implements `Store`, which documents the contract of each method."""

    def __init__(self, path: Path, reader: Reader, writer: Writer, clock: Callable[[], float]) -> None:
        self.path = path
        self._reader = reader
        self._writer = writer
        self._clock = clock

    @classmethod
    async def open(
        cls,
        location: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        observer: Observer = unobserved,
    ) -> "SqlStore":
        """Open the store, creating it or bringing it to the current version.

        Args:
            location: path of the database file, or its `sqlite:///` address.
            clock: seconds since the epoch.
            observer: called with the time that each read and commit took.

        Raises:
            ConfigurationError: the address names something else.
            StoreUnavailable: it cannot be opened, is damaged, or was written by a newer version.
        """
        path = sqlite.database_path(location)
        with translated(f"opened at `{path}`"):
            sqlite.secure_file(path)
            await shielded(_migrate(sqlite.migrating_engine(path)))
            sqlite.sync_directory(path)
        reader = Reader(sqlite.reading_engine(path), sqlite.READERS, observer)
        return cls(path, reader, Writer(sqlite.writing_engine(path), observer), clock)

    async def policy(self) -> Policy:
        revision, roles, grants, groups, protected = await self._reader.rows(
            queries.REVISION, queries.ROLES, queries.GRANTS, queries.GROUPS, row_policies.SELECTED
        )
        held = await _gathered(queries.grants(grants))
        return Policy(
            revision[0][0],
            queries.roles(roles),
            tuple(held),
            queries.groups(groups),
            tuple(await _gathered(row_policies.collections(protected))),
        )

    async def role(self, name: str) -> tuple[Role, Sequence[Grant]] | None:
        roles, grants = await self._reader.rows(queries.roles_named(name), queries.grants_of(name))
        if not roles:
            return None
        return queries.roles(roles)[0], await _gathered(queries.grants(grants))

    async def group(self, name: str) -> PrivilegeGroup | None:
        (rows,) = await self._reader.rows(queries.groups_named(name))
        return next(iter(queries.groups(rows)), None)

    async def protected(self, db_name: str, collection_name: str) -> ProtectedCollection | None:
        (rows,) = await self._reader.rows(row_policies.selected_on(db_name, collection_name))
        return next(row_policies.collections(rows), None)

    async def user(self, name: str) -> UserRecord | None:
        try:
            name.encode()
        except UnicodeEncodeError:
            return None  # presented by an unauthenticated caller, and impossible to store
        (rows,) = await self._reader.rows(queries.users_named(name))
        return next(queries.user_records(rows), None)

    async def users(self, *, after: str = "", prefix: str = "", limit: int | None = None) -> Sequence[UserRecord]:
        (rows,) = await self._reader.rows(queries.users_listed(after=after, prefix=prefix, limit=limit))
        return await _gathered(queries.user_records(rows))

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        current, previous = await self._reader.rows(*queries.hash_schemes(names))
        prefixes = frozenset(prefix for prefix, *_ in (*current, *previous))
        return HashSchemes(prefixes, max((until for _, until in previous), default=None))

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        (rows,) = await self._reader.rows(keys.lineage_of(key_id))
        return list(keys.records(rows))

    async def keys(
        self, *, owner: str | None = None, root: str | None = None, after: str = "", limit: int | None = None
    ) -> Sequence[KeyRecord]:
        (rows,) = await self._reader.rows(keys.selected(owner=owner, root=root, after=after, limit=limit))
        return await _gathered(keys.records(rows))

    async def revision(self) -> int:
        (rows,) = await self._reader.rows(queries.REVISION)
        return int(rows[0][0])

    async def changes_since(self, revision: int) -> Sequence[Change] | None:
        current, rows = await self._reader.rows(queries.REVISION, queries.feed_after(revision))
        if not revision <= current[0][0] <= revision + FEED_LENGTH:
            return None
        return list(dict.fromkeys(Change(Subject(subject), name) for subject, name in rows))

    async def record_last_used(self, *, users: Mapping[str, float], keys: Mapping[str, float]) -> None:
        async with self._writer.write_transaction() as write_transaction:
            for table, column, name, seen in (
                (schema.users, schema.users.c.signed_in_at, schema.users.c.name, users),
                (schema.api_keys, schema.api_keys.c.used_at, schema.api_keys.c.key_id, keys),
            ):
                rows = [{"seen_name": each, "seen_at": at} for each, at in seen.items()]
                if rows:
                    statement = update(table).where(name == bindparam("seen_name"))
                    await write_transaction.run(statement.values({column: bindparam("seen_at")}), rows)
            await write_transaction.commit()

    async def user_names(self) -> Sequence[str]:
        (rows,) = await self._reader.rows(queries.USER_NAMES)
        return [name for (name,) in rows]

    async def users_with_tag(self, key: str, value: str) -> Sequence[str]:
        (rows,) = await self._reader.rows(tags.users_with(key, value))
        return [name for (name,) in rows]

    async def limited(self, subject: Subject) -> Sequence[tuple[str, RequestLimits]]:
        (rows,) = await self._reader.rows(request_limits.holders(subject))
        return [(name, request_limits.read(*limits)) for name, *limits in rows]

    async def bindings(self, role: str | None) -> dict[str, tuple[str, ...]]:
        (rows,) = await self._reader.rows(queries.BINDINGS if role is None else queries.bindings_of(role))
        return queries.collected(rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._writer.write_transaction() as write_transaction:
            yield Transaction(write_transaction, self._clock)

    async def close(self) -> None:
        with translated("closed"):
            await self._writer.close()
            await self._reader.close()


async def _migrate(engine: AsyncEngine) -> None:
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
    finally:
        await engine.dispose()


async def _gathered(items: Iterator[T]) -> list[T]:
    """Build a long list in steps, so that the event loop is not blocked for the whole of it."""
    gathered: list[T] = []
    while chunk := list(islice(items, _CHUNK)):
        gathered += chunk
        await asyncio.sleep(0)
    return gathered
