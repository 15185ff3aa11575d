"""The tables of users whom tokens of identity providers sign in."""

from typing import Final

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Table, Text

from kiteward.store.columns import METADATA, name

federated_identities: Final = Table(
    # Whom the tokens of identity providers sign in. An invited user has no subject before the first sign-in.
    "federated_identities",
    METADATA,
    Column("user_name", name(), ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("issuer", name(), nullable=False),
    Column("subject", name()),
    Column("created_at", Float(), nullable=False),
    # What the token of the last sign-in said about rights, as JSON.
    Column("rights", Text(), nullable=False),
    Index("federated_identities_by_subject", "issuer", "subject", unique=True),
    sqlite_with_rowid=False,
)

token_cutoffs: Final = Table(
    # From when on tokens are accepted: those of an issuer where the user is empty, else those of the user.
    "token_cutoffs",
    METADATA,
    Column("issuer", name(), primary_key=True),
    Column("user_name", name(), primary_key=True),
    Column("not_before", Float(), nullable=False),
    sqlite_with_rowid=False,
)

group_roles: Final = Table(
    # The roles that groups of identity providers give, besides those of the configuration.
    "group_roles",
    METADATA,
    Column("issuer", name(), primary_key=True),
    Column("group_name", name(), primary_key=True),
    Column("is_pattern", Boolean(), primary_key=True),
    Column("role_name", name(), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
    Index("group_roles_by_role", "role_name", "issuer"),
    sqlite_with_rowid=False,
)
