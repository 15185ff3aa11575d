"""Console sessions that replicas share, and secrets that wait to be shown in them, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, false, func, insert, literal, or_, select

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.identities import read_rights, stored_rights
from kiteward.store.provider_records import ProviderLogout, ProviderSignIn
from kiteward.store.records import SessionRecord, Subject

_sessions = schema.sessions.c
_secrets = schema.secrets_shown.c
_logouts = schema.provider_logouts.c
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
    _sessions.issuer,
    _sessions.subject,
    _sessions.provider_session,
    _sessions.issued_at,
    _sessions.rights,
)
_BEFORE_SIGN_IN: Final = 9
"""How many of these columns come before those of a sign-in at an identity provider."""

COUNT: Final = select(func.count()).select_from(schema.sessions)

END_OF_USER: Final = delete(schema.sessions).where(_sessions.user_name == bindparam("ended_user"))
"""Ends the sessions of `ended_user`."""


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
    return [replace(SessionRecord(*row[:_BEFORE_SIGN_IN]), sign_in=_sign_in(*row[_BEFORE_SIGN_IN:])) for row in rows]


def _sign_in(issuer: str, subject: str, provider_session: str, issued_at: float, rights: str) -> ProviderSignIn | None:
    """Return the sign-in of a session at an identity provider; None where it began with a password."""
    return ProviderSignIn(issuer, subject, provider_session, issued_at, read_rights(rights)) if issuer else None


def secret_waiting(ticket_digest: str, session_id: str, *, now: float) -> Select[int]:
    """Return the statement that reads a row if a sealed secret of a session waits, and has not expired."""
    named = and_(_secrets.ticket_digest == ticket_digest, _secrets.session_id == session_id, _secrets.ends_at > now)
    return select(literal(1)).where(named)


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
        values = {"token_digest": token_digest, **asdict(session)}
        del values["sign_in"]
        if session.sign_in is not None:
            values |= {**asdict(session.sign_in), "rights": stored_rights(session.sign_in.rights)}
        await self._write_transaction.run(insert(schema.sessions), values)

    async def end(self, session_ids: Sequence[str]) -> None:
        """End sessions, with the secrets that wait to be shown in them; an unknown id does nothing."""
        ended = delete(schema.sessions).where(_sessions.session_id.in_(session_ids)).returning(_sessions.user_name)
        users = await self._write_transaction.rows(ended)
        self._changes.add(Subject.USER, *sorted({name for (name,) in users}))

    async def end_by_provider(self, logout: ProviderLogout, *, now: float) -> Sequence[str]:
        """End the sessions that a notice of an identity provider ends, and keep the notice for sign-ins in progress.

        Args:
            logout: the notice.
            now: seconds since the epoch.

        Returns:
            The users whose sessions have ended, sorted.
        """
        named = _of_sign_in(_sessions, logout)
        candidates = records(await self._write_transaction.rows(select(*_COLUMNS).where(named)))
        ended = [each for each in candidates if logout.ends(each.sign_in)]
        await self.end([each.session_id for each in ended])
        noted = asdict(logout)
        same = [_logouts[name] == value for name, value in noted.items()]
        await self._write_transaction.run(delete(schema.provider_logouts).where(*same))
        await self._write_transaction.run(insert(schema.provider_logouts), {**noted, "noted_at": now})
        return sorted({each.user_name for each in ended})

    async def has_ended(self, sign_in: ProviderSignIn) -> bool:
        """Return whether a notice that is still kept ends what would begin with this sign-in."""
        columns = (_logouts.issuer, _logouts.subject, _logouts.provider_session, _logouts.issued_at)
        noted = await self._write_transaction.rows(select(*columns).where(_of_sign_in(_logouts, sign_in)))
        return any(ProviderLogout(*row).ends(sign_in) for row in noted)

    async def remove_logouts(self, *, noted_before: float) -> None:
        """Remove notices that no sign-in in progress can be about."""
        await self._write_transaction.run(delete(schema.provider_logouts).where(_logouts.noted_at < noted_before))

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

    async def remove_secrets(self, session_id: str, *, now: float, most: int, among: tuple[float, float]) -> None:
        """Remove secrets that have expired, and some of a session but the newest `most` of them.

        Args:
            session_id: the public id of the session.
            now: seconds since the epoch.
            most: how many stay.
            among: only those that end after the first of these moments, and not after the second.
        """
        after, until = among
        counted = and_(_secrets.session_id == session_id, _secrets.ends_at > after, _secrets.ends_at <= until)
        kept = select(_secrets.ticket_digest).where(counted).order_by(_secrets.ends_at.desc()).limit(most)
        older = counted & _secrets.ticket_digest.not_in(kept)
        await self._write_transaction.run(delete(schema.secrets_shown).where((_secrets.ends_at <= now) | older))


def _of_sign_in(columns: Any, named: ProviderSignIn | ProviderLogout) -> ColumnElement[bool]:
    """Return the condition that a row is about the same user at a provider, or about the same session there."""
    same = [columns.subject == named.subject] if named.subject else []
    same += [columns.provider_session == named.provider_session] if named.provider_session else []
    return and_(columns.issuer == named.issuer, or_(false(), *same))
