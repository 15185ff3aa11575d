"""Whom tokens of identity providers sign in, from when on tokens are accepted, and the roles that groups give."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0017"
down_revision: Final = "0016"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key(name: str, *references: sa.ForeignKey) -> "sa.Column[str]":
    return sa.Column(name, _name(), *references, primary_key=True, nullable=False)


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "federated_identities",
        _key("user_name", sa.ForeignKey("users.name", ondelete="CASCADE")),
        sa.Column("issuer", _name(), nullable=False),
        sa.Column("subject", _name()),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("federated_identities_by_subject", "federated_identities", ["issuer", "subject"], unique=True)
    op.create_table(
        "token_cutoffs",
        _key("issuer"),
        _key("user_name"),
        sa.Column("not_before", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_roles",
        _key("issuer"),
        _key("group_name"),
        sa.Column("is_pattern", sa.Boolean(), primary_key=True, nullable=False),
        _key("role_name", sa.ForeignKey("roles.name", ondelete="CASCADE")),
        sqlite_with_rowid=False,
    )
    op.create_index("group_roles_by_role", "group_roles", ["role_name", "issuer"])
