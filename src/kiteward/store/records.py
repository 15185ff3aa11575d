"""What the store keeps of users and API keys, and what its transactions announce."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kiteward.authz.model import Grant, PrivilegeGroup, Role
from kiteward.authz.row_policies import ProtectedCollection
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.exchange_records import Exchange
from kiteward.store.identity_records import ClaimedRights, IdentityRecord
from kiteward.store.intent_records import Intent
from kiteward.store.provider_records import ProviderSignIn

NO_PASSWORD: Final = "!"  # noqa: S105  no password matches it
"""In the place of a password hash, for users without a password: those of identity providers and of SCIM."""


class Subject(StrEnum):
    """What kind of thing a change is about."""

    USER = "user"
    ROLE = "role"
    GROUP = "group"
    KEY = "key"
    ISSUER = "issuer"
    """The roles that an issuer's groups give, or from when on its tokens are accepted: none verified before counts."""
    CREDENTIAL = "credential"
    """A user was created, given another password, unlocked or enabled: earlier failures no longer count."""
    FACTOR = "factor"
    """A user was unlocked, or its second factors were reset: earlier failures of these no longer count."""
    COLLECTION = "collection"
    """The row policies of a collection, or whether they are enforced; named as `collection_subject` says."""
    CATALOG = "catalog"
    """What a name stands for in the engine, or whether it is being changed: of a collection or an alias, named as
    `collection_subject` says. Without a name, a database with everything in it."""


_SEPARATOR: Final = "/"
"""Between the parts of a collection's name in the change feed; no name of a database contains it."""


def collection_subject(db_name: str, collection_name: str) -> str:
    """Return the name of a collection in the change feed."""
    return f"{db_name}{_SEPARATOR}{collection_name}"


def subject_collection(name: str) -> tuple[str, str]:
    """Return the database and the collection that a name in the change feed stands for."""
    db_name, _, collection_name = name.partition(_SEPARATOR)
    return db_name, collection_name


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change feed: the named user, role (with its grants), group or API key is not what it was.

    Tags are part of a user or API key, limits of a user, role or API key. A `CREDENTIAL` or `FACTOR` accompanies the
    `USER` of the same name.
    """

    subject: Subject
    name: str


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A server that shares the store with others, as it last reported.

    Attributes:
        replica_id: random, and another one at each registration.
        name: its name for people, `kiteward.replicas.name`.
        lease: the seconds that its lease lasts after the beginning of a renewal.
        embedded: whether its engine is embedded, so that no other server has the same data.
        started_at: when it registered, in seconds since the epoch by its own clock; for people alone.
        renewals: how often it has renewed its lease.
        applied_revision: the revision of the policy that it decides by.
        drained_revision: it writes nothing any more to collections that are being changed, or that have got row
            policies, as of this revision.
        version: its version of Kiteward; for people alone.
    """

    replica_id: str
    name: str
    lease: float
    embedded: bool = False
    started_at: float = 0.0
    renewals: int = 0
    applied_revision: int = 0
    drained_revision: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class ListedReplica:
    """A server among those that share a store, for people. No change waits by what is written here.

    Attributes:
        replica: the server.
        renewed: seconds since its last renewal by the database's clock; None before the first one.
        revision: the store's revision.
    """

    replica: ReplicaRecord
    renewed: float | None
    revision: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did.

    Attributes:
        revision: the store's revision after it; unchanged when nothing changed.
        changes: what was changed, without repetition; empty when nothing changed.
        replicas: the servers that were registered when it was committed. One that registers later reads this revision.
    """

    revision: int
    changes: tuple[Change, ...]
    replicas: tuple[ReplicaRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyChanges:
    """What has changed since an earlier revision, all of it as of one revision.

    Attributes:
        revision: the revision that this leads to.
        changes: what was changed, without repetition, in the order of the changes.
        roles: name -> the role with its grants, of each role among them; None for one that is gone.
        groups: name -> the privilege group, of each group among them; None for one that is gone.
        collections: database and name -> the row policies, of each collection among them; None where there are none.
        intents: the open intents, oldest first; None where they are as before.
    """

    revision: int
    changes: tuple[Change, ...]
    roles: Mapping[str, tuple[Role, Sequence[Grant]] | None]
    groups: Mapping[str, PrivilegeGroup | None]
    collections: Mapping[tuple[str, str], ProtectedCollection | None]
    intents: tuple[Intent, ...] | None = None

    def names(self, subject: Subject) -> list[str]:
        """Return the names of what has changed of one kind."""
        return [change.name for change in self.changes if change.subject is subject]


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """A password or key that was replaced and is still accepted for a time.

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
        former_until: until when the latest accepted previous password is valid, or None where there is none.
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
        enabled: whether the user is allowed to authenticate.
        signed_in_at: when the user last authenticated, in seconds since the epoch, or None.
        locked_at: when too many wrong passwords locked the user, or None.
        previous: the password before the last reset, while it is still accepted.
        one_time: whether the password only allows setting another one.
        tags: its tags, sorted by key.
        limits: the limits of its requests.
        second_factor: whether the user has a second factor for the console.
        identity: of a federated user, whom tokens sign in; None for a local user.
        scim_login: the `userName` of a user whom SCIM manages; None for any other.
        group_roles: names of the roles that its groups of SCIM give it, sorted; bound to it or not.
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
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    limits: RequestLimits = field(default_factory=RequestLimits)
    second_factor: bool = False
    identity: IdentityRecord | None = None
    scim_login: str | None = None
    group_roles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"UserRecord(name={self.name!r})"

    @property
    def has_password(self) -> bool:
        """Whether the user has a password; not where it signs in by tokens or API keys alone."""
        return self.password_hash != NO_PASSWORD


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as stored.

    Attributes:
        key_id: the public id.
        owner: the user it belongs to.
        digest: SHA-256 of the whole key, in hexadecimal; never the key.
        description: free text.
        created_at: seconds since the epoch.
        created_by: the user who created it.
        made_by_key: the id of the API key that it was created with, or None; it is removed with that one.
        expires_at: when it expires, or None.
        roles: the roles it is restricted to, sorted; None for all roles of its owner, empty for none.
        networks: where it may be used from, in CIDR form; empty for anywhere.
        enabled: whether it is accepted.
        used_at: when it was last used, or None.
        previous: the key before the last rotation, while it is still accepted.
        tags: its own tags, sorted by key, which take the place of those of its owner.
        limits: the limits of its requests, besides those of its owner.
        exchange: the exchange that it came of; None for a key that was created.
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
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    limits: RequestLimits = field(default_factory=RequestLimits)
    exchange: Exchange | None = None

    def __repr__(self) -> str:
        return f"KeyRecord(key_id={self.key_id!r})"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session of the console.

    Attributes:
        session_id: the public id, for lists and for ending it.
        user_name: the user who signed in.
        verified_id: id of the stored credential that the password matched.
        current_id: id of the user's current credential at sign-in; another one ends the session.
        address: where the sign-in came from, as `host:port`.
        description: how the browser describes itself.
        began_at, used_at: seconds since the epoch.
        factor: what was presented besides the password, a `FactorKind`, or that it began at an identity provider;
            empty for nothing.
        sign_in: the sign-in at an identity provider; None if it began with a password.
    """

    session_id: str
    user_name: str
    verified_id: str
    current_id: str
    address: str
    description: str
    began_at: float
    used_at: float
    factor: str = ""
    sign_in: ProviderSignIn | None = None


@dataclass(frozen=True, slots=True)
class LastUsed:
    """When something was last used, by its name or id, in seconds since the epoch."""

    users: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, float] = field(default_factory=dict)
    sessions: Mapping[str, float] = field(default_factory=dict)
    rights: Mapping[str, ClaimedRights] = field(default_factory=dict)
    """User name -> what the token of its last sign-in said."""

    def __bool__(self) -> bool:
        """Return whether anything was used."""
        return bool(self.users or self.keys or self.sessions or self.rights)


@dataclass(frozen=True, slots=True)
class AttemptsHeld:
    """What is known of the passwords that were presented for a user from a source.

    Attributes:
        failures: wrong ones in a row.
        wait: seconds until the next one may be verified; 0 where it may now.
        source_failures: wrong ones from the source, for any users, reduced over time.
        begun: whether one more verification was begun.
    """

    failures: int = 0
    wait: float = 0.0
    source_failures: float = 0.0
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A user's use of a privilege; equal uses are stored once."""

    user: str
    privilege: str
    operation: str
    database: str
    collection: str
