"""What grants allow, evaluated one grant at a time and straight from the rules; slow, so that it stays obvious.

Rules carry their source, a section of the contract or a decision record:
- [contract 4.6] a caller may do what one of its roles may do; `root` and the role `admin` may do all; everybody holds
  `public`.
- [decision 0001] roles add up: several names may be allowed by several roles.
- [decision 0007] a grant on a named collection reaches no further, whatever is in it.
- [contract 4.7] `All` and the legacy groups compare the database by equality, so that on `*` only the cluster is left.
- [contract 4.8] cluster-level privileges are checked on `*`.
- [decision 0003] a grant naming the single privilege on `default` counts too.
- [decision 0002] any privilege on a collection makes it visible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.unit.gateway.model import catalogue

ANY = "*"


class Key(NamedTuple):
    """A grant as SelectGrant tells it; the order is that of contract 2.4."""

    kind: str
    database: str
    name: str
    privilege: str


@dataclass(slots=True)
class Policy:
    """Roles with their grants and grantors, and custom groups with their members.

    Attributes:
        kept: role and grant on a dropped collection -> the user who dropped it, for whom it is kept [decision 0030].
    """

    roles: dict[str, dict[Key, str]] = field(default_factory=lambda: {"admin": {}, "public": {}})
    groups: dict[str, set[str]] = field(default_factory=dict)
    kept: dict[tuple[str, Key], str] = field(default_factory=dict)

    def give(self, role: str, key: Key, grantor: str) -> None:
        """Grant; what is there keeps its grantor, and is kept for nobody."""
        self.roles[role].setdefault(key, grantor)
        self.kept.pop((role, key), None)

    def take(self, role: str, key: Key) -> bool:
        """Take a grant away; tell whether it was there."""
        self.kept.pop((role, key), None)
        return self.roles[role].pop(key, None) is not None

    def drop_role(self, role: str) -> None:
        """Take a role away with all that it holds."""
        for key in [*self.roles[role]]:
            self.take(role, key)
        del self.roles[role]

    def release(self, database: str, name: str, creator: str = "", roles: Iterable[str] = ()) -> None:
        """Take away what is kept on a name, but for what is kept for this creator of a role that it holds."""
        for (role, key), user in [*self.kept.items()]:
            if (key.database, key.name) == (database, name) and not (user == creator and role in roles):
                self.take(role, key)


def members(key: Key, groups: Mapping[str, set[str]]) -> frozenset[str]:
    """Return the single privileges that a grant's privilege or group stands for."""
    name = key.privilege
    if name == ANY and key.kind == "Global" and key.name != ANY:
        # [decision 0007] given by V2 alone, on a named collection
        return catalogue.COLLECTION
    if name == ANY:
        return catalogue.OF_TYPE[key.kind]
    if name == "All":
        return catalogue.SINGLE - {"SkipRLS", "CallProvider", "ProvisionUsers", "ExchangeToken"}
    for groups_of_the_server in (catalogue.BUILT_IN, catalogue.LEGACY):
        if name in groups_of_the_server:
            return groups_of_the_server[name]
    if name in catalogue.SINGLE:
        return frozenset({name})
    # [contract 2.5] nested groups are not expanded
    return frozenset(groups.get(name, ())) & catalogue.SINGLE


def compares_by_equality(key: Key) -> bool:
    """Return whether `*` as database means only itself [contract 4.7]."""
    return key.privilege == "All" or key.privilege in catalogue.LEGACY


def gives(key: Key, privilege: str, database: str, name: str, groups: Mapping[str, set[str]]) -> bool:
    """Return whether a grant allows a privilege on an object.

    Args:
        key: the grant.
        privilege: a single privilege.
        database: where; without meaning for cluster-level privileges.
        name: a collection or user; `*` asks for all of them.
        groups: custom groups.
    """
    if privilege not in members(key, groups):
        return False
    if privilege in catalogue.USER_CLUSTER:
        return _gives_on_user(key, name)
    if privilege in catalogue.CLUSTER:
        on_default = key.database == "default" and key.privilege == privilege
        return key.name == ANY and (key.database == ANY or on_default)
    if key.kind == "User":
        return False
    if key.privilege in catalogue.LEGACY and privilege in ("ShowCollections", "DescribeDatabase"):
        return key.database == database != ANY
    in_database = key.database == database or (key.database == ANY and not compares_by_equality(key))
    if compares_by_equality(key) and key.database == ANY:
        return False
    return in_database and key.name in (ANY, name)


def _gives_on_user(key: Key, name: str) -> bool:
    if key.kind == "User":
        return key.database in (ANY, "default") and key.name in (ANY, name)
    return key.database == ANY and key.name == ANY


class Authorizer:
    """Decides what one user may do and see."""

    def __init__(self, policy: Policy, user: str, roles: Iterable[str]) -> None:
        """Set up the decisions for a user.

        Args:
            policy: roles, grants and groups.
            user: who asks.
            roles: the roles bound to the user.
        """
        self._policy = policy
        self.user = user
        self.bound = frozenset(roles)
        self.unlimited = user == "root" or "admin" in self.bound

    def may(self, privilege: str, database: str = ANY, names: Iterable[str] = (ANY,)) -> bool:
        """Return whether the user holds a privilege on every one of the names."""
        return all(self._may_one(privilege, database, name) for name in names)

    def may_or_sees(self, privilege: str, database: str, names: Iterable[str]) -> bool:
        """Return the same for operations that any privilege on a collection allows as well."""
        return all(self._may_one(privilege, database, name) or self.sees(database, name) for name in names)

    def sees(self, database: str, name: str) -> bool:
        """Return whether some privilege reaches a collection and makes it visible [decision 0002]."""
        return self.unlimited or any(self._shows(key, database, name) for key in self._keys())

    def lists_collection(self, database: str, name: str) -> bool:
        """Return whether a list shows a collection: `public` on all databases does not count [decision 0002]."""
        return self.unlimited or any(self._shows(key, database, name) for key in self._listing_keys())

    def lists_database(self, name: str) -> bool:
        """Return whether a list shows a database: some grant is for it or for all [contract 4.9]."""
        return self.unlimited or any(key.database in (ANY, name) for key in self._listing_keys())

    def _may_one(self, privilege: str, database: str, name: str) -> bool:
        if self.unlimited:
            return True
        if privilege in catalogue.USER_CLUSTER and name == self.user:
            return True
        groups = self._policy.groups
        return any(gives(key, privilege, database, name, groups) for key in self._keys())

    def _shows(self, key: Key, database: str, name: str) -> bool:
        groups = self._policy.groups
        named = key.name == name != ANY
        below_cluster = catalogue.DATABASE | catalogue.COLLECTION if named else catalogue.COLLECTION
        return any(gives(key, each, database, name, groups) for each in below_cluster & members(key, groups))

    def _keys(self) -> Iterable[Key]:
        for role in self.bound | {"public"}:
            yield from self._policy.roles.get(role, ())

    def _listing_keys(self) -> Iterable[Key]:
        for role in self.bound:
            yield from self._policy.roles.get(role, ())
        yield from (key for key in self._policy.roles["public"] if key.database != ANY)
