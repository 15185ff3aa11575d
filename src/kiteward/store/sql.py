"""The store in an SQL database, SQLite or PostgreSQL: durable, one writer at a time, readers that never wait for it."""

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Executable, bindparam, update

from kiteward.authz.model import Grant, Policy
from kiteward.domain.naming import can_be_stored
from kiteward.domain.request_limits import RequestLimits
from kiteward.store import (
    audit_events,
    audit_uses,
    identities,
    intents,
    keys,
    listings,
    queries,
    request_limits,
    row_policies,
    schema,
    second_factors,
    sessions,
    tags,
)
from kiteward.store.audit_events import LineRange, StoredHead
from kiteward.store.backend import Backend, Engines
from kiteward.store.changes import ChangesSince, gathered
from kiteward.store.connections import Observer, Reader, Rows, Writer, shielded, translated, unobserved
from kiteward.store.factor_records import FactorRecord, TicketRecord
from kiteward.store.identity_records import GroupRole
from kiteward.store.intent_records import Intent
from kiteward.store.listings import KeyListing, ListedKeys, ListedUsers, Slice, UserListing
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import (
    HashSchemes,
    KeyRecord,
    LastUsed,
    PolicyChanges,
    SessionRecord,
    Subject,
    Use,
    UserRecord,
)
from kiteward.store.scim import ScimReads
from kiteward.store.sign_in_failures import Attempts
from kiteward.store.sqlite import SqliteBackend, database_path
from kiteward.store.transaction import Transaction

if TYPE_CHECKING:  # PostgreSQL with its driver, and drafts, are loaded where they are used
    from kiteward.store.draft import Draft
    from kiteward.store.postgresql.replicas import PostgresqlReplicas


class SqlStore:
    """Implements `Store`, which documents the contract of each method."""

    def __init__(
        self,
        place: str,
        engines: Engines,
        observer: Observer,
        clock: Callable[[], float],
        *,
        shared: PostgresqlSettings | None = None,
    ) -> None:
        self.place = place
        self._reader = Reader(engines, observer)
        self._writer = Writer(engines, observer)
        self._counter = None if engines.counting is None else Reader(engines.only_counting(engines.counting))
        self._attempts = Attempts(self._count, engines.writing.dialect.name)
        self._scim = ScimReads(self._read)
        self._clock = clock
        self._shared = shared
        self._announcer = secrets.token_hex(16)

    @classmethod
    async def open(
        cls,
        location: str | os.PathLike[str] | PostgresqlSettings,
        *,
        clock: Callable[[], float] = time.time,
        observer: Observer = unobserved,
    ) -> "SqlStore":
        """Open the store, creating it or bringing it to the current version.

        Args:
            location: path of the database file, or its `sqlite:///` address; or a PostgreSQL database.
            clock: seconds since the epoch.
            observer: called with the time that each read and commit took.

        Raises:
            ConfigurationError: the address names something else.
            StoreUnreachable: it cannot be opened now.
            StoreUnavailable: it cannot be opened, is damaged, or was written by a newer version.
        """
        backend = backend_of(location)
        with translated(f"opened at `{backend.place}`"):
            await shielded(backend.prepare())
        engines = backend.engines()
        shared = location if isinstance(location, PostgresqlSettings) else None
        return cls(backend.place, engines, observer, clock, shared=shared)

    @classmethod
    def attach(cls, location: str | os.PathLike[str] | PostgresqlSettings) -> "SqlStore":
        """Return the store without changing its tables, which have to be those of this version.

        Raises:
            ConfigurationError: as `open`.
        """
        backend = backend_of(location)
        engines = backend.engines()
        return cls(backend.place, engines, unobserved, time.time)

    @property
    def shared(self) -> bool:
        return self._shared is not None

    async def policy(self) -> Policy:
        revision, roles, grants, groups, protected = await self._reader.rows(
            queries.REVISION, queries.ROLES, queries.GRANTS, queries.GROUPS, row_policies.SELECTED
        )
        held = await gathered(queries.grants(grants))
        return Policy(
            revision[0][0],
            queries.roles(roles),
            tuple(held),
            queries.groups(groups),
            tuple(await gathered(row_policies.collections(protected))),
        )

    async def user(self, name: str) -> UserRecord | None:
        if not can_be_stored(name):
            return None  # presented by an unauthenticated caller
        (rows,) = await self._reader.rows(queries.users_named(name))
        return next(queries.user_records(rows), None)

    async def users(self, *, after: str = "", prefix: str = "", limit: int | None = None) -> Sequence[UserRecord]:
        (rows,) = await self._reader.rows(queries.users_listed(after=after, prefix=prefix, limit=limit))
        return await gathered(queries.user_records(rows))

    async def grants_since(self, moment: float) -> Sequence[Grant]:
        (rows,) = await self._reader.rows(queries.grants_since(moment))
        return tuple(queries.grants(rows))

    async def federated_user(self, issuer: str, subject: str) -> UserRecord | None:
        if not (can_be_stored(issuer) and can_be_stored(subject)):
            return None
        (rows,) = await self._reader.rows(queries.users_of(issuer, subject))
        return next(queries.user_records(rows), None)

    async def tokens_not_before(self, issuer: str, user_name: str) -> float:
        (rows,) = await self._reader.rows(identities.not_before_of(issuer, user_name))
        return rows[0][0] or 0.0

    async def issuer_cut_offs(self) -> Mapping[str, float]:
        (rows,) = await self._reader.rows(identities.ISSUER_CUT_OFFS)
        return {str(issuer): float(not_before) for issuer, not_before in rows}

    async def group_roles(self, issuer: str | None) -> Sequence[GroupRole]:
        (rows,) = await self._reader.rows(identities.group_roles_of(issuer))
        return identities.group_roles(rows)

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
        return await gathered(keys.records(rows))

    async def list_users(self, listing: UserListing) -> ListedUsers:
        given = (listing.prefix, listing.contains, listing.role, listing.issuer, listing.part.after)
        if not all(map(can_be_stored, given)):
            return ListedUsers((), 0 if listing.part.counted else None)
        rows, total = await self._listed(listing.part, listings.users(listing))
        return ListedUsers(tuple(await gathered(queries.user_records(rows))), total)

    async def list_keys(self, listing: KeyListing) -> ListedKeys:
        given = (listing.owner or "", listing.root or "", listing.key_id or "", listing.contains, listing.part.after)
        if not all(map(can_be_stored, given)):
            return ListedKeys((), 0 if listing.part.counted else None)
        made, ended = await self._reader.rows(listings.MADE, listings.ENDED)
        statements = listings.keys_of(listing, listings.descended(made, ended))
        rows, total = await self._listed(listing.part, statements)
        return ListedKeys(listings.read_keys(rows, listing.now), total)

    async def _listed(self, part: Slice, statements: tuple[Executable, Executable]) -> tuple[Rows, int | None]:
        """Return the rows of a part of a list, and the length of the list where it is asked for."""
        found = await self._reader.rows(*(statements if part.counted else statements[:1]))
        return found[0], int(found[1][0][0]) if part.counted else None

    async def revision(self) -> int:
        (rows,) = await self._reader.rows(queries.REVISION)
        return int(rows[0][0])

    async def changes_since(self, revision: int) -> PolicyChanges | None:
        since = ChangesSince(revision)
        return await since.result(await self._reader.rows(*since.feed, following=since.contents))

    async def open_intents(self) -> tuple[int, tuple[Intent, ...]]:
        revision, rows = await self._reader.rows(queries.REVISION, intents.OPEN)
        return int(revision[0][0]), intents.records(rows)

    @property
    def scim(self) -> ScimReads:
        return self._scim

    @property
    def attempts(self) -> Attempts:
        return self._attempts

    async def record_last_used(self, used: LastUsed) -> None:
        async with self._writer.write_transaction() as write_transaction:
            for column, name, seen in (
                (schema.users.c.signed_in_at, schema.users.c.name, used.users),
                (schema.api_keys.c.used_at, schema.api_keys.c.key_id, used.keys),
                (schema.sessions.c.used_at, schema.sessions.c.session_id, used.sessions),
            ):
                rows = [{"seen_name": each, "seen_at": at} for each, at in seen.items()]
                if rows:
                    earlier = column.is_(None) | (column < bindparam("seen_at"))
                    statement = update(column.table).where(name == bindparam("seen_name"), earlier)
                    await write_transaction.run(statement.values({column: bindparam("seen_at")}), rows)
            if used.rights:
                held = [{"seen_name": name, "seen": identities.stored_rights(it)} for name, it in used.rights.items()]
                await write_transaction.run(identities.RECORD_RIGHTS, held)
            await write_transaction.commit()

    async def session(self, token_digest: str) -> SessionRecord | None:
        (rows,) = await self._reader.rows(sessions.with_token(token_digest))
        return next(iter(sessions.records(rows)), None)

    async def session_named(self, session_id: str) -> SessionRecord | None:
        if not can_be_stored(session_id):
            return None
        (rows,) = await self._reader.rows(sessions.with_id(session_id))
        return next(iter(sessions.records(rows)), None)

    async def sessions_of(self, user_name: str) -> Sequence[SessionRecord]:
        if not can_be_stored(user_name):
            return ()
        (rows,) = await self._reader.rows(sessions.of_user(user_name))
        return sessions.records(rows)

    async def session_count(self) -> int:
        (rows,) = await self._reader.rows(sessions.COUNT)
        return int(rows[0][0])

    async def secret_waits(self, ticket_digest: str, session_id: str, *, now: float) -> bool:
        (rows,) = await self._reader.rows(sessions.secret_waiting(ticket_digest, session_id, now=now))
        return bool(rows)

    async def factors(self, user_name: str) -> Sequence[FactorRecord]:
        (rows,) = await self._reader.rows(second_factors.of_user(user_name))
        return second_factors.factors(rows)

    async def recovery_codes(self, user_name: str) -> int:
        (rows,) = await self._reader.rows(second_factors.codes_of(user_name))
        return int(rows[0][0])

    async def sign_in_ticket(self, token_digest: str) -> TicketRecord | None:
        (rows,) = await self._reader.rows(second_factors.ticket_with(token_digest))
        return next(iter(second_factors.tickets(rows)), None)

    async def uses_after(self, moment: float) -> Sequence[Use]:
        (rows,) = await self._reader.rows(audit_uses.used_after(moment))
        return audit_uses.uses(rows)

    async def uses_since(self) -> float | None:
        (rows,) = await self._reader.rows(audit_uses.SINCE)
        return rows[0][0] if rows else None

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

    async def member_counts(self) -> Mapping[str, int]:
        (rows,) = await self._reader.rows(queries.MEMBER_COUNTS)
        return {role: int(count) for role, count in rows}

    async def audit_head(self) -> StoredHead:
        (rows,) = await self._reader.rows(audit_events.HEAD)
        return audit_events.head_of(rows)

    async def audit_lines(self, wanted: LineRange) -> Sequence[str]:
        (rows,) = await self._reader.rows(audit_events.lines_in(wanted))
        return [line for (line,) in rows]

    async def audit_position(self, trail: str) -> int:
        (rows,) = await self._reader.rows(audit_events.position_of(trail))
        return int(rows[0][0]) if rows else 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._writer.write_transaction() as write_transaction:
            yield Transaction(write_transaction, self._clock, self._announcement)

    def draft(self) -> "AbstractAsyncContextManager[Draft]":
        from kiteward.store.draft import drafted_from  # noqa: PLC0415  few commands need it

        return drafted_from(self._reader, self._clock)

    def replicas(self, *, patience: float) -> "PostgresqlReplicas | None":
        if self._shared is None:
            return None
        from kiteward.store.postgresql.replicas import PostgresqlReplicas  # noqa: PLC0415  as above

        return PostgresqlReplicas(
            self._shared, self._writer.write_transaction, announcer=self._announcer, patience=patience
        )

    async def close(self) -> None:
        with translated("closed"):
            if self._counter is not None:
                await self._counter.close()
            await self._writer.close()
            await self._reader.close()

    async def _read(self, statement: Executable) -> Rows:
        (rows,) = await self._reader.rows(statement)
        return rows

    async def _count(self, statement: Executable) -> Rows:
        """Run a statement that counts, without waiting for transactions where the database allows it."""
        if self._counter is not None:
            (rows,) = await self._counter.rows(statement)
            return rows
        async with self._writer.write_transaction() as write_transaction:
            rows = await write_transaction.rows(statement)
            await write_transaction.commit()
            return rows

    def _announcement(self, revision: int, servers: int) -> Executable | None:
        """Return what announces a revision in the transaction that makes it; None where nobody can share the store."""
        if self._shared is None:
            return None
        from kiteward.store.postgresql.replicas import announcement  # noqa: PLC0415  as above

        return announcement(revision, self._announcer, servers)


def backend_of(location: str | os.PathLike[str] | PostgresqlSettings) -> Backend:
    """Return the database at a location, as `SqlStore.open` takes it.

    Raises:
        ConfigurationError: the address names something else.
    """
    if isinstance(location, PostgresqlSettings):
        from kiteward.store.postgresql.backend import PostgresqlBackend  # noqa: PLC0415  as above

        return PostgresqlBackend(location)
    return SqliteBackend(database_path(location))
