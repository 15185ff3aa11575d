"""Statements that read users and policy, and what their rows mean; shared by reads and transactions."""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, exists, func, select

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ObjectType
from kiteward.store import factor_tables, identities, request_limits, schema, scim, tags
from kiteward.store.connections import Rows
from kiteward.store.records import PreviousSecret, UserRecord
from kiteward.store.statements import position

_OBJECT_TYPES: Final = {str(kind): kind for kind in ObjectType}

_users = schema.users.c
_bindings = schema.role_bindings.c
_roles = schema.roles.c
_grants = schema.grants.c
_members = schema.privilege_group_members.c
_groups = schema.privilege_groups.c
_factors = factor_tables.second_factors.c

_USER: Final = tuple(_users)

_HAS_FACTOR: Final = exists().where(_factors.user_name == _users.name, _factors.confirmed_at.is_not(None))

USERS: Final[Select[*tuple[Any, ...]]] = (
    select(*_USER, tags.of_user(_users.name), _HAS_FACTOR, *identities.COLUMNS, *scim.OF_USER, _bindings.role_name)
    .select_from(
        schema.users.outerjoin(
            schema.federated_identities, schema.federated_identities.c.user_name == _users.name
        ).outerjoin(schema.role_bindings, _bindings.user_name == _users.name)
    )
    .order_by(_users.name, _bindings.role_name)
)
"""One row for each user and role; a user without roles has one row."""

BINDINGS: Final[Select[*tuple[Any, ...]]] = (
    select(_roles.name, _bindings.user_name)
    .select_from(schema.roles.outerjoin(schema.role_bindings, _bindings.role_name == _roles.name))
    .order_by(_roles.name, _bindings.user_name)
)
"""One row for each role and user; a role without users has one row."""

MEMBER_COUNTS: Final[Select[*tuple[Any, ...]]] = select(_bindings.role_name, func.count()).group_by(_bindings.role_name)
USER_NAMES: Final[Select[*tuple[Any, ...]]] = select(_users.name).order_by(_users.name)
REVISION: Final[Select[*tuple[Any, ...]]] = select(schema.revision.c.value).where(
    schema.revision.c.id == schema.REVISION_ROW
)
ROLES: Final[Select[*tuple[Any, ...]]] = select(
    _roles.name, _roles.description, _roles.limit_rate, _roles.limit_burst, _roles.limit_concurrent
).order_by(_roles.name)
GRANTS: Final[Select[*tuple[Any, ...]]] = select(
    _grants.role_name,
    _grants.object_type,
    _grants.db_name,
    _grants.object_name,
    _grants.privilege,
    _grants.grantor,
    _grants.kept_for,
).order_by(_grants.role_name, _grants.object_type, _grants.db_name, _grants.object_name, _grants.privilege)
GROUPS: Final[Select[*tuple[Any, ...]]] = (
    select(_groups.name, _members.privilege)
    .select_from(schema.privilege_groups.outerjoin(schema.privilege_group_members, _members.group_name == _groups.name))
    .order_by(_groups.name, _members.privilege)
)
"""One row for each group and member; an empty group has one row."""


def users_named(name: str) -> Select[*tuple[Any, ...]]:
    """Return `USERS` for one user."""
    return USERS.where(_users.name == name)


def users_of(issuer: str, subject: str) -> Select[*tuple[Any, ...]]:
    """Return `USERS` for the user whom a subject of an issuer signs in."""
    return USERS.where(_users.name.in_(identities.user_of(issuer, subject)))


def users_listed(*, after: str = "", prefix: str = "", limit: int | None = None) -> Select[*tuple[Any, ...]]:
    """Return `USERS` for a page of users."""
    if not (after or prefix or limit is not None):
        return USERS
    chosen = select(_users.name).order_by(_users.name).where(_users.name > after)
    if prefix:
        # A range, which the primary key serves: no character sorts after the last one there is.
        chosen = chosen.where(_users.name >= prefix, _users.name < f"{prefix}\U0010ffff")
    if limit is not None:
        chosen = chosen.limit(limit)
    return USERS.where(_users.name.in_(chosen))


def feed_after(revision: int) -> Select[*tuple[Any, ...]]:
    """Return what the change feed holds of later revisions, oldest first."""
    feed = schema.change_feed.c
    return select(feed.subject, feed.name).where(feed.revision > revision).order_by(feed.revision)


def bindings_of(role: str) -> Select[*tuple[Any, ...]]:
    """Return `BINDINGS` for one role."""
    return BINDINGS.where(_roles.name == role)


def roles_named(name: str) -> Select[*tuple[Any, ...]]:
    """Return `ROLES` for one role."""
    return ROLES.where(_roles.name == name)


def grants_of(role: str) -> Select[*tuple[Any, ...]]:
    """Return `GRANTS` for one role."""
    return GRANTS.where(_grants.role_name == role)


def grants_since(moment: float) -> Select[*tuple[Any, ...]]:
    """Return `GRANTS` for those that were made at this moment or later; older ones may have no time."""
    return GRANTS.where(_grants.granted_at >= moment)


def groups_named(name: str) -> Select[*tuple[Any, ...]]:
    """Return `GROUPS` for one group."""
    return GROUPS.where(_groups.name == name)


def hash_schemes(names: Collection[str] | None) -> tuple[Select[*tuple[Any, ...]], Select[*tuple[Any, ...]]]:
    """Return the schemes of hashes of these users, or of all: current ones; previous ones, each with its latest end."""
    current = select(_beginning(_users.password_hash)).distinct()
    kind = _beginning(_users.former_hash).label("kind")
    latest = func.max(_users.former_until)
    previous = select(kind, latest).where(_users.former_until.is_not(None)).group_by("kind")
    if names is not None:
        current, previous = current.where(_users.name.in_(names)), previous.where(_users.name.in_(names))
    return current, previous


def _beginning(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the algorithm and cost that a password hash begins with: `$2a$10`, `$argon2id$v=19$m=19456,t=2,p=1$`."""
    lanes = position(column, ",p=")
    return func.substr(column, 1, case((lanes > 0, lanes + len(",p=16") - 1), else_=len("$2a$10")))


def user_records(rows: Rows) -> Iterator[UserRecord]:
    """Yield what the rows of `USERS` mean."""
    width = len(_USER) + 2 + len(identities.COLUMNS) + len(scim.OF_USER)
    for columns, group in groupby(rows, key=lambda row: tuple(row[:width])):
        name, password_hash, credential_id, description, created_at, changed_at = columns[:6]
        enabled, signed_in_at, locked_at, former_hash, former_id, former_until, one_time = columns[6:13]
        yield UserRecord(
            name,
            password_hash,
            credential_id,
            description,
            created_at,
            changed_at,
            tuple(row[width] for row in group if row[width] is not None),
            enabled=enabled,
            signed_in_at=signed_in_at,
            locked_at=locked_at,
            previous=None if former_until is None else PreviousSecret(former_hash, former_id, former_until),
            one_time=one_time,
            tags=tags.read(columns[16]),
            limits=request_limits.read(*columns[13:16]),
            second_factor=bool(columns[17]),
            identity=identities.read(name, columns[18 : -len(scim.OF_USER)]),
            scim_login=columns[-2],
            group_roles=scim.read_roles(columns[-1]),
        )


def collected(rows: Rows) -> dict[str, tuple[str, ...]]:
    """Return key -> its values, from rows of two columns sorted by the first; a missing value adds none."""
    return {
        key: tuple(row[1] for row in group if row[1] is not None)
        for key, group in groupby(rows, key=lambda row: row[0])
    }


def grants(rows: Rows) -> Iterator[Grant]:
    """Yield what the rows of `GRANTS` mean."""
    kinds = _OBJECT_TYPES
    for role, kind, db_name, object_name, privilege, grantor, kept_for in rows:
        yield Grant(role, GrantKey(kinds[kind], db_name, object_name, privilege), grantor, kept_for)


def groups(rows: Rows) -> tuple[PrivilegeGroup, ...]:
    """Return what the rows of `GROUPS` mean."""
    return tuple(PrivilegeGroup(name, members) for name, members in collected(rows).items())


def roles(rows: Rows) -> tuple[Role, ...]:
    """Return what the rows of `ROLES` mean."""
    return tuple(Role(name, description, request_limits.read(*limits)) for name, description, *limits in rows)
