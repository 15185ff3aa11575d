"""Audit events that replicas share."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"


def upgrade() -> None:
    """Add the tables of audit events, and the head of their chain before the first."""
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("elapsed", sa.Float(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("elapsed", sa.Float(), nullable=False),
        sa.CheckConstraint("id = 1", name="audit_head_has_one_row"),
    )
    op.bulk_insert(head, [{"id": 1, "first": 1, "before": "0" * 64, "seq": 0, "chain": "0" * 64, "elapsed": 0.0}])
    op.create_table(
        "audit_trails",
        sa.Column("trail", sa.Text(), primary_key=True, nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
    )
