"""Locks that servers hold one after another, and up to which revision each has ended its writes."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0013"
down_revision: Final = "0011"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table and the column."""
    op.add_column(
        "replicas", sa.Column("drained_revision", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "locks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("ticket", sa.Text(), nullable=False, unique=True),
        sa.Column("name", _name(), nullable=False),
        sa.Column("replica_id", _name(), sa.ForeignKey("replicas.replica_id", ondelete="CASCADE"), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("locks_by_name", "locks", ["name", "number"])
    op.create_index("locks_by_replica", "locks", ["replica_id"])
