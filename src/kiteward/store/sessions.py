"""Console sessions that replicas share, and secrets that wait to be shown in them, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.records import SessionRecord, Subject

_sessions = schema.sessions.c
_secrets = schema.secrets_shown.c
_COLUMNS: Final = (
    _sessions.session_id,
    _sessions.user_name,
    _sessions.verified_id,
    _sessions.current_id,
    _sessions.address,
    _sessions.description,
    _sessions.began_at,
    _sessions.used_at,
    _sessions.factor,
)

COUNT: Final = select(func.count()).select_from(schema.sessions)


def with_token(digest: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the session of a token, by its digest."""
    return select(*_COLUMNS).where(_sessions.token_digest == digest)


def with_id(session_id: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the session with a public id."""
    return select(*_COLUMNS).where(_sessions.session_id == session_id)


def of_user(name: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the sessions of a user, the latest first."""
    return select(*_COLUMNS).where(_sessions.user_name == name).order_by(_sessions.began_at.desc())


def records(rows: Rows) -> list[SessionRecord]:
    """Return what the rows of these statements mean."""
    return [SessionRecord(*row) for row in rows]


class ConsoleSessions:
    """Sessions inside a transaction. The end of one is announced as a change of its user; its beginning is not."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def of(self, user_name: str) -> Sequence[SessionRecord]:
        """Return the sessions of a user, the latest first."""
        return records(await self._write_transaction.rows(of_user(user_name)))

    async def count(self) -> int:
        """Return how many sessions are stored."""
        return int((await self._write_transaction.rows(COUNT))[0][0])

    async def add(self, token_digest: str, session: SessionRecord) -> None:
        """Store a session of an existing user under the digest of its token."""
        await self._write_transaction.run(insert(schema.sessions), {"token_digest": token_digest, **asdict(session)})

    async def end(self, session_ids: Sequence[str]) -> None:
        """End sessions, with the secrets that wait to be shown in them; an unknown id does nothing."""
        ended = delete(schema.sessions).where(_sessions.session_id.in_(session_ids)).returning(_sessions.user_name)
        users = await self._write_transaction.rows(ended)
        self._changes.add(Subject.USER, *sorted({name for (name,) in users}))

    async def remove_over(self, *, used_before: float, began_before: float) -> None:
        """Remove sessions that no server accepts any more, because they were not used or began too long ago."""
        over = (_sessions.used_at < used_before) | (_sessions.began_at < began_before)
        await self._write_transaction.run(delete(schema.sessions).where(over))

    async def put_secret(self, ticket_digest: str, session_id: str, sealed: str, *, ends_at: float) -> None:
        """Keep a sealed secret that is to be shown once in a session.

        Args:
            ticket_digest: the digest of the ticket that asks for it.
            session_id: the public id of an existing session.
            sealed: the secret.
            ends_at: until when it is kept, in seconds since the epoch.
        """
        await self._write_transaction.run(
            insert(schema.secrets_shown),
            {"ticket_digest": ticket_digest, "session_id": session_id, "sealed": sealed, "ends_at": ends_at},
        )

    async def take_secret(self, ticket_digest: str, session_id: str, *, now: float) -> str | None:
        """Remove a sealed secret of a session and return it; None if there is none or it has expired."""
        named = (_secrets.ticket_digest == ticket_digest) & (_secrets.session_id == session_id)
        taken = delete(schema.secrets_shown).where(named).returning(_secrets.sealed, _secrets.ends_at)
        rows = await self._write_transaction.rows(taken)
        return str(rows[0][0]) if rows and now < rows[0][1] else None

    async def remove_secrets(self, session_id: str, *, now: float, most: int) -> None:
        """Remove secrets that have expired, and all of a session but the newest `most`."""
        kept = (
            select(_secrets.ticket_digest)
            .where(_secrets.session_id == session_id)
            .order_by(_secrets.ends_at.desc())
            .limit(most)
        )
        older = (_secrets.session_id == session_id) & _secrets.ticket_digest.not_in(kept)
        await self._write_transaction.run(delete(schema.secrets_shown).where((_secrets.ends_at <= now) | older))
