"""Sessions, secrets that are shown once, wrong passwords and uses, for replicas that share the store."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0011"
down_revision: Final = "0012"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key(name: str) -> "sa.Column[str]":
    return sa.Column(name, _name(), primary_key=True, nullable=False)


def upgrade() -> None:
    """Add the tables, empty, and when uses began to be stored: not yet."""
    _add_sessions()
    op.create_table(
        "sign_in_failures",
        _key("user_digest"),
        _key("source"),
        sa.Column("failures", sa.Float(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("wait_until", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sign_in_failures_by_time", "sign_in_failures", ["changed_at"])
    op.create_table(
        "audit_uses",
        _key("user_name"),
        _key("privilege"),
        _key("operation"),
        _key("db_name"),
        _key("collection_name"),
        sa.Column("used_until", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("audit_uses_by_time", "audit_uses", ["used_until"])
    op.add_column("audit_head", sa.Column("uses_since", sa.Float()))


def _add_sessions() -> None:
    op.create_table(
        "sessions",
        _key("token_digest"),
        sa.Column("session_id", _name(), nullable=False, unique=True),
        sa.Column("user_name", _name(), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("verified_id", sa.Text(), nullable=False),
        sa.Column("current_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sessions_by_user", "sessions", ["user_name", "used_at"])
    op.create_table(
        "secrets_shown",
        _key("ticket_digest"),
        sa.Column("session_id", _name(), sa.ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("secrets_shown_by_session", "secrets_shown", ["session_id", "ends_at"])
