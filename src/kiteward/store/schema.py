"""The tables of the store. Names are compared exactly: byte by byte, case-sensitive, and sorted the same way.

A new store is made from these tables; the Alembic revisions in `migrations/versions` bring an older one to them.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    false,
    text,
    true,
)

from kiteward.store import columns, federation_tables, scim_tables, session_tables

REVISION_ROW: Final = 1
"""Key of the only row of `revision`."""

metadata: Final = columns.METADATA
_name: Final = columns.name


def _former(*names: str) -> list[Column[Any]]:
    """Return the columns of what was replaced: set together, or not at all."""
    return [*(Column(name, Text()) for name in names), Column("former_until", Float())]


def _limits() -> list[Column[Any]]:
    """Return the columns of limits of requests; where one is NULL, there is no such limit."""
    return [Column("limit_rate", Float()), Column("limit_burst", Integer()), Column("limit_concurrent", Integer())]


users: Final = Table(
    "users",
    metadata,
    Column("name", _name(), primary_key=True),
    Column("password_hash", Text(), nullable=False),
    Column("credential_id", Text(), nullable=False),
    Column("description", Text(), nullable=False),
    Column("created_at", Float(), nullable=False),
    Column("changed_at", Float(), nullable=False),
    Column("enabled", Boolean(), nullable=False, server_default=true()),
    Column("signed_in_at", Float()),
    Column("locked_at", Float()),
    *_former("former_hash", "former_credential_id"),
    Column("one_time", Boolean(), nullable=False, server_default=false()),
    *_limits(),
    sqlite_with_rowid=False,
)

roles: Final = Table(
    "roles",
    metadata,
    Column("name", _name(), primary_key=True),
    Column("description", Text(), nullable=False),
    *_limits(),
    sqlite_with_rowid=False,
)

role_bindings: Final = Table(
    "role_bindings",
    metadata,
    Column("user_name", _name(), ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("role_name", _name(), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
    Index("role_bindings_by_role", "role_name", "user_name"),
    sqlite_with_rowid=False,
)

grants: Final = Table(
    # The key is also the order in which grants are listed.
    "grants",
    metadata,
    Column("role_name", _name(), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
    Column("object_type", _name(), primary_key=True),
    Column("db_name", _name(), primary_key=True),
    Column("object_name", _name(), primary_key=True),
    Column("privilege", _name(), primary_key=True),
    Column("grantor", Text(), nullable=False),
    # No foreign key: SQLite adds none to an existing table. The code removes what is kept for a user with the user.
    Column("kept_for", _name()),
    Column("granted_at", Float()),
    Index("grants_by_privilege", "privilege", "role_name"),
    Index("grants_by_object", "db_name", "object_name"),
    Index("grants_kept", "kept_for", sqlite_where=text("kept_for IS NOT NULL")),
    sqlite_with_rowid=False,
)

privilege_groups: Final = Table(
    "privilege_groups",
    metadata,
    Column("name", _name(), primary_key=True),
    sqlite_with_rowid=False,
)

privilege_group_members: Final = Table(
    "privilege_group_members",
    metadata,
    Column("group_name", _name(), ForeignKey("privilege_groups.name", ondelete="CASCADE"), primary_key=True),
    Column("privilege", _name(), primary_key=True),
    sqlite_with_rowid=False,
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("key_id", _name(), primary_key=True),
    Column("owner", _name(), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("digest", Text(), nullable=False),
    Column("description", Text(), nullable=False),
    Column("created_at", Float(), nullable=False),
    Column("created_by", Text(), nullable=False),
    Column("expires_at", Float()),
    Column("narrowed", Boolean(), nullable=False),
    Column("networks", Text(), nullable=False),
    Column("enabled", Boolean(), nullable=False),
    Column("used_at", Float()),
    *_former("former_digest"),
    # No foreign key: SQLite adds none to an existing table. The code removes what descends from a key with it.
    Column("made_by_key", _name()),
    *_limits(),
    Index("api_keys_by_owner", "owner", "key_id"),
    Index("api_keys_by_maker", "made_by_key", "key_id"),
    sqlite_with_rowid=False,
)

api_key_roles: Final = Table(
    # The roles of a restricted key; a key that is not restricted to roles has no row here.
    "api_key_roles",
    metadata,
    Column("key_id", _name(), ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    Column("role_name", _name(), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
    Index("api_key_roles_by_role", "role_name", "key_id"),
    sqlite_with_rowid=False,
)

user_tags: Final = Table(
    "user_tags",
    metadata,
    Column("user_name", _name(), ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("tag_key", _name(), primary_key=True),
    Column("tag_value", _name(), nullable=False),
    Index("user_tags_by_value", "tag_key", "tag_value", "user_name"),
    sqlite_with_rowid=False,
)

api_key_tags: Final = Table(
    # A key's own tags, which take the place of its owner's of the same name.
    "api_key_tags",
    metadata,
    Column("key_id", _name(), ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    Column("tag_key", _name(), primary_key=True),
    Column("tag_value", _name(), nullable=False),
    sqlite_with_rowid=False,
)

federated_identities: Final = federation_tables.federated_identities
token_cutoffs: Final = federation_tables.token_cutoffs
group_roles: Final = federation_tables.group_roles
scim_users: Final = scim_tables.scim_users
scim_groups: Final = scim_tables.scim_groups
scim_members: Final = scim_tables.scim_members

exchanged_keys: Final = Table(
    # Which keys a service got in exchange for a credential of their owner, and by which credentials of both.
    "exchanged_keys",
    metadata,
    Column("key_id", _name(), ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    # The code removes the key with the service: without its row here, it would be an ordinary key of the owner.
    Column("actor", _name(), ForeignKey("users.name"), nullable=False),
    Column("actor_key", _name()),
    Column("actor_issuer", Text()),
    Column("actor_issued_at", Float()),
    Column("subject_issuer", Text()),
    Column("subject_issued_at", Float()),
    # What the token that was presented for its owner said about rights, as in `federated_identities`; NULL without one.
    Column("subject_rights", Text()),
    # A JSON object: the tags of its owner that it has, each as long as the owner has it with this value.
    Column("kept_tags", Text(), nullable=False),
    Index("exchanged_keys_by_actor", "actor", "key_id"),
    Index("exchanged_keys_by_actor_key", "actor_key", "key_id"),
    sqlite_with_rowid=False,
)

protected_collections: Final = Table(
    "protected_collections",
    metadata,
    Column("db_name", _name(), primary_key=True),
    Column("collection_name", _name(), primary_key=True),
    Column("enabled", Boolean(), nullable=False),
    Column("force", Boolean(), nullable=False),
    sqlite_with_rowid=False,
)

row_policies: Final = Table(
    "row_policies",
    metadata,
    Column("db_name", _name(), primary_key=True),
    Column("collection_name", _name(), primary_key=True),
    Column("policy_name", _name(), primary_key=True),
    Column("policy_type", Text(), nullable=False),
    Column("actions", Text(), nullable=False),
    Column("using_expr", Text(), nullable=False),
    Column("check_expr", Text(), nullable=False),
    Column("description", Text(), nullable=False),
    Column("created_at", Float(), nullable=False),
    ForeignKeyConstraint(
        ["db_name", "collection_name"],
        ["protected_collections.db_name", "protected_collections.collection_name"],
        ondelete="CASCADE",
    ),
    sqlite_with_rowid=False,
)

row_policy_roles: Final = Table(
    # A policy without rows here is for everybody. So a role is never removed by itself: what named it alone goes first.
    "row_policy_roles",
    metadata,
    Column("db_name", _name(), primary_key=True),
    Column("collection_name", _name(), primary_key=True),
    Column("policy_name", _name(), primary_key=True),
    Column("role_name", _name(), ForeignKey("roles.name"), primary_key=True),
    ForeignKeyConstraint(
        ["db_name", "collection_name", "policy_name"],
        ["row_policies.db_name", "row_policies.collection_name", "row_policies.policy_name"],
        ondelete="CASCADE",
    ),
    Index("row_policy_roles_by_role", "role_name"),
    sqlite_with_rowid=False,
)

revision: Final = Table(
    "revision",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("value", Integer(), nullable=False),
    Column("timeline", Text(), nullable=False, server_default=""),
    CheckConstraint("id = 1", name="revision_has_one_row"),
)

change_feed: Final = Table(
    "change_feed",
    metadata,
    Column("revision", Integer(), primary_key=True, autoincrement=False),
    Column("subject", Text(), primary_key=True),
    Column("name", _name(), primary_key=True),
    sqlite_with_rowid=False,
)

intents: Final = Table(
    # An id is never used again, so that a late removal cannot hit a younger intent.
    "intents",
    metadata,
    Column("id", Integer(), primary_key=True),
    Column("kind", Text(), nullable=False),
    Column("db_name", _name(), nullable=False),
    Column("object_name", _name(), nullable=False),
    Column("new_db_name", _name(), nullable=False),
    Column("new_object_name", _name(), nullable=False),
    Column("claimant", _name()),
    Column("claimant_roles", Text()),
    Column("object_id", BigInteger()),
    sqlite_autoincrement=True,
)

audit_events: Final = Table(
    # What replicas share of their audit trails: lines chained as those of a file are, without gaps in their numbers.
    "audit_events",
    metadata,
    Column("seq", BigInteger(), primary_key=True, autoincrement=False),
    Column("time", Float(), nullable=False),
    Column("elapsed", Float(), nullable=False),
    Column("line", Text(), nullable=False),
)

audit_head: Final = Table(
    "audit_head",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("first", BigInteger(), nullable=False),
    Column("before", Text(), nullable=False),
    Column("seq", BigInteger(), nullable=False),
    Column("chain", Text(), nullable=False),
    Column("elapsed", Float(), nullable=False),
    Column("uses_since", Float()),
    CheckConstraint("id = 1", name="audit_head_has_one_row"),
)

audit_trails: Final = Table(
    # How far the trail of each replica is in `audit_events`.
    "audit_trails",
    metadata,
    Column("trail", Text(), primary_key=True),
    Column("replica", Text(), nullable=False),
    Column("line", BigInteger(), nullable=False),
)

replicas: Final = Table(
    "replicas",
    metadata,
    Column("replica_id", _name(), primary_key=True),
    Column("name", Text(), nullable=False),
    Column("lease", Float(), nullable=False),
    Column("embedded", Boolean(), nullable=False),
    Column("started_at", Float(), nullable=False),
    Column("renewals", BigInteger(), nullable=False),
    Column("applied_revision", BigInteger(), nullable=False),
    Column("drained_revision", BigInteger(), nullable=False, server_default=text("0")),
    # The time of the last renewal by the clock of the database, for people alone; NULL before the first one.
    Column("renewed_at", Float()),
    Column("version", Text(), nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

sessions: Final = session_tables.sessions
provider_logouts: Final = session_tables.provider_logouts
secrets_shown: Final = session_tables.secrets_shown

sign_in_failures: Final = Table(
    # Of a user at a source; of a user at all sources, where the source is empty; of a source, where the user is.
    "sign_in_failures",
    metadata,
    Column("user_digest", _name(), primary_key=True),
    Column("source", _name(), primary_key=True),
    Column("failures", Float(), nullable=False),
    Column("running", Integer(), nullable=False),
    Column("changed_at", Float(), nullable=False),
    Column("wait_until", Float(), nullable=False),
    Index("sign_in_failures_by_time", "changed_at"),
    sqlite_with_rowid=False,
)

audit_uses: Final = Table(
    # When a user last used a privilege, in which operation on what, over all replicas; to the hour.
    "audit_uses",
    metadata,
    Column("user_name", _name(), primary_key=True),
    Column("privilege", _name(), primary_key=True),
    Column("operation", _name(), primary_key=True),
    Column("db_name", _name(), primary_key=True),
    Column("collection_name", _name(), primary_key=True),
    Column("used_until", Float(), nullable=False),
    Index("audit_uses_by_time", "used_until"),
    sqlite_with_rowid=False,
)

locks: Final = Table(
    # Who waits for a lock, or holds it: the numbers of a name are in the order in which it was asked for.
    "locks",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("ticket", Text(), nullable=False, unique=True),
    Column("name", _name(), nullable=False),
    Column("replica_id", _name(), ForeignKey("replicas.replica_id", ondelete="CASCADE"), nullable=False),
    Column("alone", Boolean(), nullable=False),
    Index("locks_by_name", "name", "number"),
    Index("locks_by_replica", "replica_id"),
    sqlite_autoincrement=True,
)

FIRST_ROWS: Final[tuple[tuple[Table, dict[str, Any]], ...]] = (
    (revision, {"id": REVISION_ROW, "value": 0}),
    (audit_head, {"id": 1, "first": 1, "before": "0" * 64, "seq": 0, "chain": "0" * 64, "elapsed": 0.0}),
)
"""The rows of a new store. The chain of the audit trail begins with what `kiteward.audit.hash_chain` begins with."""
