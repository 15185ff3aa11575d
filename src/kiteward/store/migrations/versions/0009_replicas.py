"""The servers that share the store."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0009"
down_revision: Final = "0007"


def upgrade() -> None:
    """Create the table; an id is compared byte by byte."""
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lease", sa.Float(), nullable=False),
        sa.Column("embedded", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("renewals", sa.BigInteger(), nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
