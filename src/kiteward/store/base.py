"""What every store promises: reads at a revision, and transactions that advance it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from kiteward.authz.model import Grant, GrantKey, Policy, PrivilegeGroup, Role


class Subject(StrEnum):
    """What kind of thing a change is about."""

    USER = "user"
    ROLE = "role"
    GROUP = "group"
    KEY = "key"
    CREDENTIAL = "credential"
    """A user was created, given another password, unlocked or enabled: its failures so far count no longer."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change feed: the named user, role (with its grants), group or API key is not what it was.

    A `CREDENTIAL` stands beside the `USER` that it says more about.
    """

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
class PreviousSecret:
    """What was replaced and still opens until its time is up.

    Attributes:
        stored: the password hash or key digest.
        credential_id: the credential id it had; empty for keys.
        valid_until: seconds since the epoch.
    """

    stored: str = field(repr=False)
    credential_id: str
    valid_until: float


@dataclass(frozen=True, slots=True)
class HashSchemes:
    """Which kinds of password hashes users have.

    Attributes:
        prefixes: how the hashes begin, algorithm and cost included.
        former_until: when the last former password ends that is still accepted, or None where there is none.
    """

    prefixes: frozenset[str]
    former_until: float | None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as stored.

    Attributes:
        name: the user name.
        password_hash: self-describing hash of the password; never the password.
        credential_id: random, new with every password and when the user is disabled; tells whether a verified
            credential is still the current one.
        description: free text.
        created_at, changed_at: seconds since the epoch; the latter moves with the password, the description and
            whether the user is enabled.
        roles: names of the roles bound to the user, sorted; never `public` unless bound explicitly.
        enabled: whether the user may come in.
        signed_in_at: when the user was last seen, in seconds since the epoch, or None.
        locked_at: when too many wrong passwords locked the user, or None.
        previous: the password before the last reset, while it is still accepted.
        one_time: whether the password is good for nothing but setting another one.
    """

    name: str
    password_hash: str
    credential_id: str
    description: str
    created_at: float
    changed_at: float
    roles: tuple[str, ...]
    enabled: bool = True
    signed_in_at: float | None = None
    locked_at: float | None = None
    previous: PreviousSecret | None = None
    one_time: bool = False

    def __repr__(self) -> str:
        return f"UserRecord(name={self.name!r})"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as stored.

    Attributes:
        key_id: the public id.
        owner: the user it belongs to.
        digest: SHA-256 of the whole key, in hexadecimal; never the key.
        description: free text.
        created_at: seconds since the epoch.
        created_by: the user who made it.
        made_by_key: the id of the API key that it was made with, or None; it goes when that one goes.
        expires_at: when it ends, or None.
        roles: what it is narrowed to, sorted; None for all roles of its owner, empty for none.
        networks: where it may be used from, in CIDR form; empty for anywhere.
        enabled: whether it opens.
        used_at: when it was last used, or None.
        previous: the key before the last rotation, while it is still accepted.
    """

    key_id: str
    owner: str
    digest: str
    description: str
    created_at: float
    created_by: str
    expires_at: float | None = None
    roles: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ()
    enabled: bool = True
    used_at: float | None = None
    previous: PreviousSecret | None = None
    made_by_key: str | None = None

    def __repr__(self) -> str:
        return f"KeyRecord(key_id={self.key_id!r})"


class IntentKind(StrEnum):
    """A change of the engine that the store must follow."""

    DROP_COLLECTION = "drop_collection"
    RENAME_COLLECTION = "rename_collection"
    CREATE_COLLECTION = "create_collection"
    DROP_DATABASE = "drop_database"


@dataclass(frozen=True, slots=True)
class Claimant:
    """A user who drops or creates a collection: for whom grants on its name are kept (decision 0030).

    Attributes:
        user_name: the user.
        roles: the roles that the user acted with; only grants of these are kept.
    """

    user_name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """The roles that lost kept grants on a name, and those that still have some; both sorted."""

    lost: Sequence[str]
    kept: Sequence[str]


@dataclass(frozen=True, slots=True)
class Intent:
    """A change of the engine that was about to be asked for.

    It is written down first so that a crash cannot part grants and objects.

    Attributes:
        intent_id: set by the store.
        db_name, object_name: what is dropped, renamed or created; object_name is empty for a database.
        new_db_name, new_object_name: where a renamed collection goes, else empty.
        claimant: who drops or creates a collection, where grants are kept for that user.
    """

    kind: IntentKind
    db_name: str
    object_name: str = ""
    new_db_name: str = ""
    new_object_name: str = ""
    intent_id: int = 0
    claimant: Claimant | None = None


class Users(Protocol):
    """Users inside a transaction."""

    async def get(self, name: str) -> UserRecord | None:
        """Return the user, or None."""
        ...

    async def count(self) -> int:
        """Return how many users there are, `root` included."""
        ...

    async def add(self, name: str, password_hash: str, *, description: str = "", one_time: bool = False) -> None:
        """Create a user without roles. The caller has checked that the name is free."""
        ...

    async def set_password(
        self, name: str, password_hash: str, *, former_until: float | None = None, one_time: bool = False
    ) -> None:
        """Replace the password hash and the credential id of an existing user.

        Args:
            name: the user.
            password_hash: of the new password.
            former_until: until when the present password is accepted too; None: no longer, nor any before it.
            one_time: whether the new one is good for nothing but setting another.
        """
        ...

    async def rehash(self, name: str, password_hash: str, *, credential_id: str) -> None:
        """Replace the hash of a password that stays; nothing happens if the user's credential is another by now."""
        ...

    async def end_previous_secret(self, name: str) -> None:
        """Accept a user's former password no longer; without one nothing happens."""
        ...

    async def enable(self, name: str, enabled: bool) -> None:
        """Let an existing user come in, or no longer."""
        ...

    async def lock(self, name: str) -> None:
        """Lock an existing user from now on; one that is locked stays so."""
        ...

    async def unlock(self, name: str) -> None:
        """Unlock a user; one that is not locked stays so."""
        ...

    async def describe(self, name: str, description: str) -> None:
        """Replace the description of an existing user."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a user with its role bindings, its API keys, and every key that descends from one of those.

        Grants that are kept for the user go too. An unknown name does nothing.
        """
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

    async def enabled_holders(self, role: str) -> Sequence[str]:
        """Return the names of the enabled users to whom a role is bound, sorted."""
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
        """Store the grants; one that is there already keeps its grantor, and is kept for nobody from now on."""
        ...

    async def remove(self, role: str, keys: Sequence[GrantKey]) -> bool:
        """Remove grants; absent ones do nothing. Return whether any was there."""
        ...

    async def drop_object(
        self, db_name: str, object_name: str | None, *, kept_for: Claimant | None = None
    ) -> Sequence[str]:
        """Remove the Collection and Global grants on exactly this object of this database.

        Args:
            db_name: the database.
            object_name: the object; None for all grants of the database.
            kept_for: grants of the roles of this user stay, and are kept for the user.

        Returns:
            The roles whose grants are kept, sorted.
        """
        ...

    async def kept_on(self, db_name: str, object_name: str) -> Sequence[str]:
        """Return the roles that hold kept grants on exactly this object, sorted."""
        ...

    async def release_object(self, db_name: str, object_name: str, claimant: Claimant | None) -> Released:
        """Remove the kept grants on exactly this object, but for those kept for this user that are of its roles."""
        ...

    async def confirm_object(self, db_name: str, object_name: str) -> Sequence[str]:
        """Make the kept grants on exactly this object plain ones. Return the roles that hold them, sorted."""
        ...

    async def move_object(self, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Move the Collection and Global grants on exactly one object to another.

        Both are pairs of database and name; grants that become equal merge. What has moved is kept for nobody.
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


class Keys(Protocol):
    """API keys inside a transaction. They go with their owner, and a removed role leaves the lists of all keys.

    A key descends from the key that it was made with, and from whatever that one descends from.
    """

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return the key, then the keys that it descends from, the nearest first; empty where there is no such key."""
        ...

    async def count(self, owner: str) -> int:
        """Return how many keys a user has."""
        ...

    async def add(self, key: KeyRecord) -> None:
        """Store a new key. The caller has checked that its owner exists; its time of creation is set here."""
        ...

    async def rotate(self, key_id: str, digest: str, *, former_until: float | None = None) -> None:
        """Replace the digest of an existing key; the present one stays accepted until then, or no longer.

        What descends from the key ends with the present digest.
        """
        ...

    async def enable(self, key_id: str, enabled: bool) -> None:
        """Let an existing key open, or no longer."""
        ...

    async def remove(self, key_id: str) -> None:
        """Remove a key and what descends from it; an unknown id does nothing."""
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
    def keys(self) -> Keys: ...
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
    """Where users, roles, role bindings, grants, groups, API keys and intents are kept.

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

    async def users(self, *, after: str = "", prefix: str = "", limit: int | None = None) -> Sequence[UserRecord]:
        """Return users with their role bindings, sorted by name.

        Args:
            after: only names that sort after this one.
            prefix: only names that begin so.
            limit: at most so many.
        """
        ...

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        """Return the kinds of password hashes that these users have, or that all have when None."""
        ...

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return an API key, then the keys that it descends from, the nearest first; empty where there is none."""
        ...

    async def keys(
        self, *, owner: str | None = None, root: str | None = None, after: str = "", limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """Return API keys sorted by id.

        Args:
            owner: only keys of this user.
            root: only this key and what descends from it.
            after: only ids that sort after this one.
            limit: at most so many.
        """
        ...

    async def revision(self) -> int:
        """Return the revision of the last change, whoever made it."""
        ...

    async def changes_since(self, revision: int) -> Sequence[Change] | None:
        """Return what has changed after a revision, without repetition; None where the feed does not reach back."""
        ...

    async def record_last_used(self, *, users: Mapping[str, float], keys: Mapping[str, float]) -> None:
        """Note when users and keys were last seen, in seconds since the epoch. It advances no revision."""
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
