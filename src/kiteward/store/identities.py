"""Federated users in SQL: whom tokens sign in, from when on tokens count, which roles groups give."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, update

from kiteward.store import schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.identity_records import ClaimedRights, GroupRole, IdentityRecord
from kiteward.store.records import Subject

_identities = schema.federated_identities.c
_cutoffs = schema.token_cutoffs.c
_group_roles = schema.group_roles.c

_NOT_BEFORE: Final = (
    select(func.max(_cutoffs.not_before))
    .where(
        _cutoffs.issuer == _identities.issuer,
        or_(_cutoffs.user_name == "", _cutoffs.user_name == _identities.user_name),
    )
    .correlate(schema.federated_identities)
    .scalar_subquery()
)

COLUMNS: Final = (
    _identities.issuer,
    _identities.subject,
    _identities.created_at,
    _identities.rights,
    _NOT_BEFORE,
)
"""The columns of an identity beside its user, for `read`; all NULL for a user without one."""

RECORD_RIGHTS: Final = (
    update(schema.federated_identities)
    .where(_identities.user_name == bindparam("seen_name"), _identities.subject.is_not(None))
    .values(rights=bindparam("seen"))
)
"""Stores the rights of last sign-ins: `seen`, as `stored_rights` returns them, of the user `seen_name`."""

GROUP_ROLES: Final[Select[*tuple[Any, ...]]] = select(
    _group_roles.issuer, _group_roles.group_name, _group_roles.is_pattern, _group_roles.role_name
).order_by(_group_roles.issuer, _group_roles.group_name, _group_roles.is_pattern, _group_roles.role_name)

ISSUER_CUT_OFFS: Final = select(_cutoffs.issuer, _cutoffs.not_before).where(_cutoffs.user_name == "")


def read(user_name: str, columns: Sequence[Any]) -> IdentityRecord | None:
    """Return what `COLUMNS` hold of a user; None where the user has no identity."""
    issuer, subject, created_at, rights, not_before = columns
    if issuer is None:
        return None
    return IdentityRecord(user_name, issuer, subject, created_at, read_rights(rights), not_before or 0.0)


def not_before_of(issuer: str, user_name: str) -> Select[tuple[float | None]]:
    """Return the statement that reads from when on tokens of an issuer count for a user name; NULL for any moment."""
    names = _cutoffs.user_name.in_(("", user_name))
    return select(func.max(_cutoffs.not_before)).where(_cutoffs.issuer == issuer, names)


def user_of(issuer: str, subject: str) -> Select[tuple[str]]:
    """Return the statement that reads the name of the user whom a subject of an issuer signs in."""
    return select(_identities.user_name).where(_identities.issuer == issuer, _identities.subject == subject)


def group_roles_of(issuer: str | None) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the roles that groups give; None: of all issuers."""
    return GROUP_ROLES if issuer is None else GROUP_ROLES.where(_group_roles.issuer == issuer)


def group_roles(rows: Rows) -> Sequence[GroupRole]:
    """Return what the rows of `GROUP_ROLES` mean."""
    return [GroupRole(issuer, group, bool(is_pattern), role) for issuer, group, is_pattern, role in rows]


def stored_rights(rights: ClaimedRights) -> str:
    """Return rights as the column holds them."""
    return json.dumps({"groups": rights.groups, "roles": rights.roles, "tags": dict(rights.tags)})


def read_rights(text: str) -> ClaimedRights:
    """Return what a column holds that `stored_rights` was written to."""
    held = json.loads(text)
    return ClaimedRights(tuple(held["groups"]), tuple(held["roles"]), dict(held["tags"]))


class Identities:
    """Identities, cut-offs and roles of groups inside a transaction. An identity goes with its user."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes, clock: Callable[[], float]) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._clock = clock

    async def add(self, user_name: str, issuer: str, subject: str | None) -> None:
        """Give an existing user without an identity one; its subject is None until the first sign-in.

        The caller has checked that the subject signs in nobody else.
        """
        values = {"user_name": user_name, "issuer": issuer, "subject": subject, "created_at": self._clock()}
        rights = stored_rights(ClaimedRights())
        await self._write_transaction.run(insert(schema.federated_identities), {**values, "rights": rights})
        self._changes.add(Subject.USER, user_name)

    async def user_of(self, issuer: str, subject: str) -> str | None:
        """Return the user whom a subject of an issuer signs in, or None."""
        rows = await self._write_transaction.rows(user_of(issuer, subject))
        return None if not rows else str(rows[0][0])

    async def settle(self, user_name: str, subject: str) -> None:
        """Set the subject of an invited user, who has none yet."""
        open_ = and_(_identities.user_name == user_name, _identities.subject.is_(None))
        if await self._write_transaction.run(update(schema.federated_identities).where(open_).values(subject=subject)):
            self._changes.add(Subject.USER, user_name)

    async def release(self, user_name: str) -> bool:
        """Let another subject become the user, whose rights of the last sign-in go. Return whether it had a subject.

        Tokens that were issued before do not count any longer: the one that signed in last would sign in again.
        """
        bound = and_(_identities.user_name == user_name, _identities.subject.is_not(None))
        rights = stored_rights(ClaimedRights())
        released = await self._write_transaction.run(
            update(schema.federated_identities).where(bound).values(subject=None, rights=rights)
        )
        if released:
            await self.end_tokens(user_name)
        return bool(released)

    async def not_before(self, issuer: str, user_name: str) -> float:
        """Return from when on tokens of an issuer count for a user name, whether or not there is such a user."""
        rows = await self._write_transaction.rows(not_before_of(issuer, user_name))
        return rows[0][0] or 0.0

    async def end_tokens(self, user_name: str) -> None:
        """Accept no token any longer that was issued before now to a user with an identity; others have none.

        It stays so when the user is removed: whoever gets the name signs in with a token that was issued later.
        """
        issuers = select(_identities.issuer).where(_identities.user_name == user_name)
        for (issuer,) in await self._write_transaction.rows(issuers):
            await self.cut_off(issuer, user_name, self._clock())

    async def cut_off(self, issuer: str, user_name: str, not_before: float) -> float | None:
        """Accept tokens only that were issued at a moment or later, and return what was set before, or None.

        Where a later moment is set already, it stays: what was cut off is not accepted again.

        Args:
            issuer: their issuer.
            user_name: whose tokens; empty for those of all users.
            not_before: seconds since the epoch.
        """
        named = and_(_cutoffs.issuer == issuer, _cutoffs.user_name == user_name)
        held = await self._write_transaction.rows(select(_cutoffs.not_before).where(named))
        before = float(held[0][0]) if held else None
        if before is not None and before >= not_before:
            return before
        values = {"issuer": issuer, "user_name": user_name, "not_before": not_before}
        await self._write_transaction.run(self._write_transaction.insert_later(_cutoffs.not_before), values)
        if user_name:
            self._changes.add(Subject.USER, user_name)
        else:
            self._changes.add(Subject.ISSUER, issuer)
        return before

    async def count_group_roles(self) -> int:
        """Return how many roles groups give, of all issuers."""
        return int((await self._write_transaction.rows(select(func.count()).select_from(schema.group_roles)))[0][0])

    async def gives_role(self, mapping: GroupRole) -> bool:
        """Return whether membership in a group gives a role."""
        given = select(_group_roles.role_name).where(_is(mapping))
        return bool(await self._write_transaction.rows(given))

    async def grant_role(self, mapping: GroupRole) -> bool:
        """Let membership in a group give an existing role. Return whether that is new."""
        new = bool(
            await self._write_transaction.run(
                self._write_transaction.insert_missing(schema.group_roles), _columns_of(mapping)
            )
        )
        if new:
            self._changes.add(Subject.ISSUER, mapping.issuer)
        return new

    async def revoke_role(self, mapping: GroupRole) -> bool:
        """Let membership in a group no longer give a role. Return whether it did."""
        there = bool(await self._write_transaction.run(delete(schema.group_roles).where(_is(mapping))))
        if there:
            self._changes.add(Subject.ISSUER, mapping.issuer)
        return there

    async def giving_role(self, role: str) -> Sequence[GroupRole]:
        """Return the groups of all issuers that give a role, sorted."""
        return group_roles(await self._write_transaction.rows(GROUP_ROLES.where(_group_roles.role_name == role)))

    async def forget_role(self, role: str) -> None:
        """Announce that a role, which is about to be removed, is no longer given by any group."""
        issuers = select(_group_roles.issuer).distinct().where(_group_roles.role_name == role)
        names = await self._write_transaction.rows(issuers.order_by(_group_roles.issuer))
        self._changes.add(Subject.ISSUER, *(name for (name,) in names))


def _is(mapping: GroupRole) -> ColumnElement[bool]:
    return and_(*(_group_roles[name] == value for name, value in _columns_of(mapping).items()))


def _columns_of(mapping: GroupRole) -> dict[str, Any]:
    return {
        "issuer": mapping.issuer,
        "group_name": mapping.group,
        "is_pattern": mapping.is_pattern,
        "role_name": mapping.role,
    }
