"""Collections with row policies, and the tags of users and API keys."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision: Final = "0007"
down_revision: Final = "0006"


def upgrade() -> None:
    """Add the tables of row policies, and those of tags."""
    _create_row_policies()
    _create_roles()
    for table, holder, column in (
        ("user_tags", "users.name", "user_name"),
        ("api_key_tags", "api_keys.key_id", "key_id"),
    ):
        op.create_table(
            table,
            sa.Column(column, _name(), nullable=False),
            sa.Column("tag_key", _name(), nullable=False),
            sa.Column("tag_value", _name(), nullable=False),
            sa.PrimaryKeyConstraint(column, "tag_key"),
            sa.ForeignKeyConstraint([column], [holder], ondelete="CASCADE"),
            sqlite_with_rowid=False,
        )
    op.create_index("user_tags_by_value", "user_tags", ["tag_key", "tag_value", "user_name"])


def _create_row_policies() -> None:
    op.create_table(
        "protected_collections",
        sa.Column("db_name", _name(), nullable=False),
        sa.Column("collection_name", _name(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("db_name", "collection_name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "row_policies",
        sa.Column("db_name", _name(), nullable=False),
        sa.Column("collection_name", _name(), nullable=False),
        sa.Column("policy_name", _name(), nullable=False),
        sa.Column("policy_type", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("using_expr", sa.Text(), nullable=False),
        sa.Column("check_expr", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("db_name", "collection_name", "policy_name"),
        sa.ForeignKeyConstraint(
            ["db_name", "collection_name"],
            ["protected_collections.db_name", "protected_collections.collection_name"],
            ondelete="CASCADE",
        ),
        sqlite_with_rowid=False,
    )


def _create_roles() -> None:
    op.create_table(
        "row_policy_roles",
        sa.Column("db_name", _name(), nullable=False),
        sa.Column("collection_name", _name(), nullable=False),
        sa.Column("policy_name", _name(), nullable=False),
        sa.Column("role_name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("db_name", "collection_name", "policy_name", "role_name"),
        sa.ForeignKeyConstraint(
            ["db_name", "collection_name", "policy_name"],
            ["row_policies.db_name", "row_policies.collection_name", "row_policies.policy_name"],
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["role_name"], ["roles.name"]),
        sqlite_with_rowid=False,
    )
    op.create_index("row_policy_roles_by_role", "row_policy_roles", ["role_name"])


def _name() -> TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
