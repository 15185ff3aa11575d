"""Users, roles, bindings, grants, privilege groups, the revision with its change feed, and intents."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    """Create every table and the only row of `revision`."""
    _create_users_and_roles()
    _create_grants_and_groups()
    _create_revision_and_feed()
    _create_intents()


def _name() -> TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _create_users_and_roles() -> None:
    op.create_table(
        "users",
        sa.Column("name", _name(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "roles",
        sa.Column("name", _name(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "role_bindings",
        sa.Column("user_name", _name(), nullable=False),
        sa.Column("role_name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("user_name", "role_name"),
        sa.ForeignKeyConstraint(["user_name"], ["users.name"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["role_name"], ["roles.name"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("role_bindings_by_role", "role_bindings", ["role_name", "user_name"])


def _create_grants_and_groups() -> None:
    op.create_table(
        "grants",
        sa.Column("role_name", _name(), nullable=False),
        sa.Column("object_type", _name(), nullable=False),
        sa.Column("db_name", _name(), nullable=False),
        sa.Column("object_name", _name(), nullable=False),
        sa.Column("privilege", _name(), nullable=False),
        sa.Column("grantor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("role_name", "object_type", "db_name", "object_name", "privilege"),
        sa.ForeignKeyConstraint(["role_name"], ["roles.name"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("grants_by_privilege", "grants", ["privilege", "role_name"])
    op.create_index("grants_by_object", "grants", ["db_name", "object_name"])
    op.create_table(
        "privilege_groups",
        sa.Column("name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "privilege_group_members",
        sa.Column("group_name", _name(), nullable=False),
        sa.Column("privilege", _name(), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "privilege"),
        sa.ForeignKeyConstraint(["group_name"], ["privilege_groups.name"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )


def _create_revision_and_feed() -> None:
    revision_table = op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("id = 1", name="revision_has_one_row"),
    )
    op.bulk_insert(revision_table, [{"id": 1, "value": 0}])
    op.create_table(
        "change_feed",
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("revision", "subject", "name"),
        sqlite_with_rowid=False,
    )


def _create_intents() -> None:
    op.create_table(
        "intents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("db_name", _name(), nullable=False),
        sa.Column("object_name", _name(), nullable=False),
        sa.Column("new_db_name", _name(), nullable=False),
        sa.Column("new_object_name", _name(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
