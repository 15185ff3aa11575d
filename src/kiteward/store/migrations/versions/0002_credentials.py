"""Users that can be disabled and locked, with their last sign-in; previous passwords; API keys."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Add what is new of users, and the tables of API keys."""
    for column in (
        sa.Column("enabled", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("signed_in_at", sa.Float()),
        sa.Column("locked_at", sa.Float()),
        sa.Column("former_hash", sa.Text()),
        sa.Column("former_credential_id", sa.Text()),
        sa.Column("former_until", sa.Float()),
    ):
        op.add_column("users", column)
    _create_api_keys()


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", _name(), nullable=False),
        sa.Column("owner", _name(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float()),
        sa.Column("narrowed", sa.Boolean(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("used_at", sa.Float()),
        sa.Column("former_digest", sa.Text()),
        sa.Column("former_until", sa.Float()),
        sa.PrimaryKeyConstraint("key_id"),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("api_keys_by_owner", "api_keys", ["owner", "key_id"])
    op.create_table(
        "api_key_roles",
        sa.Column("key_id", _name(), nullable=False),
        sa.Column("role_name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "role_name"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["role_name"], ["roles.name"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("api_key_roles_by_role", "api_key_roles", ["role_name", "key_id"])


def _name() -> TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
