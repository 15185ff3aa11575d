"""Custom privilege groups inside a transaction."""

from sqlalchemy import delete, insert

from kiteward.authz.model import PrivilegeGroup
from kiteward.store import queries, schema
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.records import Subject


class PrivilegeGroups:
    """The groups, and their members."""

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def get(self, name: str) -> PrivilegeGroup | None:
        """Return the group, or None."""
        groups = queries.groups(await self._write_transaction.rows(queries.groups_named(name)))
        return groups[0] if groups else None

    async def put(self, group: PrivilegeGroup) -> None:
        """Create the group or replace its members."""
        present = await self.get(group.name)
        members = sorted(set(group.privileges))
        if present is not None and list(present.privileges) == members:
            return
        await self._write_transaction.run(
            self._write_transaction.insert_missing(schema.privilege_groups), {"name": group.name}
        )
        await self._write_transaction.run(
            delete(schema.privilege_group_members).where(schema.privilege_group_members.c.group_name == group.name)
        )
        if members:
            rows = [{"group_name": group.name, "privilege": privilege} for privilege in members]
            await self._write_transaction.run(insert(schema.privilege_group_members), rows)
        self._changes.add(Subject.GROUP, group.name)

    async def remove(self, name: str) -> None:
        """Remove a group; an unknown name does nothing."""
        if await self._write_transaction.run(
            delete(schema.privilege_groups).where(schema.privilege_groups.c.name == name)
        ):
            self._changes.add(Subject.GROUP, name)
