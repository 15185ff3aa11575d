"""What every store promises: reads at a revision, and transactions that advance it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kiteward.domain.access import Grant, GrantKey, Policy, PrivilegeGroup, Role


class Subject(StrEnum):
    """What kind of thing a change is about."""

    USER = "user"
    ROLE = "role"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change feed: the named user, role (with its grants) or privilege group is not what it was."""

    subject: Subject
    name: str


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did.

    Attributes:
        revision: the store's revision after it; unchanged when nothing changed.
        changes: what is not as it was, without repetition; empty when nothing changed.
    """

    revision: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as stored.

    Attributes:
        name: the user name.
        password_hash: self-describing hash of the password; never the password.
        credential_id: random, new with every password; tells whether a verified credential is still the current one.
        description: free text.
        created_at, changed_at: seconds since the epoch; the latter moves with the password and the description.
        roles: names of the roles bound to the user, sorted; never `public` unless bound explicitly.
    """

    name: str
    password_hash: str
    credential_id: str
    description: str
    created_at: float
    changed_at: float
    roles: tuple[str, ...]

    def __repr__(self) -> str:
        return f"UserRecord(name={self.name!r})"


class IntentKind(StrEnum):
    """A change of the engine that the store must follow."""

    DROP_COLLECTION = "drop_collection"
    RENAME_COLLECTION = "rename_collection"
    DROP_DATABASE = "drop_database"


@dataclass(frozen=True, slots=True)
class Intent:
    """A change of the engine that was about to be asked for.

    It is written down first so that a crash cannot part grants and objects.

    Attributes:
        intent_id: set by the store.
        db_name, object_name: what is dropped or renamed; object_name is empty for a database.
        new_db_name, new_object_name: where a renamed collection goes, else empty.
    """

    kind: IntentKind
    db_name: str
    object_name: str = ""
    new_db_name: str = ""
    new_object_name: str = ""
    intent_id: int = 0


class Users(Protocol):
    """Users inside a transaction."""

    async def get(self, name: str) -> UserRecord | None:
        """Return the user, or None."""
        ...

    async def count(self) -> int:
        """Return how many users there are, `root` included."""
        ...

    async def add(self, name: str, password_hash: str, *, description: str = "") -> None:
        """Create a user without roles. The caller has checked that the name is free."""
        ...

    async def set_password(self, name: str, password_hash: str) -> None:
        """Replace the password hash and the credential id of an existing user."""
        ...

    async def describe(self, name: str, description: str) -> None:
        """Replace the description of an existing user."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a user with its role bindings; an unknown name does nothing."""
        ...


class Roles(Protocol):
    """Roles and role bindings inside a transaction."""

    async def get(self, name: str) -> Role | None:
        """Return the role, or None."""
        ...

    async def count(self) -> int:
        """Return how many roles there are, built-in ones included."""
        ...

    async def put(self, role: Role) -> None:
        """Create the role or replace its description."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a role with its bindings and grants; every user who held it counts as changed."""
        ...

    async def bind(self, user: str, role: str) -> None:
        """Bind an existing role to an existing user; binding again does nothing."""
        ...

    async def unbind(self, user: str, role: str) -> None:
        """Remove a binding; an absent one does nothing."""
        ...


class Grants(Protocol):
    """Grants inside a transaction."""

    async def of_role(self, role: str) -> Sequence[Grant]:
        """Return the grants of a role, in the order of their keys."""
        ...

    async def roles_with(self, privilege: str) -> Sequence[str]:
        """Return the names of the roles that hold a grant of this privilege or group, sorted."""
        ...

    async def add(self, grants: Sequence[Grant]) -> None:
        """Store the grants; one that is there already keeps its grantor and changes nothing."""
        ...

    async def remove(self, role: str, keys: Sequence[GrantKey]) -> None:
        """Remove grants; absent ones do nothing."""
        ...

    async def drop_object(self, db_name: str, object_name: str | None) -> None:
        """Remove the Collection and Global grants on exactly this object of this database.

        Without an object: all grants of the database.
        """
        ...

    async def move_object(self, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Move the Collection and Global grants on exactly one object to another.

        Both are pairs of database and name; grants that become equal merge.
        """
        ...


class Groups(Protocol):
    """Custom privilege groups inside a transaction."""

    async def get(self, name: str) -> PrivilegeGroup | None:
        """Return the group, or None."""
        ...

    async def put(self, group: PrivilegeGroup) -> None:
        """Create the group or replace its members."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a group; an unknown name does nothing."""
        ...


class Intents(Protocol):
    """Intents inside a transaction. They advance no revision."""

    async def all(self) -> Sequence[Intent]:
        """Return every open intent, oldest first."""
        ...

    async def add(self, intent: Intent) -> int:
        """Write an intent down and return its id."""
        ...

    async def remove(self, intent_id: int) -> None:
        """Forget an intent; an unknown id does nothing."""
        ...


class Transaction(Protocol):
    """Reads and writes that become durable together or not at all.

    INVARIANT: writers run one after another, so what a transaction has read holds until it commits.
    """

    @property
    def users(self) -> Users: ...
    @property
    def roles(self) -> Roles: ...
    @property
    def grants(self) -> Grants: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def intents(self) -> Intents: ...

    async def commit(self) -> Committed:
        """Make the changes durable.

        Sync them to disk, advance the revision if anything changed, and return what was done.

        Raises:
            StoreUnavailable: it could not be written; nothing has changed.
        """
        ...


class Store(Protocol):
    """Where users, roles, role bindings, grants, groups and intents are kept.

    Any driver error surfaces as StoreUnavailable.
    """

    async def policy(self) -> Policy:
        """Return all roles, grants and groups at one revision."""
        ...

    async def role(self, name: str) -> tuple[Role, Sequence[Grant]] | None:
        """Return one role with its grants in the order of their keys, or None."""
        ...

    async def group(self, name: str) -> PrivilegeGroup | None:
        """Return one custom privilege group, or None."""
        ...

    async def user(self, name: str) -> UserRecord | None:
        """Return one user with its role bindings, or None."""
        ...

    async def users(self) -> Sequence[UserRecord]:
        """Return every user with its role bindings, sorted by name."""
        ...

    async def user_names(self) -> Sequence[str]:
        """Return every user name, sorted."""
        ...

    async def bindings(self, role: str | None) -> dict[str, tuple[str, ...]]:
        """Return role name -> names of the users bound to it, sorted; of one role, or of all when None."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction; leaving it without `commit` undoes everything.

        It takes the one writer's place until it ends.
        """
        ...

    async def close(self) -> None:
        """Let go of the storage."""
        ...
