"""Users and groups that identity providers manage by SCIM."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0018"
down_revision: Final = "0017"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key(name: str, *references: sa.ForeignKey) -> "sa.Column[str]":
    return sa.Column(name, _name(), *references, primary_key=True, nullable=False)


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "scim_users",
        _key("scim_id"),
        sa.Column("user_name", _name(), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False, unique=True),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("login_key", _name(), nullable=False, unique=True),
        sa.Column("external_id", _name()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("scim_users_by_external_id", "scim_users", ["external_id"])
    op.create_table(
        "scim_groups",
        _key("group_id"),
        sa.Column("display_name", _name(), nullable=False),
        sa.Column("display_key", _name(), nullable=False),
        sa.Column("external_id", _name()),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("scim_groups_by_display_key", "scim_groups", ["display_key"])
    op.create_index("scim_groups_by_external_id", "scim_groups", ["external_id"])
    op.create_table(
        "scim_members",
        _key("group_id", sa.ForeignKey("scim_groups.group_id", ondelete="CASCADE")),
        _key("scim_id", sa.ForeignKey("scim_users.scim_id", ondelete="CASCADE")),
        sqlite_with_rowid=False,
    )
    op.create_index("scim_members_by_user", "scim_members", ["scim_id", "group_id"])
