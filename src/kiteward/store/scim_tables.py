"""The tables of users and groups that identity providers manage by SCIM."""

from typing import Final

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Table, Text, false

from kiteward.store.columns import METADATA, name

scim_users: Final = Table(
    # What SCIM knows of a user beside its row in `users`. `login_key` is `login` without regard to case.
    "scim_users",
    METADATA,
    Column("scim_id", name(), primary_key=True),
    Column("user_name", name(), ForeignKey("users.name", ondelete="CASCADE"), nullable=False, unique=True),
    Column("login", Text(), nullable=False),
    Column("login_key", name(), nullable=False, unique=True),
    Column("external_id", name()),
    Column("active", Boolean(), nullable=False),
    Column("attributes", Text(), nullable=False),
    Column("created_at", Float(), nullable=False),
    Column("changed_at", Float(), nullable=False),
    # Whether it was SCIM that disabled the user; whoever enables or disables it afterwards decides instead.
    Column("deactivated", Boolean(), nullable=False, server_default=false()),
    Index("scim_users_by_external_id", "external_id"),
    sqlite_with_rowid=False,
)

scim_groups: Final = Table(
    "scim_groups",
    METADATA,
    Column("group_id", name(), primary_key=True),
    Column("display_name", name(), nullable=False),
    Column("display_key", name(), nullable=False),
    Column("external_id", name()),
    Column("created_at", Float(), nullable=False),
    Column("changed_at", Float(), nullable=False),
    Index("scim_groups_by_display_key", "display_key"),
    Index("scim_groups_by_external_id", "external_id"),
    sqlite_with_rowid=False,
)

scim_members: Final = Table(
    "scim_members",
    METADATA,
    Column("group_id", name(), ForeignKey("scim_groups.group_id", ondelete="CASCADE"), primary_key=True),
    Column("scim_id", name(), ForeignKey("scim_users.scim_id", ondelete="CASCADE"), primary_key=True),
    Index("scim_members_by_user", "scim_id", "group_id"),
    sqlite_with_rowid=False,
)
