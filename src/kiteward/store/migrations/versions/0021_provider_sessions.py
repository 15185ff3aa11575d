"""Console sessions that began at an identity provider, and notices of providers that users have signed out there."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0021"
down_revision: Final = "0020"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key(name: str) -> "sa.Column[str]":
    return sa.Column(name, _name(), primary_key=True, nullable=False)


def upgrade() -> None:
    """Add the columns, empty as for a sign-in with a password, and the table."""
    for name in ("issuer", "subject", "provider_session"):
        op.add_column("sessions", sa.Column(name, _name(), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("issued_at", sa.Float(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("rights", sa.Text(), nullable=False, server_default=""))
    op.create_index("sessions_by_subject", "sessions", ["issuer", "subject"])
    op.create_index("sessions_by_provider_session", "sessions", ["issuer", "provider_session"])
    op.create_table(
        "provider_logouts",
        _key("issuer"),
        _key("subject"),
        _key("provider_session"),
        sa.Column("issued_at", sa.Float(), primary_key=True, nullable=False),
        sa.Column("noted_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("provider_logouts_by_time", "provider_logouts", ["noted_at"])
