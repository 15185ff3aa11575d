"""Pages of users and API keys as lists show them: searched, filtered, sorted and counted by the database.

Texts are searched without regard to the case of ASCII letters, which both databases compare in the same way.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, Select, and_, exists, func, not_, or_, select

from kiteward.store import keys, queries, schema
from kiteward.store.connections import Rows
from kiteward.store.records import KeyRecord, UserRecord
from kiteward.store.statements import contains_text

_users = schema.users.c
_bindings = schema.role_bindings.c
_identities = schema.federated_identities.c
_keys = schema.api_keys.c


class UserState(StrEnum):
    """Whether a user can authenticate."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    LOCKED = "locked"
    """Enabled, and locked after too many wrong passwords."""


class KeyState(StrEnum):
    """Whether an API key can authenticate. Of several reasons why it cannot, the first one here counts."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    BLOCKED = "blocked"
    """Its owner is disabled or locked, or what it descends from is disabled, or the service that acts with it."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a list to return, and its order.

    Attributes:
        sort: the column to sort by; then by name, which decides among equal ones.
        descending: whether the highest comes first.
        offset: how many entries come before the first one.
        limit: most entries.
        after: only names that sort after this one; empty for all.
        counted: whether to count all entries of the list, those before and after the part included.
    """

    limit: int
    sort: str = ""
    descending: bool = False
    offset: int = 0
    after: str = ""
    counted: bool = False


@dataclass(frozen=True, slots=True)
class UserListing:
    """Selects users.

    Attributes:
        part: the part of the list.
        prefix: only names that begin so.
        contains: only users whose name or description contains it.
        state: only users in this state.
        role: only users to whom this role is bound.
        federated: only users with an identity.
        issuer: only users of this issuer.
    """

    part: Slice
    prefix: str = ""
    contains: str = ""
    state: UserState | None = None
    role: str = ""
    federated: bool = False
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class KeyListing:
    """Selects API keys.

    Attributes:
        part: the part of the list.
        now: seconds since the epoch, by which keys have expired or not.
        owner: only keys of this user.
        root: only this key and what descends from it.
        key_id: only this key.
        contains: only keys whose id, owner or description contains it.
        state: only keys in this state.
        expires_before: only keys that expire before this moment.
    """

    part: Slice
    now: float
    owner: str | None = None
    root: str | None = None
    key_id: str | None = None
    contains: str = ""
    state: KeyState | None = None
    expires_before: float | None = None


@dataclass(frozen=True, slots=True)
class ListedUsers:
    """A part of a list of users, and the length of the whole list where it was asked for."""

    users: tuple[UserRecord, ...]
    total: int | None


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """A part of a list of API keys with their states, and the length of the whole list where it was asked for."""

    keys: tuple[tuple[KeyRecord, KeyState], ...]
    total: int | None


USER_COLUMNS: Final[Mapping[str, ColumnElement[Any]]] = {
    "userName": _users.name,
    "description": _users.description,
    "createdAt": _users.created_at,
    "signedInAt": func.coalesce(_users.signed_in_at, 0.0),
}
"""The columns by which users can be sorted; who has never signed in comes before all others."""

KEY_COLUMNS: Final[Mapping[str, ColumnElement[Any]]] = {
    "keyId": _keys.key_id,
    "userName": _keys.owner,
    "description": _keys.description,
    "createdAt": _keys.created_at,
    "expiresAt": func.coalesce(_keys.expires_at, 1e18),
    "usedAt": func.coalesce(_keys.used_at, 0.0),
}
"""The columns by which API keys can be sorted; what does not expire comes after all others."""

_USER_STATES: Final = {
    UserState.ENABLED: and_(_users.enabled, _users.locked_at.is_(None)),
    UserState.DISABLED: not_(_users.enabled),
    UserState.LOCKED: and_(_users.enabled, _users.locked_at.is_not(None)),
}

_BLOCKED_USERS: Final = select(_users.name).where(or_(not_(_users.enabled), _users.locked_at.is_not(None)))


def users(listing: UserListing) -> tuple[Executable, Executable]:
    """Return the statement that reads a part of a list of users, in rows as of `queries.USERS`, and one that counts."""
    where = _users_where(listing)
    chosen = select(_users.name).where(*where)
    order = _order(listing.part, USER_COLUMNS.get(listing.part.sort, _users.name), _users.name)
    rows = queries.USERS.where(_users.name.in_(_cut(chosen, listing.part, order, _users.name))).order_by(None)
    return rows.order_by(*order, _bindings.role_name), select(func.count()).select_from(schema.users).where(*where)


def _users_where(listing: UserListing) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if listing.prefix:
        # A range, which the primary key serves: no character sorts after the last one there is.
        where += [_users.name >= listing.prefix, _users.name < f"{listing.prefix}\U0010ffff"]
    if listing.contains:
        where.append(_any_contains(listing.contains, _users.name, _users.description))
    if listing.state is not None:
        where.append(_USER_STATES[listing.state])
    if listing.role:
        where.append(_users.name.in_(select(_bindings.user_name).where(_bindings.role_name == listing.role)))
    if listing.federated or listing.issuer:
        held = select(_identities.user_name)
        where.append(_users.name.in_(held.where(_identities.issuer == listing.issuer) if listing.issuer else held))
    return where


def keys_of(listing: KeyListing, ended: Collection[str]) -> tuple[Executable, Executable]:
    """Return the statement that reads a part of a list of API keys, for `read_keys`, and one that counts.

    Args:
        listing: selects them.
        ended: the keys that descend from one that has ended, as `descended` returns them.
    """
    blocked = _blocked(ended)
    where = _keys_where(listing, blocked)
    chosen = select(_keys.key_id).where(*where)
    order = _order(listing.part, KEY_COLUMNS.get(listing.part.sort, _keys.key_id), _keys.key_id)
    wanted = _cut(chosen, listing.part, order, _keys.key_id)
    rows = keys.with_roles(blocked.label("blocked")).where(_keys.key_id.in_(wanted))
    counted = select(func.count()).select_from(schema.api_keys).where(*where)
    return rows.order_by(*order, schema.api_key_roles.c.role_name), counted


def _keys_where(listing: KeyListing, blocked: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if listing.owner is not None:
        where.append(_keys.owner == listing.owner)
    if listing.key_id is not None:
        where.append(_keys.key_id == listing.key_id)
    if listing.root is not None:
        where.append(_keys.key_id.in_(keys.with_descendants(_keys.key_id == listing.root)))
    if listing.contains:
        where.append(_any_contains(listing.contains, _keys.key_id, _keys.owner, _keys.description))
    if listing.state is not None:
        where.append(_in_state(listing.state, blocked, listing.now))
    if listing.expires_before is not None:
        where += [_keys.expires_at > listing.now, _keys.expires_at < listing.expires_before]
    return where


def _in_state(state: KeyState, blocked: ColumnElement[bool], now: float) -> ColumnElement[bool]:
    """Return the condition of a state; `_state_of` says the same of a row."""
    expired = and_(_keys.expires_at.is_not(None), _keys.expires_at <= now)
    return {
        KeyState.DISABLED: not_(_keys.enabled),
        KeyState.BLOCKED: and_(_keys.enabled, blocked),
        KeyState.EXPIRED: and_(_keys.enabled, not_(blocked), expired),
        KeyState.ENABLED: and_(_keys.enabled, not_(blocked), not_(expired)),
    }[state]


def _state_of(record: KeyRecord, *, blocked: bool, now: float) -> KeyState:
    if not record.enabled:
        return KeyState.DISABLED
    if blocked:
        return KeyState.BLOCKED
    return KeyState.EXPIRED if record.expires_at is not None and record.expires_at <= now else KeyState.ENABLED


def _blocked(ended: Collection[str]) -> ColumnElement[bool]:
    """Return whether a key or its service belongs to a blocked user, or descends from what ended."""
    exchanged = schema.exchanged_keys.alias("exchanged").c
    served = exists().where(exchanged.key_id == _keys.key_id, exchanged.actor.in_(_BLOCKED_USERS))
    inherited = and_(_keys.made_by_key.is_not(None), _keys.key_id.in_(ended))
    return or_(_keys.owner.in_(_BLOCKED_USERS), inherited, served)


MADE: Final[Select[*tuple[Any, ...]]] = select(_keys.key_id, _keys.made_by_key).where(_keys.made_by_key.is_not(None))
"""The keys that others were created with, for `descended`: usually few of all."""

ENDED: Final[Select[*tuple[Any, ...]]] = select(_keys.key_id).where(
    or_(not_(_keys.enabled), _keys.owner.in_(_BLOCKED_USERS)),
    _keys.key_id.in_(select(schema.api_keys.alias("made").c.made_by_key)),
)
"""The keys with which others were created, and which are disabled or belong to a blocked user."""


def descended(made: Rows, ended: Rows) -> frozenset[str]:
    """Return the ids of the keys that descend from one that has ended, from the rows of `MADE` and `ENDED`.

    A database would estimate a recursion at millions of rows, and take seconds to plan for them.
    """
    makers: dict[str, str] = dict(map(tuple, made))
    gone = {key_id for (key_id,) in ended}
    found: set[str] = set()
    for key_id in makers:
        lineage, maker = [key_id], makers.get(key_id)
        while maker is not None and maker not in gone and maker not in found:
            lineage.append(maker)
            maker = makers.get(maker)
        if maker is not None:
            found.update(lineage)
    return frozenset(found)


def read_keys(rows: Rows, now: float) -> tuple[tuple[KeyRecord, KeyState], ...]:
    """Return what the rows of `keys_of` mean."""
    blocked = {row[0]: bool(row[-1]) for row in rows}
    records = keys.records(rows)
    return tuple((each, _state_of(each, blocked=blocked[each.key_id], now=now)) for each in records)


def _any_contains(text: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(contains_text(column, text) for column in columns))


def _order(part: Slice, column: ColumnElement[Any], name: ColumnElement[str]) -> tuple[ColumnElement[Any], ...]:
    ordered = (column,) if column is name else (column, name)
    return tuple(each.desc() for each in ordered) if part.descending else ordered


def _cut(
    chosen: Select[tuple[str]], part: Slice, order: tuple[ColumnElement[Any], ...], name: ColumnElement[str]
) -> Select[tuple[str]]:
    if part.after:
        chosen = chosen.where(name > part.after)
    return chosen.order_by(*order).limit(part.limit).offset(part.offset)
