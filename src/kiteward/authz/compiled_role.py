"""A role with its grants, in the form that decisions read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from kiteward.authz.granted_masks import granted_masks
from kiteward.authz.model import Grant, PrivilegeGroup, Role
from kiteward.authz.privileges import SHOWS_COLLECTION, ObjectType
from kiteward.domain.naming import ANY


@dataclass(frozen=True, slots=True)
class CompiledRole:
    """One role with its grants, in the form that decisions read.

    Attributes:
        role: the role.
        grants: its grants in the order of their keys.
        rows: (database, collection) -> mask of database- and collection-level privileges; either part may be `*`.
        cluster: mask of the cluster-level privileges of type Global.
        users: user name or `*` -> mask of the privileges of type User.
        databases: databases that its grants name, `*` included.
        anywhere: mask of the privileges that it holds on at least one object.
    """

    role: Role
    grants: tuple[Grant, ...] = ()
    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    cluster: int = 0
    users: Mapping[str, int] = field(default_factory=dict)
    databases: frozenset[str] = frozenset()
    anywhere: int = 0

    @classmethod
    def compile(cls, role: Role, grants: Iterable[Grant], groups: Mapping[str, PrivilegeGroup]) -> Self:
        """Compile a role from its grants and the custom privilege groups in force."""
        rows: dict[tuple[str, str], int] = {}
        users: dict[str, int] = {}
        cluster = anywhere = 0
        databases: set[str] = set()
        ordered = tuple(sorted(grants, key=lambda grant: grant.key))
        for grant in ordered:
            key = grant.key
            databases.add(key.db_name)
            granted = granted_masks(grant, groups)
            for row, mask in granted.rows:
                rows[row] = rows.get(row, 0) | mask
                anywhere |= mask
            if granted.users:
                name = key.object_name if key.object_type is ObjectType.USER else ANY
                users[name] = users.get(name, 0) | granted.users
            cluster |= granted.cluster
            anywhere |= granted.cluster | granted.users
        return cls(role, ordered, rows, cluster, users, frozenset(databases), anywhere)

    def on(self, database: str, collection: str) -> int:
        """Return the mask of the role's privileges on a collection.

        For `*`: on every collection of the database.
        """
        get = self.rows.get
        return get((database, collection), 0) | get((database, ANY), 0) | get((ANY, collection), 0) | get((ANY, ANY), 0)

    def on_user(self, name: str) -> int:
        """Return the mask of the role's privileges on a user."""
        return self.users.get(name, 0) | self.users.get(ANY, 0)

    def shows(self, database: str, collection: str) -> bool:
        """Return whether the role makes a collection visible.

        Any collection-level privilege on it does, and any grant that names it.
        """
        get = self.rows.get
        if (get((database, ANY), 0) | get((ANY, ANY), 0)) & SHOWS_COLLECTION:
            return True
        # `*` names no collection: a grant on it shows what it allows, and a privilege on the database shows nothing.
        return collection != ANY and bool(get((database, collection), 0) | get((ANY, collection), 0))
