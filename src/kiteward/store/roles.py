"""Roles and role bindings inside a transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import and_, delete, func, select, update

from kiteward.authz.model import Role
from kiteward.store import queries, schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.identities import Identities
from kiteward.store.records import Subject
from kiteward.store.row_policies import RowPolicies

_users = schema.users.c
_roles = schema.roles.c
_bindings = schema.role_bindings.c
_key_roles = schema.api_key_roles.c


class RoleHolders(NamedTuple):
    """The names of the users who have a role, and the ids of the API keys that are restricted to roles with it."""

    users: Sequence[str]
    key_ids: Sequence[str]


class Roles:
    """Roles and role bindings inside a transaction."""

    def __init__(
        self,
        write_transaction: WriteTransaction,
        changes: Changes,
        *,
        row_policies: RowPolicies,
        identities: Identities,
    ) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._row_policies = row_policies
        self._identities = identities

    async def get(self, name: str) -> Role | None:
        """Return the role, or None."""
        roles = queries.roles(await self._write_transaction.rows(queries.roles_named(name)))
        return roles[0] if roles else None

    async def count(self) -> int:
        """Return how many roles there are, built-in ones included."""
        return int((await self._write_transaction.rows(select(func.count()).select_from(schema.roles)))[0][0])

    async def put(self, role: Role) -> None:
        """Create the role or replace its description."""
        values = {"name": role.name, "description": role.description}
        if not await self._write_transaction.run(self._write_transaction.insert_missing(schema.roles), values):
            differs = and_(_roles.name == role.name, _roles.description != role.description)
            if not await self._write_transaction.run(
                update(schema.roles).where(differs).values(description=role.description)
            ):
                return
        self._changes.add(Subject.ROLE, role.name)

    async def remove(self, name: str) -> None:
        """Remove a role with its bindings and grants; every user who held it counts as changed.

        It leaves the row policies that name it, as `RowPolicies.forget_role` says.
        """
        await self._row_policies.forget_role(name)
        await self._identities.forget_role(name)
        holders = await self.holders(name)
        if await self._write_transaction.run(delete(schema.roles).where(_roles.name == name)):
            self._changes.add(Subject.ROLE, name)
            self._changes.add(Subject.USER, *holders.users)
            self._changes.add(Subject.KEY, *holders.key_ids)

    async def holders(self, name: str) -> RoleHolders:
        """Return the users to whom a role is bound, and the API keys that are restricted to it and others; sorted."""
        users = select(_bindings.user_name).where(_bindings.role_name == name).order_by(_bindings.user_name)
        keys = select(_key_roles.key_id).where(_key_roles.role_name == name).order_by(_key_roles.key_id)
        found = [await self._write_transaction.rows(statement) for statement in (users, keys)]
        return RoleHolders(*([each for (each,) in rows] for rows in found))

    async def bind(self, user: str, role: str) -> None:
        """Bind an existing role to an existing user; binding again does nothing."""
        if await self._write_transaction.run(
            self._write_transaction.insert_missing(schema.role_bindings), {"user_name": user, "role_name": role}
        ):
            self._changes.add(Subject.USER, user)

    async def enabled_holders(self, role: str) -> Sequence[str]:
        """Return the names of the enabled users to whom a role is bound, sorted."""
        holders = (
            select(_users.name)
            .join(schema.role_bindings, _bindings.user_name == _users.name)
            .where(_bindings.role_name == role, _users.enabled)
            .order_by(_users.name)
        )
        return [name for (name,) in await self._write_transaction.rows(holders)]

    async def unbind(self, user: str, role: str) -> None:
        """Remove a binding; an absent one does nothing."""
        binding = and_(_bindings.user_name == user, _bindings.role_name == role)
        if await self._write_transaction.run(delete(schema.role_bindings).where(binding)):
            self._changes.add(Subject.USER, user)
