"""Exchanges of credentials for API keys in SQL: what their rows mean, and which keys end with what they came of."""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from kiteward.store import schema, tags
from kiteward.store.exchange_records import Exchange, IssuedToken
from kiteward.store.identities import read_rights, stored_rights
from kiteward.store.identity_records import ClaimedRights

_keys = schema.api_keys.c
_exchanges = schema.exchanged_keys.c

COLUMNS: Final = tuple(column for column in _exchanges if column is not _exchanges.key_id)
"""What is read of an exchange with its key; all of them are NULL for a key that was created."""


def read(row: Mapping[str, Any]) -> Exchange | None:
    """Return the exchange of a key, or None.

    Args:
        row: name -> value of `COLUMNS`.
    """
    if row["actor"] is None:
        return None
    return Exchange(
        row["actor"],
        row["actor_key"],
        _token(row["actor_issuer"], row["actor_issued_at"]),
        _token(row["subject_issuer"], row["subject_issued_at"]),
        ClaimedRights() if row["subject_rights"] is None else read_rights(row["subject_rights"]),
        tags.read(row["kept_tags"]),
    )


def written(key_id: str, exchange: Exchange) -> dict[str, Any]:
    """Return the row of the exchange of a key."""
    actor, subject = exchange.actor_token, exchange.subject_token
    return {
        "key_id": key_id,
        "actor": exchange.actor,
        "actor_key": exchange.actor_key,
        "actor_issuer": None if actor is None else actor.issuer,
        "actor_issued_at": None if actor is None else actor.issued_at,
        "subject_issuer": None if subject is None else subject.issuer,
        "subject_issued_at": None if subject is None else subject.issued_at,
        "subject_rights": None if subject is None else stored_rights(exchange.subject_rights),
        "kept_tags": json.dumps(dict(exchange.kept_tags)),
    }


def _token(issuer: str | None, issued_at: float | None) -> IssuedToken | None:
    return None if issuer is None or issued_at is None else IssuedToken(issuer, issued_at)


def where(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that selects the keys of some exchanges.

    Args:
        condition: on columns of exchanges.
    """
    return _keys.key_id.in_(select(_exchanges.key_id).where(condition))


def by(actor: str) -> ColumnElement[bool]:
    """Return the condition that selects the keys that a service got."""
    return where(_exchanges.actor == actor)


def with_key(key_id: str) -> ColumnElement[bool]:
    """Return the condition that selects the keys that a service got by authenticating with a key."""
    return where(_exchanges.actor_key == key_id)


def with_keys(key_ids: Select[tuple[str]]) -> ColumnElement[bool]:
    """Return the condition that selects the keys that services got by authenticating with some keys."""
    return where(_exchanges.actor_key.in_(key_ids))


def among(key_ids: Select[tuple[str]]) -> ColumnElement[bool]:
    """Return the condition that selects, of some keys, those that came of an exchange."""
    return where(_exchanges.key_id.in_(key_ids))


def expired(now: float) -> ColumnElement[bool]:
    """Return the condition that selects the keys of exchanges that have expired."""
    return and_(_keys.expires_at <= now, _keys.key_id.in_(select(_exchanges.key_id)))


def of_tokens(issuer: str, user_name: str | None, issued_before: float | None) -> ColumnElement[bool]:
    """Return the condition that selects the keys of exchanges in which certain tokens were presented.

    Args:
        issuer: who issued the tokens.
        user_name: whose tokens; None for everybody.
        issued_before: only tokens that were issued before this moment; None for all.
    """
    sides: list[ColumnElement[bool]] = []
    for issued_by, issued_at, user in (
        (_exchanges.actor_issuer, _exchanges.actor_issued_at, _exchanges.actor),
        (_exchanges.subject_issuer, _exchanges.subject_issued_at, _keys.owner),
    ):
        chosen = [_exchanges.key_id == _keys.key_id, issued_by == issuer]
        chosen += [] if issued_before is None else [issued_at < issued_before]
        chosen += [] if user_name is None else [user == user_name]
        sides.append(select(_exchanges.key_id).where(*chosen).correlate(schema.api_keys).exists())
    return or_(*sides)


def count_live(actor: str, now: float) -> Select[Any]:
    """Return the statement that counts the keys of a service that have not expired."""
    live = and_(by(actor), or_(_keys.expires_at.is_(None), _keys.expires_at > now))
    return select(func.count()).select_from(schema.api_keys).where(live)


CREATED: Final = _keys.key_id.not_in(select(_exchanges.key_id))
"""Selects the keys that were created, without those of exchanges."""
